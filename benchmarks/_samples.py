"""A workspace of made-up samples: their hashes are drawn, not taken from pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.builders.hash_table import SHAPES, in_hex
from occlufer.builders.views import HASHED
from occlufer.record import Facts, Record, Result, Vote
from occlufer.schema import LABELS
from occlufer.workspace import Workspace, open_workspace

SIDE_PX = 64
BATCH = 20_000
# One picture in so many is a near copy of the one before it.
COPIES = 50


def make(folder: Path, count: int, seed: int) -> None:
    """Make a workspace of `count` samples, gathered and hashed."""
    rng = np.random.default_rng(seed)
    with open_workspace(folder) as workspace:
        for start in range(0, count, BATCH):
            put(workspace, list(drawn(rng, start, min(BATCH, count - start))))


def drawn(rng: np.random.Generator, start: int, count: int) -> Iterator[tuple[str, Any]]:
    """Yield names and hashes: random ones, and near copies."""
    before = None
    for number in range(start, start + count):
        hashes = random_hashes(rng)
        if before is not None and number % COPIES == 0:
            hashes = near_copy(before, rng)
        before = hashes
        yield f"{number:07d}", hashes


def random_hashes(rng: np.random.Generator) -> dict[str, NDArray[np.uint64]]:
    """Return hashes of one picture that is like no other, {column of HashTable: words}."""
    words = rng.integers(0, 2**64 - 1, 5 * len(HASHED) + 1, dtype=np.uint64, endpoint=True)
    views64, views256 = words[: len(HASHED)], words[len(HASHED) : -1].reshape(-1, 4)
    return {
        "phash64": views64[:1],
        "phash256": views256[0],
        "dhash64": words[-1:],
        "views64": views64,
        "views256": views256,
    }


def near_copy(
    hashes: dict[str, NDArray[np.uint64]], rng: np.random.Generator
) -> dict[str, NDArray[np.uint64]]:
    """Return hashes of which each differs from the given one's in a few bits."""
    bits = rng.integers(0, 64, len(HASHED), dtype=np.uint64)
    flips = np.uint64(1) << bits
    views256 = hashes["views256"].copy()
    views256[:, 0] ^= flips
    return {**hashes, "views64": hashes["views64"] ^ flips, "views256": views256}


def put(workspace: Workspace, samples: list[tuple[str, Any]]) -> None:
    """Put samples into the catalog as gathering and the stages before dedup do."""
    catalog = workspace.catalog
    images = [image_of(name) for name, _ in samples]
    catalog.put_records(
        Record(f"made/{name}", "made", "1", facts(number), image)
        for number, ((name, _), image) in enumerate(zip(samples, images, strict=True))
    )
    faces = {"crop": SAME_PICTURE, "width": SIDE_PX, "height": SIDE_PX, "landmarks": LANDMARKS}
    catalog.put_results("faces", [Result(image, faces) for image in images])
    catalog.put_results("occlusion", [Result(image, {"ratio": 0.0}) for image in images])
    catalog.put_results(
        "hashes",
        [
            Result(image, {**{n: in_hex(hashes[n]) for n in SHAPES}, "size_bytes": 9000})
            for image, (_, hashes) in zip(images, samples, strict=True)
        ],
    )


def facts(number: int) -> Facts:
    return Facts(votes=(Vote("source:made", LABELS[number % len(LABELS)]),), licence="CC0-1.0")


def image_of(name: str) -> str:
    import hashlib

    return hashlib.sha256(name.encode()).hexdigest()


LANDMARKS = [[float(i), float(i)] for i in range(68)]
SAME_PICTURE = ""


def put_picture(workspace: Workspace) -> None:
    """Put the one picture that all samples share into the store, for edges to be verified on."""
    global SAME_PICTURE
    import io

    from PIL import Image

    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6), dtype=np.uint8))
    file = io.BytesIO()
    coarse.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC).save(file, "PNG")
    SAME_PICTURE = workspace.images.put(file.getvalue())
