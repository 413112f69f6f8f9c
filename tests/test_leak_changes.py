"""Following changes finds the leaks that a search of all samples would."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer.builders import dedup, leaks
from occlufer.builders.hashing.hash_table import SHAPES, in_hex, table_of, write_table
from occlufer.builders.hashing.sketches import sketch_of
from occlufer.builders.hashing.views import HASHED, ITSELF, MIRROR, POSITION
from occlufer.builders.pixels import encode_png
from occlufer.config import DedupConfig, LeaksConfig
from occlufer.errors import GateError
from occlufer.pipeline import stages_before
from occlufer.record import Facts, Record, Reject, Result, Vote
from occlufer.stages import FollowingStage, SetStage, Stage, run_stage
from occlufer.workspace import Workspace, open_workspace

Textured = Callable[..., NDArray[np.uint8]]
Words = NDArray[np.uint64]

NUMBERS = 14
# Found alike by the edges of dedup's index, and by looking at every hash, as these are wider.
NARROW = LeaksConfig(phash64_bits=12, phash256_bits=60, part_bits=40)
WIDE = LeaksConfig(phash64_bits=16, phash256_bits=70, part_bits=60)
DEDUP = DedupConfig(group_size=2, block_difference=0.0)


# Samples ------------------------------------------------------------------------------------------


def hashes(number: int) -> dict[str, Words]:
    """Return hashes on a line: 5 of 64 and 20 of 256 bits from one number to the next.

    Odd ones are near by their mirror image, every third one by a part only.
    """
    rng = np.random.default_rng(number)
    views64 = rng.integers(0, 2**64 - 1, len(HASHED), dtype=np.uint64)
    views256 = rng.integers(0, 2**64 - 1, (len(HASHED), 4), dtype=np.uint64)
    names = ["upper part"] if number % 3 == 0 else [ITSELF, *([MIRROR] if number % 2 else [])]
    for name in names:
        line = "upper part" if number % 3 == 0 else ITSELF
        views64[POSITION[name]] = on_line(line, 1, 5 * (number // 2))[0]
        views256[POSITION[name]] = on_line(line, 4, 20 * (number // 2) + (name == MIRROR))
    rows = (views64[:1], views256[0], views64[:1], views64, views256)
    return dict(zip(SHAPES, rows, strict=True))


def on_line(name: str, words: int, flips: int) -> Words:
    rng = np.random.default_rng(len(name))
    bits = np.unpackbits(rng.integers(0, 2**64 - 1, words, dtype=np.uint64).view(np.uint8))
    bits[:flips] ^= 1
    return np.packbits(bits).view(np.uint64)


def image_of(number: int) -> str:
    return f"image{number:02d}"


def put_found(workspace: Workspace, textured: Textured) -> None:
    """Put what the image stages find out about every picture; one of them is rejected.

    Two each show the same: where their hashes are near, one of them is dropped.
    """
    catalog = workspace.catalog
    for number in range(NUMBERS):
        pixels = textured(number // 2, 32, 32)
        crop = workspace.images.put(encode_png(pixels))
        faces = {"crop": crop, "width": 32, "height": 32}
        image = image_of(number)
        found = {name: in_hex(words) for name, words in hashes(number).items()}
        catalog.put_results("faces", [Result(image, faces)])
        catalog.put_results("parts", [Result(image)])
        catalog.put_results("occlusion", [Result(image, {}, Reject("x") if number == 5 else None)])
        found["sketch"] = sketch_of(pixels[..., 0]).to_json()
        catalog.put_results("hashes", [Result(image, {**found, "size_bytes": 9})])
        catalog.put_results("takedown", [Result(image)])
        catalog.put_results("rights", [Result(image, {"rights": "index_only"})])


def register(workspace: Workspace, numbers: Iterable[int]) -> None:
    known = list(numbers)
    path = workspace.folder / "leaks" / "rival.parquet"
    write_table(path, [f"t{n}.png" for n in known], table_of(hashes(n) for n in known))


# Stages -------------------------------------------------------------------------------------------

Splits = frozenset[int]


def labelled(workspace: Workspace) -> Iterator[Result]:
    for image in workspace.catalog.images_passing(stages_before("labels")):
        yield Result(image, {"label": "anger"})


def divided(workspace: Workspace, validating: Splits) -> Iterator[Result]:
    for image in workspace.catalog.images_passing(stages_before("split")):
        split = "validation" if int(image[-2:]) in validating else "train"
        yield Result(image, {"split": split})


def leaks_stage(rules: LeaksConfig, registered: Splits) -> FollowingStage:
    whole = partial(leaks.find_leaks, settings=rules)
    update = partial(leaks.follow, settings=rules, near=DEDUP)
    gate = partial(leaks.check_leaks, settings=rules)
    params = {**vars(rules), "registered": sorted(registered)}
    return FollowingStage("leaks", leaks.AFTER, params, whole, update, gate)


def before_leaks(validating: Splits) -> list[Stage]:
    whole = partial(dedup.cluster_samples, settings=DEDUP, groups={})
    update = partial(dedup.follow, settings=DEDUP, groups={})
    split = partial(divided, validating=validating)
    return [
        FollowingStage("dedup", dedup.AFTER, {}, whole, update),
        SetStage("labels", stages_before("labels"), {}, labelled),
        SetStage("split", stages_before("split"), {"v": sorted(validating)}, split),
    ]


def not_followed(workspace: Workspace, state: str) -> Iterator[Result]:
    raise AssertionError("not followed")


def run(workspace: Workspace, stage: FollowingStage, validating: Splits) -> bool:
    """Run all stages, and return whether the gate has let the build go on."""
    for before in before_leaks(validating):
        run_stage(before, workspace)
    try:
        run_stage(stage, workspace)
    except GateError:
        return False
    return True


def rows_of_list(workspace: Workspace) -> list[list[str]]:
    with (workspace.folder / "leaks.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def agrees(workspace: Workspace, rules: LeaksConfig, went_on: bool) -> None:
    """Compare results, list and gate with those of a search of all."""
    rows = rows_of_list(workspace)
    results = list(workspace.catalog.results("leaks"))
    assert results == list(leaks.find_leaks(workspace, "", rules))
    assert rows == rows_of_list(workspace)
    hits = any(result.value["hits"] for result in results)
    assert went_on == (rules.action != "fail" or not hits)


# Changes ------------------------------------------------------------------------------------------


def record(name: str, number: int, rank: int = 0, test_set: str | None = None) -> Record:
    facts = Facts(votes=(Vote("r", "anger"),), test_set=test_set)
    stamp = f"{number} {test_set}"
    return Record(f"s{rank}/{name}", f"s{rank}", stamp, facts, image_of(number), rank=rank)


RECORDS = st.builds(
    record,
    st.sampled_from("0123456789"),
    st.integers(0, NUMBERS - 1),
    st.integers(0, 1),
    st.sampled_from([None, None, None, "A test", "B test"]),
)
GONE = st.builds("s{}/{}".format, st.integers(0, 1), st.sampled_from("0123456789"))
VALIDATING = st.frozensets(st.integers(0, NUMBERS - 1), max_size=6)
STEPS = st.lists(
    st.tuples(st.lists(RECORDS | GONE, max_size=3), st.none() | VALIDATING, st.booleans()),
    max_size=6,
)


def change(workspace: Workspace, changes: Iterable[Record | str]) -> None:
    for change in changes:
        if isinstance(change, str):
            workspace.catalog.forget_records([change])
        else:
            workspace.catalog.put_records([change])


def killed(*arguments: object) -> None:
    raise KeyboardInterrupt


@settings(max_examples=60)
@given(
    st.lists(RECORDS, min_size=6, max_size=20),
    STEPS,
    VALIDATING,
    st.sampled_from([NARROW, WIDE]),
    st.sampled_from(["fail", "drop", "report"]),
    st.frozensets(st.integers(0, NUMBERS - 1), max_size=2),
)
def test_following_ends_where_a_search_of_all_does(
    textured: Textured,
    tmp_path_factory: pytest.TempPathFactory,
    first: list[Record],
    steps: list[tuple[list[Record | str], Splits | None, bool]],
    validating: Splits,
    rules: LeaksConfig,
    action: str,
    registered: Splits,
) -> None:
    rules = dataclasses.replace(rules, action=action)
    stage = leaks_stage(rules, registered)
    never_whole = dataclasses.replace(stage, whole=not_followed)
    with open_workspace(tmp_path_factory.mktemp("leaks")) as workspace:
        put_found(workspace, textured)
        if registered:
            register(workspace, registered)
        change(workspace, first)
        run(workspace, stage, validating)
        for changes, other, kill in steps:
            change(workspace, changes)
            validating = validating if other is None else other
            if kill:
                with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
                    patch.setattr(leaks, "results_of", killed)
                    patch.setattr("occlufer.builders.leakage.leak_changes.results_of", killed)
                    run(workspace, never_whole, validating)
            went_on = run(workspace, never_whole, validating)
            agrees(workspace, rules, went_on)
            assert run(workspace, never_whole, validating) == went_on


# What is not followed -----------------------------------------------------------------------------


@pytest.fixture
def followed(workspace: Workspace, textured: Textured) -> Workspace:
    """A workspace whose leaks are known: 1 and 4 are near, and one of them validates."""
    put_found(workspace, textured)
    change(workspace, [record(str(n), n) for n in (1, 4, 9, 13)])
    run(workspace, leaks_stage(NARROW, frozenset()), frozenset({4}))
    assert [r.image for r in workspace.catalog.results_with_hits()] == ["image01"]
    return workspace


def test_one_more_is_compared_and_no_other_result_written(followed: Workspace) -> None:
    change(followed, [record("2", 2)])
    stage = dataclasses.replace(leaks_stage(NARROW, frozenset()), whole=not_followed)
    for before in before_leaks(frozenset({4})):
        run_stage(before, followed)
    with pytest.raises(GateError, match=r"s0/1 and s0/4 of our validation"):
        run_stage(stage, followed)
    images = [r.image for r in followed.catalog.results_with_hits()]
    assert images == ["image01", "image02"]


def test_a_test_picture_that_is_gone_takes_its_hits_along(followed: Workspace) -> None:
    change(followed, ["s0/4"])
    stage = dataclasses.replace(leaks_stage(NARROW, frozenset()), whole=not_followed)
    assert run(followed, stage, frozenset({4}))
    assert list(followed.catalog.results_with_hits()) == []
    assert rows_of_list(followed)[1:] == []


def test_pictures_that_cannot_be_compared_with_are_told_whenever_changes_are_followed(
    followed: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    change(followed, [record("2", 2), record("5", 5, test_set="A test")])
    stage = dataclasses.replace(leaks_stage(NARROW, frozenset()), whole=not_followed)
    run(followed, stage, frozenset({4}))
    assert "leaks: 1 pictures of the test set A test are not compared with" in caplog.text


def test_a_picture_of_a_test_set_that_validates_is_named_once(followed: Workspace) -> None:
    change(followed, [record("4", 4, test_set="A test")])
    stage = dataclasses.replace(leaks_stage(NARROW, frozenset()), whole=not_followed)
    assert not run(followed, stage, frozenset({4}))
    (found,) = followed.catalog.results_with_hits()
    assert [hit[:2] for hit in found.value["hits"]] == [["A test", "s0/4"]]
    agrees(followed, NARROW, went_on=False)


def spoil(folder: Path) -> None:
    path = folder / "index.sqlite"
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))


def leave_in_another_state(folder: Path) -> None:
    with sqlite3.connect(folder / "index.sqlite") as db:
        db.execute("UPDATE about SET value = 'another' WHERE key = 'state'")
    db.close()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": shutil.rmtree,
    "of-another-state": leave_in_another_state,
    "no-database": lambda folder: (folder / "index.sqlite").write_bytes(b"no database" * 400),
    "bad-pages": spoil,
    "short-hashes": lambda folder: (folder / "views64").write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_without_dedup_s_index_all_samples_are_searched(
    followed: Workspace, damage: Callable[[Path], object]
) -> None:
    change(followed, [record("2", 2)])
    for before in before_leaks(frozenset({4})):
        run_stage(before, followed)
    damage(followed.folder / "dedup")
    stage = leaks_stage(NARROW, frozenset())
    with pytest.raises(AssertionError, match="not followed"):
        run_stage(dataclasses.replace(stage, whole=not_followed), followed)
    with pytest.raises(GateError):
        run_stage(stage, followed)
    agrees(followed, NARROW, went_on=False)


def test_before_dedup_has_run_all_samples_are_searched(followed: Workspace) -> None:
    change(followed, [record("2", 2)])
    stage = dataclasses.replace(leaks_stage(NARROW, frozenset()), whole=not_followed)
    with pytest.raises(AssertionError, match="not followed"):
        run_stage(stage, followed)


@pytest.mark.parametrize(
    "bound", ["duplicates.kept_index.FEW_SAMPLES", "leakage.leak_changes.FEW_SCANS"]
)
def test_many_changes_are_not_followed_one_by_one(
    followed: Workspace, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    stage = leaks_stage(WIDE, frozenset())
    run(followed, stage, frozenset({4}))
    never_whole = dataclasses.replace(stage, whole=not_followed)
    change(followed, [record("2", 2)])
    run(followed, never_whole, frozenset({4}))
    monkeypatch.setattr(f"occlufer.builders.{bound}", 1)
    change(followed, [record("8", 8), record("3", 3)])
    with pytest.raises(AssertionError, match="not followed"):
        run(followed, never_whole, frozenset({4}))


def test_another_registered_set_is_compared_with_all(followed: Workspace) -> None:
    register(followed, [11])
    stage = leaks_stage(NARROW, frozenset({11}))
    assert not run(followed, stage, frozenset({4}))
    agrees(followed, NARROW, went_on=False)
    found = {hit for r in followed.catalog.results_with_hits() for hit in map(str, r.value["hits"])}
    assert any("'rival', 't11.png'" in hit for hit in found)


def test_a_picture_found_anew_after_damage_is_compared_again(
    followed: Workspace, textured: Textured
) -> None:
    followed.catalog.forget_image(followed.catalog.value("faces", "image01")["crop"])
    assert followed.catalog.passing_among(["image01"], ("faces",)) == set()
    put_found(followed, textured)
    went_on = run(followed, leaks_stage(NARROW, frozenset()), frozenset({4}))
    agrees(followed, NARROW, went_on)
    assert not went_on


def test_the_gate_reads_no_result_without_a_hit(
    followed: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(stage: str) -> Any:
        raise AssertionError(f"all results of {stage} were read")

    with monkeypatch.context() as patch:
        patch.setattr(followed.catalog, "results", none)
        with pytest.raises(GateError):
            run_stage(leaks_stage(NARROW, frozenset()), followed)
