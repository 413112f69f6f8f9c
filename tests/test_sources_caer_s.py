"""CAER-S, and what is common to all sets with a folder per split and class."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.builders.detection import find
from occlufer.builders.gather import check_terms, gather
from occlufer.builders.sources import caer_s, class_tree
from occlufer.builders.sources.adapters import recognised
from occlufer.builders.sources.caer_s import Settings, entries
from occlufer.config import SourceConfig
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.workspace import Workspace

Write = Callable[[Path, Mapping[str, bytes]], Path]
FOLDERS = ["Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
LABELS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
WHOLE = [f"{split}/{word}/0001.png" for split in ("test", "train") for word in FOLDERS]


def listed(path: Path) -> dict[str, Any]:
    return {entry.source_id: entry for entry in entries(Settings(path), "c")}


def reasons(path: Path) -> dict[str, str]:
    return {name: e.reject.reason for name, e in listed(path).items() if e.reject}


@pytest.fixture
def frame(encoded: Callable[..., bytes]) -> bytes:
    return encoded(np.zeros((400, 712, 3), np.uint8))


@pytest.fixture
def whole(tmp_path: Path, write_tree: Write) -> Path:
    return write_tree(tmp_path / "CAER-S", dict.fromkeys(WHOLE, b""))


def test_the_classes_are_the_set_s_own() -> None:
    assert dict(zip(FOLDERS, LABELS, strict=True)) == caer_s.CLASSES


def test_every_file_is_listed_with_its_split_and_class(whole: Path) -> None:
    found = listed(whole)
    assert list(found) == WHOLE
    assert [e.facts.votes[0].label for e in found.values()] == LABELS * 2
    assert [e.facts.source_label for e in found.values()] == FOLDERS * 2
    assert not reasons(whole)


def test_train_may_train_and_the_test_is_a_test_set(whole: Path) -> None:
    facts = [entry.facts for entry in listed(whole).values()]
    assert {(f.source_split, f.test_set) for f in facts} == {
        ("train", None),
        ("test", "CAER-S test"),
    }


def test_the_pictures_are_frames_to_be_cut_and_nothing_may_be_passed_on(whole: Path) -> None:
    for entry in listed(whole).values():
        assert (entry.facts.content, entry.facts.rights) == ("photograph", "index_only")
        assert "no redistribution" in entry.facts.licence
        assert entry.facts.attribution.startswith("Lee et al.")


def test_a_build_does_not_ask_for_its_terms() -> None:
    check_terms((SourceConfig("caer_s", "c", {"path": "x"}),), ())


def test_the_folder_above_gives_the_same_records(whole: Path) -> None:
    assert list(listed(whole.parent)) == list(listed(whole))


def test_the_set_s_name_tells_it_from_its_neighbours(whole: Path, write_tree: Write) -> None:
    write_tree(whole.parent / "fer2013", {"train/angry/1.jpg": b"", "test/sad/1.jpg": b""})
    assert list(listed(whole.parent)) == WHOLE


def test_pictures_become_images_and_files_without_one_rejects(
    tmp_path: Path,
    write_tree: Write,
    frame: bytes,
    workspace: Workspace,
    encoded: Any,
    textured: Any,
) -> None:
    picture = encoded(textured(1, 400, 712))
    files = {"train/Sad/0001.png": picture, "train/Sad/a.csv": b"1,2", "train/Sad/0002.png": frame}
    root = write_tree(tmp_path / "CAER-S", files)
    gather((SourceConfig("caer_s", "c", {"path": str(root)}),), workspace, 1)
    found = {r.source_id: r for r in workspace.catalog.records()}
    assert {name: r.reject and r.reject.reason for name, r in found.items()} == {
        "train/Sad/0001.png": None,
        "train/Sad/0002.png": "blank",
        "train/Sad/a.csv": "not_an_image",
    }
    assert str(found["train/Sad/0001.png"].image).endswith(".photograph")


# What is recognised -------------------------------------------------------------------------------


def test_the_set_is_recognised_by_its_name_or_by_the_size_of_its_frames(
    tmp_path: Path, write_tree: Write, whole: Path, frame: bytes
) -> None:
    other = write_tree(tmp_path / "frames", dict.fromkeys(WHOLE, frame))
    for path in (whole, other):
        assert recognised(path) == ("caer_s", "CAER-S, test, train")


def test_a_link_that_bears_the_name_is_recognised(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path / "data", dict.fromkeys(WHOLE, b""))
    (tmp_path / "caer_s").symlink_to("data")
    assert caer_s.detect(tmp_path / "caer_s") == "CAER-S, test, train"
    assert caer_s.detect(tmp_path / "data") is None


@pytest.mark.parametrize(
    ("gone", "what"),
    [
        ("test/", "CAER-S, train; no test"),
        ("train/", "CAER-S, test; no train"),
        ("train/Fear/", "CAER-S, test, train (without Fear)"),
        ("test/S", "CAER-S, test (without Sad, Surprise), train"),
    ],
    ids=["no-test", "no-train", "no-fear", "two-classes"],
)
def test_a_copy_in_part_is_recognised_and_what_is_not_there_is_said(
    tmp_path: Path, write_tree: Write, gone: str, what: str
) -> None:
    kept = [name for name in WHOLE if not name.startswith(gone)]
    root = write_tree(tmp_path / "CAER_S", dict.fromkeys(kept, b""))
    assert caer_s.detect(root) == what
    assert len(listed(root)) == len(kept)


def test_the_folder_above_is_recognised_if_it_holds_nothing_else(
    whole: Path, write_tree: Write
) -> None:
    write_tree(whole.parent, {"CAER-S.zip": b"", "__MACOSX/CAER-S/._train": b""})
    assert caer_s.detect(whole.parent) == "CAER-S, test, train"
    (whole.parent / "other").mkdir()
    assert caer_s.detect(whole.parent) is None


SEVEN = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("data", WHOLE),
        ("fer2013", [f"{s}/{c}/1.jpg" for s in ("train", "test") for c in SEVEN]),
        ("SFEW", [f"{s}/{c.title()}/1.png" for s in ("Train", "Val") for c in SEVEN]),
        ("NCAER-S", [name.replace("test", "val") for name in WHOLE]),
        ("CAER", [name.replace("png", "avi") for name in WHOLE]),
        ("CAER-S", ["train/images/1.png"]),
        ("CAER-S", ["Anger/1.png"]),
        ("CAER-S", []),
    ],
    ids=["own", "fer2013", "sfew", "ncaer-s", "caer-videos", "no-class", "no-split", "empty"],
)
def test_other_folders_are_not_taken_for_it(
    tmp_path: Path, write_tree: Write, folder: str, names: list[str], encoded: Any
) -> None:
    picture = encoded(np.zeros((8, 8, 3), np.uint8))
    root = write_tree(tmp_path / folder, dict.fromkeys(names, picture))
    assert caer_s.detect(root) is None


def test_a_file_is_not_taken_for_it(tmp_path: Path) -> None:
    (tmp_path / "CAER-S").write_bytes(b"")
    assert caer_s.detect(tmp_path / "CAER-S") is None


def test_detection_counts_by_split_and_class(whole: Path) -> None:
    found = find(whole)
    assert (found.kind, found.records, found.missing) == ("caer_s", 14, "")
    assert found.splits == {split: dict.fromkeys(LABELS, 1) for split in ("train", "test")}
    assert found.table_1 is None


# What is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        ([], MissingError, ("found no folder, expected train/ and test/", "caer-dataset")),
        (["faces/1.png"], MissingError, ("found faces, expected train/",)),
        (["train/1.png"], MissingError, ("found no class folder in train", "caer-dataset")),
        (["train/4/1.png"], UsageError, ("train/4: found the class '4'", "Anger", "CAER-S has")),
        (["train/Contempt/1.png"], UsageError, ("found the class 'Contempt'",)),
    ],
    ids=["empty", "no-splits", "no-classes", "numbers", "no-class-of-the-set"],
)
def test_another_layout_is_refused(
    tmp_path: Path, write_tree: Write, names: list[str], error: type[Exception], words: list[str]
) -> None:
    write_tree(tmp_path / "x", dict.fromkeys(names, b""))
    with pytest.raises(error) as caught:
        next(entries(Settings(tmp_path / "x"), "c"))
    assert all(word in str(caught.value) for word in words)
    assert "label_map" not in str(caught.value)


def test_a_missing_folder_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"none: no such folder; .*caer-dataset\.github\.io"):
        next(entries(Settings(tmp_path / "none"), "c"))


# What is common to all trees of splits and classes ------------------------------------------------


def test_files_outside_the_classes_are_rejected(whole: Path, write_tree: Write) -> None:
    names = ("readme.txt", "train/list.txt", "other/Anger/1.png", "train.png")
    write_tree(whole, dict.fromkeys(names, b""))
    assert reasons(whole) == dict.fromkeys(names, "no_class")


def test_what_systems_leave_behind_is_rejected_by_a_reason_of_its_own(
    whole: Path, write_tree: Write
) -> None:
    names = (
        *("__MACOSX/train/Anger/._0001.png", ".DS_Store", "train/.DS_Store"),
        *("train/Anger/.DS_Store", "train/Anger/Thumbs.db", "test/Sad/desktop.ini"),
        *("train/.ipynb_checkpoints/0001.png", "train/__MACOSX/0001.png"),
    )
    write_tree(whole, dict.fromkeys(names, b""))
    assert reasons(whole) == dict.fromkeys(names, "system_file")
    assert len(listed(whole)) == len(WHOLE) + len(names)


def test_splits_and_classes_are_known_in_any_case_and_by_usual_spellings(
    tmp_path: Path, write_tree: Write
) -> None:
    root = write_tree(tmp_path / "x", {"Train/ANGRY/1.png": b"", "test/happiness/1.png": b""})
    found = {e.facts.source_split: e.facts for e in listed(root).values()}
    assert {s: f.votes[0].label for s, f in found.items()} == {
        "train": "anger",
        "test": "happiness",
    }
    assert found["train"].source_label == "ANGRY"


def test_a_split_unpacked_into_a_folder_of_its_name_is_read(
    tmp_path: Path, write_tree: Write
) -> None:
    names = ["test/test/Sad/1.png", "train/train/Sad/1.png"]
    root = write_tree(tmp_path / "CAER-S", dict.fromkeys(names, b""))
    assert {n: e.facts.source_split for n, e in listed(root).items()} == {
        names[0]: "test",
        names[1]: "train",
    }
    assert not reasons(root)


def test_folders_within_a_class_belong_to_it(tmp_path: Path, write_tree: Write) -> None:
    root = write_tree(tmp_path / "CAER-S", {"train/Sad/train/Anger/1.png": b""})
    (entry,) = listed(root).values()
    assert entry.facts.votes[0].label == "sadness"


def test_links_that_lead_out_or_round_are_rejected(
    tmp_path: Path, write_tree: Write, whole: Path
) -> None:
    write_tree(tmp_path / "private", {"secret.png": b"s"})
    (whole / "train/Sad/out.png").symlink_to(tmp_path / "private/secret.png")
    (whole / "train/train").symlink_to(whole / "train")
    (whole / "test/test").symlink_to(whole)
    (whole / "test/Angry").symlink_to(tmp_path / "private")
    found = reasons(whole)
    assert set(found) == {"train/Sad/out.png", "train/train", "test/test", "test/Angry"}
    assert found["train/Sad/out.png"] == found["test/Angry"] == "outside_source"


def test_names_that_are_no_utf8_are_written_out(whole: Path) -> None:
    (Path(os.fsdecode(os.fsencode(whole / "train/Sad") + b"/caf\xe9.png"))).write_bytes(b"")
    (Path(os.fsdecode(os.fsencode(whole) + b"/\xe9"))).write_bytes(b"")
    found = listed(whole)
    assert found["train/Sad/caf\\xe9.png"].reject is None
    assert reasons(whole) == {"\\xe9": "no_class"}


def test_a_class_folder_that_is_no_utf8_is_refused(whole: Path) -> None:
    Path(os.fsdecode(os.fsencode(whole / "train") + b"/\xe9")).mkdir()
    with pytest.raises(UsageError, match="found the class"):
        listed(whole)


def test_a_changed_file_has_another_stamp_and_no_other_has(whole: Path) -> None:
    before = {name: entry.stamp for name, entry in listed(whole).items()}
    (whole / WHOLE[0]).write_bytes(b"changed")
    after = {name: entry.stamp for name, entry in listed(whole).items()}
    assert [name for name in before if before[name] != after[name]] == [WHOLE[0]]


NAMES = st.sampled_from(
    ["train", "Test", "Anger", "sad", "4", "x.png", ".DS_Store", "__MACOSX", "é", "caer-s"]
)


@settings(max_examples=60)
@given(st.sets(st.lists(NAMES, min_size=1, max_size=5).map("/".join), max_size=8))
def test_no_file_of_any_tree_is_lost(names: set[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in sorted(names, key=len, reverse=True):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            if not (root / name).exists():
                (root / name).write_bytes(b"")
        caer_s.detect(root)
        held = class_tree.set_folder(root, caer_s.TREE)
        try:
            found = [entry.source_id for entry in entries(Settings(root), "c")]
        except OccluferError:
            return
        files = [p.relative_to(held).as_posix() for p in held.rglob("*") if p.is_file()]
        assert sorted(found) == sorted(files)
