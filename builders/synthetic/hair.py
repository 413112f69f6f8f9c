"""Hair: what lies behind the head, and what grows over its crown."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import FACE_PARTS

from .canvas import Canvas, Stencil, emboss, paint, polygon, strokes, tint, within
from .light import Light
from .outlines import curve, floats
from .pose import Head

Floats = NDArray[np.float32]
HAIR = FACE_PARTS.index("hair")

# How far the hair stands off the skull (sides, top), and how far it falls behind (units, y down).
_SHAPES: dict[str, tuple[float, float, float | None]] = {
    "crop": (0.03, 0.1, None),
    "parted": (0.08, 0.2, None),
    "long": (0.16, 0.2, 2.4),
    "bob": (0.22, 0.22, 1.25),
    "curls": (0.32, 0.4, 0.9),
    "bun": (0.03, 0.1, None),
    "receding": (0.03, 0.06, None),
    "spiky": (0.06, 0.28, None),
}


def paint_hair_behind(canvas: Canvas, head: Head, light: Light, rng: np.random.Generator) -> None:
    """Paint the hair that hangs behind the face, and a bun."""
    style, unit = head.who.hair_style, head.pose.unit_px
    if style == "bun":
        ball = polygon(
            curve(
                head.at(
                    (0, -1.95, -0.6),
                    (0.4, -1.7, -0.6),
                    (0.3, -1.3, -0.6),
                    (-0.3, -1.3, -0.6),
                    (-0.4, -1.7, -0.6),
                ),
                closed=True,
            )
        )
        _paint_locks(canvas, ball, head, light, [])
    fall = _SHAPES[style][2] if style in _SHAPES else None
    if fall is None:
        return
    side = 1.04 + _SHAPES[style][0] * head.who.hair_volume
    tip = fall * float(rng.uniform(0.85, 1.1))
    points = head.at(
        *(
            (-side, -0.3, -0.5),
            (-side * 1.08, 0.4, -0.6),
            (-side * 1.02, tip, -0.6),
            (-0.5, tip + 0.1, -0.7),
        ),
        *(
            (0.5, tip + 0.1, -0.7),
            (side * 1.02, tip, -0.6),
            (side * 1.08, 0.4, -0.6),
            (side, -0.3, -0.5),
        ),
        *((0.7, -1.2, -0.5), (-0.7, -1.2, -0.5)),
    )
    rim = curve(points, closed=True, steps=6)
    if style == "curls":
        rim = rim + rng.normal(0, 0.035 * unit, rim.shape).astype(np.float32)
    locks = [
        curve(head.at((x, -0.6, -0.5), (x * 1.1, 0.3, -0.5), (x * 1.05 + w, tip, -0.5)))
        for x, w in zip(
            rng.uniform(-1.2, 1.2, 28).tolist(), rng.normal(0, 0.08, 28).tolist(), strict=True
        )
    ]
    _paint_locks(canvas, polygon(rim, 0.5), head, light, locks, 0.75)


def paint_hair(canvas: Canvas, head: Head, light: Light, rng: np.random.Generator) -> None:
    """Paint the hair over the crown, down to the hairline."""
    who, unit = head.who, head.pose.unit_px
    if who.hair_style == "bald":
        return
    side, top, _ = _SHAPES[who.hair_style]
    rim = curve(_crown(head, 1.02 + side * who.hair_volume, top * who.hair_volume), steps=5)
    if who.hair_style in ("curls", "spiky"):
        rough = 0.05 if who.hair_style == "curls" else 0.07
        rim = rim + rng.normal(0, rough * unit, rim.shape).astype(np.float32)
    front = curve(_hairline(head), steps=4)
    if who.hair_style != "parted":
        front = front + rng.normal(0, 0.012 * unit, front.shape).astype(np.float32)
    shape = polygon(np.concatenate([rim, front[::-1]]), 0.6)
    count = 40
    start, end = rng.integers(2, len(front) - 2, count), rng.integers(2, len(rim) - 2, count)
    end = np.clip(start * len(rim) // len(front) + (end - len(rim) // 2) // 6, 1, len(rim) - 2)
    locks = list(np.stack([front[start], rim[end]], axis=1))
    shadow = polygon(np.concatenate([front, (front + floats((0, 0.1 * unit)))[::-1]]), 0.05 * unit)
    tint(canvas, shadow, 0.72)
    _paint_locks(canvas, shape, head, light, locks)


def _crown(head: Head, side: float, top: float) -> Floats:
    low = 0.25 if head.who.hair_style in ("long", "bob", "curls") else -0.02
    return head.at(
        *((-side, low, -0.5), (-side - 0.04, -0.4, -0.5), (-0.97 * side, -0.95 - top / 2, -0.4)),
        *((-0.6, -1.36 - top, -0.3), (0, -1.48 - top, -0.25), (0.6, -1.36 - top, -0.3)),
        *((0.97 * side, -0.95 - top / 2, -0.4), (side + 0.04, -0.4, -0.5), (side, low, -0.5)),
    )


def _hairline(head: Head) -> Floats:
    who = head.who
    middle, temples, parting = (float(v) for v in who.hairline)
    if who.hair_style == "receding":
        middle, temples = middle - 0.1, temples + 0.14
    # The skin ends at the crown; hair that began above it would leave a gap.
    y, t = max(-1.07 + middle, -1.25), min(temples, 0.15)
    low = 0.25 if who.hair_style in ("long", "bob", "curls") else 0.0
    tilt = 0.16 * parting if who.hair_style in ("parted", "long", "bob") else 0.0
    left, right = max(y - t + tilt, -1.2), max(y - t - tilt, -1.2)
    return head.at(
        *((-0.99, low, -0.48), (-0.95, -0.35, -0.3), (-0.82 + t / 2, -0.72 - t, -0.1)),
        *((-0.45, left, 0.15), (0.0, y, 0.22), (0.45, right, 0.15)),
        *((0.82 - t / 2, -0.72 - t, -0.1), (0.95, -0.35, -0.3), (0.99, low, -0.48)),
    )


def _paint_locks(
    canvas: Canvas,
    shape: Stencil,
    head: Head,
    light: Light,
    locks: list[Floats],
    level: float = 1.0,
) -> None:
    """Paint a shape in hair colour, with lighter and darker strands."""
    paint(canvas, shape, head.who.hair * light.colour * np.float32(level), part=HAIR)
    for picks, factor in ((locks[::2], 0.76), (locks[1::2], 1.22)):
        if picks:
            tint(canvas, within(strokes(picks, 1.3, 0.5), shape), factor)
    tint(canvas, shape, emboss(shape, light.xy, 0.13 * head.pose.unit_px))
