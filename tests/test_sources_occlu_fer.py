"""Occlu-FER as its authors release it, whole against Table 1, and with files missing."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from occlufer.builders.detection import find
from occlufer.builders.gather import check_terms, count_records, gather
from occlufer.builders.sources import image_folder, occlu_fer
from occlufer.builders.sources.adapters import recognised
from occlufer.builders.sources.occlu_fer import Settings, check_table_1, entries
from occlufer.config import SourceConfig
from occlufer.errors import MissingError, UsageError
from occlufer.schema import LABEL_CODES, LABELS
from occlufer.workspace import Workspace

Write = Callable[[Path, Mapping[str, bytes]], Path]
# Table 1 of the paper, read anew: AN DI FE HA NE SA SU CO.
PUBLISHED = {
    "train": [669, 533, 927, 1130, 1114, 960, 1125, 380],
    "valid": [86, 69, 136, 133, 144, 127, 148, 37],
}
COUNTS = {
    "train": dict(zip(LABELS, PUBLISHED["train"], strict=True)),
    "validation": dict(zip(LABELS, PUBLISHED["valid"], strict=True)),
}


def listed(path: Path, **settings: Any) -> dict[str, Any]:
    return {entry.source_id: entry for entry in entries(Settings(path, **settings), "o")}


def label(entry: Any) -> str | None:
    return entry.facts.votes[0].label if entry.facts.votes else None


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release with as many files as are published, all of them empty; nobody changes it."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "empty").touch()
    for split, counts in PUBLISHED.items():
        for word, count in zip(LABELS, counts, strict=True):
            place = folder / "Occlu-FER" / split / word
            place.mkdir(parents=True)
            for number in range(count):
                os.link(folder / "empty", place / f"{number}.jpg")  # the fastest way by far
    return folder / "Occlu-FER"


def copy(release: Path, target: Path) -> Path:
    return Path(shutil.copytree(release, target, copy_function=os.link))


def test_the_whole_release_has_all_counts_of_table_1(release: Path) -> None:
    found = find(release)
    assert found.kind == "occlu_fer"
    assert found.records == 7718
    assert found.splits == COUNTS
    assert sum(found.splits["train"].values()) == 6838
    assert sum(found.splits["validation"].values()) == 880
    assert (found.table_1, found.missing, found.rejected) == ([], "", {})


def test_every_count_that_differs_is_said(tmp_path: Path, release: Path) -> None:
    root = copy(release, tmp_path / "Occlu-FER")
    (root / "train/fear/0.jpg").unlink()
    (root / "train/fear/1.jpg").unlink()
    (root / "valid/contempt/0.jpg").rename(root / "valid/anger/moved.jpg")
    shutil.rmtree(root / "train/sadness")
    (root / "train/happiness/extra.jpg").touch()
    (root / "train/surprise/.DS_Store").touch()
    assert find(root).table_1 == [
        "train, fear: found 925, expected 927",
        "train, happiness: found 1131, expected 1130",
        "train, sadness: found 0, expected 960",
        "validation, anger: found 87, expected 86",
        "validation, contempt: found 36, expected 37",
    ]


def test_the_published_counts_are_right() -> None:
    assert check_table_1(COUNTS) == []


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize("word", LABELS)
def test_each_of_the_16_counts_is_checked(split: str, word: str) -> None:
    expected = COUNTS[split][word]
    wrong = {**COUNTS, split: {**COUNTS[split], word: expected + 1}}
    assert check_table_1(wrong) == [f"{split}, {word}: found {expected + 1}, expected {expected}"]


def test_what_is_not_there_counts_as_none() -> None:
    assert len(check_table_1({})) == 16
    assert len(check_table_1({"train": COUNTS["train"], "all": {"anger": 5}})) == 8


# What the user sees -------------------------------------------------------------------------------

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_detect_says_that_all_counts_are_as_published(release: Path, run_cli: Run) -> None:
    done = run_cli("sources", "detect", release, cwd=release.parent)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"{release}: occlu_fer: Occlu-FER, train, valid; 7718 records"
    assert "  Table 1: all 16 counts as published" in lines


def test_detect_says_which_counts_are_not(tmp_path: Path, write_tree: Write, run_cli: Run) -> None:
    write_tree(tmp_path / "Occlu-FER", {"train/anger/1.jpg": b"", "valid/SU/1.jpg": b""})
    done = run_cli("sources", "detect", "Occlu-FER", cwd=tmp_path)
    assert done.stderr == ""
    told = [line for line in done.stdout.splitlines() if "Table 1" in line]
    assert len(told) == 16
    assert told[0] == "  Table 1: train, anger: found 1, expected 669"
    found = json.loads(run_cli("sources", "detect", "Occlu-FER", "--json", cwd=tmp_path).stdout)
    assert found[0]["table_1"] == [line.removeprefix("  Table 1: ") for line in told]


def test_table_1_is_about_no_other_set(tmp_path: Path, write_tree: Write, run_cli: Run) -> None:
    write_tree(tmp_path / "faces", {"anger/1.jpg": b""})
    assert find(tmp_path / "faces").table_1 is None
    assert "Table 1" not in run_cli("sources", "detect", "faces", cwd=tmp_path).stdout


def test_a_build_warns_once_of_every_count_that_differs(
    tmp_path: Path, write_tree: Write, workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("train/anger/1.jpg", "train/anger/.DS_Store", "valid/sad/1.jpg")
    root = write_tree(tmp_path / "Occlu-FER", dict.fromkeys(names, b""))
    source = SourceConfig("occlu_fer", "release", {"path": str(root)})
    gather((source,), workspace, 1)
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 16
    assert warnings[0] == "source release: Table 1: train, anger: found 1, expected 669"


def test_a_dry_run_warns_as_a_build_does(
    tmp_path: Path, write_tree: Write, caplog: pytest.LogCaptureFixture
) -> None:
    root = write_tree(tmp_path / "Occlu-FER", {"train/anger/1.jpg": b""})
    assert count_records((SourceConfig("occlu_fer", "o", {"path": str(root)}),)) == {"o": 1}
    assert len(caplog.records) == 16


def test_a_whole_release_gives_no_warning(release: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = SourceConfig("occlu_fer", "o", {"path": str(release)})
    assert count_records((source,)) == {"o": 7718}
    assert caplog.records == []


# Labels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [LABELS, LABEL_CODES, tuple(c.lower() for c in LABEL_CODES)])
def test_class_folders_are_known_by_name_and_by_code(
    tmp_path: Path, write_tree: Write, words: tuple[str, ...]
) -> None:
    root = write_tree(tmp_path, {f"{s}/{w}/1.jpg": b"" for s in ("train", "valid") for w in words})
    found = {tuple(name.split("/")[:2]): label(e) for name, e in listed(root).items()}
    assert found == {
        (s, w): our for s in ("train", "valid") for w, our in zip(words, LABELS, strict=True)
    }


@pytest.mark.parametrize("number", range(8))
def test_a_number_is_never_guessed(tmp_path: Path, write_tree: Write, number: int) -> None:
    write_tree(tmp_path, {"train/anger/1.jpg": b"", f"valid/{number}/1.jpg": b""})
    with pytest.raises(UsageError) as caught:
        listed(tmp_path)
    for words in (f"valid/{number}: found the class '{number}'", "never guessed", "anger, disgust"):
        assert words in str(caught.value)
    assert f'label_map = {{ "{number}" = "..." }}' in str(caught.value)


def test_a_label_map_gives_numbers_their_meaning(tmp_path: Path, write_tree: Write) -> None:
    names = [f"train/{number}/1.jpg" for number in range(8)] + ["valid/anger/1.jpg"]
    write_tree(tmp_path, dict.fromkeys(names, b""))
    order = ["anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness"]
    label_map = {str(n): our for n, our in enumerate([*order, "unlabelled"])} | {"Anger": "fear"}
    found = listed(tmp_path, label_map=label_map)
    assert [label(found[name]) for name in names] == [*order, None, "fear"]
    assert not [entry for entry in found.values() if entry.reject]
    assert found["train/7/1.jpg"].facts.source_label == "7"


def test_a_label_map_to_no_label_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="label_map, '0': found 'joy', expected one of anger"):
        Settings(tmp_path, label_map={"0": "joy"})


# Splits and terms ---------------------------------------------------------------------------------


def test_valid_is_a_test_set_and_stays_with_our_validation(
    tmp_path: Path, write_tree: Write
) -> None:
    write_tree(tmp_path, {"train/AN/1.jpg": b"", "valid/AN/1.jpg": b""})
    facts = [entry.facts for entry in listed(tmp_path).values()]
    assert [(f.source_split, f.test_set) for f in facts] == [
        ("train", None),
        ("validation", "Occlu-FER validation"),
    ]


def test_nothing_may_be_passed_on_and_a_build_asks_for_the_terms(
    tmp_path: Path, write_tree: Write
) -> None:
    write_tree(tmp_path, {"train/AN/1.jpg": b""})
    (entry,) = listed(tmp_path).values()
    assert (entry.facts.rights, entry.facts.content) == ("index_only", "crop")
    assert "not to be reproduced" in entry.facts.licence
    source = SourceConfig("occlu_fer", "o", {"path": "x"})
    with pytest.raises(UsageError, match=r'accept_terms = \["occlu_fer"\]'):
        check_terms((source,), ())


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "found no folder, expected train/ and valid/ .*ask its authors"),
        (["anger/1.jpg"], "found anger, expected train/ and valid/"),
        (["train/1.jpg"], "found no class folder in train; .*ask its authors"),
    ],
    ids=["empty", "no-splits", "no-classes"],
)
def test_a_missing_piece_is_said_with_where_to_get_it(
    tmp_path: Path, write_tree: Write, names: list[str], words: str
) -> None:
    write_tree(tmp_path, dict.fromkeys(names, b""))
    with pytest.raises(MissingError, match=words):
        listed(tmp_path)


# What is recognised -------------------------------------------------------------------------------

BOTH = [f"{split}/{word}/1.jpg" for split in ("train", "valid") for word in LABELS]
ALSO_RAF_DB = [f"train/{n}/train_0000{n}_aligned.jpg" for n in range(8)]


@pytest.mark.parametrize("folder", ["Occlu-FER", "occlu_fer", "OccluFER-v1", "my occlu fer"])
@pytest.mark.parametrize("inner", ["", "Occlu-FER/", "images/"])
def test_the_release_is_recognised_by_its_name(
    tmp_path: Path, write_tree: Write, folder: str, inner: str
) -> None:
    root = write_tree(tmp_path / folder, {f"{inner}{name}": b"" for name in BOTH})
    assert recognised(root) == ("occlu_fer", "Occlu-FER, train, valid")
    assert len(listed(root)) == 16


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (BOTH[:8], "Occlu-FER, train; no validation"),
        (BOTH[1:], "Occlu-FER, train (without anger), valid"),
        (
            ALSO_RAF_DB,
            "Occlu-FER, train (folders 0, 1, 2, 3, 4, 5, 6, 7); no validation",
        ),
    ],
    ids=["no-valid", "no-anger", "numbers"],
)
def test_a_copy_in_part_is_recognised_and_what_is_not_there_is_said(
    tmp_path: Path, write_tree: Write, names: list[str], what: str
) -> None:
    root = write_tree(tmp_path / "Occlu-FER", dict.fromkeys(names, b""))
    assert recognised(root) == ("occlu_fer", what)


def test_the_whole_release_is_recognised_by_its_counts_whatever_its_name(
    tmp_path: Path, release: Path
) -> None:
    root = copy(release, tmp_path / "data")
    (root / "valid/contempt").rename(root / "valid/CO")
    assert recognised(root) == ("occlu_fer", "Occlu-FER, train, valid")
    (root / "valid/CO/extra.jpg").touch()
    assert occlu_fer.detect(root) is None


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("faces", BOTH),
        ("occluded_faces", BOTH),
        ("Occlu-FER", ["data/train-00000.parquet", "README.md"]),
        ("Occlu-FER", ["train/1.jpg"]),
        ("Occlu-FER", BOTH[:0]),
        ("Occlu-FER", [name.split("/", 1)[1] for name in BOTH]),
    ],
    ids=["own", "own-occluded", "our-dataset", "no-class", "empty", "one-split"],
)
def test_other_folders_are_not_taken_for_it(
    tmp_path: Path, write_tree: Write, folder: str, names: list[str]
) -> None:
    root = write_tree(tmp_path / folder, dict.fromkeys(names, b""))
    assert occlu_fer.detect(root) is None


def test_a_shelf_of_sets_is_not_taken_for_one_of_them(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path / "Occlu-FER", dict.fromkeys(BOTH, b""))
    write_tree(tmp_path / "faces", {"sad/1.jpg": b""})
    assert recognised(tmp_path) is None
    assert len(listed(tmp_path)) == 16


def test_a_user_s_own_splits_are_still_told_to_be_sources_of_their_own(
    tmp_path: Path, write_tree: Write
) -> None:
    root = write_tree(tmp_path / "faces", dict.fromkeys(BOTH, b""))
    assert recognised(root) is None
    with pytest.raises(UsageError, match="make each a source of its own"):
        list(image_folder.entries(image_folder.Settings(root), "s"))
