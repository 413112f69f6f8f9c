"""SegFace as a face parser: a user's checkpoint behind the contract of `occlufer.face_parser`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from occlufer.digest import file_sha256
from occlufer.face_parser import MAP_PX, PARSED_CLASSES, FaceParser

from .imagenet import by_imagenet
from .segface import CELEBA_CLASSES, INPUT_PX, LAPA_CLASSES, SegFace, read_segface

# A face takes some 50 MB on its way through.
FACES_AT_ONCE = 8
# Ears, neck and clothes lie outside the face; as in LaPa, jewellery is no class of its own.
# The right of CelebAMask-HQ's tokens is the person's own, so the left of the picture: the released
# dataset code gives "righteye" the files "l_eye", which are named by the picture's side.
FROM_CELEBA = {
    "background": "background",
    "neck": "background",
    "face": "skin",
    "cloth": "background",
    "rightear": "background",
    "leftear": "background",
    "rightbro": "left_brow",
    "leftbro": "right_brow",
    "righteye": "left_eye",
    "lefteye": "right_eye",
    "nose": "nose",
    "innermouth": "inner_mouth",
    "lowerlip": "lower_lip",
    "upperlip": "upper_lip",
    "hair": "hair",
    "glass": "eyewear",
    "hat": "object",
    "earring": "background",
    "necklace": "background",
}
# LaPa's sides are the picture's; its face holds the ears.
FROM_LAPA = {
    "background": "background",
    "face": "skin",
    "leftbro": "left_brow",
    "rightbro": "right_brow",
    "lefteye": "left_eye",
    "righteye": "right_eye",
    "nose": "nose",
    "upperlip": "upper_lip",
    "innermouth": "inner_mouth",
    "lowerlip": "lower_lip",
    "hair": "hair",
}
# For every class of the logits, which of PARSED_CLASSES it is. "hair" is the part, which comes
# first there, not what covers the face.
PARSED_AS = {
    len(classes): tuple(PARSED_CLASSES.index(meant[name]) for name in classes)
    for classes, meant in ((CELEBA_CLASSES, FROM_CELEBA), (LAPA_CLASSES, FROM_LAPA))
}


def open_segface(weights: Path) -> FaceParser:
    """Return the parser of a user's SegFace checkpoint, on the CPU.

    SegFace knows no masks and no hands, and LaPa's no eyewear and no hats: they come out as
    background, clothes or hair in the middle of a face. It does not know where the face is
    either, so background stays background here: inside the face's own outline, which another
    network's landmarks give, the caller has to read "background" as "object" (and "hair" as hair
    that covers the face). A checkpoint of LaPa was trained on faces warped by their landmarks;
    here it gets the plain upright face, whose points lie 8 % of the picture (median) away from
    there, so one of CelebAMask-HQ is to be preferred. Raises as `read_segface` does.
    """
    model = read_segface(weights)

    def parse(faces_rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float32], None]:
        found = np.empty((len(faces_rgb), len(PARSED_CLASSES), MAP_PX, MAP_PX), np.float32)
        for start in range(0, len(faces_rgb), FACES_AT_ONCE):
            rows = slice(start, start + FACES_AT_ONCE)
            found[rows] = _parse(model, faces_rgb[rows])
        return found, None

    return FaceParser("segface", file_sha256(weights), INPUT_PX, parse)


def to_parsed(probabilities: Tensor) -> Tensor:
    """Return probabilities (B, 17, H, W) of PARSED_CLASSES for SegFace's (B, 19 or 11, H, W)."""
    B, classes, H, W = probabilities.shape
    index = torch.tensor(PARSED_AS[classes])
    return probabilities.new_zeros(B, len(PARSED_CLASSES), H, W).index_add(1, index, probabilities)


def area_mean(maps: Tensor, side: int) -> Tensor:
    """Return square maps (B, C, S, S) averaged to (B, C, side, side), side <= S.

    A pixel that lies across the edge of two cells counts in each with the share that is in it;
    `torch.nn.functional.interpolate` would count it whole in both.
    """
    size = maps.shape[-1]
    edges = torch.arange(side + 1, dtype=torch.float64) * size / side
    starts = torch.arange(size, dtype=torch.float64)
    overlap = torch.minimum(edges[1:, None], starts + 1) - torch.maximum(edges[:-1, None], starts)
    weights = (overlap.clamp(min=0) * side / size).float()
    return weights @ maps @ weights.T


@torch.inference_mode()
def _parse(model: SegFace, faces_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    # Copied: torch takes no array that is read-only or runs backwards.
    pixels = torch.from_numpy(np.array(faces_rgb, order="C")).permute(0, 3, 1, 2) / 255
    probabilities = model(by_imagenet(pixels)).softmax(dim=1)
    # Averaged after the softmax: a cell's mean logit says nothing of how much of it is what.
    maps: NDArray[np.float32] = area_mean(to_parsed(probabilities), MAP_PX).numpy()
    return maps
