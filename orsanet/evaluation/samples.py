"""Samples to evaluate on: rows of a published dataset, and the slices that are reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.errors import MissingError
from occlufer.schema import LABELS, OCCLUSION_TYPES, REGIONS

from ..shards import rows_of, shards_of

COLUMNS = (
    *("sha256", "label", "group", "face_found"),
    *("occlusion_types", "occlusion_ratio", "visible"),
)
# Of a region less than this share has to be visible for it to count as covered.
COVERED_BELOW = 0.7
# In percent of the face. Of the ratio, for a build may set other bins of severity.
RATIOS = (0, 10, 20, 30, 40)

Row = Mapping[str, Any]
Slices = dict[str, NDArray[np.bool_]]
"""{name: which samples are in it, (N,)}; they overlap, and "all" is the first."""


@dataclass(frozen=True)
class Samples:
    """N rows of a split."""

    ids: tuple[str, ...]
    """The sha256 of each sample, as the column `sha256` has it."""
    labels: NDArray[np.int64]
    """(N,), ids of LABELS."""
    groups: NDArray[np.int64]
    """(N,): samples of one subject, or that are related, have one number."""
    slices: Slices

    def __len__(self) -> int:
        """Return N."""
        return len(self.ids)

    def with_slices(self, near_training: Mapping[str, bool]) -> Samples:
        """Return the same with slices more: near a training picture, not near one, not compared.

        `near_training` is {sha256: whether it is near}; those not in it were not compared.
        """
        words = [near_training.get(name) for name in self.ids]
        both = {
            "near a training picture": np.array([word is True for word in words]),
            "not near a training picture": np.array([word is False for word in words]),
            "not compared with training": np.array([word is None for word in words]),
        }
        more = {name: mask for name, mask in both.items() if mask.any()}
        return replace(self, slices={**self.slices, **more})


def read_samples(folder: Path, config: str = "default", split: str = "validation") -> Samples:
    """Return the samples of a split of a published folder.

    Raises MissingError if there is none of that name, UsageError for a shard that is no dataset's.
    """
    rows = [row for _, row in rows_of(shards_of(folder, config, split), COLUMNS)]
    if not rows:
        raise MissingError(f"{folder}: found no sample in {config}, {split}, expected some")
    return samples_of(rows)


def samples_of(rows: list[dict[str, Any]]) -> Samples:
    """Return the samples of rows with COLUMNS."""
    groups = {name: number for number, name in enumerate(sorted({row["group"] for row in rows}))}
    return Samples(
        ids=tuple(row["sha256"] for row in rows),
        labels=np.array([row["label"] for row in rows], dtype=np.int64),
        groups=np.array([groups[row["group"]] for row in rows], dtype=np.int64),
        slices=slices_of(rows),
    )


def slices_of(rows: list[dict[str, Any]]) -> Slices:
    """Return the slices of some rows; those that nobody is in are left out."""
    kept = {name: np.array([is_in(row) for row in rows], bool) for name, is_in in SLICES.items()}
    return {name: mask for name, mask in kept.items() if name == "all" or mask.any()}


def _is_of_class(row: Row, label: int) -> bool:
    return bool(row["label"] == label)


def _is_covered_by(row: Row, kind: str) -> bool:
    return kind in (row["occlusion_types"] or ())


def _is_in_bin(row: Row, least: int) -> bool:
    percent = 100 * (row["occlusion_ratio"] or 0)
    return least <= percent and (percent < least + 10 or least == RATIOS[-1])


def _bin(least: int) -> str:
    if least == RATIOS[-1]:
        return f"{least} % and more covered"
    return f"{least} to {least + 10} % covered"


def _is_covered(row: Row, region: str) -> bool:
    share = (row["visible"] or {}).get(region)
    return share is not None and share < COVERED_BELOW


SLICES: dict[str, Callable[[Row], bool]] = {
    "all": lambda row: True,
    **{f"class {name}": partial(_is_of_class, label=i) for i, name in enumerate(LABELS)},
    "uncovered": lambda row: not row["occlusion_types"],
    "covered": lambda row: bool(row["occlusion_types"]),
    **{f"covered by {kind}": partial(_is_covered_by, kind=kind) for kind in OCCLUSION_TYPES},
    **{_bin(least): partial(_is_in_bin, least=least) for least in RATIOS},
    **{f"{name} covered": partial(_is_covered, region=name) for name in REGIONS if name != "face"},
    "no face found by the build": lambda row: not row["face_found"],
}
"""{name of a slice: whether a row is in it}"""
