"""Seeing one face: what a model with the built-in priors takes of a picture of a user's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .data import face_square
from .model import IMAGE_SIZE_PX, Priors
from .priors import built_in_maps, landmark_points, normalised


def see(
    picture: Any, landmarks68_px: NDArray[np.float32], image_size_px: int = IMAGE_SIZE_PX
) -> tuple[Tensor, Priors]:
    """Return images (1, 3, S, S) and priors for `model(images, priors)`, as training has made them.

    For models of `semantic_prior="maps"` and `landmark_prior="points"`, e.g. of the preset demo.
    `picture` is a PIL image, `landmarks68_px` float (68, 2) in its pixels, x before y, as the
    column `landmarks` has them. S is the run's `image_size_px`.
    """
    points = np.asarray(landmarks68_px, np.float32)
    if points.shape != (68, 2):
        raise ValueError(f"landmarks68_px: found shape {points.shape}, expected (68, 2)")
    square, shares = face_square(picture.convert("RGB"), points, image_size_px)
    return see_square(square, shares)


def see_square(square_rgb: NDArray[np.uint8], shares: NDArray[np.float32]) -> tuple[Tensor, Priors]:
    """Return what `see` does, of what `face_square` has cut."""
    pictures = square_rgb[None]
    landmark, semantic = (
        torch.from_numpy(prior.compute(pictures, shares[None]))
        for prior in (landmark_points(), built_in_maps())
    )
    return normalised(pictures, len(square_rgb)), Priors(landmark, semantic)
