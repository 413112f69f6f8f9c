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


def block_difference(a: Small, b: Small) -> float:
    """Return the largest mean grey-level difference of any 8x8 block of two (32, 32) pictures.

    One picture is first fitted to the other in brightness, contrast and gamma (a parabola of grey
    levels, clipped to 0..255); the worst quarter of the pixels does not count in the fit. Either
    may be the one that was clipped, so both ways are tried and the better one counts.
    """
    if min(a.std(), b.std()) < PLAIN_SPREAD:
        return _largest_block(a - b)
    return min(_largest_block(a - _fitted(b, a)), _largest_block(b - _fitted(a, b)))


def _fitted(picture: Small, target: Small) -> Small:
    """Return `picture` with its grey levels mapped to those of `target`."""
    x, y = picture.ravel() / 255, target.ravel()
    powers = np.stack([np.ones_like(x), x, x * x], axis=1)
    deciding = np.ones(x.size, dtype=bool)
    fitted = y
    for _ in range(ROUNDS):
        coefficients = np.linalg.lstsq(powers[deciding], y[deciding], rcond=None)[0]
        fitted = np.clip(powers @ coefficients, 0, 255)
        residual = np.abs(y - fitted)
        deciding = residual <= np.quantile(residual, DECIDING)
    return fitted.reshape(picture.shape)


def _largest_block(difference: Small) -> float:
    rows, columns = (side // BLOCK for side in difference.shape)
    blocks = difference.reshape(rows, BLOCK, columns, BLOCK).mean(axis=(1, 3))
    return float(np.abs(blocks).max())
