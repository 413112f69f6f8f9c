"""Random hashes with near copies planted among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def planted_hashes(count: int, radius: int, seed: int) -> NDArray[np.uint64]:
    """Return random hashes, one in a hundred a near copy of another, some just outside `radius`."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64 - 1, count, dtype=np.uint64, endpoint=True)
    sources, copies = rng.permutation(count)[: count // 100 * 2].reshape(2, -1)
    hashes[copies] = hashes[sources]
    for _ in range(radius + 4):
        bits = np.uint64(1) << rng.integers(0, 64, copies.size, dtype=np.uint64)
        hashes[copies] ^= bits * rng.integers(0, 2, copies.size, dtype=np.uint64)
    return hashes
