"""The camera: what makes the same face look different in another photograph of it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
GREY = np.array([0.299, 0.587, 0.114], np.float32)


def photographed(image_rgb: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture (H, W, 3) under another light, tone, sharpness and compression.

    Now and then it is grey, only 24 to 90 pixels wide, dark, or badly compressed.
    """
    image = image_rgb.astype(np.float32)
    if rng.random() < 0.7:
        gain = np.exp(rng.normal(0, 0.18)) * np.exp(rng.normal(0, 0.06, 3))
        contrast = rng.uniform(0.7, 1.25)
        image = (image - 118) * np.float32(contrast) + 118 + np.float32(rng.normal(0, 12))
        image *= gain.astype(np.float32)
    if rng.random() < 0.15:  # dusk: dark, and the shadows crushed
        gamma = np.float32(rng.uniform(1.3, 2.6))
        image = np.asarray(255 * (np.clip(image, 0, 255) / 255) ** gamma, np.float32)
    if rng.random() < 0.22:
        image[:] = (image @ GREY)[..., None]
    result = np.clip(image, 0, 255).astype(np.uint8)
    result = _smaller(result, rng)
    if rng.random() < 0.3:
        noise = rng.normal(0, rng.uniform(2, 12), result.shape[:2])[..., None]
        result = np.clip(result + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 85))]
        result = np.asarray(cv2.imdecode(cv2.imencode(".jpg", result, quality)[1], 1), np.uint8)
    return result


def _smaller(image_rgb: Picture, rng: np.random.Generator) -> Picture:
    """Return the picture blurred, or as one of 24 to 90 pixels looks when it is enlarged."""
    draw = rng.random()
    if draw < 0.2:
        return np.asarray(cv2.GaussianBlur(image_rgb, (0, 0), rng.uniform(0.4, 1.6)), np.uint8)
    if draw < 0.45:
        height, width = image_rgb.shape[:2]
        side = int(rng.integers(24, 90))
        small = cv2.resize(image_rgb, (side, side), interpolation=cv2.INTER_AREA)
        method = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(small, (width, height), interpolation=method), np.uint8)
    return image_rgb
