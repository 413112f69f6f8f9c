"""A workspace of made-up samples: their hashes are drawn, not taken from pictures."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.hashing.hash_table import SHAPES, in_hex
from occlufer.builders.hashing.sketches import sketch_of
from occlufer.builders.hashing.views import HASHED
from occlufer.record import Facts, Record, Result, Vote
from occlufer.schema import LABELS, OCCLUSION_TYPES, REGIONS
from occlufer.workspace import Workspace, open_workspace

Words = NDArray[np.uint64]
SIDE_PX = 64
BATCH = 20_000
# One sample in so many is a near copy of the one before it,
COPIES = 50
# and so many at most show one subject, where the source says who it is: of every third sample.
OF_A_SUBJECT = 30
FACE = {"found": True, "box": [0.0, 0.0, float(SIDE_PX), float(SIDE_PX)], "others": [], "cut": []}
LANDMARKS = [[float(i), float(i)] for i in range(68)]


@dataclass(frozen=True)
class Drawn:
    """A sample: its name and the hashes of its views."""

    number: int
    image: str
    views64: Words
    views256: Words


def make(folder: Path, count: int, seed: int, made_by: Mapping[str, str]) -> None:
    """Make a workspace of `count` samples, gathered and hashed, in the order of their images.

    `made_by` is {stage: fingerprint} of the stages that are done with them.
    """
    rng = np.random.default_rng(seed)
    images = sorted(hashlib.sha256(str(number).encode()).hexdigest() for number in range(count))
    with open_workspace(folder) as workspace:
        crop = the_picture(workspace)
        for stage, value in made_by.items():
            workspace.catalog.start_stage(stage, value)
        for start in range(0, count, BATCH):
            put(workspace, draw(rng, images[start : start + BATCH], start), crop)


def draw(rng: np.random.Generator, images: list[str], start: int) -> list[Drawn]:
    """Return samples of random hashes; one in COPIES is a near copy of the one before it."""
    views64, views256 = random_words(rng, len(images)), random_words(rng, len(images), 4)
    for i in range(1, len(images)):
        if (start + i) % COPIES == 0:
            views64[i], views256[i] = near_copy(rng, views64[i - 1], views256[i - 1])
    rows = zip(images, views64, views256, strict=True)
    return [Drawn(start + i, *row) for i, row in enumerate(rows)]


def random_words(rng: np.random.Generator, count: int, *words: int) -> Words:
    """Return hashes that are like no others."""
    shape = (count, len(HASHED), *words)
    return rng.integers(0, 2**64 - 1, shape, dtype=np.uint64, endpoint=True)


def near_copy(rng: np.random.Generator, views64: Words, views256: Words) -> tuple[Words, Words]:
    """Return hashes that differ from these in one bit each."""
    flips = np.uint64(1) << rng.integers(0, 64, len(HASHED), dtype=np.uint64)
    turned = views256.copy()
    turned[:, 0] ^= flips
    return views64 ^ flips, turned


def put(workspace: Workspace, samples: list[Drawn], crop: str) -> None:
    """Put samples into the catalog as gathering and the stages before dedup do."""
    gather(workspace, samples)
    for stage in ("faces", "parts", "occlusion", "hashes", "takedown", "rights"):
        results = (Result(sample.image, found(sample, crop)[stage]) for sample in samples)
        workspace.catalog.put_results(stage, results)


def gather(workspace: Workspace, samples: list[Drawn]) -> None:
    """Put the records of samples into the catalog."""
    workspace.catalog.put_records(
        Record(f"made/{sample.number:08d}", "made", "1", facts(sample.number), sample.image)
        for sample in samples
    )


def found(sample: Drawn, crop: str) -> dict[str, dict[str, Any]]:
    """Return {stage: what it finds out about a sample} of the stages before dedup."""
    return {
        "faces": {"crop": crop, "width": SIDE_PX, "height": SIDE_PX, "points": [], **FACE},
        "parts": {"landmarks": LANDMARKS},
        "occlusion": occlusion(sample.number),
        "hashes": hashes(sample),
        "takedown": {},
        "rights": {"rights": "index_only"},
    }


def occlusion(number: int) -> dict[str, Any]:
    """Return what covers a sample: every other one has something before it."""
    types = [OCCLUSION_TYPES[number % len(OCCLUSION_TYPES)]] if number % 2 else []
    return {
        "ratio": 0.2 * len(types),
        "visible": dict.fromkeys(REGIONS, 1 - 0.2 * len(types)),
        "confidences": {kind: float(kind in types) for kind in OCCLUSION_TYPES},
        "types": types,
        "severity": 20 * len(types),
    }


def facts(number: int) -> Facts:
    votes = (Vote("source:made", LABELS[number % len(LABELS)]),)
    subject = None if number % 3 else str(number // OF_A_SUBJECT)
    return Facts(votes=votes, licence="CC0-1.0", subject=subject)


def hashes(sample: Drawn) -> dict[str, Any]:
    """Return what the stage `hashes` would say."""
    itself64, itself256 = sample.views64[:1], sample.views256[0]
    words = (itself64, itself256, itself64, sample.views64, sample.views256)
    rows = {name: in_hex(found) for name, found in zip(SHAPES, words, strict=True)}
    return {**rows, "sketch": the_sketch(), "size_bytes": 9000}


def the_picture(workspace: Workspace) -> str:
    """Return the one picture that all samples share, so that near ones pass for copies."""
    file = io.BytesIO()
    drawn().save(file, "PNG")
    return workspace.images.put(file.getvalue())


@cache
def the_sketch() -> dict[str, Any]:
    """Return that of the picture."""
    return dict(sketch_of(np.asarray(drawn())).to_json())


def drawn() -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (6, 6), dtype=np.uint8)
    return Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
