"""SFEW 2.0 as aligned faces and as whole frames, unpacked in every way that is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from occlufer.builders.detection import find
from occlufer.builders.gather import check_terms
from occlufer.builders.sources import sfew
from occlufer.builders.sources.adapters import recognised
from occlufer.builders.sources.sfew import Settings, entries
from occlufer.config import SourceConfig
from occlufer.errors import MissingError, UsageError

Write = Callable[[Path, Mapping[str, bytes]], Path]
FOLDERS = ["Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise"]
LABELS = ["anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"]
FILM = "Harry Potter and the Goblet of Fire_000123456_00000001.png"


def tree(train: str, val: str, test: str) -> list[str]:
    classed = [f"{split}/{word}/{FILM}" for split in (train, val) for word in FOLDERS]
    return [*classed, f"{test}/{FILM}"]


ALIGNED = tree("Train_Aligned_Faces", "Val_Aligned_Faces", "Test_Aligned_Faces")
FRAMES = tree("Train", "Val", "Test")


def listed(path: Path, **settings: Any) -> dict[str, Any]:
    return {entry.source_id: entry for entry in entries(Settings(path, **settings), "s")}


def samples(path: Path, **settings: Any) -> list[tuple[str, str | None]]:
    """What is listed without a reject: (split, label), in the order of the listing."""
    return [
        (e.facts.source_split, e.facts.votes[0].label if e.facts.votes else None)
        for e in listed(path, **settings).values()
        if e.reject is None
    ]


WANTED = [
    *[("train", label) for label in LABELS],
    *[("validation", label) for label in LABELS],
    ("test", None),
]


@pytest.fixture
def whole(tmp_path: Path, write_tree: Write) -> Path:
    return write_tree(tmp_path / "SFEW_2.0", dict.fromkeys([*ALIGNED, *FRAMES], b""))


def test_the_classes_are_the_set_s_own() -> None:
    assert dict(zip(FOLDERS, LABELS, strict=True)) == sfew.CLASSES


@pytest.mark.parametrize(
    ("pictures", "names", "content"),
    [("aligned", ALIGNED, "crop"), ("frames", FRAMES, "photograph")],
)
def test_the_chosen_pictures_are_samples_and_the_others_rejects(
    whole: Path, pictures: str, names: list[str], content: str
) -> None:
    found = listed(whole, pictures=pictures)
    assert len(found) == len(ALIGNED) + len(FRAMES)
    assert sorted(n for n, e in found.items() if e.reject is None) == sorted(names)
    assert sorted(samples(whole, pictures=pictures), key=str) == sorted(WANTED, key=str)
    assert {e.facts.content for e in found.values()} == {content}
    others = {(e.reject.reason, e.reject.detail) for e in found.values() if e.reject}
    assert others == {("not_chosen", f'pictures = "{pictures}"')}


def test_aligned_faces_are_what_is_taken_unless_said_otherwise(whole: Path) -> None:
    assert Settings(whole) == Settings(whole, pictures="aligned")


def test_other_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pictures: found 'faces', expected aligned or frames"):
        Settings(tmp_path, pictures="faces")


def test_validation_and_test_are_test_sets_and_train_is_none(whole: Path) -> None:
    facts = [entry.facts for entry in listed(whole).values()]
    assert {f.source_split: f.test_set for f in facts} == {
        "train": None,
        "validation": "SFEW 2.0 validation",
        "test": "SFEW 2.0 test",
    }


def test_no_subject_is_known_and_nothing_may_be_passed_on(whole: Path) -> None:
    for entry in listed(whole).values():
        assert (entry.facts.subject, entry.facts.rights) == (None, "index_only")
        assert "no redistribution" in entry.facts.licence


def test_a_build_asks_for_its_terms() -> None:
    source = SourceConfig("sfew", "s", {"path": "x"})
    with pytest.raises(UsageError, match=r'SFEW 2\.0 has terms .*accept_terms = \["sfew"\]'):
        check_terms((source,), ())
    check_terms((source,), ("sfew",))


def test_a_test_with_class_folders_has_labels(tmp_path: Path, write_tree: Write) -> None:
    names = [*FRAMES[:-1], f"Test/Sad/{FILM}", f"Test/{FILM}", f"Test/more/{FILM}"]
    root = write_tree(tmp_path, dict.fromkeys(names, b""))
    found = listed(root, pictures="frames")
    tests = {n: e for n, e in found.items() if e.facts.source_split == "test"}
    assert {n: [v.label for v in e.facts.votes] for n, e in tests.items()} == {
        f"Test/Sad/{FILM}": ["sadness"],
        f"Test/{FILM}": [],
        f"Test/more/{FILM}": [],
    }
    assert not [entry for entry in found.values() if entry.reject]


@pytest.mark.parametrize(
    ("pictures", "names"),
    [
        (
            "aligned",
            tree("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces", "Test/Test_Aligned_Faces"),
        ),
        (
            "aligned",
            tree(
                "Train/Train_Aligned_Faces",
                "Val/Val_Aligned_Faces_new/Val_Aligned_Faces",
                "Test/Test_Aligned_Faces",
            ),
        ),
        ("aligned", tree("Train_Aligned_Faces", "Val_Aligned_Faces_new", "Test_Aligned_Faces")),
        ("frames", tree("Train/Train", "Val/Val", "Test/Test")),
        ("frames", tree("train", "val", "test")),
    ],
    ids=["within-splits", "val-new-twice", "val-new", "twice", "lower-case"],
)
@pytest.mark.parametrize("above", ["", "SFEW_2.0/"], ids=["itself", "above"])
def test_every_way_to_unpack_it_gives_the_same_samples(
    tmp_path: Path, write_tree: Write, pictures: str, names: list[str], above: str
) -> None:
    write_tree(tmp_path, {f"{above}{name}": b"" for name in names})
    assert sorted(samples(tmp_path, pictures=pictures), key=str) == sorted(WANTED, key=str)
    known = recognised(tmp_path)
    assert known is not None
    assert known[0] == "sfew"


def test_faces_unpacked_among_the_frames_are_told_from_them(
    tmp_path: Path, write_tree: Write
) -> None:
    inner = tree("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces", "Test/Test_Aligned_Faces")
    write_tree(tmp_path, dict.fromkeys([*inner, *FRAMES], b""))
    for pictures, names in (("aligned", inner), ("frames", FRAMES)):
        found = listed(tmp_path, pictures=pictures)
        assert sorted(n for n, e in found.items() if e.reject is None) == sorted(names)


# What is not there --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "pictures", "words"),
    [
        (
            FRAMES,
            "aligned",
            ("found whole frames only (Test, Train, Val)", 'pictures = "frames"', "Train_Aligned"),
        ),
        (ALIGNED, "frames", ("found aligned faces only", 'pictures = "aligned"', "Train/, Val/")),
        (FRAMES[-1:], "aligned", ("found whole frames only (Test)", 'pictures = "frames"')),
        ([*FRAMES[:-1], ALIGNED[-1]], "aligned", ("whole frames only (Train, Val)",)),
    ],
    ids=["frames", "aligned", "a-test", "all-but-the-test"],
)
def test_where_only_the_other_pictures_are_it_is_said(
    tmp_path: Path, write_tree: Write, names: list[str], pictures: str, words: tuple[str, ...]
) -> None:
    write_tree(tmp_path, dict.fromkeys(names, b""))
    with pytest.raises(MissingError) as caught:
        listed(tmp_path, pictures=pictures)
    message = str(caught.value)
    assert all(word in message for word in (*words, str(tmp_path), "ask its authors"))


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        ([], MissingError, ("found no folder, expected Train_Aligned_Faces/", "cs.anu.edu.au")),
        (["faces/1.png"], MissingError, ("found faces, expected Train_Aligned_Faces/",)),
        (["Val_Aligned_Faces/1.png"], MissingError, ("no class folder in Val_Aligned_Faces",)),
        (
            ["Val_Aligned_Faces/1.png", "Test/1.png"],
            MissingError,
            ("no class folder in Test, Val",),
        ),
        (["Val_Aligned_Faces/7/1.png"], UsageError, ("found the class '7'", "SFEW 2.0 has them")),
    ],
    ids=["empty", "no-splits", "no-classes", "no-classes-but-a-test", "numbers"],
)
def test_another_layout_is_refused(
    tmp_path: Path, write_tree: Write, names: list[str], error: type[Exception], words: list[str]
) -> None:
    write_tree(tmp_path, dict.fromkeys(names, b""))
    with pytest.raises(error) as caught:
        listed(tmp_path)
    assert all(word in str(caught.value) for word in words)


def test_folders_beside_the_classes_of_the_other_pictures_do_not_matter(
    whole: Path, write_tree: Write
) -> None:
    write_tree(whole, {"Train/features/1.mat": b""})
    assert listed(whole)["Train/features/1.mat"].reject.reason == "not_chosen"
    with pytest.raises(UsageError, match="found the class 'features'"):
        listed(whole, pictures="frames")


def test_archives_and_features_beside_the_classes_are_rejected(
    whole: Path, write_tree: Write
) -> None:
    names = {"Train_Aligned_Faces/Angry.zip": b"", "PHOG.mat": b"", "__MACOSX/Train/._Angry": b""}
    write_tree(whole, names)
    found = listed(whole)
    assert {name: found[name].reject.reason for name in names} == {
        "Train_Aligned_Faces/Angry.zip": "no_class",
        "PHOG.mat": "no_class",
        "__MACOSX/Train/._Angry": "system_file",
    }


# What is recognised -------------------------------------------------------------------------------


def test_both_kinds_of_pictures_are_recognised(whole: Path) -> None:
    assert recognised(whole) == (
        "sfew",
        "SFEW 2.0, aligned faces: Test_Aligned_Faces (no class folders), Train_Aligned_Faces, "
        "Val_Aligned_Faces; whole frames: Test (no class folders), Train, Val",
    )


@pytest.mark.parametrize(
    ("folder", "names", "what"),
    [
        ("x", ALIGNED[:7], "aligned faces: Train_Aligned_Faces; no validation, no test"),
        ("x", ALIGNED[1:7], "aligned faces: Train_Aligned_Faces (without Angry); no validation, "),
        ("x", ["Val_Aligned_Faces/Sad/1.png"], "aligned faces: Val_Aligned_Faces (without Angry"),
        ("x", ALIGNED[-1:], "aligned faces: Test_Aligned_Faces (no class folders); no train"),
        ("x", FRAMES[7:14], "whole frames: Val; no train, no test"),
        ("SFEW_2", ["Train/Angry/1.png"], "whole frames: Train (without Disgust, Fear, Happy, "),
        ("sfew2.0", ["Test/1.png"], "whole frames: Test (no class folders); no train"),
    ],
    ids=[
        "train",
        "no-angry",
        "other-names",
        "a-test",
        "frames",
        "frames-by-name",
        "a-test-by-name",
    ],
)
def test_a_copy_in_part_is_recognised_and_what_is_not_there_is_said(
    tmp_path: Path, write_tree: Write, folder: str, names: list[str], what: str
) -> None:
    write_tree(tmp_path / folder, dict.fromkeys(names, b""))
    found = sfew.detect(tmp_path / folder)
    assert found is not None
    assert found.startswith(f"SFEW 2.0, {what}")


def test_the_folder_above_is_recognised_if_it_holds_nothing_else(whole: Path) -> None:
    assert sfew.detect(whole.parent) == sfew.detect(whole)
    (whole.parent / "other").mkdir()
    assert sfew.detect(whole.parent) is None


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("x", [f"{s}/{c}/1.png" for s in ("Train", "Val", "Test") for c in FOLDERS]),
        ("x", [f"Train/{FOLDERS[0]}/{FILM}", f"Train/{FOLDERS[1]}/a.png"]),
        ("x", [f"{s}/{c.lower()}/1.jpg" for s in ("train", "test") for c in FOLDERS]),
        ("CAER-S", [f"train/{c}/0001.png" for c in ("Anger", "Happy")]),
        ("AFEW", ["Train_Aligned_Faces/000123456/1.png"]),
        ("x", ["Test_Aligned_Faces/000123456/1.png", "Test_Aligned_Faces/1.jpg"]),
        ("x", [f"Test/{FILM}.txt"]),
        ("SFEW", ["Train/1.png", "labels.csv"]),
        ("SFEW", []),
    ],
    ids=[
        *("own", "own-with-such-a-name", "fer2013", "caer-s", "afew", "afew-test", "a-test"),
        *("no-class", "empty"),
    ],
)
def test_other_folders_are_not_taken_for_it(
    tmp_path: Path, write_tree: Write, folder: str, names: list[str]
) -> None:
    root = write_tree(tmp_path / folder, dict.fromkeys(names, b""))
    assert sfew.detect(root) is None


def test_detection_counts_and_says_what_the_other_pictures_need(
    tmp_path: Path, write_tree: Write, whole: Path
) -> None:
    found = find(whole)
    assert found.records == 30
    assert found.splits["test"] == {"unlabelled": 1}
    assert found.splits["validation"] == dict.fromkeys(LABELS, 1)
    assert found.rejected == {"not_chosen": 15}
    frames = find(write_tree(tmp_path / "frames", dict.fromkeys(FRAMES, b"")))
    assert frames.kind == "sfew"
    assert 'pictures = "frames"' in frames.missing
