"""Creases: the furrows that muscles and years press into the skin."""

from __future__ import annotations

from .action_units import strength
from .canvas import Canvas, graded, tint
from .outlines import curve, floats, tapered
from .pose import Head

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
        bright.append((furrow + floats((0, width * unit * 0.9)), level))
    soft = max(0.6, 0.016 * unit)
    tint(canvas, graded(bright, soft), 1.13)
    tint(canvas, graded(dark, soft), floats((0.56, 0.47, 0.45)))


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
    result: list[Crease] = []
    for row in range(3):
        y = -0.17 - 0.15 * row
        centre = ((20, 0.05, y), (21, 0.05, y + 0.02), (22, -0.05, y + 0.02), (23, -0.05, y))
        result.append((centre, 0.04, 0.5 * inner + 0.3 * max(0.0, age - 0.4) - 0.1 * row))
        for line in (
            ((18, 0.02, y), (19, 0, y), (20, 0.08, y)),
            ((25, -0.02, y), (24, 0, y), (23, -0.08, y)),
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
    result: list[Crease] = [
        (
            ((brow, -s * 0.05, -0.13), (brow, -s * 0.08, 0.0), (brow, -s * 0.06, 0.12)),
            0.05,
            0.85 * frown,
        ),
        (
            ((28, s * 0.02, -0.06), (28, s * 0.12, -0.1), (28, s * 0.2, -0.07)),
            0.04,
            0.95 * wrinkle,
        ),
        (
            ((28, s * 0.02, 0.06), (28, s * 0.13, 0.01), (28, s * 0.22, 0.04)),
            0.04,
            0.9 * wrinkle,
        ),
        (((27, s * 0.0, -0.03), (27, s * 0.1, -0.05), (inner, 0, -0.08)), 0.04, 0.8 * wrinkle),
        (
            ((inner, s * 0.02, 0.06), (lid_b, 0, 0.1), (lid_a, 0, 0.1), (corner, -s * 0.05, 0.12)),
            0.045,
            0.7 * squint + 0.45 * strength(m, "AU7", side) + 0.4 * max(0.0, age - 0.3),
        ),
    ]
    for fan in (-0.1, 0.0, 0.1):
        ray = (
            (corner, s * 0.07, fan * 0.4),
            (corner, s * 0.15, fan),
            (corner, s * 0.23, fan * 1.9),
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
    fold = (
        *((wing, s * 0.06, -0.1), (wing, s * 0.14, 0.06), (corner, s * 0.15, -0.1)),
        (corner, s * 0.15, 0.06),
    )
    tuck = ((corner, s * 0.06, -0.08), (corner, s * 0.1, 0.0), (corner, s * 0.06, 0.09))
    stretch = ((corner, s * 0.09, -0.14), (corner, s * 0.14, 0.02), (corner, s * 0.08, 0.2))
    droop = ((corner, s * 0.02, 0.02), (corner, s * 0.06, 0.12), (corner, s * 0.04, 0.24))
    pull = strength(m, "AU15", side)
    return [
        (
            fold,
            0.06,
            0.62 * smile + 0.5 * sneer + 0.5 * strength(m, "AU11", side) + 0.4 * age + 0.08,
        ),
        (tuck, 0.05, 0.7 * strength(m, "AU14", side) + 0.25 * smile),
        (stretch, 0.045, 0.6 * strength(m, "AU20", side)),
        (droop, 0.05, 0.7 * pull + 0.3 * max(0.0, age - 0.5)),
    ]


def _chin(head: Head) -> list[Crease]:
    pucker = head.muscles.get("AU17", 0.0)
    below = ((58, -0.04, 0.1), (57, 0, 0.07), (56, 0.04, 0.1))
    dents = [
        (((8, x - 0.05, y), (8, x, y - 0.02), (8, x + 0.05, y)), 0.04, 0.6 * pucker)
        for x, y in ((-0.12, -0.22), (0.03, -0.25), (0.14, -0.2), (-0.03, -0.15))
    ]
    return [(below, 0.08, 0.3 + 0.4 * pucker), *dents]
