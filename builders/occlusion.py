"""Occlusion: how much of each region of a face is covered, and by what kind of thing.

A classical measure, without learned weights: a face shows skin outside its features, so what is
unlike the face's own skin covers it; eyes are covered where their region is dark or foreign as a
whole. It is blind to things of the face's own colour (hands), and weak on grey pictures.
"""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np

from occlufer.config import BuildConfig
from occlufer.record import Result
from occlufer.schema import OCCLUSION_TYPES
from occlufer.stages import ImageItem, ImageStage

from .pixels import Pixels, decode_rgb
from .regions import Mask, Points, region_masks
from .skin import foreign_pixels
from .synthetic import MEAN_FACE68

VERSION = 1

# Every face is looked at upright and in one size: the mean face fills the middle of this frame.
FRAME_PX = 96
FRAME_LANDMARKS = (MEAN_FACE68 * 0.62 + np.array([0.19, 0.27])).astype(np.float32) * FRAME_PX
FRAME_REGIONS = region_masks(FRAME_LANDMARKS, FRAME_PX, FRAME_PX)

# Lids, brows, lips and teeth are no skin either: up to these shares a bare feature is foreign.
FEATURE_FOREIGN_RATIOS = {"left_eye": 0.45, "right_eye": 0.45, "mouth": 0.65}


def stage(config: BuildConfig) -> ImageStage:
    """Return the stage."""
    params = {"version": VERSION, "type_threshold": config.occlusion.type_threshold}
    function = partial(find_occlusion, type_threshold=config.occlusion.type_threshold)
    return ImageStage("occlusion", ("faces",), ("faces",), params, function)


def find_occlusion(item: ImageItem, type_threshold: float) -> Result:
    """Return `ratio`, `visible` {region: share}, `confidences` {type: share}, `types`."""
    faces = item.values["faces"]
    crop_rgb = decode_rgb(item.store.get(faces["crop"]))
    covered = covered_map(crop_rgb, np.array(faces["landmarks"], dtype=np.float32))
    visible = visible_shares(covered)
    overlap = extraneous_overlap(faces["box"], faces["others"])
    confidences = type_confidences(visible, overlap)
    value = {
        "ratio": round(1 - visible["face"], 4),
        "visible": {name: round(share, 4) for name, share in visible.items()},
        "confidences": {name: round(value, 4) for name, value in confidences.items()},
        "types": [name for name in OCCLUSION_TYPES if confidences[name] >= type_threshold],
    }
    return Result(item.image, value)


def covered_map(crop_rgb: Pixels, landmarks68_px: Points) -> Mask:
    """Return bool (FRAME_PX, FRAME_PX): where the upright face is covered."""
    frame_rgb = to_frame(crop_rgb, landmarks68_px)
    foreign = foreign_pixels(frame_rgb, FRAME_REGIONS)
    covered = foreign & FRAME_REGIONS["face"]
    for feature, bare_ratio in FEATURE_FOREIGN_RATIOS.items():
        region = FRAME_REGIONS[feature]
        # An open eye is foreign to skin in part; a lens, a fringe or a mask is so all over.
        if float(foreign[region].mean()) <= bare_ratio:
            covered[region] = False
    return covered


def to_frame(crop_rgb: Pixels, landmarks68_px: Points) -> Pixels:
    """Return the face warped upright into the frame, uint8 (FRAME_PX, FRAME_PX, 3)."""
    source = np.hstack([landmarks68_px, np.ones((68, 1), np.float32)])
    affine, *_ = np.linalg.lstsq(source, FRAME_LANDMARKS.astype(np.float64), rcond=None)
    side = max(crop_rgb.shape[:2])
    if side > 4 * FRAME_PX:  # shrink first, or the warp would skip pixels
        height, width = crop_rgb.shape[:2]
        size = [max(1, round(v * 2 * FRAME_PX / side)) for v in (width, height)]
        small = cv2.resize(crop_rgb, size, interpolation=cv2.INTER_AREA)
        crop_rgb = np.asarray(small, dtype=np.uint8)
        affine[:2] /= np.array([[size[0] / width], [size[1] / height]])
    frame = cv2.warpAffine(
        crop_rgb,
        affine.T,
        (FRAME_PX, FRAME_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(frame, dtype=np.uint8)


def visible_shares(covered: Mask) -> dict[str, float]:
    """Return the share of each region that is not covered, in [0, 1]."""
    return {name: 1 - float(covered[region].mean()) for name, region in FRAME_REGIONS.items()}


def extraneous_overlap(box: list[float], others: list[list[float]]) -> float:
    """Return the largest share of the face box that another face's box covers."""
    area = max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
    return max((_intersection(box, other) / area for other in others), default=0.0)


def type_confidences(visible: dict[str, float], overlap: float) -> dict[str, float]:
    """Return how much the pattern of covered regions looks like each type, in [0, 1].

    Where the cover lies tells masks, eyewear and fringes; what fits none of them is an object.
    """
    covered = {name: 1 - share for name, share in visible.items()}
    eyes = min(covered["left_eye"], covered["right_eye"])
    cheeks = (covered["left_cheek"] + covered["right_cheek"]) / 2
    low = min(covered["mouth"], max(cheeks, covered["nose"]))
    mask = low * (1 - eyes)
    eyewear = eyes * (1 - covered["mouth"]) * (1 - covered["forehead"] / 2)
    hair = covered["forehead"] * (1 - covered["mouth"])
    face = min(1.0, covered["face"] * 4)  # a quarter of the face is certain cover
    other = face * (1 - max(mask, eyewear, hair))
    lopsided = abs(covered["left_cheek"] - covered["right_cheek"])
    return {
        "mask": mask,
        "hand": other * lopsided,
        "eyewear": eyewear,
        "hair": hair,
        "object": other * (1 - lopsided),
        "extraneous_face": min(1.0, overlap * 4),
    }


def _intersection(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)
