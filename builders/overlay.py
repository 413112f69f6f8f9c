"""Overlays: a face with what was found on it drawn over it, for people to check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from occlufer.face_parser import likeliest
from occlufer.schema import REGIONS

from .parser.frames import cut_frame, to_frame
from .parser.parse import ParsedFace
from .pixels import Pixels
from .regions import Points, region_weights

Shares = NDArray[np.float32]

PANEL_PX = 224
PHOTOGRAPH_PX = 448
# Regions are outlined in cells of this many a side.
OUTLINE_PX = 112
# What a face shows of itself is drawn in dull colours, what covers it in bright ones.
PART_COLOURS = {
    "background": (0, 0, 0),
    "skin": (90, 110, 150),
    "left_brow": (60, 70, 60),
    "right_brow": (60, 70, 60),
    "left_eye": (150, 170, 200),
    "right_eye": (150, 170, 200),
    "nose": (110, 130, 170),
    "upper_lip": (150, 100, 110),
    "inner_mouth": (170, 150, 150),
    "lower_lip": (150, 100, 110),
    "hair": (60, 55, 45),
}
TYPE_COLOURS = {
    "mask": (0, 190, 255),
    "hand": (255, 150, 60),
    "eyewear": (190, 90, 255),
    "hair": (255, 225, 60),
    "object": (255, 60, 90),
    "extraneous_face": (90, 230, 90),
}
# In the order of PARSED_CLASSES.
PALETTE = np.array([*PART_COLOURS.values(), *TYPE_COLOURS.values()], np.uint8)
SHOWN = 0.55
# Left of it the names of bars are written.
BARS_FROM = 104
LINE, POINT, OTHER = (255, 230, 60), (60, 255, 120), (160, 160, 160)


def photograph(
    image_rgb: Pixels, boxes: Sequence[Sequence[float]], points: Sequence[Points]
) -> Pixels:
    """Return the picture at most PHOTOGRAPH_PX wide and high, with boxes (x0, y0, x1, y1).

    The first box is the main face's; `points` are its landmarks and the others', (n, 2) each.
    """
    scale = min(1.0, PHOTOGRAPH_PX / max(image_rgb.shape[:2]))
    size = [max(1, round(side * scale)) for side in image_rgb.shape[1::-1]]
    drawn = np.asarray(cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA), np.uint8).copy()
    for number, box in reversed(list(enumerate(boxes))):
        low, high = (tuple(round(v * scale) for v in part) for part in (box[:2], box[2:]))
        cv2.rectangle(drawn, low, high, OTHER if number else LINE, 1)
        if len(boxes) > 1:
            _number(drawn, str(number + 1), max(low[0], 0) + 8, max(low[1], 0) + 8)
    for face in points:
        _dots(drawn, face * np.float32(scale))
    return drawn


def part_map(image_rgb: Pixels, face: ParsedFace) -> Pixels:
    """Return the upright face (PANEL_PX, PANEL_PX, 3) with its likeliest classes in colour."""
    cut = cut_frame(image_rgb, face.frame, PANEL_PX)
    classes = likeliest(face.classes)
    colours = PALETTE[classes]
    laid = cv2.resize(colours, (PANEL_PX, PANEL_PX), interpolation=cv2.INTER_NEAREST)
    seen = cv2.resize(classes, (PANEL_PX, PANEL_PX), interpolation=cv2.INTER_NEAREST) > 0
    drawn = cut.copy()
    drawn[seen] = cv2.addWeighted(cut, 1 - SHOWN, laid, SHOWN, 0)[seen]
    _dots(drawn, to_frame(face.landmarks68_px, face.frame) * np.float32(PANEL_PX))
    return drawn


def regions(image_rgb: Pixels, face: ParsedFace, visible: Mapping[str, float]) -> Pixels:
    """Return the upright face with every region's outline and the percentage that is visible."""
    drawn = cut_frame(image_rgb, face.frame, PANEL_PX)
    weights = region_weights(to_frame(face.landmarks68_px, face.frame), OUTLINE_PX)
    for mask, name in zip(weights, REGIONS, strict=True):
        large = cv2.resize(mask, (PANEL_PX, PANEL_PX), interpolation=cv2.INTER_LINEAR)
        inside = (large > 0.5).astype(np.uint8)
        outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outlines, -1, LINE, 1)
        if name != "face" and inside.any():
            rows, columns = np.nonzero(inside)
            _number(drawn, f"{100 * visible[name]:.0f}", round(columns.mean()), round(rows.mean()))
    return drawn


def heat(image_rgb: Pixels, shares: Shares) -> Pixels:
    """Return a picture (PANEL_PX, PANEL_PX, 3) with `shares` (h, w) in [0, 1] in colour over it."""
    size = (PANEL_PX, PANEL_PX)
    large = cv2.resize(image_rgb, size, interpolation=cv2.INTER_LINEAR)
    smooth = np.clip(cv2.resize(shares, size, interpolation=cv2.INTER_CUBIC), 0, 1)
    levels = np.round(255 * smooth).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[..., ::-1]
    return np.asarray(cv2.addWeighted(large, 1 - SHOWN, colours, SHOWN, 0), np.uint8)


def bars(shares: Mapping[str, float]) -> Pixels:
    """Return shares in [0, 1] as named bars below each other, (PANEL_PX, PANEL_PX, 3)."""
    drawn = np.full((PANEL_PX, PANEL_PX, 3), 24, np.uint8)
    height = PANEL_PX // max(len(shares), 1)
    for number, (name, share) in enumerate(shares.items()):
        top = number * height
        end = BARS_FROM + round(share * (PANEL_PX - BARS_FROM - 8))
        cv2.rectangle(drawn, (BARS_FROM, top + 6), (end, top + height - 6), LINE, -1)
        _word(drawn, f"{name} {100 * share:.0f}", 4, top + height // 2 + 4)
    return drawn


def _dots(drawn: Pixels, points: Points) -> None:
    for x, y in points.tolist():
        cv2.circle(drawn, (round(x), round(y)), 1, POINT, -1)


def _number(drawn: Pixels, text: str, x: int, y: int) -> None:
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.36, 1)
    _word(drawn, text, x - width // 2, y + height // 2)


def _word(drawn: Pixels, text: str, x: int, y: int) -> None:
    """Write a text with its lower left corner at a place."""
    for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(drawn, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.36, colour, thick, cv2.LINE_AA)
