"""One image more, or one less: what it costs a build beyond looking at that one image.

From the record that is new in the catalog to dedup and leaks being done, stage by stage. Listing
the sources, labels, the split and publishing are left out. The largest workspace has a million
samples; `python benchmarks/incremental.py 10000 100000` takes sizes of yours.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from _bars import Bar, at_most, finish
from _growth import sizes_asked
from _samples import COPIES, Drawn, draw, found, gather, make, near_copy, the_picture
from _timing import Timed, spread, timed
from numpy.typing import NDArray

from occlufer.builders import dedup, leaks, rights, takedown
from occlufer.builders.duplicates import arrivals
from occlufer.builders.duplicates.edges import Edges, Limits, near_edges
from occlufer.builders.duplicates.samples import read_hashes
from occlufer.builders.hashing.hash_table import HashTable, ViewTable, write_table
from occlufer.builders.leakage.leak_sets import FOLDER
from occlufer.config import BuildConfig, SourceConfig
from occlufer.engine import Remote
from occlufer.pipeline import stages_before
from occlufer.record import Result
from occlufer.stages import (
    Changes,
    FollowingStage,
    ImageItem,
    ImageStage,
    Stage,
    Update,
    run_stage,
)
from occlufer.workspace import Workspace, open_workspace

ALL_SIZES = (10_000, 100_000, 1_000_000)
SIZES = sizes_asked(ALL_SIZES, ALL_SIZES)
REPEATS = 5
IMAGE_STAGES = ("faces", "parts", "occlusion", "hashes")
TIMED = (*IMAGE_STAGES, "takedown", "rights", "dedup", "leaks")
STEPS = ("copy", "unlike", "gone", "nothing")
# As many as FER2013's two tests.
TEST_PICTURES = 7_178
MOST_MS = 150
MOST_DEDUP_MS = 50
MOST_EXPONENT = 0.3

Runs = dict[str, dict[str, list[Timed[int]]]]
"""{step: {stage: its runs}}."""


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="occlufer-incremental-"))
    try:
        known = {size: measured(folder / str(size), size) for size in SIZES}
    finally:
        shutil.rmtree(folder)
    bars = [bar for step in STEPS for bar in bars_of(step, known)]
    details = {
        "repeats": REPEATS,
        "samples": "made up: random hashes, one in 50 a near copy; all share one picture",
        "test_set": f"made up: {TEST_PICTURES} registered pictures",
        "timed": "stages of a build, once their code is compiled and loaded, but for looking at "
        "the new image; bars are of the fastest run",
        "linear_part_cpu_ns_per_sample": linear_ns(known),
        "sizes": {str(size): figures for size, figures in known.items()},
    }
    if "--json" not in sys.argv[1:]:
        show(known)
    finish("incremental", bars, details)


def bars_of(step: str, known: dict[int, dict[str, Any]]) -> list[Bar]:
    """Return the milliseconds at the largest size, and how those of dedup grow."""
    ms = {size: known[size][step]["ms"] for size in SIZES}
    small, most = SIZES[0], SIZES[-1]
    bars = [at_most(f"{said(step)} among {most:,}, milliseconds", ms[most]["sum"], MOST_MS)]
    if step == "nothing":
        return bars
    exponent = math.log(ms[most]["dedup"] / ms[small]["dedup"], most / small)
    return [
        *bars,
        at_most(f"{said(step)}, of these dedup", ms[most]["dedup"], MOST_DEDUP_MS),
        at_most(f"{said(step)}, dedup, exponent of growth from {small:,}", exponent, MOST_EXPONENT),
    ]


def show(known: dict[int, dict[str, Any]]) -> None:
    """Print the milliseconds of every stage."""
    print("".join(f"{word:>11}" for word in ("samples", "", *TIMED, "sum")))
    for size in SIZES:
        for step in STEPS:
            ms = known[size][step]["ms"].values()
            print(f"{size:11,}{said(step):>11}" + "".join(f"{value:11.2f}" for value in ms))


def said(step: str) -> str:
    return "no news" if step == "nothing" else f"one {step}"


def linear_ns(known: dict[int, dict[str, Any]]) -> float:
    """Return the nanoseconds that each sample adds: the scan of hashes is the part that grows."""
    small, large = (
        1e9 * known[size]["unlike"]["cpu_s"]["dedup"]["median"] for size in (SIZES[0], SIZES[-1])
    )
    return float(round((large - small) / (SIZES[-1] - SIZES[0]), 1))


# A workspace --------------------------------------------------------------------------------------


class Line:
    """The stages from a record to its leaks; those that look at images know what they will find."""

    def __init__(self, folder: Path) -> None:
        self.known: dict[str, dict[str, dict[str, Any]]] = {}
        source = SourceConfig("synthetic", "made", {"count": 1})
        out = folder.with_name("out")
        config = BuildConfig(sources=(source,), out=out, workspace=folder)
        before: dict[str, tuple[str, ...]] = {
            "faces": (),
            "parts": ("faces",),
            "occlusion": ("faces", "parts"),
            "hashes": ("faces",),
        }
        self.stages: list[Stage] = [
            *(
                ImageStage(name, after, after, {}, self._look(name))
                for name, after in before.items()
            ),
            takedown.stage(config),
            rights.stage(config),
            dedup.stage(config),
            follower("labels", lambda image: {"label": "anger"}),
            follower("split", lambda image: {"split": split_of(image)}),
            leaks.stage(config),
        ]

    def _look(self, stage: str) -> Callable[[ImageItem], Result]:
        return lambda item: Result(item.image, self.known[item.image][stage])

    def run(self, workspace: Workspace) -> dict[str, Timed[int]]:
        """Run all stages, and return how long each of them took."""
        return {
            stage.name: timed(lambda s=stage: run_stage(s, workspace))  # type: ignore[misc]
            for stage in self.stages
        }


def follower(name: str, value: Callable[[str], dict[str, Any]]) -> FollowingStage:
    """Return a stage that says the same of an image whatever the others are."""
    after = stages_before(name)

    def whole(workspace: Workspace, state: str) -> Iterator[Result]:
        for image in workspace.catalog.images_passing(after):
            yield Result(image, value(image))

    def update(workspace: Workspace, changes: Changes) -> Update:
        passing = workspace.catalog.passing_among(changes.images, after)
        gone = workspace.catalog.values(name, changes.images - passing)
        results = [Result(image, value(image)) for image in sorted(passing)]
        return Update(results, {image for image, _ in gone})

    return FollowingStage(name, after, {}, whole, update)


def split_of(image: str) -> str:
    return "validation" if image.startswith("0") else "train"


def prepare(folder: Path, size: int) -> dict[str, float]:
    """Make a workspace, and return the seconds that each stage takes for all samples of it.

    Dedup and leaks search only what was planted near one another: the other samples are random,
    among a million the search would take long and find nothing.
    """
    rng = np.random.default_rng(2)
    drawn = draw(rng, [image_of(-number) for number in range(1, TEST_PICTURES + 1)], 0)
    views64, views256 = (np.array([getattr(d, n) for d in drawn]) for n in ("views64", "views256"))
    table = HashTable(views64[:, 0], views256[:, 0], views64[:, 0], views64, views256)
    names = [f"{number:05d}.png" for number in range(TEST_PICTURES)]
    write_table(folder / FOLDER / "made_up_test.parquet", names, table)
    make(folder, size, 0, made_by(folder.with_name("empty")))
    line = Line(folder)
    line.stages = [
        dataclasses.replace(stage, whole=without_hits) if stage.name == "leaks" else stage  # type: ignore[arg-type]
        for stage in line.stages
    ]
    arrivals.near_edges = planted_edges
    try:
        with open_workspace(folder) as workspace:
            return {name: round(run.wall_s, 2) for name, run in line.run(workspace).items()}
    finally:
        arrivals.near_edges = near_edges


def made_by(empty: Path) -> dict[str, str]:
    """Return {stage: fingerprint of its settings} of the stages that look at images."""
    with open_workspace(empty) as workspace:
        Line(empty).run(workspace)
        return {name: str(workspace.catalog.fingerprint(name)) for name in IMAGE_STAGES}


def planted_edges(
    table: ViewTable,
    limits: Limits,
    among: NDArray[np.int64],
    new: NDArray[np.bool_],
    rank: NDArray[np.int64],
    remote: Remote | None,
) -> Edges:
    chosen = (among % COPIES == 0) | (among % COPIES == COPIES - 1)
    return near_edges(table, limits, among[chosen], new[chosen], rank, remote)


def without_hits(workspace: Workspace, state: str) -> Iterator[Result]:
    for image in workspace.catalog.images_passing(leaks.AFTER):
        yield Result(image, {"hits": []})


# One more, and one less ---------------------------------------------------------------------------


def measured(folder: Path, size: int) -> dict[str, Any]:
    """Return the times of the stages in a workspace of `size` samples."""
    first = prepare(folder, size)
    line = Line(folder)
    rng = np.random.default_rng(1)
    runs: Runs = {step: {stage: [] for stage in TIMED} for step in STEPS}
    longest = 0
    for repeat in range(REPEATS + 1):  # the first one warms up
        for step in STEPS:
            with open_workspace(folder) as workspace:
                change(workspace, line, step, size + 2 * repeat, rng)
                times = line.run(workspace)
                longest = max(longest, logged(workspace))
            for stage in TIMED if repeat else ():
                runs[step][stage].append(times[stage])
    sizes_mb = {
        "catalog_mb": round((folder / "catalog.sqlite").stat().st_size / 1e6),
        "index_mb": round(sum(f.stat().st_size for f in (folder / "dedup").iterdir()) / 1e6),
    }
    shutil.rmtree(folder)
    log = {"changes_logged_at_most": longest}
    return {**{step: figures_of(runs[step]) for step in STEPS}, "first_s": first, **sizes_mb, **log}


def change(
    workspace: Workspace, line: Line, step: str, number: int, rng: np.random.Generator
) -> None:
    """Let one sample come or go, as gathering does; the stages know what they will find of it."""
    if step == "gone":
        workspace.catalog.forget_records([f"made/{7 * (number % 100) + 3:08d}"])
    elif step != "nothing":
        new = copy_of(workspace, rng, number) if step == "copy" else unlike(rng, number + 1)
        line.known[new.image] = found(new, the_picture(workspace))
        gather(workspace, [new])


def figures_of(runs: dict[str, list[Timed[int]]]) -> dict[str, Any]:
    """Return the fastest run's milliseconds of each stage and their sum, and the spreads."""
    sums = [sum(run.wall_s for run in step) for step in zip(*runs.values(), strict=True)]
    ms = {stage: round(1000 * min(r.wall_s for r in known), 2) for stage, known in runs.items()}
    return {
        "ms": {**ms, "sum": round(1000 * min(sums), 2)},
        "wall_s": {
            **{stage: spread(run.wall_s for run in known) for stage, known in runs.items()},
            "sum": spread(sums),
        },
        "cpu_s": {stage: spread(run.cpu_s for run in known) for stage, known in runs.items()},
    }


def logged(workspace: Workspace) -> int:
    """Return how many images the log of changes names."""
    return len(workspace.catalog.changed_since(0, ("gather", *stages_before("leaks"))))


def copy_of(workspace: Workspace, rng: np.random.Generator, number: int) -> Drawn:
    """Return a near copy of a sample that is there."""
    _, table = read_hashes(workspace.catalog, [any_image(workspace, rng)])
    return Drawn(number, image_of(number), *near_copy(rng, table.views64[0], table.views256[0]))


def any_image(workspace: Workspace, rng: np.random.Generator) -> str:
    """Return the image of some record of those that stay."""
    wanted = f"made/{int(rng.integers(1500, 2000)):08d}"
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
