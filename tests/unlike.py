"""Hashes of pictures that are like no others, for catalogs that are filled by hand."""

from __future__ import annotations

import hashlib

import numpy as np

from occlufer.builders.hashing.hash_table import SHAPES, in_hex


def unlike(name: str) -> dict[str, str]:
    """Return {column: hash in hex}, another one for each name."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    rng = np.random.default_rng(seed)
    top = 2**64 - 1
    return {
        column: in_hex(rng.integers(0, top, shape, dtype=np.uint64, endpoint=True))
        for column, shape in SHAPES.items()
    }
