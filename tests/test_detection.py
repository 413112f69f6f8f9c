"""`occlufer sources`: what folders hold, and the terms of every kind."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from occlufer.builders.detection import find
from occlufer.builders.sources.adapters import ADAPTERS
from occlufer.cli import main
from occlufer.schema import LABEL_SYNONYMS


def test_every_path_is_told_of_even_where_one_holds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faces/happy").mkdir(parents=True)
    (tmp_path / "faces/happy/a.jpg").touch()
    (tmp_path / "notes").mkdir()
    paths = [str(tmp_path / name) for name in ("gone", "notes", "faces")]
    assert main(["sources", "detect", *paths, "--json"]) == 3
    printed = capsys.readouterr()
    found = {row["path"]: row for row in json.loads(printed.out)}
    assert [found[path]["kind"] for path in paths] == ["", "", "image_folder"]
    assert found[paths[0]]["missing"] == "no such file or folder"
    assert found[paths[2]]["splits"] == {"all": {"happiness": 1}}
    assert paths[0] in printed.err
    assert paths[1] in printed.err
    assert paths[2] not in printed.err


def test_pictures_without_classes_are_a_folder_of_images(tmp_path: Path) -> None:
    (tmp_path / "with_mask").mkdir()
    (tmp_path / "with_mask/a.jpg").touch()
    found = find(tmp_path)
    assert (found.kind, found.what) == ("image_folder", 'images without classes (labels = "none")')
    assert found.splits == {"all": {"unlabelled": 1}}


@pytest.mark.parametrize("names", [("test", "train"), ("mine", "yours")], ids=["splits", "shelf"])
def test_folders_that_are_sources_of_their_own_are_named(
    tmp_path: Path, names: tuple[str, str], encoded: Callable[..., bytes]
) -> None:
    face = encoded(np.zeros((64, 64, 3), np.uint8))  # 48 px would be FER2013
    for name in names:
        (tmp_path / name / "happy").mkdir(parents=True)
        (tmp_path / name / "happy/a.jpg").write_bytes(face)
    found = find(tmp_path)
    assert (found.kind, found.records) == ("", 0)
    assert found.what == f"sources of their own: {', '.join(names)}"
    assert "one by one" in found.missing


PIPES = (
    *("Train/Angry/1.png", "train/angry/1.jpg", "CAER-S/train/Anger/1.png", "happy/1.jpg"),
    *("1.jpg", "EmoLabel/list_patition_label.txt", "Image/aligned/train_00001_aligned.jpg"),
    *("training.csv", "train_set/images/1.jpg", "train_set/annotations/1_exp.npy"),
    *("fer2013.csv", "fer2013new.csv", "label.lst", "image/angry_actor_1.jpg", "a.csv"),
    *("a.jsonl", "a.parquet", "data/a.parquet", "state.json", "occlu_fer.lock"),
)


def test_no_pipe_is_opened_to_tell_what_is_there(
    tmp_path: Path, run_cli: Callable[..., Any]
) -> None:
    folders = [tmp_path / "all" / str(number) for number in range(len(PIPES))]
    for folder, name in zip(folders, PIPES, strict=True):
        (folder / name).parent.mkdir(parents=True)
        os.mkfifo(folder / name)
    found = run_cli("sources", "detect", "--json", *folders, cwd=tmp_path)  # ends, at last
    assert len(json.loads(found.stdout)) == len(PIPES)
    assert "Traceback" not in run_cli("init", tmp_path / "all", cwd=tmp_path).stderr


def test_a_class_that_nobody_knows_is_told_of_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("happy", "baffled"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").touch()
    assert main(["sources", "detect", str(tmp_path)]) == 0
    assert "to mend: " in (text := capsys.readouterr().out)
    assert "'baffled'" in text
    assert "label_map" in text


def test_every_kind_is_listed_with_what_its_owners_ask(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["sources", "list", "--json"]) == 0
    kinds = {row["kind"]: row["terms"] for row in json.loads(capsys.readouterr().out)}
    assert list(kinds) == list(ADAPTERS)
    asked = {kind for kind, terms in kinds.items() if terms and terms["must_accept"]}
    assert asked == {"occlu_fer", "affectnet", "raf_db", "sfew"}
    assert all(terms["where"] and terms["licence"] for terms in kinds.values() if terms)
    assert main(["sources", "list"]) == 0
    assert "RAF-DB" in capsys.readouterr().out


def test_real_folders_are_recognised_and_counted(real_data: Path) -> None:
    def on_disk(folder: str) -> int:
        return sum(path.is_file() for path in (real_data / folder).rglob("*"))

    fer8 = find(real_data / "fer8")
    assert fer8.kind == "image_folder"
    assert sum(fer8.splits["all"].values()) == on_disk("fer8") == 1402
    for folder, expected in (("masks_cfmd", 470), ("masks_rwmfd", 287)):
        masks = find(real_data / folder)
        assert masks.splits == {"all": {"unlabelled": expected}}
        assert masks.records == on_disk(folder) == expected
    fer2013 = find(real_data / "fer2013")
    assert fer2013.kind == "fer2013"
    assert fer2013.records == on_disk("fer2013") == 2059


def test_the_whole_official_fer2013_is_counted_once_unpacked(
    real_data: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(real_data / "fer2013_train_validation.zip") as packed:
        files = [name for name in packed.namelist() if not name.endswith("/")]
        packed.extractall(tmp_path)
    found = find(tmp_path / "fer2013")
    shutil.rmtree(tmp_path / "fer2013")
    assert found.kind == "fer2013"
    assert not found.rejected
    by_split = Counter(name.split("/")[1] for name in files)
    assert {split: sum(counts.values()) for split, counts in found.splits.items()} == by_split
    assert by_split == {"train": 28_709, "validation": 3_589}
    spelled = Counter((split, LABEL_SYNONYMS[word]) for _, split, word, _ in map(parts, files))
    assert {(s, c): n for s, counts in found.splits.items() for c, n in counts.items()} == spelled


def parts(name: str) -> list[str]:
    return name.split("/")
