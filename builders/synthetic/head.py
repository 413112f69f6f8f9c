"""The head without its hair: neck, clothes, ears, skin and the creases that muscles press."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import FACE_PARTS

from .action_units import strength
from .canvas import (
    Canvas,
    Stencil,
    curve,
    cut,
    ellipse,
    emboss,
    graded,
    paint,
    polygon,
    tapered,
    tint,
)
from .light import Light
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
    neck = np.float32(
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
    clothes = np.float32(
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
        paint(
            canvas, shape, head.who.skin * np.float32((0.94, 0.86, 0.84)) * light.colour, part=SKIN
        )
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
    pink = np.float32((1.03, 0.88, 0.87))
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
        tint(canvas, ring, np.float32((0.9, 0.85, 0.88)) - np.float32(0.1 * who.age))
    if who.freckles > 0.2:
        _speckle(canvas, head, rng)
    if who.beard > 0:
        _paint_beard(canvas, head, rng)
    return shape


def _speckle(canvas: Canvas, head: Head, rng: np.random.Generator) -> None:
    for x, y in rng.normal((0, 0.35), (0.4, 0.15), (int(30 * head.who.freckles), 2)):
        spot = head.at((float(x), float(y), 0.45 - 0.3 * abs(float(x))))[0]
        tint(canvas, polygon(ellipse(spot, (0.9, 0.9)), 0.4), np.float32((0.8, 0.72, 0.66)))


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


Place = tuple[int, float, float]  # a landmark and a shift in half face widths
Crease = tuple[tuple[Place, ...], float, float]  # its line, its width in the same unit, its depth


def paint_creases(canvas: Canvas, head: Head) -> None:
    """Press the furrows of the active muscles, and those of age, into the skin."""
    creases = [crease for crease in _creases(head) if crease[2] > 0.1]
    unit = head.pose.unit_px
    joined = head.near(*(place for places, _, _ in creases for place in places))
    dark, bright, start = [], [], 0
    for places, width, depth in creases:
        line = curve(joined[start : start + len(places)], steps=4)
        start += len(places)
        furrow, level = tapered(line, width * unit), 255 * min(depth, 1.0)
        dark.append((furrow, level))
        bright.append((furrow + np.float32((0, width * unit * 0.9)), level))
    soft = max(0.6, 0.016 * unit)
    tint(canvas, graded(bright, soft), 1.13)
    tint(canvas, graded(dark, soft), np.float32((0.56, 0.47, 0.45)))


def _creases(head: Head) -> list[Crease]:
    """Return every crease the face can have; the depth, 0..1, says how much of it shows."""
    return [
        *_forehead(head),
        *(crease for side in ("L", "R") for crease in _cheek(head, side)),
        *(crease for side in ("L", "R") for crease in _eye_and_nose(head, side)),
        *_chin(head),
    ]


def _forehead(head: Head) -> list[Crease]:
    m, age = head.muscles, head.who.age
    inner, outer = m.get("AU1", 0.0), m.get("AU2", 0.0)
    result = []
    for row in range(3):
        y = -0.17 - 0.15 * row
        centre = _line((20, 0.05, y), (21, 0.05, y + 0.02), (22, -0.05, y + 0.02), (23, -0.05, y))
        result.append((centre, 0.04, 0.5 * inner + 0.3 * max(0.0, age - 0.4) - 0.1 * row))
        for line in (
            _line((18, 0.02, y), (19, 0, y), (20, 0.08, y)),
            _line((25, -0.02, y), (24, 0, y), (23, -0.08, y)),
        ):
            result.append(
                (
                    line,
                    0.035,
                    0.45 * min(outer, 0.3 + inner) + 0.25 * max(0.0, age - 0.5) - 0.1 * row,
                )
            )
    return result


def _eye_and_nose(head: Head, side: str) -> list[Crease]:
    """Return frown, nose wrinkles, crow's feet and the fold under the eye of one side."""
    m, age = head.muscles, head.who.age
    left = side == "L"
    s = -1 if left else 1
    corner, inner, lid_a, lid_b, brow = (36, 39, 41, 40, 21) if left else (45, 42, 46, 47, 22)
    frown, wrinkle = strength(m, "AU4", side), strength(m, "AU9", side)
    squint = strength(m, "AU6", side)
    result = [
        (
            _line((brow, -s * 0.05, -0.13), (brow, -s * 0.08, 0.0), (brow, -s * 0.06, 0.12)),
            0.05,
            0.85 * frown,
        ),
        (
            _line((28, s * 0.02, -0.06), (28, s * 0.12, -0.1), (28, s * 0.2, -0.07)),
            0.04,
            0.95 * wrinkle,
        ),
        (
            _line((28, s * 0.02, 0.06), (28, s * 0.13, 0.01), (28, s * 0.22, 0.04)),
            0.04,
            0.9 * wrinkle,
        ),
        (_line((27, s * 0.0, -0.03), (27, s * 0.1, -0.05), (inner, 0, -0.08)), 0.04, 0.8 * wrinkle),
        (
            _line(
                (inner, s * 0.02, 0.06), (lid_b, 0, 0.1), (lid_a, 0, 0.1), (corner, -s * 0.05, 0.12)
            ),
            0.045,
            0.7 * squint + 0.45 * strength(m, "AU7", side) + 0.4 * max(0.0, age - 0.3),
        ),
    ]
    for fan in (-0.1, 0.0, 0.1):
        ray = _line(
            (corner, s * 0.07, fan * 0.4), (corner, s * 0.15, fan), (corner, s * 0.23, fan * 1.9)
        )
        result.append((ray, 0.03, 0.5 * squint + 0.45 * max(0.0, age - 0.45)))
    return result


def _cheek(head: Head, side: str) -> list[Crease]:
    """Return the nasolabial fold, the dimple and the lines around one corner of the mouth."""
    m, age = head.muscles, head.who.age
    left = side == "L"
    s = -1 if left else 1
    wing, corner = (31, 48) if left else (35, 54)
    smile, sneer = strength(m, "AU12", side), strength(m, "AU9", side) + strength(m, "AU10", side)
    fold = _line(
        *((wing, s * 0.06, -0.1), (wing, s * 0.14, 0.06), (corner, s * 0.15, -0.1)),
        (corner, s * 0.15, 0.06),
    )
    tuck = _line((corner, s * 0.06, -0.08), (corner, s * 0.1, 0.0), (corner, s * 0.06, 0.09))
    stretch = _line((corner, s * 0.09, -0.14), (corner, s * 0.14, 0.02), (corner, s * 0.08, 0.2))
    droop = _line((corner, s * 0.02, 0.02), (corner, s * 0.06, 0.12), (corner, s * 0.04, 0.24))
    pull = strength(m, "AU15", side)
    return [
        (
            fold,
            0.06,
            0.62 * smile + 0.5 * sneer + 0.5 * strength(m, "AU11", side) + 0.4 * age + 0.08,
        ),
        (tuck, 0.06, 0.85 * strength(m, "AU14", side) + 0.25 * smile),
        (stretch, 0.045, 0.6 * strength(m, "AU20", side)),
        (droop, 0.05, 0.7 * pull + 0.3 * max(0.0, age - 0.5)),
    ]


def _chin(head: Head) -> list[Crease]:
    pucker = head.muscles.get("AU17", 0.0)
    below = _line((58, -0.04, 0.1), (57, 0, 0.07), (56, 0.04, 0.1))
    dents = [
        (_line((8, x - 0.05, y), (8, x, y - 0.02), (8, x + 0.05, y)), 0.04, 0.6 * pucker)
        for x, y in ((-0.12, -0.22), (0.03, -0.25), (0.14, -0.2), (-0.03, -0.15))
    ]
    return [(below, 0.08, 0.3 + 0.4 * pucker), *dents]


def _line(*places: Place) -> tuple[Place, ...]:
    return places
