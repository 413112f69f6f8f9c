"""The published folder: plain Parquet, honest counts, no trace of this machine, one rename."""

from __future__ import annotations

import errno
import hashlib
import importlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.build import BuildSummary, build
from occlufer.builders import publish
from occlufer.builders.publish import is_published
from occlufer.builders.publishing import shards
from occlufer.builders.publishing.documents import DOCUMENTS
from occlufer.config import BuildConfig, SourceConfig
from occlufer.errors import GateError, MissingError
from occlufer.loading import load_dataset
from occlufer.schema import LABELS, OCCLUSION_TYPES, REGIONS
from occlufer.workspace import open_workspace

Rows = dict[str, list[dict[str, Any]]]
Write = Callable[[Path, Mapping[str, bytes]], Path]
Content = Callable[[Path], dict[str, bytes]]


@pytest.fixture(scope="session")
def rows(built: BuildSummary, rows_of: Callable[[Path], Rows]) -> Rows:
    return rows_of(built.out)


def every(rows: Rows) -> list[dict[str, Any]]:
    return rows["train"] + rows["validation"]


def test_plain_pyarrow_reads_every_published_sample(built: BuildSummary, rows: Rows) -> None:
    assert len(every(rows)) == built.published > 100
    counts = {
        split: dict.fromkeys(LABELS, 0) | Counter(LABELS[row["label"]] for row in rows[split])
        for split in rows
    }
    assert counts == built.splits


def test_pictures_are_embedded_and_hash_to_their_column(rows: Rows) -> None:
    for row in every(rows):
        assert row["image"]["path"] is None
        assert hashlib.sha256(row["image"]["bytes"]).hexdigest() == row["sha256"]
        Image.open(io.BytesIO(row["image"]["bytes"])).load()
    assert len({row["sha256"] for row in every(rows)}) == len(every(rows))


def test_published_hashes_are_imagehash_s(rows: Rows) -> None:
    import imagehash

    for row in every(rows)[:20]:
        image = Image.open(io.BytesIO(row["image"]["bytes"]))
        assert row["phash"] == str(imagehash.phash(image))


def test_columns_agree_with_one_another(rows: Rows) -> None:
    for row in every(rows):
        assert row["votes"][row["label"]] == max(row["votes"])
        assert row["votes"].count(max(row["votes"])) == 1
        assert row["agreement"] == pytest.approx(max(row["votes"]) / sum(row["votes"]), abs=1e-3)
        shares = [count / sum(row["votes"]) for count in row["votes"]]
        assert row["soft_label"] == pytest.approx(shares, abs=1e-5)
        assert row["occlusion_votes"] == dict.fromkeys(OCCLUSION_TYPES, 0)
        assert sorted(row["visible"]) == sorted(REGIONS)
        assert row["occlusion_ratio"] == pytest.approx(1 - row["visible"]["face"], abs=1e-3)
        assert (len(row["box"]), len(row["landmarks"])) == (4, 68)
        assert (row["source"], row["licence"]) == ("synthetic", "CC0-1.0")
        assert (row["rights"], row["known_occluded"]) == ("publishable", [])


def test_no_group_is_on_both_sides(rows: Rows) -> None:
    sides = {split: {row["group"] for row in rows[split]} for split in rows}
    assert sides["train"]
    assert sides["validation"]
    assert not sides["train"] & sides["validation"]


def test_every_class_of_two_or_more_validates(rows: Rows) -> None:
    labels = Counter(row["label"] for row in every(rows))
    groups: dict[int, set[str]] = {}
    for row in every(rows):
        groups.setdefault(row["label"], set()).add(row["group"])
    validating = {row["label"] for row in rows["validation"]}
    assert {label for label in labels if len(groups[label]) > 3} <= validating


LOAD = """
import json
from datasets import load_dataset
found = load_dataset("occlu_fer")
print(json.dumps({
    "rows": {split: len(found[split]) for split in found},
    "names": found["train"].features["label"].names,
    "columns": found["train"].column_names,
    "sizes": [row["image"].size for row in found["validation"]],
    "labels": {split: found[split]["label"][:] for split in found},
}))
"""


def test_plain_datasets_loads_it_by_name_from_the_parent_folder(
    built: BuildSummary, rows: Rows, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=built.out.parent,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["rows"] == {split: len(rows[split]) for split in ("train", "validation")}
    assert found["names"] == list(LABELS)
    assert found["labels"] == {split: [row["label"] for row in rows[split]] for split in rows}
    assert found["columns"] == list(rows["train"][0])
    assert len(found["sizes"]) == len(rows["validation"])


def test_our_own_load_dataset_loads_it_from_anywhere(
    built: BuildSummary, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    found = load_dataset(built.out, split="validation")
    assert found["sha256"][:] == [row["sha256"] for row in rows["validation"]]
    with pytest.raises(MissingError, match=r"found no occlu_fer\.lock, expected the folder"):
        load_dataset(tmp_path)


def test_the_published_folder_names_no_place_on_this_machine(
    built: BuildSummary, built_config: BuildConfig
) -> None:
    private = {
        os.fsencode(built_config.workspace),
        os.fsencode(built.out.parent),
        os.fsencode(Path.home()) + b"/",
        os.fsencode(Path(__file__).resolve().parents[1]),
    }
    for path in built.out.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            metadata = pq.read_schema(path).metadata or {}
            data += b"".join(metadata) + b"".join(metadata.values())
        for place in private:
            assert place not in data, path.name


def test_the_folder_holds_what_its_lock_says(built: BuildSummary, rows: Rows) -> None:
    lock = json.loads((built.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    files = {p.relative_to(built.out).as_posix(): p for p in built.out.rglob("*") if p.is_file()}
    assert set(files) == {*lock["files"], "occlu_fer.lock", *DOCUMENTS}
    for name, sha256 in lock["files"].items():
        data = files[name].read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha256
        assert len(data) == lock["sizes"][name]
    assert lock["counts"] == built.splits
    types = Counter(kind for row in every(rows) for kind in row["occlusion_types"] or ["none"])
    assert lock["occlusion_counts"] == types
    assert lock["sources"]["synthetic"]["samples"] == len(every(rows))
    assert lock["sources"]["synthetic"]["rights"]["publishable"] == len(every(rows))
    assert lock["subsets"] == lock["config"]["lists"] == {}
    assert lock["labels"] == {"from": "source", "by": {"sources": len(every(rows))}}
    assert "annotation" not in lock["config"]
    both = {"train": 1, "validation": 1}
    assert lock["shards"] == {"default": both, "index": both}
    assert lock["pixels"] == "all"
    assert "ATTRIBUTION.md" in lock["files"]
    assert lock["config"]["dedup"]["phash64_bits"] == 12
    assert lock["config"]["sources"] == [{"count": 150, "kind": "synthetic", "name": "synthetic"}]


def test_the_lock_pins_the_detector_and_its_weights(built: BuildSummary) -> None:
    lock = json.loads((built.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    del lock["made_with"]  # versions of packages say nothing of which detector was taken
    assert "mtcnn" in json.dumps(lock)


def test_the_card_s_counts_are_those_of_the_parquet(built: BuildSummary, rows: Rows) -> None:
    yaml = importlib.import_module("yaml")
    card = (built.out / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(card.split("---\n")[1])
    infos = {info["config_name"]: info for info in header["dataset_info"]}
    for info in infos.values():
        splits = {s["name"]: s["num_examples"] for s in info["splits"]}
        assert splits == {split: len(rows[split]) for split in rows}
    features = {f["name"]: f for f in infos["default"]["features"]}
    names = features["label"]["dtype"]["class_label"]["names"]
    assert list(names.values()) == list(LABELS)
    data_files = {
        folder: [{"split": s, "path": f"{folder}/{s}-*"} for s in ("train", "validation")]
        for folder in ("data", "index")
    }
    assert header["configs"] == [
        {"config_name": "default", "default": True, "data_files": data_files["data"]},
        {"config_name": "index", "data_files": data_files["index"]},
    ]
    shards = [p for p in (built.out / "data").iterdir() if p.suffix == ".parquet"]
    sizes = sum(path.stat().st_size for path in shards)
    assert infos["default"]["download_size"] == sizes
    assert "Evaluation subsets" not in card
    assert "A label is the class that most votes of a sample's sources are for." in card
    assert "Label Studio" not in card
    assert f"{len(every(rows))} samples are publishable, 0 index_only." in card
    for label in LABELS:
        counts = [
            sum(LABELS[row["label"]] == label for row in rows[split])
            for split in ("train", "validation")
        ]
        (line,) = re.findall(rf"^\| \d \| {label} \|.*$", card, re.MULTILINE)
        assert [int(n) for n in re.findall(r"\b\d+\b", line)[1:]] == counts


def test_a_folder_with_a_piece_missing_is_not_what_was_published(
    built: BuildSummary, built_config: BuildConfig, tmp_path: Path
) -> None:
    with open_workspace(built_config.workspace) as workspace:
        assert is_published(workspace, built.out)
        for number, path in enumerate(p for p in built.out.rglob("*") if p.is_file()):
            copy = tmp_path / str(number)
            shutil.copytree(built.out, copy)
            assert is_published(workspace, copy)
            (copy / path.relative_to(built.out)).unlink()
            assert not is_published(workspace, copy), path.name


def test_shards_hold_every_sample_once(
    built: BuildSummary, built_config: BuildConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import dataclasses

    shutil.copytree(built_config.workspace, tmp_path / "workspace")
    monkeypatch.setattr(shards, "SHARD_BYTES", 200_000)
    config = dataclasses.replace(built_config, out=tmp_path / "occlu_fer")
    with open_workspace(tmp_path / "workspace") as workspace:
        results = list(publish.stage(config).function(workspace))
    import pyarrow.parquet as pq

    files = sorted((tmp_path / "occlu_fer/data").glob("*.parquet"))
    assert len(files) > 4
    assert all(path.stat().st_size <= 200_000 for path in files)
    numbers = {p.name.split("-of-")[1] for p in files if p.name.startswith("train")}
    assert numbers == {f"{sum(p.name.startswith('train') for p in files):05d}.parquet"}
    names = [s for path in files for s in pq.read_table(path)["sha256"].to_pylist()]
    assert len(names) == len(set(names)) == built.published
    assert Counter(r.value["shard"] for r in results) == {
        f"data/{path.name}": pq.read_metadata(path).num_rows for path in files
    }
    lock = (tmp_path / "occlu_fer" / "occlu_fer.lock").read_bytes()
    assert {r.value["lock"] for r in results} == {hashlib.sha256(lock).hexdigest()}


@given(st.lists(st.integers(0, 2_000_000)))
def test_no_shard_is_larger_than_it_may_be_and_none_smaller_than_it_must(sizes: list[int]) -> None:
    # Of the same sizes a rebuild makes the same shards.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "SHARD_BYTES", 1_000_000)
        counts = shards.shard_rows(sizes)
    assert sum(counts) == len(sizes)
    taken = [size + shards.ROW_BYTES for size in sizes]
    start = 0
    for count in counts:
        assert count == 1 or sum(taken[start : start + count]) <= 1_000_000
        after = taken[start : start + count + 1]
        assert len(after) == count or sum(after) > 1_000_000
        start += count


def test_a_photograph_that_may_be_passed_on_has_a_line_with_its_author(
    built: BuildSummary, built_config: BuildConfig, tmp_path: Path, rows: Rows
) -> None:
    import dataclasses

    shutil.copytree(built_config.workspace, tmp_path / "workspace")
    config = dataclasses.replace(built_config, out=tmp_path / "occlu_fer")
    told = {
        "title": "a | b\n<i>c</i>",
        "author": "[d](http://e)",
        "page": "https://e.org/p",
        "licence": "CC-BY-4.0",
        "licence_url": "https://creativecommons.org/licenses/by/4.0/",
    }
    row = rows["train"][0]
    with open_workspace(tmp_path / "workspace") as workspace:
        (record,) = (
            r for r in workspace.catalog.records() if r.source_id == row["source_id"] and r.image
        )
        facts = dataclasses.replace(record.facts, evidence=told)
        workspace.catalog.put_records([dataclasses.replace(record, facts=facts)])
        list(publish.stage(config).function(workspace))
    data = (config.out / "ATTRIBUTION.md").read_bytes()
    (line,) = [line for line in data.decode().splitlines() if line.startswith("- ")]
    assert line == (
        '- "a \\| b &lt;i&gt;c&lt;/i&gt;" by \\[d\\](http\\://e), <https://e.org/p>, CC-BY-4.0 '
        "<https://creativecommons.org/licenses/by/4.0/>; "
        f"`{row['sha256']}`, synthetic/{row['source_id']}"
    )
    lock = json.loads((config.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    assert lock["files"]["ATTRIBUTION.md"] == hashlib.sha256(data).hexdigest()
    assert lock["sources"]["synthetic"]["own_attribution"] == 1
    card = (config.out / "README.md").read_text(encoding="utf-8")
    assert "others: see ATTRIBUTION.md |" in card


# Failing and publishing elsewhere ----------------------------------------------------------------


@pytest.fixture
def small(
    tmp_path: Path,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    write_tree: Write,
) -> BuildConfig:
    """Six pictures of two classes, and a config that builds them."""
    files = {
        f"{'happy' if i % 2 else 'sad'}/{i}.png": encoded(textured(i, 48, 48)) for i in range(6)
    }
    path = write_tree(tmp_path / "faces", files)
    source = SourceConfig("image_folder", "faces", {"path": str(path)})
    return BuildConfig((source,), tmp_path / "made/occlu_fer", tmp_path / "workspace", workers=1)


@pytest.mark.parametrize(
    "place", ["_write_shard", "_write_index", "write_documents", "_lock", "attribution_lines"]
)
def test_a_failing_publish_leaves_the_former_folder_whole(
    small: BuildConfig,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    tmp_path: Path,
    content: Content,
) -> None:
    build(small)
    before = content(small.out)
    (tmp_path / "faces/sad/0.png").unlink()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(publish, place, fail)
        with pytest.raises(OSError, match="No space left"):
            build(small)
    assert content(small.out) == before
    summary = build(small)
    assert summary.published == 5
    assert [path.name for path in small.out.parent.iterdir()] == ["occlu_fer"]


def test_nothing_to_publish_is_a_failed_gate_that_leaves_the_former_folder(
    small: BuildConfig, tmp_path: Path, content: Content
) -> None:
    build(small)
    before = content(small.out)
    import dataclasses

    settings = {**small.sources[0].settings, "labels": "none"}
    source = dataclasses.replace(small.sources[0], settings=settings)
    with pytest.raises(GateError, match="nothing to publish"):
        build(dataclasses.replace(small, sources=(source,)))
    assert content(small.out) == before


def test_a_folder_of_another_build_is_replaced(
    small: BuildConfig, tmp_path: Path, content: Content
) -> None:
    import dataclasses

    build(small)
    first = content(small.out)
    (tmp_path / "faces/sad/0.png").rename(tmp_path / "kept.png")
    build(dataclasses.replace(small, workspace=tmp_path / "second"))
    (tmp_path / "kept.png").rename(tmp_path / "faces/sad/0.png")
    assert content(small.out) != first
    build(small)
    assert content(small.out) == first


def test_going_back_to_a_former_place_publishes_what_is_there_now(
    small: BuildConfig, tmp_path: Path, content: Content
) -> None:
    import dataclasses

    build(small)
    (tmp_path / "faces/sad/0.png").unlink()
    elsewhere = dataclasses.replace(small, out=tmp_path / "elsewhere/occlu_fer")
    build(elsewhere)
    build(small)
    assert content(small.out) == content(elsewhere.out)
