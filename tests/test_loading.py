"""Loading: by bare name after a build, pinned by version, streaming, as tensors, without pixels."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mixed import PICTURES, mixed_build

from occlufer.builders.hub import public_copy
from occlufer.errors import GateError, MissingError, UsageError
from occlufer.loading import load_dataset
from occlufer.lock import Lock
from occlufer.remembering import remember, remembered


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_build(tmp_path_factory).out


@pytest.fixture(scope="module")
def public(folder: Path) -> Path:
    copy: Path = public_copy(folder).folder
    return copy


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of `datasets` of the test's own, and no way to the Hub."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


def lock_of(folder: Path) -> Lock:
    return Lock.from_text((folder / "occlu_fer.lock").read_text(encoding="utf-8"))


def hashes_in(folder: Path, split: str, config: str = "data") -> list[str]:
    found: list[str] = []
    for path in sorted((folder / config).glob(f"{split}-*.parquet")):
        found += pq.read_table(path)["sha256"].to_pylist()
    return found


def test_the_folder_is_loaded_if_it_is_of_the_pinned_version(folder: Path) -> None:
    lock = folder / "occlu_fer.lock"
    for version in (lock_of(folder).version, hashlib.sha256(lock.read_bytes()).hexdigest()):
        found = load_dataset(folder, split="validation", version=version)
        assert found["sha256"][:] == hashes_in(folder, "validation")


def test_another_version_is_refused(folder: Path) -> None:
    with pytest.raises(MissingError, match=f"found version {lock_of(folder).version}, expected 0"):
        load_dataset(folder, version="0" * 12)


def test_a_pinned_version_has_the_very_files_that_its_lock_names(
    folder: Path, tmp_path: Path
) -> None:
    version = lock_of(folder).version
    place = tmp_path / "occlu_fer"
    shutil.copytree(folder, place)
    assert len(load_dataset(place, split="train", version=version))
    # Another label in a row, the size and the lock as they were.
    shard = next((place / "data").glob("train-*.parquet"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(GateError, match=r"train-.*: found \w{64}, expected sha256 \w{64}"):
        load_dataset(place, split="train", version=version)
    shard.unlink()
    with pytest.raises(GateError, match=r"train-.*: found no file, expected sha256"):
        load_dataset(place, split="train", version=version)


def test_a_version_that_is_none_is_a_mistake(folder: Path) -> None:
    with pytest.raises(UsageError, match="expected 12 or 64 hex digits"):
        load_dataset(folder, version="v1")


def test_the_index_is_loaded_by_its_name_and_has_no_pixels(folder: Path) -> None:
    found = load_dataset(folder, name="index")
    assert "image" not in found["train"].column_names
    for split in ("train", "validation"):
        assert found[split]["sha256"][:] == hashes_in(folder, split)
    with pytest.raises(MissingError, match="found no config 'raf_db_occlu', expected one of index"):
        load_dataset(folder, name="raf_db_occlu")


def test_plain_datasets_gives_none_where_pixels_are_missing(public: Path) -> None:
    import datasets

    rows = [row for split in datasets.load_dataset(str(public)).values() for row in split]
    assert {(row["image"] is None, row["rights"]) for row in rows} == {
        (True, "index_only"),
        (False, "publishable"),
    }
    assert len(rows) == 2 * PICTURES


@pytest.mark.parametrize("place", ["local", "public"])
def test_streaming_gives_the_same_rows(folder: Path, public: Path, place: str) -> None:
    import datasets

    where = folder if place == "local" else public
    for found in (
        datasets.load_dataset(str(where), split="train", streaming=True),
        load_dataset(where, split="train", streaming=True),
    ):
        rows = list(found)
        assert [row["sha256"] for row in rows] == hashes_in(where, "train")
        for row in rows:
            missing = place == "public" and row["rights"] == "index_only"
            assert (row["image"] is None) == missing


@pytest.mark.parametrize("place", ["local", "public"])
def test_with_format_torch_gives_tensors(folder: Path, public: Path, place: str) -> None:
    import datasets
    import torch

    where = folder if place == "local" else public
    for row in datasets.load_dataset(str(where), split="train").with_format("torch"):
        assert row["label"].dtype == torch.int64
        assert row["soft_label"].shape == (8,)
        assert row["landmarks"].shape == (68, 2)
        if row["rights"] == "publishable" or place == "local":
            assert row["image"].shape == (3, 48, 48)
            assert row["image"].dtype == torch.uint8
        else:
            assert row["image"] is None


# The bare name -----------------------------------------------------------------------------------


def own(folder: Path, place: Path) -> Path:
    """A copy of the folder that may be changed or deleted."""
    shutil.copytree(folder, place / "occlu_fer")
    return place / "occlu_fer"


BARE = """
import json
from datasets import load_dataset
found = load_dataset("occlu_fer")
index = load_dataset("occlu_fer", "index")
print(json.dumps({
    "hashes": {split: found[split]["sha256"] for split in found},
    "sizes": [row["image"].size for row in found["train"]],
    "index": {split: len(index[split]) for split in index},
}, default=list))
"""


def test_plain_datasets_finds_a_remembered_build_by_name_from_any_folder_without_it(
    folder: Path, tmp_path: Path, cache: Path
) -> None:
    place = own(folder, tmp_path)
    assert remember(place)
    shutil.rmtree(place)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", BARE],
        cwd=elsewhere,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    splits = ("train", "validation")
    assert found["hashes"] == {split: hashes_in(folder, split) for split in splits}
    assert found["sizes"] == [[48, 48]] * len(hashes_in(folder, "train"))
    assert found["index"] == {split: len(hashes_in(folder, split)) for split in splits}


def test_our_own_load_dataset_takes_the_pinned_build_from_the_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert remember(folder)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    version = lock_of(folder).version
    found = load_dataset("occlu_fer", version=version)
    assert found["train"]["sha256"][:] == hashes_in(folder, "train")
    streamed = load_dataset("occlu_fer", "validation", streaming=True, version=version)
    assert [row["sha256"] for row in streamed] == hashes_in(folder, "validation")
    index = load_dataset("occlu_fer", "train", name="index", version=version)
    assert index["sha256"][:] == hashes_in(folder, "train")
    with pytest.raises(MissingError, match=f"expected .* of version {'0' * 12}"):
        load_dataset("occlu_fer", version="0" * 12)


def test_remembering_a_later_build_forgets_the_former_one_with_its_pixels(
    folder: Path, tmp_path: Path, cache: Path
) -> None:
    place = own(folder, tmp_path)
    assert remember(place)
    before = set(cache.rglob("*.arrow"))
    lock = lock_of(place)
    files = {name: "0" * 64 if "index" in name else sha for name, sha in lock.files.items()}
    later = dataclasses.replace(lock, files=files)
    (place / "occlu_fer.lock").write_text(later.to_text(), encoding="utf-8")
    assert remember(place)
    assert len(before) == 4
    assert not any(path.exists() for path in before)
    for config in ("default", "index"):
        (found,) = remembered("occlu_fer", config)
        assert (found / "occlu_fer.lock").read_text() == (place / "occlu_fer.lock").read_text()
    theirs = cache / "occlu_fer/default/0.0.0/another"
    theirs.mkdir()
    assert remember(folder)
    assert theirs.is_dir()  # what a user has loaded is not ours to delete


def test_a_folder_of_another_name_is_not_remembered(folder: Path, cache: Path) -> None:
    lock = dataclasses.replace(lock_of(folder), name="a_trial")
    place = cache.parent / "a_trial"
    shutil.copytree(folder, place)
    (place / "occlu_fer.lock").write_text(lock.to_text(), encoding="utf-8")
    assert not remember(place)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_a_line_in_the_log(
    folder: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_text("a file where the cache should be")
    assert not remember(folder)
    (line,) = [record.getMessage() for record in caplog.records if "beside" in record.getMessage()]
    assert line.startswith("load_dataset('occlu_fer') works beside the folder only: ")


def test_remembering_says_nothing_and_asks_nobody(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert remember(folder)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("", "")
