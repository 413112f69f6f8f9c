"""Matching of pictures that are not the very bytes: which copy shows which row's picture.

An index holds the 64-bit perceptual hash of every sample. Faces are alike, so the hash alone says
little: without the right name a copy has to be very near, and nothing else may be about as near.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from occlufer.config import DedupConfig

# A copy of another name: to save a picture anew turns some bits; two pictures rarely differ in as
# few.
COPY_BITS = 6
# A copy of the row's own name is taken as far as duplicates are.
NAMED_BITS = DedupConfig().phash64_bits
# What is not farther than so many bits more is about as near.
MARGIN = 4


@dataclass(frozen=True)
class Near:
    """A copy and a row whose picture it may show."""

    row: int
    copy: str
    """What tells copies apart: the sha256 of its bytes, and the square that is cut out of them."""
    bits: int
    """In how many bits their hashes differ."""
    rival_bits: int
    """In how many bits, at least, the copy differs from the pictures of all other rows."""
    named: bool
    """Whether the copy has the row's own name."""


def is_able(near: Near) -> bool:
    """Return whether the copy may show the row's picture, all other copies aside."""
    if near.named:  # not if the picture of another row is clearly nearer
        return near.bits <= NAMED_BITS and near.bits < near.rival_bits + MARGIN
    return near.bits <= COPY_BITS and near.bits + MARGIN <= near.rival_bits


def choose(found: Iterable[Near]) -> dict[int, Near]:
    """Return {row: the copy that shows its picture}; a row that several may show is not in it.

    The nearest copy is taken. Of several that are about as near, the one of the row's own name is,
    and none if there is no such one. No copy is taken for two rows.
    """
    rows: dict[int, list[Near]] = {}
    for near in found:
        if is_able(near):
            rows.setdefault(near.row, []).append(near)
    best = {row: one for row, able in rows.items() if (one := _best(able)) is not None}
    taken = Counter(one.copy for one in best.values())
    return {row: one for row, one in best.items() if taken[one.copy] == 1}


def _best(able: list[Near]) -> Near | None:
    order = sorted(able, key=lambda near: (near.bits, not near.named, near.copy))
    close = [near for near in order if near.bits < order[0].bits + MARGIN]
    named = next((near for near in close if near.named), None)
    if named is None and len({near.copy for near in close}) > 1:
        return None
    return named or order[0]
