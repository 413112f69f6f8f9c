"""The head without its hair: neck and clothes, ears, skin with freckles and beard."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import FACE_PARTS

from .canvas import Canvas, Stencil, cut, emboss, graded, paint, polygon, tint, within
from .light import Light
from .outlines import curve, ellipse, floats, tapered
from .pose import Head
from .texture import vivid

Floats = NDArray[np.float32]
SKIN = FACE_PARTS.index("skin")

_CROWN = (
    *((1.0, -0.25, -0.45), (0.97, -0.6, -0.35), (0.82, -1.0, -0.2), (0.5, -1.25, -0.05)),
    *((0.0, -1.33, 0.0), (-0.5, -1.25, -0.05), (-0.82, -1.0, -0.2), (-0.97, -0.6, -0.35)),
    (-1.0, -0.25, -0.45),
)


def outline(head: Head) -> Floats:
    """Return the closed outline (n, 2) of the skin of the face, chin to crown, in pixels."""
    return curve(np.concatenate([head.px[0:17], head.at(*_CROWN)]), closed=True, steps=3)


def paint_body(canvas: Canvas, head: Head, light: Light, rng: np.random.Generator) -> None:
    """Paint neck and clothes below the head."""
    unit, chin = head.pose.unit_px, head.px[8]
    width = rng.uniform(0.5, 0.64) * unit
    middle = head.at((0, 0.9, -0.6))[0]
    low = chin[1] + rng.uniform(0.2, 0.4) * unit
    x, top = float(middle[0]), float(middle[1])
    neck = floats(
        [
            *[
                (x - width, top),
                (x + width, top),
                (x + width * 1.02, low),
                (x + width * 1.5, low + 0.5 * unit),
            ],
            *[(x, low + unit), (x - width * 1.5, low + 0.5 * unit), (x - width * 1.02, low)],
        ]
    )
    shape = polygon(neck, 0.5)
    paint(canvas, shape, head.who.skin * light.colour * np.float32(0.78), part=SKIN)
    tint(canvas, shape, 0.35 + 0.65 * emboss(shape, light.xy, 0.2 * unit))
    shadow = np.concatenate([head.px[2:15], head.near((14, 0, 0.35), (8, 0, 0.32), (2, 0, 0.35))])
    tint(canvas, cut(shape, shadow, 0.1 * unit), 0.6)
    collar = rng.uniform(0.15, 0.55) * unit
    spread = rng.uniform(1.9, 2.5) * unit
    clothes = floats(
        [
            *[
                (x - spread, low + 0.75 * unit),
                (x - width * 1.1, low + 0.12 * unit),
                (x, low + collar),
            ],
            *[(x + width * 1.1, low + 0.12 * unit), (x + spread, low + 0.75 * unit)],
            *[(x + spread * 1.2, low + 4 * unit), (x - spread * 1.2, low + 4 * unit)],
        ]
    )
    cloth = polygon(clothes, 0.5)
    paint(canvas, cloth, vivid(rng) * light.colour, part=0)
    tint(canvas, cloth, emboss(cloth, light.xy, 0.12 * unit))


def paint_ears(canvas: Canvas, head: Head, light: Light) -> None:
    """Paint both ears."""
    unit = head.pose.unit_px
    for side, seen in ((-1, 0), (1, 16)):
        if abs(head.at((side * 1.09, 0.15, -0.55))[0, 0] - head.px[seen, 0]) < 0.01 * unit:
            continue
        rim = head.at(
            *((side * 0.98, -0.12, -0.5), (side * 1.07, -0.17, -0.6), (side * 1.13, -0.02, -0.65)),
            *((side * 1.1, 0.2, -0.6), (side * 1.04, 0.4, -0.55), (side * 0.97, 0.38, -0.5)),
        )
        shape = polygon(curve(rim, closed=True))
        paint(canvas, shape, head.who.skin * floats((0.94, 0.86, 0.84)) * light.colour, part=SKIN)
        tint(canvas, shape, emboss(shape, light.xy, 0.05 * unit) * np.float32(0.9))
        inner = head.at(
            (side * 1.04, -0.06, -0.55), (side * 1.08, 0.04, -0.6), (side * 1.03, 0.2, -0.55)
        )
        tint(canvas, cut(shape, tapered(curve(inner), 0.06 * unit), 0.7), 0.62)


def paint_skin(canvas: Canvas, head: Head, rng: np.random.Generator) -> Stencil:
    """Paint the unlit skin of the face and return its shape."""
    shape = polygon(outline(head))
    paint(canvas, shape, head.who.skin, part=SKIN)
    unit, who = head.pose.unit_px, head.who
    pink = floats((1.03, 0.88, 0.87))
    for where, radii in (
        (head.near((31, -0.34, 0.0))[0], (0.28, 0.2)),
        (head.near((35, 0.34, 0.0))[0], (0.28, 0.2)),
        (head.near((30, 0, 0.05))[0], (0.16, 0.12)),
    ):
        tint(canvas, polygon(ellipse(where, (radii[0] * unit, radii[1] * unit)), 0.1 * unit), pink)
    for eye in (36, 42):
        below = curve(
            head.near((eye, 0, 0.08), (eye + 5, 0, 0.08), (eye + 4, 0, 0.08), (eye + 3, 0, 0.05))
        )
        ring = polygon(tapered(below, 0.13 * unit), 0.03 * unit)
        tint(canvas, ring, floats((0.9, 0.85, 0.88)) - np.float32(0.1 * who.age))
    if who.freckles > 0.2:
        _speckle(canvas, head, shape, rng)
    if who.beard > 0:
        _paint_beard(canvas, head, rng)
    return shape


def _speckle(canvas: Canvas, head: Head, shape: Stencil, rng: np.random.Generator) -> None:
    """Dot freckles over nose and cheeks; some are paler than others."""
    count = 1 + int(30 * min(1.5, head.who.freckles))
    places = rng.normal((0, 0.35), (0.36, 0.14), (count, 2))
    spots = head.at(*((float(x), float(y), 0.45 - 0.4 * abs(float(x))) for x, y in places))
    radius = 0.016 * head.pose.unit_px
    dots = [
        (ellipse(spot, (radius, radius)), float(level))
        for spot, level in zip(spots, rng.uniform(60, 230, count), strict=True)
    ]
    tint(canvas, within(graded(dots, 0.6), shape), floats((0.84, 0.77, 0.72)))


def _paint_beard(canvas: Canvas, head: Head, rng: np.random.Generator) -> None:
    """Paint beard and moustache, from stubble to full; the part stays skin."""
    who, unit = head.who, head.pose.unit_px
    low, cheek = 0.04 * who.beard, 0.1 + 0.25 * who.beard
    rim = head.near(*((i, 0, low) for i in range(2, 15)))
    inner = head.near(
        *((13, -0.12, 0), (12, -0.2, -0.02), (54, 0.16, 0.1 - cheek / 2), (57, 0.2, 0.04)),
        *(
            (57, 0, 0.07),
            (57, -0.2, 0.04),
            (48, -0.16, 0.1 - cheek / 2),
            (4, 0.2, -0.02),
            (3, 0.12, 0),
        ),
    )
    shapes = [polygon(np.concatenate([rim, curve(inner, steps=3)]), 0.05 * unit)]
    lip = head.near(
        *((48, -0.03, 0.03), (49, -0.02, -0.06), (33, -0.08, 0.06), (33, 0.08, 0.06)),
        *((53, 0.02, -0.06), (54, 0.03, 0.03), (52, 0, -0.015), (51, 0, -0.01), (50, 0, -0.015)),
    )
    shapes.append(polygon(lip, 0.02 * unit))
    for shape, amount in zip(shapes, (who.beard, who.moustache), strict=True):
        grain = rng.normal(0, 16, shape.alpha.shape).astype(np.float32)
        paint(canvas, shape, who.brow[:, None, None] + grain, 0.25 + 0.6 * amount)
