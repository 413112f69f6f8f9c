"""A face's own skin: its colour and light, and the pixels that are foreign to them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from .pixels import Pixels
from .regions import Mask

Lab = NDArray[np.float32]

# Side of the cells whose median colours vote on what the skin is.
CELL_PX = 6
# Two cells are alike within this distance in (lightness / LIGHT_WEIGHT, a, b).
ALIKE = 12.0
# Light varies over a face much more than hue does; in a grey picture there is nothing else.
LIGHT_WEIGHT = 1.8
LIGHT_WEIGHT_GREY = 2.7
GREY_CHROMA = 4.0
# A pixel is foreign from this multiple of the skin's own spread on, and at least this far away.
SPREADS = 3.0
NEAREST = 9.0
# Where human skin lies in (a, b) of Lab, from pale to dark: centre and spread.
SKIN_AB = np.array([12.0, 16.0], dtype=np.float32)
SKIN_AB_SPREAD = np.array([9.0, 10.0], dtype=np.float32)


def foreign_pixels(frame_rgb: Pixels, regions: dict[str, Mask]) -> Mask:
    """Return bool (H, W): the face's pixels that are unlike its own skin.

    The skin is the largest group of like-coloured cells off eyes and mouth, large and
    skin-coloured weighed together; a plane follows the light across it.
    """
    smooth = cv2.medianBlur(frame_rgb, 5)
    scaled = np.asarray(smooth, dtype=np.float32) / 255
    lab = np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB), dtype=np.float32)
    face = regions["face"]
    scale = np.array([1 / _light_weight(lab[face]), 1, 1], dtype=np.float32)
    weighed = np.asarray(lab * scale, dtype=np.float32)
    features = regions["left_eye"] | regions["right_eye"] | regions["mouth"]
    skin = _own_skin(weighed, face & ~features)
    distance = _distance(weighed, skin)
    limit = max(NEAREST, SPREADS * float(np.median(distance[skin])))
    foreign = ((distance > limit) & face).astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    opened = cv2.morphologyEx(foreign, cv2.MORPH_OPEN, kernel)
    return cv2.morphologyEx(opened, cv2.MORPH_CLOSE, kernel).astype(bool)


def _own_skin(lab: Lab, candidates: Mask) -> Mask:
    """Return the candidates that belong to the skin."""
    places = np.argwhere(candidates)
    cells = places // CELL_PX
    _, cell = np.unique(cells @ np.array([1000, 1]), return_inverse=True)
    colours = lab[candidates]
    count = int(cell.max()) + 1
    medians = np.stack([np.median(colours[cell == i], axis=0) for i in range(count)])
    apart = np.linalg.norm(medians[:, None] - medians[None], axis=2)
    like_skin = np.exp(-0.5 * (((medians[:, 1:] - SKIN_AB) / SKIN_AB_SPREAD) ** 2).sum(axis=1))
    support = ((apart < ALIKE) * like_skin[None]).sum(axis=1)
    members = apart[int(support.argmax())] < ALIKE
    skin = np.zeros(candidates.shape, dtype=bool)
    skin[tuple(places.T)] = members[cell]
    return skin


def _distance(lab: Lab, skin: Mask) -> NDArray[np.float32]:
    """Return each pixel's distance from the skin's median colour under the light's plane."""
    height, width = skin.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    terms = np.stack([np.ones_like(x), x / width, y / height], axis=2)
    plane, *_ = np.linalg.lstsq(terms[skin], lab[..., 0][skin], rcond=None)
    light = lab[..., 0] - terms @ plane
    chroma = lab[..., 1:] - np.median(lab[..., 1:][skin], axis=0)
    return np.asarray(np.sqrt(light**2 + (chroma**2).sum(axis=2)), dtype=np.float32)


def _light_weight(lab: Lab) -> float:
    """Return by what lightness is divided before colours are compared."""
    chroma = float(np.abs(lab[:, 1:]).mean())
    return LIGHT_WEIGHT_GREY if chroma < GREY_CHROMA else LIGHT_WEIGHT
