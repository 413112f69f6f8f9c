"""Following changes ends where a search of all samples would."""

from __future__ import annotations

import pkgutil
import shutil
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
from occlufer.builders.duplicates import kept_index
from occlufer.builders.duplicates.sample_index import open_index
from occlufer.builders.hashing.hash_table import SHAPES, in_hex
from occlufer.builders.hashing.sketches import sketch_of
from occlufer.builders.hashing.views import HASHED, ITSELF, MIRROR, POSITION
from occlufer.builders.pixels import encode_png
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
        number=n,
        line=n % 2,
        place=int(draw.integers(0, 8)),
        part_place=int(draw.integers(0, 9)),
        picture=int(draw.integers(0, 4) == 0),
        size_bytes=int(draw.integers(1, 3)),
    )
    for n in range(NUMBERS)
]
# The very same hashes, of the same picture and of another one.
SAMPLES[2] = Made(2, 0, SAMPLES[0].place, SAMPLES[0].part_place, SAMPLES[0].picture, 2)
SAMPLES[4] = Made(4, 0, SAMPLES[0].place, SAMPLES[0].part_place, 1 - SAMPLES[0].picture, 1)


def put_found(
    workspace: Workspace, made: Made, pixels: NDArray[np.uint8], hidden: bool = False
) -> None:
    """Put what the stages before dedup find out about a picture."""
    catalog = workspace.catalog
    if made.image in {result.image for result in catalog.results("hashes")}:
        return
    crop = workspace.images.put(encode_png(pixels))
    faces = {"crop": crop, "width": 32, "height": 32}
    catalog.put_results("faces", [Result(made.image, faces)])
    catalog.put_results("parts", [Result(made.image)])
    catalog.put_results("occlusion", [Result(made.image, {}, Reject("x") if hidden else None)])
    catalog.put_results("takedown", [Result(made.image)])
    catalog.put_results("rights", [Result(made.image, {"rights": "index_only"})])
    sketch = sketch_of(pixels[..., 0]).to_json()
    hashes = {**made.hashes(), "sketch": sketch, "size_bytes": made.size_bytes}
    catalog.put_results("hashes", [Result(made.image, hashes)])


def put(workspace: Workspace, textured: Textured, record: Record) -> None:
    made = SAMPLES[int(str(record.image)[-2:])]
    pixels = textured(made.picture, 32, 32)
    put_found(workspace, made, pixels, made.number == 5)
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
        run_stage(stage, workspace)
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
        run_stage(stage, workspace)
        for number, step in enumerate(steps):
            change(workspace, textured, step)
            run_stage(never_whole(stage), workspace)
            records = list(workspace.catalog.records())
            found = from_nothing(folder / str(number), textured, records, stage)
            assert results(workspace) == found


def never_whole(stage: FollowingStage) -> FollowingStage:
    def whole(workspace: Workspace, state: str) -> Iterator[Result]:
        raise AssertionError("not followed")

    return FollowingStage(stage.name, stage.after, stage.params, whole, stage.update)


# What can go wrong --------------------------------------------------------------------------------


def record(number: int, name: str = "", subject: str | None = None) -> Record:
    made = f"image{number:02d}"
    return Record(f"s0/{name or number}", "s0", "1", Facts(subject=subject), made)


@pytest.fixture
def followed(workspace: Workspace, textured: Textured) -> Workspace:
    """A workspace with ten samples whose results are known."""
    change(workspace, textured, [record(i) for i in range(10)])
    run_stage(stage_of({}, **TIGHT), workspace)
    return workspace


def ends_as_from_nothing(workspace: Workspace, textured: Textured) -> bool:
    """Run the stage, and return whether its results are those of a new workspace."""
    stage = stage_of({}, **TIGHT)
    run_stage(stage, workspace)
    records = list(workspace.catalog.records())
    folder = workspace.folder.with_name("nothing")
    return results(workspace) == from_nothing(folder, textured, records, stage)


KILLS = {
    "while-hashes-are-written": "occlufer.builders.hashing.hash_store.HashStore.append",
    "before-the-index-is-committed": "occlufer.builders.dedup.follow_changes",
    "before-the-catalog-is-committed": "occlufer.catalog.Catalog.update_results",
}


@pytest.mark.parametrize("place", KILLS.values(), ids=KILLS)
def test_a_kill_at_any_moment_changes_nothing_in_the_end(
    followed: Workspace, textured: Textured, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    before = results(followed)
    change(followed, textured, [record(i) for i in range(10, NUMBERS)])
    module, _, name = place.rpartition(".")
    work = pkgutil.resolve_name(module)
    done = getattr(work, name)

    def killed(*arguments: Any) -> None:
        if name != "update_results":
            done(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(work, name, killed)
        with pytest.raises(KeyboardInterrupt):
            run_stage(stage_of({}, **TIGHT), followed)
    assert results(followed) == before
    assert ends_as_from_nothing(followed, textured)


def cut_short(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:1000])


def scribble(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"no database, but as long as one " * 50)


def spoil_pages(folder: Path) -> None:
    path = folder / "index.sqlite"
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "all-is-gone": shutil.rmtree,
    "hashes-are-gone": lambda folder: (folder / "views64").unlink(),
    "short-hashes": lambda folder: cut_short(folder, "views64"),
    "short-long-hashes": lambda folder: cut_short(folder, "views256"),
    "no-database": lambda folder: scribble(folder, "index.sqlite"),
    "bad-pages": spoil_pages,
    "short-database": lambda folder: cut_short(folder, "index.sqlite"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_index_is_made_anew(
    followed: Workspace, textured: Textured, damage: Callable[[Path], object]
) -> None:
    damage(followed.folder / "dedup")
    change(followed, textured, [record(i) for i in range(10, NUMBERS)])
    assert ends_as_from_nothing(followed, textured)
    followed.catalog.forget_records(["s0/4"])
    assert run_stage(never_whole(stage_of({}, **TIGHT)), followed) > 0


def test_an_index_of_another_workspace_is_not_followed(
    followed: Workspace, textured: Textured, tmp_path: Path
) -> None:
    with open_workspace(tmp_path / "other") as other:
        change(other, textured, [record(i) for i in range(5, NUMBERS)])
        run_stage(stage_of({}, **TIGHT), other)
        shutil.rmtree(followed.folder / "dedup")
        shutil.copytree(other.folder / "dedup", followed.folder / "dedup")
    followed.catalog.forget_records(["s0/4"])
    assert ends_as_from_nothing(followed, textured)


def test_an_index_of_samples_that_are_gone_is_made_anew(
    followed: Workspace, textured: Textured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dedup, "SPARE_ROWS", 0)
    followed.catalog.forget_records([f"s0/{i}" for i in range(8)])
    run_stage(stage_of({}), followed)
    with open_index(followed.folder / "dedup", kept_index.rules(followed, DedupConfig())) as index:
        assert index.hashes.count == len(index.rows()) == 2
    assert ends_as_from_nothing(followed, textured)


def test_many_changes_are_not_followed_one_by_one(
    followed: Workspace, textured: Textured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_index, "FEW_SAMPLES", 2)
    change(followed, textured, [record(10), record(11)])
    run_stage(never_whole(stage_of({}, **TIGHT)), followed)
    change(followed, textured, [record(i) for i in (12, 13, 14)])
    with pytest.raises(AssertionError, match="not followed"):
        run_stage(never_whole(stage_of({}, **TIGHT)), followed)


def test_a_change_writes_no_result_but_those_it_touches(
    followed: Workspace, textured: Textured
) -> None:
    change(followed, textured, [record(0, "again")])
    touched = run_stage(never_whole(stage_of({}, **TIGHT)), followed)
    assert 1 <= touched < 10
    before = followed.catalog.revisions(["dedup"])
    assert ends_as_from_nothing(followed, textured)
    assert followed.catalog.revisions(["dedup"]) == before
