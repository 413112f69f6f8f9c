"""Folders of images: what their class folders mean, and files that no picture is in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from occlufer.builders.gather import gather
from occlufer.builders.sources import image_folder
from occlufer.builders.sources.image_folder import Settings, entries
from occlufer.config import SourceConfig
from occlufer.errors import MissingError, UsageError
from occlufer.workspace import Workspace

Write = Callable[[Path, Mapping[str, bytes]], Path]


def listed(path: Path, **settings: Any) -> dict[str, Any]:
    return {entry.source_id: entry for entry in entries(Settings(path, **settings), "s")}


def label(entry: Any) -> str | None:
    return entry.facts.votes[0].label if entry.facts.votes else None


@pytest.mark.parametrize(
    ("word", "expected"),
    [("happy", "happiness"), ("HA", "happiness"), ("Contempt", "contempt"), ("Fearful", "fear")],
)
def test_usual_spellings_of_class_folders_are_known(
    tmp_path: Path, write_tree: Write, word: str, expected: str
) -> None:
    write_tree(tmp_path, {f"{word}/1.jpg": b"x"})
    assert label(listed(tmp_path)[f"{word}/1.jpg"]) == expected


@pytest.mark.parametrize("word", ["grumpy", "7", "0", "happy2"])
def test_an_unknown_class_folder_is_refused_by_name(
    tmp_path: Path, write_tree: Write, word: str
) -> None:
    write_tree(tmp_path, {"sad/1.jpg": b"x", f"{word}/1.jpg": b"x"})
    with pytest.raises(UsageError) as caught:
        listed(tmp_path)
    message = str(caught.value)
    for part in (str(tmp_path / word), repr(word), "anger, disgust", f'"{word}" = ', '"none"'):
        assert part in message


def test_a_label_map_gives_numbers_their_meaning(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path, {"0/a": b"", "1/b": b"", "sad/c": b"", "odd/d": b""})
    label_map = {"0": "surprise", "1": "fear", "SAD": "anger", "odd": "unlabelled"}
    found = listed(tmp_path, label_map=label_map)
    assert {name: label(entry) for name, entry in found.items()} == {
        "0/a": "surprise",
        "1/b": "fear",
        "sad/c": "anger",
        "odd/d": None,
    }


def test_a_label_map_names_a_split_s_folder_in_any_case(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path, {"sad/1.jpg": b"x", "Test/2.jpg": b"y"})
    found = listed(tmp_path, label_map={"Test": "unlabelled"})
    assert {name: label(entry) for name, entry in found.items()} == {
        "sad/1.jpg": "sadness",
        "Test/2.jpg": None,
    }


def test_what_a_system_has_left_beside_the_class_folders_is_no_class(
    tmp_path: Path, write_tree: Write
) -> None:
    left = ["__MACOSX/._1.jpg", ".ipynb_checkpoints/1.jpg", ".git/a/b"]
    write_tree(tmp_path, {"sad/1.jpg": b"x", **dict.fromkeys(left, b"y")})
    found = listed(tmp_path)
    reasons = {name: entry.reject and entry.reject.reason for name, entry in found.items()}
    assert reasons == {"sad/1.jpg": None, **dict.fromkeys(left, "system_file")}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"label_map": {"0": "joy"}}, ("label_map, '0'", "'joy'", "happiness", "unlabelled")),
        ({"labels": "folders"}, ("labels", "'folders'", "folder or none")),
        ({"content": "photo"}, ("content", "'photo'", "crop or photograph")),
    ],
    ids=["label_map", "labels", "content"],
)
def test_settings_that_mean_nothing_are_refused(
    tmp_path: Path, settings: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ValueError, match="found") as caught:
        Settings(tmp_path, **settings)
    assert all(word in str(caught.value) for word in words)


def test_files_beside_the_class_folders_are_rejected(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path, {"sad/1.jpg": b"x", "README.txt": b"hello"})
    found = listed(tmp_path)
    assert found["README.txt"].reject.reason == "no_class"
    assert found["sad/1.jpg"].reject is None


def test_without_labels_every_file_counts_and_none_votes(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path, {"grumpy/1.jpg": b"x", "2.jpg": b"y"})
    found = listed(tmp_path, labels="none")
    assert [entry.reject for entry in found.values()] == [None, None]
    assert [label(entry) for entry in found.values()] == [None, None]


def test_what_the_settings_say_stands_in_every_record(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path, {"sad/1.jpg": b"x"})
    said = {"content": "photograph", "source_split": "test", "licence": "CC0", "attribution": "me"}
    facts = listed(tmp_path, **said)["sad/1.jpg"].facts
    assert {name: getattr(facts, name) for name in said} == said


@pytest.mark.parametrize(
    ("split", "test_set"),
    [("Test", "t test"), ("PrivateTest", "t test"), ("test_mini", "t test"), ("train", None)],
)
def test_whatever_is_called_a_test_never_trains(
    tmp_path: Path, write_tree: Write, split: str, test_set: str | None
) -> None:
    write_tree(tmp_path, {"happy/a.png": b""})
    (entry,) = entries(Settings(tmp_path, source_split=split), "t")
    assert entry.facts.test_set == test_set


def test_a_split_s_word_is_known_in_every_spelling(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path, {"happy/a.png": b""})
    for said, split in {"Test": "test", "val": "validation", "Fold 3": "Fold 3", "": None}.items():
        (entry,) = entries(Settings(tmp_path, source_split=said), "t")
        assert entry.facts.source_split == split


@pytest.mark.parametrize("inner", [None, "sad"], ids=["no-folder", "an-empty-class"])
def test_an_empty_folder_is_missing_its_files(tmp_path: Path, inner: str | None) -> None:
    if inner:
        (tmp_path / inner).mkdir()
    with pytest.raises(MissingError, match=r"found no file in it; expected .*\*\.jpg"):
        listed(tmp_path)


def test_entries_come_in_one_order_whoever_wrote_the_files(
    tmp_path: Path, write_tree: Write
) -> None:
    names = [f"sad/{n}.jpg" for n in (3, 1, 2)] + ["fear/9.jpg", "fear/10.jpg"]
    write_tree(tmp_path, dict.fromkeys(names, b"x"))
    assert list(listed(tmp_path)) == sorted(names)


def test_a_link_that_goes_round_ends(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path, {"sad/1.jpg": b"x"})
    (tmp_path / "sad/round").symlink_to(tmp_path / "sad")
    (tmp_path / "sad/itself").symlink_to(tmp_path / "sad/itself")
    found = listed(tmp_path)
    assert sorted(found) == ["sad/1.jpg", "sad/itself", "sad/round"]
    assert found["sad/1.jpg"].reject is None
    assert found["sad/itself"].reject.reason in ("unreadable", "not_a_file")
    assert found["sad/round"].reject.reason == "not_a_file"


def test_links_within_the_source_are_followed(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path, {"sad/1.jpg": b"x"})
    (tmp_path / "sad/2.jpg").symlink_to("1.jpg")
    (tmp_path / "fear").symlink_to("sad")
    found = listed(tmp_path)
    assert {name: (label(e), e.reject) for name, e in found.items()} == {
        "fear/1.jpg": ("fear", None),
        "fear/2.jpg": ("fear", None),
        "sad/1.jpg": ("sadness", None),
        "sad/2.jpg": ("sadness", None),
    }


def test_links_outside_the_source_are_not_read(tmp_path: Path, write_tree: Write) -> None:
    root = write_tree(tmp_path / "faces", {"sad/1.jpg": b"x"})
    write_tree(tmp_path / "private", {"secret.jpg": b"s"})
    (root / "sad/file.jpg").symlink_to(tmp_path / "private/secret.jpg")
    (root / "sad/folder").symlink_to(tmp_path / "private")
    found = listed(root)
    assert sorted(found) == ["sad/1.jpg", "sad/file.jpg", "sad/folder"]
    assert found["sad/file.jpg"].reject.reason == "outside_source"
    assert found["sad/folder"].reject.reason == "outside_source"


def test_a_source_that_is_itself_a_link_is_read(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path / "faces", {"sad/1.jpg": b"x"})
    (tmp_path / "link").symlink_to("faces")
    assert listed(tmp_path / "link")["sad/1.jpg"].reject is None


def test_a_pipe_is_never_opened(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "faces/sad").mkdir(parents=True)
    os.mkfifo(tmp_path / "faces/sad/pipe.jpg")
    source = SourceConfig("image_folder", "s", {"path": str(tmp_path / "faces")})
    gather((source,), workspace, 1)  # would wait for ever
    (record,) = workspace.catalog.records()
    assert record.reject is not None
    assert record.reject.reason == "not_a_file"


def gathered(folder: Path, workspace: Workspace) -> dict[str, str]:
    gather((SourceConfig("image_folder", "s", {"path": str(folder)}),), workspace, 1)
    found = workspace.catalog.records()
    return {r.source_id: r.reject.reason if r.reject else "" for r in found}


def test_names_that_are_no_utf8_are_written_out(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "faces/sad").mkdir(parents=True)
    raw = os.fsencode(tmp_path / "faces/sad") + b"/caf\xe9.jpg"
    Path(os.fsdecode(raw)).write_bytes(b"")
    assert gathered(tmp_path / "faces", workspace) == {"sad/caf\\xe9.jpg": "empty_file"}


def test_a_written_out_name_is_not_taken_for_another_file(
    tmp_path: Path, workspace: Workspace
) -> None:
    (tmp_path / "faces/sad").mkdir(parents=True)
    for name in (b"caf\xe9.jpg", b"caf\\xe9.jpg"):
        Path(os.fsdecode(os.fsencode(tmp_path / "faces/sad") + b"/" + name)).write_bytes(b"")
    assert len(gathered(tmp_path / "faces", workspace)) == 2


def test_a_link_to_a_name_that_is_no_utf8_is_rejected(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "faces/sad").mkdir(parents=True)
    target = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9.jpg"))
    target.write_bytes(b"x")
    (tmp_path / "faces/sad/link.jpg").symlink_to(target)
    assert gathered(tmp_path / "faces", workspace) == {"sad/link.jpg": "outside_source"}


def test_a_dangling_link_is_rejected(tmp_path: Path, workspace: Workspace) -> None:
    (tmp_path / "faces/sad").mkdir(parents=True)
    (tmp_path / "faces/sad/gone.jpg").symlink_to("nowhere.jpg")
    assert gathered(tmp_path / "faces", workspace) == {"sad/gone.jpg": "unreadable"}


def test_class_folders_are_recognised(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path, {"HA/1.jpg": b"", "anger/1.jpg": b"", "notes/x": b""})
    assert image_folder.detect(tmp_path) == "2 class folders: HA, anger"
    assert image_folder.detect(tmp_path / "notes") is None


def test_the_real_folder_of_eight_classes_is_listed_whole(real_data: Path) -> None:
    root = real_data / "fer8"
    found = listed(root)
    assert len(found) == sum(len(files) for _, _, files in os.walk(root)) > 1000
    assert {label(entry) for entry in found.values()} == {p.name for p in root.iterdir()}
