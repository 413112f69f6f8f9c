"""Publishing replaces a folder as a whole, so nothing else may be in it, or it in anything else."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from occlufer.build import build, check, check_places
from occlufer.config import AnnotationConfig, BuildConfig, DedupConfig, SourceConfig
from occlufer.errors import UsageError


def config(out: Path, workspace: Path, source: Path) -> BuildConfig:
    settings = {"path": str(source), "labels": "none"}
    return BuildConfig((SourceConfig("image_folder", "s", settings),), out, workspace)


@pytest.mark.parametrize(
    ("out", "workspace", "source", "words"),
    [
        ("faces", "w", "faces", "lies with the source s"),
        ("faces/occlu_fer", "w", "faces", "lies with the source s"),
        (".", "w", "faces", "lies with the workspace"),
        ("w", "w", "faces", "lies with the workspace"),
        ("w/occlu_fer", "w", "faces", "lies with the workspace"),
        ("occlu_fer", "faces/w", "faces", "lies in the source s"),
        ("thesis", "w", "faces", "found a folder that holds other things"),
        ("thesis/chapter", "w", "faces", "found a file, expected a folder"),
        ("occlu_fer", "thesis/chapter", "faces", "workspace .* found a file"),
    ],
)
def test_places_in_each_others_way_are_refused_and_nothing_is_lost(
    tmp_path: Path, out: str, workspace: str, source: str, words: str
) -> None:
    for name in ("thesis/chapter", "faces/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    places = config(tmp_path / out, tmp_path / workspace, tmp_path / source)
    before = sorted(tmp_path.rglob("*"))
    for run in (build, check):
        with pytest.raises(UsageError, match=words):
            run(places)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "faces/1.jpg").read_text() == "faces/1.jpg"


def test_a_link_to_a_source_is_the_source(tmp_path: Path) -> None:
    (tmp_path / "faces").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "faces")
    with pytest.raises(UsageError, match="lies with the source s"):
        check_places(config(tmp_path / "out", tmp_path / "w", tmp_path / "faces"))


def test_an_empty_folder_and_a_published_one_may_be_replaced(tmp_path: Path) -> None:
    out = tmp_path / "occlu_fer"
    out.mkdir()
    check_places(config(out, tmp_path / "w", tmp_path / "faces"))
    (out / "occlu_fer.lock").write_text("{}")
    check_places(config(out, tmp_path / "w", tmp_path / "faces"))


@pytest.mark.parametrize(
    "named",
    [
        {"dedup": DedupConfig(groups=Path("occlu_fer/groups.csv"))},
        {"annotation": AnnotationConfig(gold=Path("occlu_fer/gold.csv"))},
        {"weights_dir": Path("occlu_fer/weights")},
    ],
    ids=lambda named: next(iter(named)),
)
def test_a_file_of_the_user_s_own_in_the_published_folder_is_not_replaced_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: dict[str, Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    places = config(tmp_path / "occlu_fer", tmp_path / "w", tmp_path / "faces")
    check_places(places)
    with pytest.raises(UsageError, match=r"holds occlu_fer/\w+.*publishing would replace it"):
        check_places(dataclasses.replace(places, **named))
