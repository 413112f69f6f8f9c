"""Of one picture that several hold, the strictest rights count; blocked ones are not published."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer.build import BuildSummary, build
from occlufer.builders import gather
from occlufer.builders.rights import find_rights, follow
from occlufer.builders.sources.entry import Entry, Reading
from occlufer.config import BuildConfig, SourceConfig
from occlufer.record import CONTENTS, Facts, Record, Reject, Result, image_key
from occlufer.schema import RIGHTS
from occlufer.stages import Changes, FollowingStage, Update, run_stage
from occlufer.workspace import Workspace, open_workspace

Rows = dict[str, list[dict[str, Any]]]


def put(workspace: Workspace, *held: tuple[str, str | None, str, str]) -> None:
    """Put (source, sha256, content, rights); blocked ones without an image, as gather does."""
    for source, sha256, content, rights in held:
        blocked = rights == "blocked"
        evidence = {"sha256": sha256} if blocked and sha256 else None
        image = None if blocked or sha256 is None else image_key(sha256, content)
        facts = Facts(content=content, rights=rights, evidence=evidence)
        workspace.catalog.put_records([Record(f"{source}/1", source, "1", facts, image)])


def found(workspace: Workspace) -> dict[str, Result]:
    return {result.image: result for result in find_rights(workspace, "")}


@settings(max_examples=30)
@given(said=st.lists(st.sampled_from(RIGHTS), min_size=1, max_size=4))
def test_the_strictest_holder_counts_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, said: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("rights")
    with open_workspace(folder) as workspace:
        holders = [(f"s{i}", "aa", "crop", right) for i, right in enumerate(said)]
        put(workspace, *holders, ("other", "bb", "crop", "publishable"))
        results = found(workspace)
    strictest = max(said, key=RIGHTS.index)
    assert results["bb"] == Result("bb", {"rights": "publishable"})
    if set(said) == {"blocked"}:
        assert set(results) == {"bb"}
        return
    assert results["aa"].value == {"rights": strictest}
    reject = results["aa"].reject
    assert (reject.reason if reject else None) == ("blocked" if "blocked" in said else None)


def test_the_same_bytes_as_crop_and_as_photograph_have_the_same_rights(
    workspace: Workspace,
) -> None:
    put(workspace, ("a", "aa", "photograph", "publishable"), ("b", "aa", "crop", "index_only"))
    assert {image: r.value["rights"] for image, r in found(workspace).items()} == {
        "aa": "index_only",
        "aa.photograph": "index_only",
    }


def test_the_detail_names_the_record_that_is_blocked(workspace: Workspace) -> None:
    put(workspace, ("a", "aa", "photograph", "publishable"), ("b", "aa", "crop", "blocked"))
    (result,) = found(workspace).values()
    assert result.reject is not None
    assert result.reject.detail == "the bytes are those of b/1, which is blocked"


def test_a_blocked_record_that_could_not_be_read_blocks_itself_only(workspace: Workspace) -> None:
    put(workspace, ("a", "aa", "crop", "publishable"), ("b", None, "crop", "blocked"))
    assert found(workspace) == {"aa": Result("aa", {"rights": "publishable"})}


def test_a_record_that_tells_of_bytes_and_is_not_blocked_blocks_nothing(
    workspace: Workspace,
) -> None:
    put(workspace, ("a", "aa", "crop", "publishable"))
    workspace.catalog.put_records([held("1", "aa", "crop", "index_only", 0, kept=False)])
    assert found(workspace) == {"aa": Result("aa", {"rights": "publishable"})}


# Following ----------------------------------------------------------------------------------------


def held(name: str, sha256: str, content: str, right: str, rank: int, kept: bool) -> Record:
    """Return a record of these bytes, or of which only the evidence is kept."""
    facts = Facts(content=content, rights=right, evidence={"sha256": sha256})
    image = image_key(sha256, content) if kept else None
    reject = None if kept else Reject("blank")
    return Record(f"s{rank}/{name}", f"s{rank}", f"{sha256} {right}", facts, image, reject, rank)


HELD = st.builds(
    held,
    st.sampled_from("0123456789"),
    st.sampled_from(["aa", "ab", "bb"]),
    st.sampled_from(CONTENTS),
    st.sampled_from(RIGHTS),
    st.integers(0, 1),
    st.booleans(),
)
GONE = st.builds("s{}/{}".format, st.integers(0, 1), st.sampled_from("0123456789"))
MOVED = st.tuples(st.sampled_from(["s0", "s1"]), st.integers(0, 2))
STEPS = st.lists(st.lists(HELD | GONE | MOVED, min_size=1, max_size=3), max_size=10)


def change(workspace: Workspace, step: list[Any]) -> None:
    for change in step:
        if isinstance(change, Record):
            workspace.catalog.put_records([change])
        elif isinstance(change, str):
            workspace.catalog.forget_records([change])
        else:
            source, rank = change
            workspace.catalog.start_source(source, rank, "p")


def fail(*arguments: object) -> Iterator[Result]:
    raise KeyboardInterrupt


STAGE = FollowingStage("rights", (), {}, find_rights, follow)
NEVER_WHOLE = dataclasses.replace(STAGE, whole=fail)


@settings(max_examples=150)
@given(st.lists(HELD, max_size=8), STEPS, st.sets(st.integers(0, 9)))
def test_following_ends_where_a_search_of_all_does(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[Any],
    steps: list[list[Any]],
    killed: set[int],
) -> None:
    with open_workspace(tmp_path_factory.mktemp("rights")) as workspace:
        for source in ("s0", "s1"):
            workspace.catalog.start_source(source, int(source[1]), "p")
        change(workspace, first)
        run_stage(STAGE, workspace)
        for number, step in enumerate(steps):
            change(workspace, step)
            if number in killed:
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr("occlufer.change_log.put_mark", fail)
                    # Where a step changes nothing, there is nothing to follow, and no kill.
                    with contextlib.suppress(KeyboardInterrupt):
                        run_stage(NEVER_WHOLE, workspace)
                continue
            run_stage(NEVER_WHOLE, workspace)
            assert list(workspace.catalog.results("rights")) == list(find_rights(workspace, ""))


def test_a_change_writes_no_rights_but_those_it_touches(workspace: Workspace) -> None:
    put(workspace, ("a", "aa", "crop", "publishable"), ("b", "bb", "crop", "publishable"))
    run_stage(STAGE, workspace)
    put(workspace, ("c", "aa", "photograph", "index_only"))
    assert run_stage(NEVER_WHOLE, workspace) == 2
    put(workspace, ("d", "bb", "crop", "blocked"))
    assert run_stage(NEVER_WHOLE, workspace) == 1
    assert workspace.catalog.passing_among(["aa", "aa.photograph", "bb"], ("rights",)) == {
        "aa",
        "aa.photograph",
    }


def test_many_changes_of_rights_are_not_followed_one_by_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occlufer.builders.same_bytes.FEW_IMAGES", 1)
    changes = Changes({"aa", "bb"}, "before", "after")
    assert follow(workspace, changes) is None
    assert follow(workspace, Changes({"aa"}, "before", "after")) == Update([], set())


# Gathering ----------------------------------------------------------------------------------------


def test_of_what_is_blocked_only_the_hash_is_kept(workspace: Workspace) -> None:
    facts = Facts(rights="blocked", licence="mine alone")
    entry = Entry("1", "stamp", facts, lambda: Reading(b"bytes"), place="list.csv, line 2")
    record = gather.read_entry(entry, "s", workspace.images)
    assert record.image is None
    assert record.reject is not None
    assert (record.reject.reason, record.stamp) == ("blocked", "stamp")
    assert record.reject.detail == "list.csv, line 2: rights: mine alone"
    assert record.facts.evidence == {
        "sha256": "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"
    }
    assert not (workspace.folder / "images").exists()


def test_what_is_blocked_and_cannot_be_read_is_tried_again(workspace: Workspace) -> None:
    def fail() -> Reading:
        raise OSError(5, "input/output error")

    entry = Entry("1", "stamp", Facts(rights="blocked"), fail)
    record = gather.read_entry(entry, "s", workspace.images)
    assert record.reject is not None
    assert (record.reject.reason, record.stamp, record.facts.evidence) == ("blocked", "", None)


# A whole build ------------------------------------------------------------------------------------


@pytest.fixture
def three(
    tmp_path: Path,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> BuildConfig:
    """An open folder, one whose pictures are not to be passed on, and one that is blocked."""
    pictures = [encoded(textured(i, 48, 48)) for i in range(6)]
    held = {
        "open": ("CC-BY-4.0", "", (0, 1, 2, 3)),
        "closed": ("academic use", "", (1, 4)),
        "withdrawn": ("CC-BY-4.0", "blocked", (2, 5)),
    }
    sources = []
    for name, (licence, rights, numbers) in held.items():
        files = {f"{'happy' if i % 2 else 'sad'}/{i}.png": pictures[i] for i in numbers}
        path = write_tree(tmp_path / name, files)
        settings = {"path": str(path), "licence": licence, "rights": rights, "attribution": "*me*"}
        sources.append(SourceConfig("image_folder", name, settings))
    places = (tmp_path / "occlu_fer", tmp_path / "workspace")
    return BuildConfig(tuple(sources), *places, workers=1)


def rows_by_id(summary: BuildSummary, rows_of: Callable[[Path], Rows]) -> dict[str, dict[str, Any]]:
    rows = [row for rows in rows_of(summary.out).values() for row in rows]
    return {f"{row['source']}/{row['source_id']}": row for row in rows}


def test_what_anybody_blocks_is_not_published_and_never_silently(
    three: BuildConfig, rows_of: Callable[[Path], Rows]
) -> None:
    summary = build(three)
    assert {name: row["rights"] for name, row in rows_by_id(summary, rows_of).items()} == {
        "open/sad/0.png": "publishable",
        "open/happy/1.png": "index_only",  # "closed" holds it too
        "open/happy/3.png": "publishable",
        "closed/sad/4.png": "index_only",
    }
    with summary.rejected_list.open(encoding="utf-8", newline="") as file:
        rest = {r["record"]: (r["stage"], r["reason"], r["detail"]) for r in csv.DictReader(file)}
    assert rest == {
        "open/sad/2.png": (
            *("rights", "blocked"),
            "the bytes are those of withdrawn/sad/2.png, which is blocked",
        ),
        "closed/happy/1.png": ("dedup", "same_bytes", "as open/happy/1.png"),
        "withdrawn/sad/2.png": ("gather", "blocked", "rights: CC-BY-4.0"),
        "withdrawn/happy/5.png": ("gather", "blocked", "rights: CC-BY-4.0"),
    }
    assert summary.rejected == {"blocked": 3, "same_bytes": 1}


def test_the_lock_and_the_card_count_samples_by_rights(three: BuildConfig) -> None:
    summary = build(three)
    lock = json.loads((summary.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    assert {name: terms["rights"] for name, terms in lock["sources"].items()} == {
        "open": {"publishable": 2, "index_only": 1, "blocked": 0},
        "closed": {"publishable": 0, "index_only": 1, "blocked": 0},
    }
    card = (summary.out / "README.md").read_text(encoding="utf-8")
    assert "2 samples are publishable, 2 index_only." in card
    assert "must not be passed on" in " ".join(card.split())
    assert "| open | 3 | 2 | 1 | CC-BY-4.0 | \\*me\\* |" in card
    attribution = (summary.out / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "| open | 3 | CC-BY-4.0 | \\*me\\* |" in attribution
    assert "| closed | 1 | academic use | \\*me\\* |" in attribution


def test_what_is_withdrawn_no_more_is_published_again(three: BuildConfig) -> None:
    assert build(three).published == 4
    summary = build(dataclasses.replace(three, sources=three.sources[:2]))
    assert summary.published == 5
    assert "blocked" not in summary.rejected
    assert build(three).published == 4
