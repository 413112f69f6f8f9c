"""How far two small pictures differ, block by block, whatever their brightness and contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Small = NDArray[np.float64]

BLOCK = 8
# Below this spread of grey levels there is nothing to fit a brightness to.
PLAIN_SPREAD = 2.0
# The share of pixels that decide the fit: a pasted mask must not pull it.
DECIDING = 0.75
ROUNDS = 3
# Grey levels so near to black or white may have been clipped.
CLIPPED = 4
# Curves that editors draw. All rise everywhere: one that may bend at will would take a white mask,
# whose grey levels nothing else has, for a matter of brightness.
GAMMAS = (1.0, 0.6, 1.7)
# Grey levels on average: a fit so good needs no other curve.
GOOD_FIT = 0.5


def block_difference(a: Small, b: Small) -> float:
    """Return the largest mean grey-level difference of any 8x8 block of two (32, 32) pictures.

    One picture is first fitted to the other in brightness, contrast and gamma, and clipped to
    0..255; the worst quarter of the pixels does not count in the fit. Either may be the one that
    was edited: the fit that leaves least of the other three quarters is taken.
    """
    if min(a.std(), b.std()) < PLAIN_SPREAD:
        return _largest_block(a - b)
    best, left = np.inf, a - b
    for gamma in GAMMAS:
        for picture, target in ((a, b), (b, a)):
            mean, rest = _fit(picture, target, gamma)
            if mean < best:
                best, left = mean, rest
        if best <= GOOD_FIT:
            break
    return _largest_block(left)


def _fit(picture: Small, target: Small, gamma: float) -> tuple[float, Small]:
    """Return what is left of `target` when `picture` is fitted to it: its mean, and every pixel's.

    The mean is that of the pixels that decide. Clipped pixels of the target say only that they are
    bright, or dark: they do not decide if there are enough others.
    """
    x, y = (picture / 255) ** gamma, target
    open_ended = (y > CLIPPED) & (y < 255 - CLIPPED)
    usable = open_ended if open_ended.mean() > 1 - DECIDING else np.ones(y.shape, dtype=bool)
    deciding, left = usable, y
    for _ in range(ROUNDS):
        inner, wanted = x[deciding], y[deciding]
        centred = inner - inner.mean()
        slope = max(float(centred @ wanted), 0.0) / max(float(centred @ centred), 1e-12)
        left = y - np.clip(wanted.mean() + slope * (x - inner.mean()), 0, 255)
        deciding = usable & (np.abs(left) <= np.quantile(np.abs(left[usable]), DECIDING))
    return float(np.abs(left[deciding]).mean()), left


def _largest_block(difference: Small) -> float:
    rows, columns = (side // BLOCK for side in difference.shape)
    blocks = difference.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3))
    return float(np.abs(blocks).max())
