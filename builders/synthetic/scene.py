"""The scene: what lies behind a head and what the camera does to the picture."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .canvas import SIZE_PX
from .outlines import floats

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]


def background(rng: np.random.Generator) -> Floats:
    """Return a backdrop, float32 (3, H, W) in 0..255."""
    names = tuple(BACKGROUNDS)
    drawn = BACKGROUNDS[names[int(rng.integers(len(names)))]](rng)
    return np.clip(drawn, 0, 255, out=drawn)


def encode_jpeg(image_rgb: Picture, quality: int) -> bytes:
    """Return the JPEG file of a picture, the same bytes for the same picture and quality."""
    buffer = io.BytesIO()
    Image.fromarray(image_rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def photographed(rgb: Floats, rng: np.random.Generator) -> Picture:
    """Return the scene (3, H, W) as a camera stores it, (H, W, 3).

    It has blur, tone, cast and grain, and is now and then grey or compressed.
    """
    if rng.random() < 0.35:
        sigma = rng.uniform(0.4, 1.1)
        rgb = np.stack([cv2.GaussianBlur(plane, (0, 0), sigma) for plane in rgb]).astype(np.float32)
    gain = np.exp(rng.normal(-0.04, 0.1)) * np.exp(rng.normal(0, 0.035, 3))
    contrast = rng.uniform(0.85, 1.12)
    offset = 118 * (1 - contrast) + rng.normal(0, 6)
    rgb = rgb * (gain * contrast).astype(np.float32)[:, None, None]
    if rng.random() < 0.12:
        rgb[:] = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    rgb += _grain(rng) + np.float32(offset)
    image = np.asarray(cv2.merge(list(np.clip(rgb, 0, 255).astype(np.uint8))), np.uint8)
    return _recompressed(image, int(rng.integers(30, 90))) if rng.random() < 0.3 else image


def _recompressed(image_rgb: Picture, quality: int) -> Picture:
    stored = np.frombuffer(encode_jpeg(image_rgb, quality), np.uint8)
    decoded = cv2.imdecode(stored, cv2.IMREAD_COLOR)
    return np.asarray(decoded, np.uint8)[..., ::-1].copy()


def _grain(rng: np.random.Generator) -> Floats:
    """Return the noise of the sensor, the same in all three colours, (H, W)."""
    raw = np.frombuffer(rng.bytes(SIZE_PX * SIZE_PX), np.uint8).reshape(SIZE_PX, SIZE_PX)
    return (raw.astype(np.float32) - 127.5) * np.float32(rng.uniform(0.0, 0.075))


def _enlarged(small: Floats) -> Floats:
    """Return a small picture (h, w, 3) at the canvas's size, as planes (3, H, W)."""
    return np.stack([_stretched(plane) for plane in cv2.split(small)])


def _stretched(plane: NDArray[Any]) -> Floats:
    size = (SIZE_PX, SIZE_PX)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_CUBIC), np.float32)


def _colours(rng: np.random.Generator, count: int) -> Floats:
    """Return muted colours, (count, 3)."""
    grey = rng.uniform(20, 235, (count, 1))
    return (grey + rng.normal(0, 22, (count, 3))).astype(np.float32)


def _gradient(rng: np.random.Generator) -> Floats:
    return _enlarged(_colours(rng, 4).reshape(2, 2, 3))


def _blobs(rng: np.random.Generator) -> Floats:
    """Return lights out of focus."""
    small = np.tile(_colours(rng, 1), (56, 56, 1)).astype(np.float32)
    for colour in _colours(rng, int(rng.integers(8, 24))).tolist():
        centre = tuple(int(v) for v in rng.integers(0, 56, 2))
        cv2.circle(small, centre, int(rng.integers(3, 14)), tuple(colour), -1)
    return _enlarged(np.asarray(cv2.GaussianBlur(small, (0, 0), rng.uniform(0.6, 2.5)), np.float32))


def _texture(rng: np.random.Generator) -> Floats:
    """Return a wall or foliage: noise of several scales around one colour."""
    noise = np.zeros((SIZE_PX, SIZE_PX), np.float32)
    for cells in (5, 12, 30, 70):
        grain = rng.standard_normal((cells, cells), np.float32)
        noise += _stretched(grain * np.float32(rng.uniform(4, 22)))
    return np.asarray(_colours(rng, 1)[0][:, None, None] + noise, np.float32)


def _room(rng: np.random.Generator) -> Floats:
    """Return walls, windows and furniture as soft upright boxes."""
    small = np.tile(_colours(rng, 1), (112, 112, 1)).astype(np.float32)
    for colour in _colours(rng, int(rng.integers(5, 14))).tolist():
        x, y = (int(v) for v in rng.integers(-20, 112, 2))
        width, height = (int(v) for v in rng.integers(8, 70, 2))
        cv2.rectangle(small, (x, y), (x + width, y + height), tuple(colour), -1)
    return _enlarged(np.asarray(cv2.GaussianBlur(small, (0, 0), rng.uniform(0.5, 3)), np.float32))


def _outdoors(rng: np.random.Generator) -> Floats:
    """Return sky over a skyline over ground."""
    small = np.empty((56, 56, 3), np.float32)
    small[:] = floats((150, 185, 225)) * np.float32(rng.uniform(0.5, 1.15))
    horizon = rng.integers(10, 48) + np.cumsum(rng.normal(0, 1.6, 56))
    below = np.arange(56)[:, None] > horizon
    ground = _colours(rng, 1)[0] * floats((0.7, 0.8, 0.5))
    small[below] = ground + rng.normal(0, 14, (int(below.sum()), 1)).astype(np.float32)
    return _enlarged(np.asarray(cv2.GaussianBlur(small, (0, 0), 0.8), np.float32))


def _stripes(rng: np.random.Generator) -> Floats:
    """Return panels, blinds or a curtain."""
    one, other = _colours(rng, 2)
    angle, period = rng.choice((0.0, np.pi / 2, rng.uniform(0, np.pi))), rng.uniform(10, 60)
    across = np.arange(SIZE_PX, dtype=np.float32) * np.float32(2 * np.pi / period)
    phase = across * np.float32(np.cos(angle)) + across[:, None] * np.float32(np.sin(angle))
    wave = np.sin(phase + np.float32(rng.uniform(0, 6))) * np.float32(rng.uniform(1, 5))
    share = np.clip(wave, -1, 1) / 2 + np.float32(0.5)
    return np.asarray(other[:, None, None] + (one - other)[:, None, None] * share, np.float32)


BACKGROUNDS: dict[str, Callable[[np.random.Generator], Floats]] = {
    "gradient": _gradient,
    "blobs": _blobs,
    "texture": _texture,
    "room": _room,
    "outdoors": _outdoors,
    "stripes": _stripes,
}
