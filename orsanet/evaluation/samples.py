"""Samples to evaluate on: rows of a published dataset, and the slices that are reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.errors import MissingError, UsageError
from occlufer.schema import LABELS, OCCLUSION_TYPES, REGIONS

COLUMNS = (
    *("sha256", "label", "group", "face_found"),
    *("occlusion_types", "occlusion_severity", "visible"),
)
# Of a region less than this share has to be visible for it to count as covered.
COVERED_BELOW = 0.7
SEVERITIES = (0, 10, 20, 30, 40)

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

    def with_slices(self, near_training: set[str]) -> Samples:
        """Return the same with two slices more: near a training picture, and not."""
        near = np.array([name in near_training for name in self.ids], dtype=bool)
        both = {"near a training picture": near, "not near a training picture": ~near}
        more = {name: mask for name, mask in both.items() if mask.any()}
        return replace(self, slices={**self.slices, **more})


def read_samples(folder: Path, config: str = "default", split: str = "validation") -> Samples:
    """Return the samples of a split of a published folder.

    Raises MissingError if there is none of that name, UsageError for a shard that is no dataset's.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    for path in paths_of(folder, config, split):
        try:
            rows += pq.read_table(path, columns=[*COLUMNS]).to_pylist()
        except (OSError, pa.ArrowException) as error:
            raise UsageError(f"{path}: found no shard of a dataset ({error})") from None
    return samples_of(rows)


def paths_of(folder: Path, config: str, split: str) -> list[Path]:
    """Return the shards of a split, in order; raises MissingError if there is none."""
    place = folder / ("data" if config == "default" else config)
    paths = sorted(place.glob(f"{split}-*.parquet"))
    if not paths:
        raise MissingError(
            f"{place}: found no {split}-*.parquet, expected a split of a published dataset"
        )
    return paths


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


def _severity(least: int) -> str:
    most = f"{least + 10}" if least < SEVERITIES[-1] else "and more"
    return f"{least} {most} % covered" if most == "and more" else f"{least} to {most} % covered"


def _is_covered(row: Mapping[str, Any], region: str) -> bool:
    share = (row["visible"] or {}).get(region)
    return share is not None and share < COVERED_BELOW


SLICES: dict[str, Any] = {
    "all": lambda row: True,
    **{f"class {name}": lambda row, i=i: row["label"] == i for i, name in enumerate(LABELS)},
    "uncovered": lambda row: not row["occlusion_types"],
    "covered": lambda row: bool(row["occlusion_types"]),
    **{
        f"covered by {kind}": lambda row, kind=kind: kind in (row["occlusion_types"] or ())
        for kind in OCCLUSION_TYPES
    },
    **{
        _severity(least): lambda row, least=least: row["occlusion_severity"] == least
        for least in SEVERITIES
    },
    **{
        f"{region} covered": lambda row, region=region: _is_covered(row, region)
        for region in REGIONS
        if region != "face"
    },
    "no face found by the build": lambda row: not row["face_found"],
}
"""{name of a slice: whether a row is in it}"""
