"""Following changes ends where a search of all samples would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer.builders import dedup
from occlufer.builders.hash_table import SHAPES, in_hex
from occlufer.builders.pixels import encode_png
from occlufer.builders.views import HASHED, ITSELF, MIRROR, POSITION
from occlufer.config import DedupConfig
from occlufer.record import Facts, Record, Reject, Result, Vote
from occlufer.stages import FollowingStage, run_stage
from occlufer.workspace import Workspace, open_workspace

Textured = Callable[..., NDArray[np.uint8]]

# Small enough that likenesses are cut.
TIGHT = {"group_size": 3, "group_width": 2}


# Samples ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Made:
    """A picture with hashes that are planted: on a line, where two are near that lie near."""

    number: int
    line: int
    place: int
    """On the line of the picture itself: 5 of 64 and 20 of 256 bits from one to the next."""
    part_place: int
    """On that of its upper part."""
    picture: int
    """Which of a few: only the same one passes for a copy."""
    size_bytes: int

    @property
    def image(self) -> str:
        return f"image{self.number:02d}"

    def hashes(self) -> dict[str, Any]:
        rng = np.random.default_rng(
            (self.line, self.place, self.part_place)
        )  # other views are like none
        views64 = rng.integers(0, 2**64 - 1, len(HASHED), dtype=np.uint64)
        views256 = rng.integers(0, 2**64 - 1, (len(HASHED), 4), dtype=np.uint64)
        for name, place in ((ITSELF, self.place), ("upper part", self.part_place)):
            views64[POSITION[name]] = self.on_line(name, 1, 5 * place)[0]
            views256[POSITION[name]] = self.on_line(name, 4, 20 * place)
        if self.place % 2:  # mirrored ones are near in another view
            views64[POSITION[MIRROR]] = self.on_line(ITSELF, 1, 5 * self.place + 2)[0]
            views256[POSITION[MIRROR]] = self.on_line(ITSELF, 4, 20 * self.place + 3)
        rows = {
            "phash64": views64[:1],
            "phash256": views256[0],
            "dhash64": views64[:1],
            "views64": views64,
            "views256": views256,
        }
        return {name: in_hex(rows[name]) for name in SHAPES}

    def on_line(self, name: str, words: int, flips: int) -> NDArray[np.uint64]:
        """Return the words with which the line begins, the first bits flipped."""
        rng = np.random.default_rng((self.line, len(name)))
        start = rng.integers(0, 2**64 - 1, words, dtype=np.uint64)
        bits = np.unpackbits(start.view(np.uint8))
        bits[:flips] ^= 1
        return np.packbits(bits).view(np.uint64)


NUMBERS = 16
draw = np.random.default_rng(7)
SAMPLES = [
    Made(
        n,
        n % 2,
        *(int(draw.integers(0, most)) for most in (8, 9)),
        int(draw.integers(0, 4) == 0),
        int(draw.integers(1, 3)),
    )
    for n in range(NUMBERS)
]
# The very same hashes, of the same picture and of another one.
SAMPLES[2] = Made(2, 0, SAMPLES[0].place, SAMPLES[0].part_place, SAMPLES[0].picture, 2)
SAMPLES[4] = Made(4, 0, SAMPLES[0].place, SAMPLES[0].part_place, 1 - SAMPLES[0].picture, 1)


def put_found(workspace: Workspace, made: Made, crop: str, hidden: bool = False) -> None:
    """Put what the stages before dedup find out about a picture."""
    catalog = workspace.catalog
    if made.image in {result.image for result in catalog.results("hashes")}:
        return
    faces = {"crop": crop, "width": 32, "height": 32}
    catalog.put_results("faces", [Result(made.image, faces)])
    catalog.put_results("occlusion", [Result(made.image, {}, Reject("x") if hidden else None)])
    hashes = {**made.hashes(), "size_bytes": made.size_bytes}
    catalog.put_results("hashes", [Result(made.image, hashes)])


def put(workspace: Workspace, textured: Textured, record: Record) -> None:
    made = SAMPLES[int(str(record.image)[-2:])]
    pixels = textured(made.picture, 32, 32)
    put_found(workspace, made, workspace.images.put(encode_png(pixels)), made.number == 5)
    workspace.catalog.put_records([record])


def stage_of(groups: dict[str, str], **changed: Any) -> FollowingStage:
    config = DedupConfig(**changed)
    whole = partial(dedup.cluster_samples, settings=config, groups=groups)
    update = partial(dedup.follow, settings=config, groups=groups)
    params = {**dedup.params(config), "known": groups}
    return FollowingStage("dedup", dedup.AFTER, params, whole, update)


def results(workspace: Workspace) -> list[Result]:
    return list(workspace.catalog.results("dedup"))


# Changes ----------------------------------------------------------------------------------------

RECORDS = st.builds(
    lambda name, image, rank, subject, vote: Record(
        f"s{rank}/{name}",
        f"s{rank}",
        f"{image} {subject} {vote}",
        Facts(votes=() if vote is None else (Vote("r", vote),), subject=subject),
        f"image{image:02d}",
        rank=rank,
    ),
    st.integers(0, 15),
    st.integers(0, NUMBERS - 1),
    st.integers(0, 1),
    st.none() | st.sampled_from(["ann", "bob"]),
    st.none() | st.sampled_from(["anger", "fear"]),
)
GONE = st.tuples(st.integers(0, 1), st.integers(0, 15)).map(lambda pair: f"s{pair[0]}/{pair[1]}")
STEPS = st.lists(st.lists(RECORDS | GONE, min_size=1, max_size=4), min_size=1, max_size=6)


def change(workspace: Workspace, textured: Textured, step: list[Record | str]) -> None:
    for change in step:
        if isinstance(change, str):
            workspace.catalog.forget_records([change])
        else:
            put(workspace, textured, change)


def from_nothing(
    folder: Path, textured: Textured, records: list[Record], stage: FollowingStage
) -> list[Result]:
    """Return what a new workspace comes to with these records, the last ones first."""
    with open_workspace(folder) as workspace:
        for record in reversed(records):
            put(workspace, textured, record)
        run_stage(stage, workspace, 1)
        return results(workspace)


@settings(max_examples=40)
@given(
    st.lists(RECORDS, min_size=8, max_size=20),
    STEPS,
    st.sampled_from([{}, TIGHT, {**TIGHT, "keep": ("s0/3", "s1/4")}]),
    st.booleans(),
)
def test_following_ends_where_a_build_from_nothing_does(
    textured: Textured,
    tmp_path_factory: pytest.TempPathFactory,
    first: list[Record],
    steps: list[list[Record | str]],
    changed: dict[str, Any],
    grouped: bool,
) -> None:
    folder = tmp_path_factory.mktemp("follow")
    groups = {"s0/1": "p", "s1/2": "p", "s0/7": "q", "s1/9": "q"} if grouped else {}
    stage = stage_of(groups, **changed)
    with open_workspace(folder / "followed") as workspace:
        change(workspace, textured, list(first))
        run_stage(stage, workspace, 1)
        for number, step in enumerate(steps):
            change(workspace, textured, step)
            run_stage(never_whole(stage), workspace, 1)
            records = list(workspace.catalog.records())
            found = from_nothing(folder / str(number), textured, records, stage)
            assert results(workspace) == found


def never_whole(stage: FollowingStage) -> FollowingStage:
    def whole(workspace: Workspace, state: str) -> Iterator[Result]:
        raise AssertionError("not followed")

    return FollowingStage(stage.name, stage.after, stage.params, whole, stage.update)
