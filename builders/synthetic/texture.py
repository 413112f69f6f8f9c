"""Texture: colours and patterns of cloth, covers and shapes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .canvas import Stencil

Floats = NDArray[np.float32]


def vivid(rng: np.random.Generator) -> Floats:
    """Return one colour (3,), from pale to strong."""
    grey = rng.uniform(25, 225)
    return np.clip(grey + rng.normal(0, 32, 3), 8, 248).astype(np.float32)


def woven(stencil: Stencil, colour: Floats, rng: np.random.Generator) -> Floats:
    """Return a pattern (3, h, w) over the stencil's window, in `colour` and a second one."""
    rows, columns = stencil.window
    y, x = np.mgrid[rows, columns].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(5, 22)
    scale = 2 * np.pi / period
    u = (x * np.cos(angle) + y * np.sin(angle)) * scale
    v = (y * np.cos(angle) - x * np.sin(angle)) * scale
    names = tuple(_PATTERNS)
    share = _PATTERNS[names[int(rng.integers(len(names)))]](u, v)
    other = vivid(rng)[:, None, None]
    base = colour[:, None, None]
    return np.asarray(base + (other - base) * share, np.float32)


def _edge(wave: Floats) -> Floats:
    """Return the wave as a soft step in [0, 1]."""
    return np.asarray(np.clip(wave * 2, -1, 1) / 2 + 0.5, np.float32)


_PATTERNS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "plain": lambda u, v: u * 0,
    "stripes": lambda u, v: _edge(np.sin(u)),
    "dots": lambda u, v: _edge(np.sin(u) + np.sin(v) - 1.1),
    "checks": lambda u, v: (_edge(np.sin(u)) + _edge(np.sin(v))) * np.float32(0.5),
    "waves": lambda u, v: _edge(np.sin(u + 2 * np.sin(v / 3))),
}
