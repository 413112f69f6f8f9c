"""Gather keeps the catalog up to date with the sources and accounts for everything they list."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from occlufer.builders.gather import check_terms, count_records, gather
from occlufer.config import SourceConfig
from occlufer.errors import MissingError, UsageError
from occlufer.record import Record
from occlufer.workspace import Workspace

Pixels = NDArray[np.uint8]
Write = Callable[[Path, Mapping[str, bytes]], Path]


@pytest.fixture
def faces(
    tmp_path: Path,
    textured: Callable[..., Pixels],
    encoded: Callable[..., bytes],
    write_tree: Write,
) -> Path:
    """Four pictures in two class folders."""
    names = ("happy/a.png", "happy/b.png", "sad/c.png", "sad/deep/er/d.png")
    files = {name: encoded(textured(i, 24, 24)) for i, name in enumerate(names)}
    return write_tree(tmp_path / "faces", files)


def folder(path: Path, name: str = "s", **settings: Any) -> SourceConfig:
    return SourceConfig("image_folder", name, {"path": str(path), **settings})


def records(workspace: Workspace) -> dict[str, Record]:
    return {record.source_id: record for record in workspace.catalog.records()}


def reasons(workspace: Workspace) -> dict[str, str]:
    found = records(workspace).items()
    return {name: record.reject.reason for name, record in found if record.reject}


def test_every_file_becomes_a_record_with_its_bytes(faces: Path, workspace: Workspace) -> None:
    assert gather((folder(faces),), workspace, 2) == 4
    found = records(workspace)
    assert sorted(found) == ["happy/a.png", "happy/b.png", "sad/c.png", "sad/deep/er/d.png"]
    for name, record in found.items():
        assert workspace.images.get(str(record.image)) == (faces / name).read_bytes()
        (vote,) = record.facts.votes
        assert vote.label == ("happiness" if name.startswith("happy") else "sadness")
        assert vote.rater == "source:s"


def test_a_second_run_reads_nothing(faces: Path, workspace: Workspace) -> None:
    gather((folder(faces),), workspace, 1)
    before = workspace.catalog.revisions(["gather"])
    assert gather((folder(faces),), workspace, 1) == 0
    assert workspace.catalog.revisions(["gather"]) == before


def test_changed_added_and_removed_files_are_noticed(
    faces: Path,
    workspace: Workspace,
    textured: Callable[..., Pixels],
    encoded: Callable[..., bytes],
) -> None:
    gather((folder(faces),), workspace, 1)
    (faces / "happy/a.png").write_bytes(encoded(textured(50, 24, 24)))
    (faces / "sad/new.png").write_bytes(encoded(textured(51, 24, 24)))
    (faces / "sad/c.png").unlink()
    assert gather((folder(faces),), workspace, 1) == 2
    found = records(workspace)
    assert sorted(found) == ["happy/a.png", "happy/b.png", "sad/deep/er/d.png", "sad/new.png"]
    for name in ("happy/a.png", "sad/new.png"):
        assert workspace.images.get(str(found[name].image)) == (faces / name).read_bytes()


def test_a_file_changed_in_place_with_the_same_size_is_noticed(
    faces: Path, workspace: Workspace
) -> None:
    path = faces / "happy/a.png"
    gather((folder(faces),), workspace, 1)
    path.write_bytes(bytes(path.stat().st_size))
    os.utime(path, ns=(10**18, 10**18))
    assert gather((folder(faces),), workspace, 1) == 1
    assert reasons(workspace) == {"happy/a.png": "not_an_image"}


def test_another_folder_under_the_same_name_is_read_anew(faces: Path, workspace: Workspace) -> None:
    """Same names, sizes and times of change are no proof of the same pictures."""
    gather((folder(faces),), workspace, 1)
    before = {r.id: r.image for r in workspace.catalog.records()}
    moved = faces.rename(faces.with_name("moved"))
    assert gather((folder(moved),), workspace, 1) == 4
    assert {r.id: r.image for r in workspace.catalog.records()} == before


def test_other_settings_read_a_source_anew_and_no_other(faces: Path, workspace: Workspace) -> None:
    pair = folder(faces, "one"), folder(faces, "two")
    assert gather(pair, workspace, 1) == 8
    pair = folder(faces, "one"), folder(faces, "two", label_map={"sad": "unlabelled"})
    assert gather(pair, workspace, 1) == 4
    votes = {r.id: len(r.facts.votes) for r in workspace.catalog.records()}
    assert (votes["one/sad/c.png"], votes["two/sad/c.png"], votes["two/happy/a.png"]) == (1, 0, 1)


def test_a_removed_source_is_forgotten(faces: Path, workspace: Workspace) -> None:
    gather((folder(faces, "one"), folder(faces, "two")), workspace, 1)
    gather((folder(faces, "two"),), workspace, 1)
    assert workspace.catalog.sources() == ["two"]


def test_the_first_source_in_the_config_speaks_for_shared_pictures(
    faces: Path, workspace: Workspace
) -> None:
    gather((folder(faces, "a"), folder(faces, "b")), workspace, 1)
    assert {rs[0].source for _, rs in workspace.catalog.holders()} == {"a"}
    gather((folder(faces, "b"), folder(faces, "a")), workspace, 1)
    assert {rs[0].source for _, rs in workspace.catalog.holders()} == {"b"}


def test_broken_files_are_rejected_with_their_reasons(
    faces: Path,
    workspace: Workspace,
    textured: Callable[..., Pixels],
    encoded: Callable[..., bytes],
    write_tree: Write,
) -> None:
    jpeg = encoded(textured(60), "JPEG")
    broken = {
        "happy/zero.jpg": b"",
        "happy/text.jpg": b"this is no picture\n" * 20,
        "happy/cut.jpg": jpeg[: len(jpeg) // 2],
        "happy/blank.png": encoded(np.full((32, 32, 3), 90, np.uint8)),
        "happy/tiny.png": encoded(textured(61, 8, 8)),
        "happy/Thumbs.db": b"\xd0\xcf\x11\xe0" * 9,
    }
    write_tree(faces, broken)
    assert gather((folder(faces),), workspace, 2) == 10
    assert reasons(workspace) == {
        "happy/zero.jpg": "empty_file",
        "happy/text.jpg": "not_an_image",
        "happy/cut.jpg": "undecodable",
        "happy/blank.png": "blank",
        "happy/tiny.png": "too_small",
        "happy/Thumbs.db": "not_an_image",
    }


@pytest.fixture
def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """`happy/a.png` cannot be read, as if the rights to it were missing; root has all rights."""
    from occlufer.builders.sources import entry, image_folder

    def read_file(path: Path) -> Any:
        if path.name == "a.png":
            raise PermissionError(13, "Permission denied", str(path))
        return entry.read_file(path)

    monkeypatch.setattr(image_folder, "read_file", read_file)


@pytest.mark.usefixtures("unreadable")
def test_an_unreadable_file_is_rejected_and_tried_again(
    faces: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    gather((folder(faces),), workspace, 2)
    assert reasons(workspace) == {"happy/a.png": "unreadable"}
    monkeypatch.undo()
    gather((folder(faces),), workspace, 2)
    assert reasons(workspace) == {}


@pytest.mark.usefixtures("unreadable")
def test_a_file_that_stays_unreadable_gives_later_stages_nothing_to_do(
    faces: Path, workspace: Workspace
) -> None:
    gather((folder(faces),), workspace, 1)
    before = workspace.catalog.revisions(["gather"])
    gather((folder(faces),), workspace, 1)
    assert workspace.catalog.revisions(["gather"]) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_read_permission_is_rejected(faces: Path, workspace: Workspace) -> None:
    (faces / "happy/a.png").chmod(0)
    gather((folder(faces),), workspace, 1)
    assert reasons(workspace) == {"happy/a.png": "unreadable"}


@pytest.mark.parametrize("kind", ["missing", "empty", "a-file", "unknown-class", "unknown-kind"])
def test_a_source_that_cannot_be_listed_leaves_the_catalog_untouched(
    faces: Path, workspace: Workspace, tmp_path: Path, kind: str
) -> None:
    gather((folder(faces),), workspace, 1)
    before = list(workspace.catalog.records()), workspace.catalog.revisions(["gather"])
    other = tmp_path / "other"
    error: type[Exception] = UsageError
    source = folder(other, "other")
    if kind == "missing":
        error = MissingError
    elif kind == "empty":
        error = MissingError
        other.mkdir()
    elif kind == "a-file":
        other.write_text("x")
    elif kind == "unknown-class":
        (other / "grumpy").mkdir(parents=True)
    else:
        source = SourceConfig("folder_of_images", "other", {})
    with pytest.raises(error, match="other"):
        gather((source,), workspace, 1)
    assert (list(workspace.catalog.records()), workspace.catalog.revisions(["gather"])) == before


def test_an_unknown_kind_names_those_that_are_known(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match=r"'imgs'.*fer2013, .*image_folder, synthetic"):
        gather((SourceConfig("imgs", "x", {}),), workspace, 1)


def test_an_unknown_setting_of_a_source_is_refused(faces: Path, workspace: Workspace) -> None:
    with pytest.raises(UsageError, match=r"source s: unknown key 'lables'; did you mean 'labels'"):
        gather((folder(faces, lables="none"),), workspace, 1)


def test_counting_reads_no_picture(faces: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail(f"{self} was read"))
    synthetic = SourceConfig("synthetic", "drawn", {"count": 17})
    assert count_records((folder(faces), synthetic)) == {"s": 4, "drawn": 17}


def test_the_number_of_workers_changes_no_record(
    faces: Path, workspace: Workspace, tmp_path: Path
) -> None:
    from occlufer.workspace import open_workspace

    drawn = SourceConfig("synthetic", "drawn", {"count": 25, "seed": 3})
    gather((folder(faces), drawn), workspace, 1)
    with open_workspace(tmp_path / "second") as second:
        gather((folder(faces), drawn), second, 5)
        assert list(second.catalog.records()) == list(workspace.catalog.records())


def table(path: Path, *rows: str) -> SourceConfig:
    """A table beside the pictures, with a column for each thing that a row may say."""
    path.with_suffix(".csv").write_text("\n".join(["image,label,test_set,rights", *rows]))
    settings = {"path": str(path.with_suffix(".csv")), "images": str(path), "licence": "CC0"}
    return SourceConfig("table", "t", settings)


FIRST = "happy/a.png,happy,,"


@pytest.mark.parametrize(
    ("again", "reason"),
    [
        (FIRST, "duplicate_row"),
        ("happy/a.png,sad,,", None),
        ("happy/a.png,happy,AffectNet validation,", None),
        ("happy/a.png,happy,,index_only", None),
        ("happy/a.png,happy,,blocked", "blocked"),
        ("gone.png,happy,,", "missing_file"),
    ],
    ids=["nothing-new", "label", "test-set", "stricter-rights", "blocked", "another"],
)
def test_what_is_said_of_a_picture_listed_again_counts(
    faces: Path, workspace: Workspace, again: str, reason: str | None
) -> None:
    gather((table(faces, FIRST, again, again),), workspace, 1)
    found = {name: record.reject for name, record in records(workspace).items()}
    assert len(found) == 3  # a record for each line
    name = "gone.png" if again.startswith("gone") else "happy/a.png#2"
    second = found[name]
    assert (second and second.reason) == reason
    last = found["gone.png#2" if again.startswith("gone") else "happy/a.png#3"]
    assert last is not None
    assert last.reason == "duplicate_row"


def test_a_listing_that_says_no_more_after_a_change_is_a_duplicate_row(
    faces: Path, workspace: Workspace
) -> None:
    gather((table(faces, FIRST, "happy/a.png,sad,,"),), workspace, 1)
    assert reasons(workspace) == {}
    gather((table(faces, "happy/a.png,sad,,", "happy/a.png,sad,,"),), workspace, 1)
    assert reasons(workspace) == {"happy/a.png#2": "duplicate_row"}


def test_all_terms_that_are_asked_for_are_named_at_once() -> None:
    kinds = ("raf_db", "caer_s", "sfew", "affectnet", "raf_db")
    sources = tuple(SourceConfig(kind, f"s{i}", {"path": "x"}) for i, kind in enumerate(kinds))
    with pytest.raises(UsageError) as caught:
        check_terms(sources, ("affectnet",))
    assert 'accept_terms = ["affectnet", "raf_db", "sfew"]' in str(caught.value)
    assert "source s0: RAF-DB" in str(caught.value)
    assert "source s2: SFEW" in str(caught.value)
