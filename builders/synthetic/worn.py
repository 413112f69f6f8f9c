"""Occluders that are worn: masks and dark glasses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas, Stencil, cover, cut, emboss, lit, polygon, shadow, strokes, tint
from .light import Light
from .outlines import curve, floats, tapered
from .pose import Head
from .texture import vivid, woven

Floats = NDArray[np.float32]
Solid = tuple[tuple[float, float, float], ...]

_SURGICAL: Solid = (
    (150, 196, 222),
    (120, 200, 196),
    (236, 238, 240),
    (40, 42, 48),
    (236, 178, 196),
)
_FFP2: Solid = ((240, 240, 238), (244, 242, 236), (46, 46, 50), (206, 212, 216))
_LENSES: Solid = ((14, 14, 16), (28, 18, 12), (12, 24, 18), (22, 30, 64), (56, 20, 20))


def paint_mask(canvas: Canvas, head: Head, light: Light, rng: np.random.Generator) -> None:
    """Paint a surgical, FFP2 or cloth mask from the ridge of the nose to under the chin."""
    unit = head.pose.unit_px
    kind = str(rng.choice(("surgical", "ffp2", "cloth"), p=(0.45, 0.25, 0.3)))
    rim = _mask_rim(head, rng)
    shape = polygon(curve(rim, closed=True, steps=4))
    string = _mask_colour(kind, rng)
    if kind != "cloth" or rng.random() < 0.6:
        loops = [
            curve(head.near((2, 0.03, -0.06), (1, -0.02, -0.1), (0, -0.07, -0.05))),
            curve(head.near((4, 0.03, -0.06), (2, -0.03, 0.1), (0, -0.08, 0.2))),
            curve(head.near((14, -0.03, -0.06), (15, 0.02, -0.1), (16, 0.07, -0.05))),
            curve(head.near((12, -0.03, -0.06), (14, 0.03, 0.1), (16, 0.08, 0.2))),
        ]
        cover(canvas, strokes(loops, max(1.0, 0.035 * unit)), string * np.float32(0.9), "mask")
    shadow(canvas, shape, light.xy, 0.12 * unit)
    cloth = woven(shape, string, rng) if kind == "cloth" else string
    round_ = emboss(shape, light.xy, 0.3 * unit) * emboss(shape, light.xy, 0.06 * unit)
    cover(canvas, shape, lit(cloth, round_) * light.colour[:, None, None], "mask")
    _fold(canvas, head, shape, kind)


def _mask_colour(kind: str, rng: np.random.Generator) -> Floats:
    if kind == "cloth":
        return vivid(rng)
    palette = _SURGICAL if kind == "surgical" else _FFP2
    return floats(palette[int(rng.integers(len(palette)))])


def _mask_rim(head: Head, rng: np.random.Generator) -> Floats:
    """Return the rim of a mask; now and then it has slipped under the nose."""
    slip = 0.48 if rng.random() < 0.12 else 0.0
    lift = float(rng.uniform(-0.06, 0.12)) + slip
    wide = float(rng.uniform(-0.03, 0.1))
    top = head.near(
        *((2, wide, -0.12 + slip / 2), (31, -0.42, -0.22 + lift), (31, -0.16, -0.36 + lift)),
        *((28, 0, 0.04 + lift), (35, 0.16, -0.36 + lift), (35, 0.42, -0.22 + lift)),
        (14, -wide, -0.12 + slip / 2),
    )
    out = np.linspace(0.0, 0.05, 5)
    jaw = [
        *((13 - i, float(out[i]) - wide, 0.03 + float(out[i])) for i in range(5)),
        (8, 0.0, 0.1),
        *((7 - i, wide - float(out[4 - i]), 0.03 + float(out[4 - i])) for i in range(5)),
    ]
    return np.concatenate([top, head.near(*jaw)])


def _fold(canvas: Canvas, head: Head, shape: Stencil, kind: str) -> None:
    """Crease the mask: pleats across, or a seam down the middle."""
    unit = head.pose.unit_px
    lines = []
    if kind == "surgical":
        for y in (-0.28, -0.08, 0.12):
            lines.append(
                head.near(
                    (3, 0.1, 0.1 + y),
                    (48, 0.0, y - 0.05),
                    (51, 0, y + 0.06),
                    (54, 0.0, y - 0.05),
                    (13, -0.1, 0.1 + y),
                )
            )
        lines.append(head.near((29, -0.16, -0.02), (28, 0, 0.12), (29, 0.16, -0.02)))
    else:
        lines.append(head.near((28, 0, 0.05), (30, 0, 0.1), (57, 0, 0), (8, 0, 0.1)))
    for line in lines:
        path = curve(line)
        tint(canvas, cut(shape, tapered(path, 0.05 * unit), 0.8), 0.74)
        tint(canvas, cut(shape, tapered(path + floats((0, 0.04 * unit)), 0.05 * unit), 0.8), 1.12)


def paint_eyewear(canvas: Canvas, head: Head, light: Light, rng: np.random.Generator) -> None:
    """Paint dark glasses: two lenses or one shield, with frame and temples."""
    unit = head.pose.unit_px
    names = tuple(_LENS_SHAPES)
    outlines = _LENS_SHAPES[names[int(rng.integers(len(names)))]](head, rng)
    frame = (vivid(rng) if rng.random() < 0.4 else floats((18, 16, 16))) * light.colour
    glass = floats(_LENSES[int(rng.integers(len(_LENSES)))]) * np.float32(rng.uniform(0.7, 1.6))
    arms = [
        head.at((-0.85, -0.06, 0.1), (-1.04, -0.03, -0.55)),
        head.at((0.85, -0.06, 0.1), (1.04, -0.03, -0.55)),
        curve(head.at((-0.2, -0.02, 0.45), (0, -0.07, 0.5), (0.2, -0.02, 0.45))),
    ]
    cover(canvas, strokes(arms, 0.07 * unit), frame, "eyewear")
    see_through = float(rng.uniform(0.9, 1.0))
    for outline in outlines:
        lens = polygon(outline)
        shadow(canvas, lens, light.xy, 0.1 * unit)
        cover(canvas, lens, glass, "eyewear", see_through)
        _reflect(canvas, lens, outline, rng)
    rims = [np.concatenate([outline, outline[:1]]) for outline in outlines]
    cover(canvas, strokes(rims, float(rng.uniform(0.025, 0.08)) * unit), frame, "eyewear")


def _reflect(canvas: Canvas, lens: Stencil, outline: Floats, rng: np.random.Generator) -> None:
    """Brighten the upper part of a lens and one slanting stripe of it."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    extent = high - low
    sky = floats(((0, 0), (1, 0), (1, 0.35), (0, 0.55))) * extent + low
    tint(canvas, cut(lens, sky.astype(np.float32), 2.0), float(rng.uniform(1.3, 3.0)))
    x = float(rng.uniform(0.1, 0.6))
    stripe = floats(((x, 0), (x + 0.2, 0), (x, 1), (x - 0.2, 1))) * extent + low
    tint(canvas, cut(lens, stripe.astype(np.float32), 1.0), float(rng.uniform(1.2, 3.5)))


def _lens(head: Head, x: float, radii: tuple[float, float], square: float, sag: float) -> Floats:
    """Return one lens around (x, 0): `square` 1 is an ellipse, less has corners; `sag` drops it."""
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    cos, sin = np.cos(turn), np.sin(turn)
    across = np.sign(cos) * np.abs(cos) ** square * radii[0] + x
    down = np.sign(sin) * np.abs(sin) ** square * radii[1]
    down += sag * (down > 0) * (1 - abs(cos)) + 0.02
    depth = 0.45 - 0.3 * across**2
    return head.at(*np.stack([across, down, depth], axis=1).tolist())


def _round(head: Head, rng: np.random.Generator) -> list[Floats]:
    radius = float(rng.uniform(0.27, 0.36))
    return [_lens(head, x, (radius, radius * 0.9), 1.0, 0.0) for x in (-0.46, 0.46)]


def _square(head: Head, rng: np.random.Generator) -> list[Floats]:
    radii = float(rng.uniform(0.32, 0.4)), float(rng.uniform(0.2, 0.3))
    return [_lens(head, x, radii, 0.55, 0.0) for x in (-0.47, 0.47)]


def _aviator(head: Head, rng: np.random.Generator) -> list[Floats]:
    radii = float(rng.uniform(0.32, 0.39)), float(rng.uniform(0.22, 0.28))
    return [_lens(head, x, radii, 0.8, 0.09) for x in (-0.47, 0.47)]


def _shield(head: Head, rng: np.random.Generator) -> list[Floats]:
    return [
        _lens(head, 0.0, (float(rng.uniform(0.85, 0.95)), float(rng.uniform(0.22, 0.34))), 0.6, 0.0)
    ]


_LENS_SHAPES: dict[str, Callable[[Head, np.random.Generator], list[Floats]]] = {
    "round": _round,
    "square": _square,
    "aviator": _aviator,
    "shield": _shield,
}
