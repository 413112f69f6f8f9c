"""Differences of versions: every sample that came, went, or says something else is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer import cli
from occlufer.build import build
from occlufer.builders.versions import Sample, compare, diff
from occlufer.config import BuildConfig, SourceConfig
from occlufer.errors import MissingError, UsageError
from occlufer.schema import LABELS

PICTURES = 12
TRAIN = "data/train-00000-of-00001.parquet"
VALIDATION = "data/validation-00000-of-00001.parquet"
NOTHING = {"added": 0, "removed": 0, "relabelled": 0, "moved": 0, "changed": 0}
Row = dict[str, Any]


@pytest.fixture(scope="module")
def first(
    tmp_path_factory: pytest.TempPathFactory,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> Path:
    """A published folder of 12 pictures, which nobody changes."""
    folder = tmp_path_factory.mktemp("first")
    files = {
        f"{'happy' if i % 2 else 'sad'}/{i}.png": encoded(textured(i, 48, 48))
        for i in range(PICTURES)
    }
    path = write_tree(folder / "faces", files)
    source = SourceConfig("image_folder", "faces", {"path": str(path)})
    config = BuildConfig((source,), folder / "occlu_fer", folder / "workspace", workers=1)
    assert build(config).published == PICTURES
    return config.out


@pytest.fixture
def second(first: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first, tmp_path / "occlu_fer"))


def rewrite(folder: Path, change: Callable[[list[Row], list[Row]], object]) -> None:
    """Change the rows that train and those that validate."""
    tables = {name: pq.read_table(folder / name) for name in (TRAIN, VALIDATION)}
    rows = {name: table.to_pylist() for name, table in tables.items()}
    change(rows[TRAIN], rows[VALIDATION])
    for name, table in tables.items():
        pq.write_table(pa.Table.from_pylist(rows[name], schema=table.schema), folder / name)


def test_a_version_is_as_it_is(first: Path, second: Path) -> None:
    found = diff(first, second).to_json()
    assert found["counts"] == NOTHING
    assert found["columns"] == {"added": [], "removed": []}


def test_every_kind_of_change_is_named_by_its_sample(first: Path, second: Path) -> None:
    named: dict[str, Any] = {}

    def change(train: list[Row], validation: list[Row]) -> None:
        named["removed"] = train.pop(0)["sha256"]
        named["moved"] = train[0]["sha256"]
        validation.append(train.pop(0))
        named["relabelled"], named["was"] = train[0]["sha256"], LABELS[train[0]["label"]]
        train[0]["label"] = LABELS.index("fear")
        named["changed"] = train[1]["sha256"]
        train[1] |= {"agreement": 0.5, "licence": "another"}
        train.append({**train[2], "sha256": "ff" * 32})

    rewrite(second, change)
    found = diff(first, second).to_json()
    assert found == {
        "counts": dict.fromkeys(NOTHING, 1),
        "added": ["ff" * 32],
        "removed": [named["removed"]],
        "relabelled": [{"sha256": named["relabelled"], "from": named["was"], "to": "fear"}],
        "moved": [{"sha256": named["moved"], "from": "train", "to": "validation"}],
        "changed": [{"sha256": named["changed"], "columns": ["agreement", "licence"]}],
        "columns": {"added": [], "removed": []},
    }


def test_the_way_back_is_the_reverse(first: Path, second: Path) -> None:
    def change(train: list[Row], validation: list[Row]) -> None:
        train.pop(0)
        validation.append(train.pop(0))
        train[0]["label"] = LABELS.index("fear")

    rewrite(second, change)
    there, back = diff(first, second), diff(second, first)
    assert (there.added, there.removed) == (back.removed, back.added)
    assert there.moved == [(sha256, old, new) for sha256, new, old in back.moved]
    assert there.relabelled == [(sha256, old, new) for sha256, new, old in back.relabelled]


def test_labels_are_compared_by_name_not_by_number(first: Path, second: Path) -> None:
    order = [*LABELS[1:], LABELS[0]]
    for name in (TRAIN, VALIDATION):
        table = pq.read_table(second / name)
        metadata = dict(table.schema.metadata)
        told = json.loads(metadata[b"huggingface"])
        told["info"]["features"]["label"]["names"] = order
        rows = [{**r, "label": order.index(LABELS[r["label"]])} for r in table.to_pylist()]
        schema = table.schema.with_metadata({b"huggingface": json.dumps(told).encode()})
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), second / name)
    assert diff(first, second).counts() == NOTHING


def test_a_column_that_only_one_version_has_is_named_once(first: Path, second: Path) -> None:
    for name in (TRAIN, VALIDATION):
        table = pq.read_table(second / name).drop_columns(["box"])
        table = table.append_column("age", pa.array([30] * table.num_rows))
        pq.write_table(table, second / name)
    found = diff(first, second).to_json()
    assert found["counts"] == NOTHING
    assert found["columns"] == {"added": ["age"], "removed": ["box"]}


def test_pixels_that_are_kept_back_are_no_change(first: Path, second: Path) -> None:
    def change(train: list[Row], validation: list[Row]) -> None:
        for row in train:
            row["image"] = None

    rewrite(second, change)
    assert diff(first, second).counts() == NOTHING


samples = st.builds(
    Sample,
    split=st.sampled_from(["train", "validation"]),
    label=st.sampled_from(LABELS),
    digests=st.fixed_dictionaries({"a": st.binary(max_size=1), "b": st.binary(max_size=1)}),
)
versions = st.dictionaries(st.sampled_from("abcdefghij"), samples)


@given(versions, versions)
def test_a_difference_carries_one_version_into_the_other(
    a: dict[str, Sample], b: dict[str, Sample]
) -> None:
    found = compare(a, b)
    made = {name: sample for name, sample in a.items() if name not in found.removed}
    assert set(made) | set(found.added) == set(b)
    assert not set(made) & set(found.added)
    split = {name: sample.split for name, sample in made.items()}
    split |= {name: new for name, _, new in found.moved}
    label = {name: sample.label for name, sample in made.items()}
    label |= {name: new for name, _, new in found.relabelled}
    for name in made:
        assert (split[name], label[name]) == (b[name].split, b[name].label)
    columns = dict(found.changed)
    for name, sample in made.items():
        assert {k for k in "ab" if sample.digests[k] != b[name].digests[k]} == set(
            columns.get(name, [])
        )


def test_the_command_counts_and_names(
    first: Path, second: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(train: list[Row], validation: list[Row]) -> None:
        for row in train[:2]:
            row["label"] = LABELS.index("fear")
        train[2]["licence"] = "another"
        validation.append(train.pop())

    rewrite(second, change)
    assert cli.main(["diff", str(first), str(second)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:5]] == [
        ["0", "added"],
        ["0", "removed"],
        ["2", "relabelled"],
        ["1", "moved"],
        ["1", "changed"],
    ]
    assert "splits: train -> validation 1" in lines
    assert "columns that say something else: licence 1" in lines
    assert lines[5].startswith("labels: ")
    assert cli.main(["diff", str(first), str(second), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["counts"] == NOTHING | {"relabelled": 2, "moved": 1, "changed": 1}


def test_what_is_no_published_folder_is_missing(
    first: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MissingError, match=r"found no occlu_fer\.lock"):
        diff(first, tmp_path)
    assert cli.main(["diff", str(tmp_path), str(first)]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_shard_that_cannot_be_read_is_named(first: Path, second: Path) -> None:
    (second / TRAIN).write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"train-00000-of-00001\.parquet: found no shard"):
        diff(first, second)


def test_a_shard_of_another_name_is_no_change(first: Path, second: Path) -> None:
    (second / TRAIN).rename(second / "data/train.parquet")
    told = json.loads((second / "occlu_fer.lock").read_text(encoding="utf-8"))
    for part in ("files", "sizes"):
        told[part]["data/train.parquet"] = told[part].pop(TRAIN)
    (second / "occlu_fer.lock").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(UsageError, match=r"shard name: found data/train\.parquet"):
        diff(first, second)


def test_a_shard_that_is_missing_is_no_change(first: Path, second: Path) -> None:
    (second / VALIDATION).unlink()
    with pytest.raises(MissingError, match=r"validation-.*no such file, expected the shard"):
        diff(first, second)
