"""Bands: how a search cuts 64-bit hashes, so that near ones are near in one of the pieces.

If the bands i have radii t_i with sum(t_i + 1) = radius + 1, two hashes at most `radius` bits apart
are at most t_i bits apart in some band i (the pigeonhole principle; Norouzi, Punjani and Fleet,
Fast Search in Hamming Space with Multi-Index Hashing, 2012, there with equal radii).
"""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BITS = 64
# A table of 2^22 starts still fits a processor's cache; more than 4 flips in 20 bits never pay.
MAX_BAND_BITS = 22
MAX_BAND_RADIUS = 4
# Nanoseconds on a processor of 2021, found by timing search._join; only their ratios matter.
NS_PER_ITEM_SORTED = 25.0
NS_PER_BUCKET_PAIR = 15.0
NS_PER_ROW = 3.0
NS_PER_COMPARISON = 0.3


class Band(NamedTuple):
    """Bits `low` to `low + width` of a hash, which must agree up to `radius` of them."""

    low: int
    width: int
    radius: int


def plan(count_a: int, count_b: int, radius: int, self_join: bool) -> tuple[Band, ...]:
    """Return the bands that cost least, by the time that a join of random hashes would take.

    A single band of no bits compares all with all. The narrowest radii come last, where most pairs
    have been found.
    """
    return _cheapest(_rounded(count_a), _rounded(count_b), radius, self_join)


@lru_cache(maxsize=256)
def flips_of(band: Band) -> NDArray[np.int64]:
    """Return every way in which at most `radius` bits of a band can differ."""
    flips = [
        sum(1 << bit for bit in bits)
        for count in range(min(band.radius, band.width) + 1)
        for bits in itertools.combinations(range(band.width), count)
    ]
    return np.array(flips, dtype=np.int64)


@lru_cache(maxsize=256)
def _cheapest(count_a: int, count_b: int, radius: int, self_join: bool) -> tuple[Band, ...]:
    """Return the bands that cost least, by a dynamic program over radii and bits to be given."""
    pairs = count_a * count_b / (2 if self_join else 1)
    rows = count_a / (2 if self_join else 1)
    items = count_a + (0 if self_join else count_b)

    def cost(width: int, band_radius: int) -> float:
        buckets = 2.0**width
        flips = sum(_choose(width, k) for k in range(band_radius + 1))
        bucket_pairs = buckets * flips / (2 if self_join else 1)
        return (
            items * NS_PER_ITEM_SORTED * (width > 0)
            + bucket_pairs * NS_PER_BUCKET_PAIR
            + rows * flips * NS_PER_ROW
            + pairs * flips / buckets * NS_PER_COMPARISON
        )

    costs = {
        (width, r): cost(width, r)
        for width in range(min(MAX_BAND_BITS, int(np.log2(max(count_a, count_b)) + 2)) + 1)
        for r in range(min(MAX_BAND_RADIUS, radius) + 1)
    }
    costs[0, radius] = cost(0, 0)  # no bits: whatever the radius, all are compared
    best: dict[tuple[int, int], tuple[float, tuple[tuple[int, int], ...]]] = {
        (0, bits): (0.0, ()) for bits in range(BITS + 1)
    }
    for need in range(1, radius + 2):
        for bits in range(BITS + 1):
            best[need, bits] = min(
                (spent + best[need - r - 1, bits - width][0],
                 (*best[need - r - 1, bits - width][1], (width, r)))
                for (width, r), spent in costs.items()
                if r < need and width <= bits
            )  # fmt: skip
    chosen = sorted(best[radius + 1, BITS][1], key=lambda band: -band[1])
    lows = itertools.accumulate((width for width, _ in chosen), initial=0)
    return tuple(Band(low, *band) for low, band in zip(lows, chosen, strict=False))


def _choose(n: int, k: int) -> float:
    result = 1.0
    for i in range(k):
        result *= (n - i) / (i + 1)
    return result


def _rounded(count: int) -> int:
    """Return the count to its two leading bits, so that plans are made once for alike sets."""
    shift = max(count.bit_length() - 2, 0)
    return count >> shift << shift
