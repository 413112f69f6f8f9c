"""Exact search among 256-bit hashes: every pair within a number of bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]


def hashes_from_hex(texts: list[str]) -> Hashes:
    """Return hashes written in hex, all of one length, as uint64 (n, bits / 64)."""
    if not texts:
        return np.zeros((0, 1), dtype=np.uint64)
    data = np.frombuffer(bytes.fromhex("".join(texts)), dtype=">u8")
    return data.reshape(len(texts), -1).astype(np.uint64)


def neighbours(queries: Hashes, targets: Hashes, radius: int) -> tuple[Indices, Indices, Indices]:
    """Return (query, target, distance) of all pairs at most `radius` bits apart, sorted by query.

    Both are uint64 (n, words). Every pair is compared: exact, and quadratic in time.
    """
    found = _search(queries, targets, radius)
    return found[:, 0], found[:, 1], found[:, 2]


def distances(a: Hashes, b: Hashes) -> Indices:
    """Return how many bits differ between a[i] and b[i], as int64 (n,)."""
    return np.asarray(np.bitwise_count(a ^ b).sum(axis=1), dtype=np.int64)


def _compiled(function: Any) -> Any:
    """Return the function compiled, from the cache where there is a place to keep one."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:  # neither this folder nor a home folder can be written
        return njit(function)


@_compiled
def _search(queries: Any, targets: Any, radius: int) -> Any:
    found = np.empty((1024, 3), dtype=np.int64)
    count = 0
    words = queries.shape[1]
    for q in range(queries.shape[0]):
        for t in range(targets.shape[0]):
            distance = 0
            for word in range(words):
                distance += _popcount(queries[q, word] ^ targets[t, word])
                if distance > radius:
                    break
            if distance <= radius:
                if count == found.shape[0]:
                    grown = np.empty((2 * count, 3), dtype=np.int64)
                    grown[:count] = found
                    found = grown
                found[count] = (q, t, distance)
                count += 1
    return found[:count]


@njit(inline="always")
def _popcount(x: Any) -> Any:
    # Written out, for numba has no popcount; the compiler makes one instruction of it.
    x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + ((x >> np.uint64(2)) & np.uint64(0x3333333333333333))
    x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((x * np.uint64(0x0101010101010101)) >> np.uint64(56))
