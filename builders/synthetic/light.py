"""Light: the relief of a head and the shades that a lamp draws on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .canvas import SIZE_PX, Window, blurred
from .outlines import ellipse, floats
from .pose import Head

Floats = NDArray[np.float32]

_GRID = SIZE_PX // 2  # the relief is soft, so half the resolution is enough
_ROWS, _COLUMNS = np.mgrid[0:_GRID, 0:_GRID].astype(np.float32) * np.float32(2) + np.float32(0.5)
# Shadows on skin turn red: green and blue fall off faster.
_SHADE_RGB = floats((0.9, 1.03, 1.1))[:, None, None]


@dataclass(frozen=True)
class Light:
    """One lamp and the light that comes from everywhere."""

    direction: Floats  # (3,), unit length, towards the lamp; x right, y down, z to the viewer
    ambient: float
    colour: Floats  # (3,), about 1
    gloss: float

    @property
    def xy(self) -> tuple[float, float]:
        """The direction in the plane of the picture."""
        return float(self.direction[0]), float(self.direction[1])


def random_light(rng: np.random.Generator) -> Light:
    """Return a lamp above the camera, more or less to the side."""
    direction = floats((rng.normal(0, 0.5), rng.normal(-0.5, 0.3), rng.uniform(0.6, 1.2)))
    warmth = rng.normal(0, 0.05)
    return Light(
        direction=(direction / np.linalg.norm(direction)).astype(np.float32),
        ambient=float(rng.uniform(0.3, 0.65)),
        colour=floats((1 + warmth, 1, 1 - warmth)) * np.float32(rng.uniform(0.8, 1.04)),
        gloss=float(rng.uniform(0.1, 0.6)),
    )


def relief(head: Head) -> Floats:
    """Return the height of the head over the picture, float32 (112, 112), in canvas pixels."""
    unit = head.pose.unit_px
    height = _skull(head)
    for paint, sigma in ((_broad, 0.15), (_middle, 0.07), (_fine, 0.03)):
        layer = np.zeros((_GRID, _GRID), np.float32)
        paint(layer, head)
        height += blurred(layer, max(0.6, sigma * unit / 2))
    return np.asarray(height * np.float32(unit), np.float32)


def shades(
    height: Floats, unit_px: float, light: Light, gloss: float, window: Window
) -> tuple[Floats, Floats]:
    """Return the factor (3, h, w) and the highlight (h, w) that light a relief of `height`.

    Both cover `window` of the canvas, the relief (112, 112) all of it.
    """
    across = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=1 / 16)
    down = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=1 / 16)
    norm = 1 / np.sqrt(across * across + down * down + 1)
    x, y, z = light.direction
    facing = np.clip((z - across * x - down * y) * norm, 0, None)
    around = blurred(height, 0.13 * unit_px / 2)
    hollow = np.clip((around - height) / np.float32(unit_px), 0, 0.12)
    shade = light.ambient + (1 - light.ambient) * facing / (0.35 + 0.65 * z)
    shade *= 1 - 3.2 * hollow
    half = floats((x, y, z + 1))
    half /= np.linalg.norm(half)
    shine = np.clip((half[2] - across * half[0] - down * half[1]) * norm, 0, None)
    for _ in range(4):
        shine *= shine  # to the 16th
    shine *= 42 * light.gloss * gloss
    size = (SIZE_PX, SIZE_PX)
    change = cv2.resize(np.minimum(shade, 1.3) - 1, size, interpolation=cv2.INTER_LINEAR)
    factor = np.maximum(1 + change[window] * _SHADE_RGB, 0.04) * light.colour[:, None, None]
    bright = cv2.resize(shine, size, interpolation=cv2.INTER_LINEAR)[window]
    return np.asarray(factor, np.float32), np.asarray(bright, np.float32)


def _skull(head: Head) -> Floats:
    """Return the egg of the head as heights in units, (112, 112)."""
    centre, up, right = head.at((0, 0.15, -0.25), (0, -0.85, -0.25), (1, 0.15, -0.25))
    unit = np.float32(head.pose.unit_px)
    x, y = _COLUMNS - centre[0], _ROWS - centre[1]
    axis = (right - centre) / np.linalg.norm(right - centre)
    lift = (centre - up) / np.linalg.norm(centre - up)
    u = (x * axis[0] + y * axis[1]) / (unit * np.float32(1.16))
    v = (x * lift[0] + y * lift[1]) / (unit * np.float32(1.72))
    return np.asarray(1.05 * np.sqrt(np.clip(1 - u * u - v * v, 0.02, 1)), np.float32)


def _raise(layer: Floats, outline_px: Floats, height: float) -> None:
    """Set the inside of an outline to `height`, in place."""
    cv2.fillPoly(layer, [np.round(outline_px * 8).astype(np.int32)], (height,), cv2.LINE_8, 4)


def _broad(layer: Floats, head: Head) -> None:
    """Raise cheeks, brow ridge and chin, and sink the eye sockets."""
    unit = head.pose.unit_px
    ridge = np.concatenate([head.px[17:27], head.near((26, 0, 0.16), (17, 0, 0.16))])
    _raise(layer, ridge, 0.07)
    for side, eye, cheek in (("L", 36, (31, -0.34, -0.08)), ("R", 42, (35, 0.34, -0.08))):
        _raise(
            layer, ellipse(head.px[eye : eye + 6].mean(axis=0), (0.3 * unit, 0.15 * unit)), -0.12
        )
        lift = sum(head.muscles.get(unit_ + s, 0) for unit_ in ("AU6", "AU12") for s in ("", side))
        middle = head.near((cheek[0], cheek[1], cheek[2] - 0.05 * lift))[0]
        _raise(layer, ellipse(middle, (0.26 * unit, 0.22 * unit)), 0.10 + 0.07 * lift)
    pucker = head.muscles.get("AU17", 0.0)
    _raise(
        layer, ellipse(head.near((8, 0, -0.16))[0], (0.24 * unit, 0.15 * unit)), 0.1 + 0.06 * pucker
    )
    muzzle = head.near(
        (48, 0.05, -0.12), (31, 0, 0.1), (35, 0, 0.1), (54, -0.05, -0.12), (57, 0, 0.1)
    )
    _raise(layer, muzzle, 0.07)


def _middle(layer: Floats, head: Head) -> None:
    """Raise the ridge of the nose and the lips."""
    root = head.near((27, -0.09, -0.04), (27, 0.09, -0.04), (30, 0.1, -0.05), (30, -0.1, -0.05))
    _raise(layer, root, 0.17)
    tip = head.near((30, -0.1, -0.12), (30, 0.1, -0.12), (35, 0, 0), (33, 0, 0), (31, 0, 0))
    _raise(layer, tip, 0.28)
    _raise(layer, head.px[48:60], 0.07)
    for eye in (36, 42):
        _raise(layer, head.px[eye : eye + 6], 0.08)


def _fine(layer: Floats, head: Head) -> None:
    """Raise the wings and the tip of the nose, the two lips and the lids."""
    unit = head.pose.unit_px
    for wing, x in ((31, 0.01), (35, -0.01)):
        _raise(layer, ellipse(head.near((wing, x, -0.06))[0], (0.075 * unit, 0.085 * unit)), 0.06)
    _raise(layer, ellipse(head.near((30, 0, 0.03))[0], (0.1 * unit, 0.09 * unit)), 0.05)
    _raise(layer, np.concatenate([head.px[48:55], head.px[60:65][::-1]]), 0.05)
    _raise(
        layer,
        np.concatenate([head.px[54:60], head.px[48:49], head.px[60:61], head.px[64:68][::-1]]),
        0.07,
    )
    for eye in (36, 42):
        lid = head.near((eye, 0, 0), (eye + 1, 0, -0.07), (eye + 2, 0, -0.07), (eye + 3, 0, 0))
        _raise(layer, np.concatenate([lid, head.px[eye + 1 : eye + 3][::-1]]), 0.04)
