"""The occluders: one painter for each of OCCLUSION_TYPES."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import LABELS

from .canvas import (
    Canvas,
    Stencil,
    cover,
    emboss,
    new_canvas,
    polygon,
    shadow,
    strokes,
    tint,
    union,
    within,
)
from .held import paint_hand, paint_object
from .light import Light
from .outlines import curve, floats, tapered
from .person import paint_person, pose_person
from .pose import Head, random_pose
from .worn import paint_eyewear, paint_mask

Floats = NDArray[np.float32]
Painter = Callable[[Canvas, Head, Light, np.random.Generator], None]


def paint_loose_hair(canvas: Canvas, head: Head, light: Light, rng: np.random.Generator) -> None:
    """Paint hair that falls over the face: a fringe, a curtain on one side, or blown strands."""
    unit = head.pose.unit_px
    names = tuple(_FALLS)
    lines = _FALLS[names[int(rng.integers(len(names)))]](head, rng)
    shape = union([polygon(tapered(line, float(w) * unit, 0.9)) for line, w in lines])
    shadow(canvas, shape, light.xy, 0.1 * unit)
    dark, bright = ([line for line, _ in lines[i::2]] for i in (0, 1))
    hair = head.who.hair * light.colour
    cover(canvas, shape, hair, "hair")
    tint(canvas, within(strokes(dark, 1.2, 0.4), shape), 0.65)
    tint(canvas, within(strokes(bright, 1.2, 0.4), shape), 1.4)
    tint(canvas, shape, emboss(shape, light.xy, 0.08 * unit))


Locks = list[tuple[Floats, float]]  # the line (n, 2) in pixels and the width in half face widths


def _fringe(head: Head, rng: np.random.Generator) -> Locks:
    """Return locks side by side from the crown down to brows, eyes or nose."""
    low = float(rng.uniform(-0.2, 0.35))
    sway = float(rng.normal(0, 0.15))
    locks = []
    for x in np.linspace(-0.85, 0.85, 16).tolist():
        tip = low + float(rng.normal(0, 0.1))
        ends = ((x * 0.8, -1.25, 0.1), (x, -0.7, 0.35), (x + sway, tip, 0.4 - 0.2 * x * x))
        locks.append((curve(head.at(*ends)), float(rng.uniform(0.14, 0.24))))
    return locks


def _curtain(head: Head, rng: np.random.Generator) -> Locks:
    """Return long locks over one side of the face."""
    side = 1 if rng.random() < 0.5 else -1
    edge = float(rng.uniform(0.1, 0.5))
    locks = []
    for share in np.linspace(0, 1, 13).tolist():
        x = side * (edge + (1.08 - edge) * share)
        w = float(rng.normal(0, 0.04))
        ends = (
            *(
                (side * 0.25 * share, -1.3, 0.1),
                (x * 0.75 + w, -0.8, 0.3),
                (x + w, 0.1, 0.3 - 0.5 * share),
            ),
            (x * 0.95 + w, 1.0 + 0.5 * share, 0.2 - 0.5 * share),
        )
        locks.append((curve(head.at(*ends)), float(rng.uniform(0.13, 0.22))))
    return locks


def _blown(head: Head, rng: np.random.Generator) -> Locks:
    """Return strands that the wind blows across the face."""
    side = 1 if rng.random() < 0.5 else -1
    middle = float(rng.uniform(-0.4, 0.6))
    locks = []
    count = int(rng.integers(14, 24))
    for shift in np.linspace(-0.55, 0.55, count).tolist():
        y, reach = middle + shift + float(rng.normal(0, 0.05)), float(rng.uniform(0.3, 0.9))
        ends = (
            *((side * 1.05, -0.9 + 0.25 * y, -0.3), (side * 0.6, y - 0.25, 0.3)),
            *((0.0, y, 0.5), (-side * reach, y + float(rng.normal(0.15, 0.08)), 0.3)),
        )
        locks.append((curve(head.at(*ends)), float(rng.uniform(0.03, 0.13))))
    return locks


_FALLS: dict[str, Callable[[Head, np.random.Generator], Locks]] = {
    "fringe": _fringe,
    "curtain": _curtain,
    "blown": _blown,
}


def paint_extraneous_face(
    canvas: Canvas, head: Head, light: Light, rng: np.random.Generator
) -> None:
    """Paint another person in front, who hides a side or the lower half of the face."""
    side = float(rng.choice((-1, 1)))
    away = side * rng.uniform(0.95, 1.5), rng.uniform(-0.2, 1.2)
    offset = head.pose.offset_px + floats(away) * np.float32(head.pose.unit_px)
    unit_px = head.pose.unit_px * float(rng.uniform(0.75, 1.05))
    pose = replace(random_pose(rng), unit_px=unit_px, offset_px=offset.astype(np.float32))
    other = pose_person(int(rng.integers(1 << 30)), str(rng.choice(LABELS)), rng, pose)
    layer = new_canvas()
    paint_person(layer, other, light, rng)
    shape = Stencil((slice(None), slice(None)), layer.coverage)
    straight = layer.rgb / np.maximum(layer.coverage, 1e-3)
    cover(canvas, shape, straight, "extraneous_face")


OCCLUDERS: dict[str, Painter] = {
    "mask": paint_mask,
    "hand": paint_hand,
    "eyewear": paint_eyewear,
    "hair": paint_loose_hair,
    "object": paint_object,
    "extraneous_face": paint_extraneous_face,
}
