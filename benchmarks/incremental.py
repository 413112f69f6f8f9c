"""One image more, or one less: what it costs the search for duplicates, beyond its own hash."""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _bars import Bar, at_most, finish
from _samples import COPIES, Drawn, draw, make, near_copy, put, the_picture
from _timing import Timed, spreads, timed
from numpy.typing import NDArray

from occlufer.builders import arrivals, dedup
from occlufer.builders.edges import Edges, Limits, near_edges
from occlufer.builders.hash_table import ViewTable
from occlufer.config import BuildConfig, SourceConfig
from occlufer.stages import FollowingStage, run_stage
from occlufer.workspace import Workspace, open_workspace

SIZES = (10_000, 100_000, 1_000_000)
REPEATS = 5
MOST_MS = 50
MOST_EXPONENT = 0.3


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="occlufer-incremental-"))
    try:
        found = {size: measured(folder / str(size), size) for size in SIZES}
    finally:
        shutil.rmtree(folder)
    bars = [bar for what in ("copy", "unlike", "gone") for bar in bars_of(what, found)]
    details = {
        "repeats": REPEATS,
        "samples": "made up: random hashes, one in 50 a near copy; all share one picture",
        "timed": "the dedup stage of a build, once its code is compiled and loaded",
        "linear_part_cpu_ns_per_sample": linear_ns(found),
        "sizes": {str(size): figures for size, figures in found.items()},
    }
    finish("incremental", bars, details)


def bars_of(what: str, found: dict[int, dict[str, Any]]) -> list[Bar]:
    """Return the milliseconds at the largest size, and how they grow from the smallest."""
    ms = {size: 1000 * figures[what]["wall_s"]["median"] for size, figures in found.items()}
    exponent = math.log(ms[SIZES[-1]] / ms[SIZES[0]], SIZES[-1] / SIZES[0])
    return [
        at_most(f"one {what} among {SIZES[-1]:,}, milliseconds", ms[SIZES[-1]], MOST_MS),
        at_most(f"one {what}, exponent of growth from {SIZES[0]:,}", exponent, MOST_EXPONENT),
    ]


def linear_ns(found: dict[int, dict[str, Any]]) -> float:
    """Return the nanoseconds that each sample adds: the scan of hashes is the part that grows."""
    small, large = (1e9 * found[size]["unlike"]["cpu_s"]["median"] for size in SIZES[::2])
    return float(round((large - small) / (SIZES[-1] - SIZES[0]), 1))


def measured(folder: Path, size: int) -> dict[str, Any]:
    """Return the times of the stage in a workspace of `size` samples."""
    make(folder, size, seed=0)
    stage = dedup_stage(folder)
    first = prepared(stage, folder)
    rng = np.random.default_rng(1)
    number = size
    runs: dict[str, list[Timed[int]]] = {"copy": [], "unlike": [], "gone": [], "nothing": []}
    for repeat in range(REPEATS + 1):  # the first one warms up
        steps: dict[str, Callable[[Workspace, str], None]] = {
            "copy": lambda w, crop, n=number: put(w, [copy_of(w, rng, n)], crop),  # type: ignore[misc]
            "unlike": lambda w, crop, n=number + 1: put(w, [unlike(rng, n)], crop),  # type: ignore[misc]
            "gone": lambda w, crop, n=7 * repeat + 3: w.catalog.forget_records([f"made/{n:08d}"]),  # type: ignore[misc]
            "nothing": lambda w, crop: None,
        }
        number += 2
        for what, change in steps.items():
            with open_workspace(folder) as workspace:
                change(workspace, the_picture(workspace))
                run = timed(lambda w=workspace: run_stage(stage, w, 1))  # type: ignore[misc]
            if repeat:
                runs[what].append(run)
    sizes_mb = {
        "catalog_mb": round((folder / "catalog.sqlite").stat().st_size / 1e6),
        "index_mb": round(sum(f.stat().st_size for f in (folder / "dedup").iterdir()) / 1e6),
    }
    shutil.rmtree(folder)
    return {**{w: spreads(known) for w, known in runs.items()}, "first_run": first, **sizes_mb}


def dedup_stage(folder: Path) -> FollowingStage:
    source = SourceConfig("synthetic", "made", {"count": 1})
    out = folder.with_name("out")
    stage: FollowingStage = dedup.stage(BuildConfig(sources=(source,), out=out, workspace=folder))
    return stage


def prepared(stage: FollowingStage, folder: Path) -> dict[str, Any]:
    """Run the stage on all samples, but search only those that were planted near one another.

    The others are random: among a million the search would take long and find nothing.
    """

    def planted(
        table: ViewTable,
        limits: Limits,
        among: NDArray[np.int64],
        new: NDArray[np.bool_],
        rank: NDArray[np.int64],
    ) -> Edges:
        chosen = (among % COPIES == 0) | (among % COPIES == COPIES - 1)
        return near_edges(table, limits, among[chosen], new[chosen], rank)

    arrivals.near_edges = planted
    try:
        with open_workspace(folder) as workspace:
            run = timed(lambda: run_stage(stage, workspace, 1))
    finally:
        arrivals.near_edges = near_edges
    return {"wall_s": round(run.wall_s, 2), "cpu_s": round(run.cpu_s, 2), "search": "left out"}


def copy_of(workspace: Workspace, rng: np.random.Generator, number: int) -> Drawn:
    """Return a near copy of a sample that is there."""
    _, table = dedup.read_hashes(workspace.catalog, [any_image(workspace, rng)])
    return Drawn(number, image_of(number), *near_copy(rng, table.views64[0], table.views256[0]))


def any_image(workspace: Workspace, rng: np.random.Generator) -> str:
    """Return the image of some record of the first thousand."""
    wanted = f"made/{int(rng.integers(500, 1000)):08d}"
    records = (r for r in workspace.catalog.records() if r.id == wanted)
    return str(next(records).image)


def unlike(rng: np.random.Generator, number: int) -> Drawn:
    """Return a sample that is like no other."""
    (sample,) = draw(rng, [image_of(number)], number)
    return sample


def image_of(number: int) -> str:
    return hashlib.sha256(f"one more {number}".encode()).hexdigest()


if __name__ == "__main__":
    main()
