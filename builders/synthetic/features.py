"""The features of a face: eyes, brows, nose and mouth, painted unlit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import FACE_PARTS

from .canvas import Canvas, Stencil, cut, paint, polygon, strokes, tint, within
from .eyes import paint_brows, paint_eyes
from .outlines import curve, ellipse, floats, tapered
from .pose import Head

Floats = NDArray[np.float32]

_PART = {name: i for i, name in enumerate(FACE_PARTS)}


def paint_features(canvas: Canvas, head: Head, rng: np.random.Generator) -> None:
    """Paint nose, mouth, eyes and brows, in this order."""
    _paint_nose(canvas, head)
    _paint_mouth(canvas, head)
    paint_eyes(canvas, head, rng)
    paint_brows(canvas, head, rng)


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
    rims, holes = [], []
    for s, wing, middle in ((-1, 31, 32), (1, 35, 34)):
        rim = head.near(
            *((wing, s * 0.03, -0.15), (wing, s * 0.075, -0.06), (wing, s * 0.05, 0.02)),
            *((middle, s * 0.03, 0.0), (middle, s * 0.015, -0.025)),
        )
        rims.append(tapered(curve(rim[:4]), 0.045 * unit))
        holes.append(ellipse(rim[4], (0.068 * unit, 0.036 * unit), s * 0.35))
    tint(canvas, polygon(rims, 0.5), floats((0.55, 0.47, 0.46)))
    tint(canvas, polygon(holes), floats((0.3, 0.22, 0.22)))


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
    corners = [ellipse(head.px[i], (0.045 * unit, 0.035 * unit)) for i in (48, 54)]
    tint(canvas, polygon(corners, 0.03 * unit), 0.45)
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
