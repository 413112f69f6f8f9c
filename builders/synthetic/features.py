"""The features of a face: eyes, brows, nose and mouth, painted unlit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import FACE_PARTS

from .canvas import Canvas, Stencil, cut, paint, polygon, strokes, tint, within
from .outlines import curve, ellipse, floats, tapered
from .pose import Head

Floats = NDArray[np.float32]

_PART = {name: i for i, name in enumerate(FACE_PARTS)}


def paint_features(canvas: Canvas, head: Head, rng: np.random.Generator) -> None:
    """Paint nose, mouth, eyes and brows, in this order."""
    _paint_nose(canvas, head)
    _paint_mouth(canvas, head)
    gaze = np.clip(rng.normal(0, 0.02, 2), -0.05, 0.05).astype(np.float32)
    for first, part in ((36, "left_eye"), (42, "right_eye")):
        _paint_eye(canvas, head, first, _PART[part], gaze)
    for first, part in ((17, "left_brow"), (22, "right_brow")):
        _paint_brow(canvas, head, first, _PART[part], rng)


def paint_sparkle(canvas: Canvas, head: Head, light_xy: tuple[float, float]) -> None:
    """Paint the lamp's reflex on both eyes, after the shading."""
    unit = head.pose.unit_px
    for first in (36, 42):
        eye = polygon(_eye_outline(head, first))
        spot = _pupil(head, first) + floats(light_xy) * np.float32(0.035 * unit)
        glint = cut(eye, ellipse(spot, (0.022 * unit, 0.022 * unit)))
        paint(canvas, glint, (250.0, 250.0, 250.0), 0.85)


def _eye_outline(head: Head, first: int) -> Floats:
    upper, lower = head.px[first : first + 4], head.px[[first + 3, first + 4, first + 5, first]]
    return np.concatenate([curve(upper), curve(lower)[1:-1]])


def _pupil(head: Head, first: int) -> Floats:
    """Return where the iris stands when the gaze is straight: it does not move with the lids."""
    corners = (head.px[first] + head.px[first + 3]) / 2
    return np.asarray(corners - floats((0, 0.015 * head.pose.unit_px)), np.float32)


def _paint_eye(canvas: Canvas, head: Head, first: int, part: int, gaze: Floats) -> None:
    unit, who = head.pose.unit_px, head.who
    outline = _eye_outline(head, first)
    lid = head.near(
        (first, 0, 0), (first + 1, 0, -0.09), (first + 2, 0, -0.09), (first + 3, 0, -0.01)
    )
    tint(
        canvas,
        polygon(np.concatenate([curve(lid), outline[:16][::-1]]), 0.03 * unit),
        floats((0.86, 0.8, 0.8)),
    )
    eye = polygon(outline)
    paint(canvas, eye, (226.0, 220.0, 214.0), part=part)
    tint(canvas, cut(eye, ellipse(head.px[first], (0.09 * unit, 0.09 * unit)), 0.8), 0.82)
    tint(
        canvas,
        cut(eye, ellipse(head.px[first + 3], (0.08 * unit, 0.08 * unit)), 0.8),
        floats((0.9, 0.72, 0.7)),
    )
    centre = _pupil(head, first) + gaze * np.float32(unit)
    for radius, colour, blur in (
        (0.098, who.iris * np.float32(0.35), 0.0),
        (0.08, who.iris, 0.4),
        (0.04, floats((12, 10, 10)), 0.0),
    ):
        paint(canvas, cut(eye, ellipse(centre, (radius * unit, radius * unit)), blur), colour)
    shadow = outline[:16] + floats((0, 0.025 * unit))
    tint(canvas, cut(eye, np.concatenate([outline[:16], shadow[::-1]]), 0.6), 0.55)
    ink = who.skin * np.float32(0.12) + floats((12, 8, 8))
    lash = tapered(outline[:16] - floats((0, 0.01 * unit)), (0.04 + 0.035 * who.lashes) * unit, 0.5)
    paint(canvas, polygon(lash, 0.3), ink, 0.9)
    lower = tapered(outline[15:], 0.022 * unit)
    paint(canvas, polygon(lower, 0.3), ink + who.skin * np.float32(0.3), 0.65)
    fold = curve(lid)
    tint(canvas, polygon(tapered(fold, 0.035 * unit), 0.4), floats((0.55, 0.48, 0.48)))


def _paint_brow(
    canvas: Canvas, head: Head, first: int, part: int, rng: np.random.Generator
) -> None:
    unit, who = head.pose.unit_px, head.who
    points = head.px[first : first + 5]
    line = curve(points if first == 22 else points[::-1], steps=4)
    body = polygon(tapered(line, 2.1 * who.brow_width * unit, 0.85), 0.5)
    paint(canvas, body, who.brow, 0.72, part=part)
    at = line[rng.integers(0, len(line) - 2, 12)]
    reach = floats((0.09 * unit if first == 22 else -0.09 * unit, 0.07 * unit))
    lean = floats(rng.uniform((0.5, -0.9), (1.1, -0.2), (12, 2))) * reach
    down = floats((0, who.brow_width * 0.6 * unit))
    hairs = list(np.stack([at + down, at + down + lean], axis=1))
    paint(canvas, strokes(hairs, 0.018 * unit), who.brow * np.float32(0.6), 0.6)


def _paint_nose(canvas: Canvas, head: Head) -> None:
    unit = head.pose.unit_px
    body = curve(
        head.near(
            *((27, -0.09, 0), (29, -0.11, 0), (31, -0.06, -0.09), (31, -0.06, 0.0), (32, 0, 0.03)),
            *(
                (33, 0, 0.03),
                (34, 0, 0.03),
                (35, 0.06, 0.0),
                (35, 0.06, -0.09),
                (29, 0.11, 0),
                (27, 0.09, 0),
            ),
        ),
        closed=True,
        steps=3,
    )
    paint(canvas, polygon(body), head.who.skin, 0.02, part=_PART["nose"])
    under = head.near((31, 0, 0.02), (33, 0, 0.0), (35, 0, 0.02), (33, 0, 0.12))
    tint(canvas, polygon(under, 0.05 * unit), 0.72)
    for s, wing, middle in ((-1, 31, 32), (1, 35, 34)):
        rim = head.near(
            (wing, s * 0.03, -0.15),
            (wing, s * 0.075, -0.06),
            (wing, s * 0.05, 0.02),
            (middle, s * 0.03, 0.0),
        )
        tint(canvas, polygon(tapered(curve(rim), 0.045 * unit), 0.5), floats((0.55, 0.47, 0.46)))
        hole = ellipse(
            head.near((middle, s * 0.015, -0.025))[0], (0.068 * unit, 0.036 * unit), s * 0.35
        )
        tint(canvas, polygon(hole, 0.4), floats((0.3, 0.22, 0.22)))


def _paint_mouth(canvas: Canvas, head: Head) -> None:
    unit, lips = head.pose.unit_px, head.who.lips
    outer_up, outer_low = curve(head.px[48:55]), curve(head.px[[54, 55, 56, 57, 58, 59, 48]])
    inner_up, inner_low = curve(head.px[60:65]), curve(head.px[[64, 65, 66, 67, 60]])
    inside = polygon(np.concatenate([inner_up, inner_low[1:-1]]))
    gap = float(np.linalg.norm(head.px[66] - head.px[62]))
    upper = polygon(np.concatenate([outer_up, inner_up[::-1]]))
    lower = polygon(np.concatenate([outer_low, inner_low[::-1]]))
    paint(canvas, lower, lips, part=_PART["lower_lip"])
    paint(canvas, upper, lips * floats((0.86, 0.8, 0.82)), part=_PART["upper_lip"])
    if gap > 1.2:
        paint(canvas, inside, (52.0, 18.0, 20.0), part=_PART["inner_mouth"])
        _paint_teeth(canvas, head, inside, gap)
    seam = curve(floats((head.px[60:65] + head.px[[60, 67, 66, 65, 64]]) / 2))
    if gap < 0.1 * unit:
        paint(canvas, polygon(tapered(seam, 0.045 * unit, 0.6), 0.4), lips * np.float32(0.28), 0.85)
    for corner in (48, 54):
        tint(
            canvas,
            polygon(ellipse(head.px[corner], (0.045 * unit, 0.035 * unit)), 0.03 * unit),
            0.45,
        )
    shine = curve(head.near((58, 0.03, -0.075), (57, 0, -0.085), (56, -0.03, -0.075)))
    tint(canvas, cut(lower, tapered(shine, 0.06 * unit), 0.8), 1.22)
    rim = polygon(tapered(outer_low, 0.05 * unit), 0.03 * unit)
    tint(canvas, rim, 0.85)


def _paint_teeth(canvas: Canvas, head: Head, inside: Stencil, gap: float) -> None:
    """Paint tongue and teeth into an open mouth; a spread mouth shows more of them."""
    unit, m = head.pose.unit_px, head.muscles
    wide = min(1.0, max(m.get(u, 0.0) for u in ("AU12", "AU20", "AU10", "AU9")))
    tongue = ellipse(head.px[66], (0.22 * unit, 0.35 * gap))
    paint(canvas, cut(inside, tongue, 1.0), head.who.lips * floats((0.8, 0.62, 0.64)), 0.8)
    depth = min(gap * (0.32 + 0.45 * wide), 0.17 * unit)
    upper = curve(head.px[60:65])
    down = head.px[66] - head.px[62]
    step = down / np.float32(np.linalg.norm(down) + 1e-6) * np.float32(depth)
    edge = head.px[60:65] + floats((0, 1, 1, 1, 0))[:, None] * step
    row = cut(inside, np.concatenate([upper, curve(edge)[::-1]]), 0.4)
    paint(canvas, row, (232.0, 226.0, 214.0), 0.55 + 0.4 * wide)
    if m.get("AU16", 0.0) + m.get("AU20", 0.0) > 0.4:
        lower = curve(head.px[[64, 65, 66, 67, 60]])
        edge = head.px[[64, 65, 66, 67, 60]] - floats((0, 0.6, 0.6, 0.6, 0))[:, None] * step
        bottom = cut(inside, np.concatenate([lower, curve(edge)[::-1]]), 0.4)
        paint(canvas, bottom, (214.0, 206.0, 194.0), 0.8)
    if gap > 4:
        slits = [np.stack([upper[i], upper[i] + step]) for i in range(3, len(upper) - 3, 2)]
        tint(canvas, within(strokes(slits, 0.8), row), 0.82)
