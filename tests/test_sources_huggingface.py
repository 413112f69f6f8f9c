"""Hugging Face datasets: saved, as Parquet, of a Hub, published by us; whole and damaged."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import datasets
import huggingface_hub
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from datasets.data_files import DataFilesDict, DataFilesList
from hypothesis import HealthCheck, given
from hypothesis import settings as fuzz_settings
from hypothesis import strategies as st

from occlufer.build import BuildSummary
from occlufer.builders.detection import find
from occlufer.builders.gather import gather
from occlufer.builders.sources import huggingface, opened_dataset
from occlufer.builders.sources.adapters import recognised
from occlufer.builders.sources.huggingface import Settings, entries
from occlufer.builders.synthetic import FacePlan, draw_face, encode_jpeg
from occlufer.config import SourceConfig
from occlufer.election import elect
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.record import Vote
from occlufer.schema import LABELS
from occlufer.workspace import Workspace

Write = Callable[[Path, Mapping[str, bytes]], Path]
Rows = dict[str, list[dict[str, Any]]]
NAMES = ["happy", "sad", "Surprised"]
PICTURES = Features({"image": datasets.Image(), "label": ClassLabel(names=NAMES)})


@pytest.fixture(autouse=True)
def no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes out, and what `datasets` prepares goes with the test's folder."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@lru_cache
def face(seed: int) -> bytes:
    data: bytes = encode_jpeg(draw_face(FacePlan("neutral", seed, seed)).image_rgb, 90)
    return data


def rows(*labels: Any, pictures: list[Any] | None = None) -> dict[str, list[Any]]:
    """Return columns with a face for every label."""
    if pictures is None:
        pictures = [{"bytes": face(i), "path": f"{i}.jpg"} for i in range(len(labels))]
    return {"image": pictures, "label": list(labels)}


def dataset(*labels: Any, features: Features = PICTURES, **columns: Any) -> Dataset:
    return Dataset.from_dict(rows(*labels) | columns, features=features)


def features(**columns: Any) -> Features:
    return Features({**PICTURES, **columns})


def save(path: Path, splits: dict[str, Dataset] | Dataset) -> Path:
    saved = splits if isinstance(splits, Dataset) else DatasetDict(splits)
    saved.save_to_disk(path)
    return path


def parquet(path: Path, table: Mapping[str, Any], name: str = "train-00000-of-00001") -> Path:
    """Write a shard with pyarrow alone, as others do."""
    path.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(table)), path / f"{name}.parquet")
    return path


def listed(path: Path, **settings: Any) -> list[Any]:
    return list(entries(Settings(path, **settings), "h"))


def labels_of(found: list[Any]) -> list[str | None]:
    return [e.facts.votes[0].label if e.facts.votes else None for e in found]


def reasons(found: list[Any]) -> list[str]:
    return [e.reject.reason if e.reject else "" for e in found]


def source(path: Path, **settings: Any) -> SourceConfig:
    return SourceConfig("huggingface", "h", {"path": str(path), **settings})


# Layouts ------------------------------------------------------------------------------------------


def as_one(folder: Path) -> Path:
    return save(folder / "one", dataset(0, 1, 2))


def as_splits(folder: Path) -> Path:
    return save(folder / "several", {"train": dataset(0, 1, 2)})


def as_parquet(folder: Path) -> Path:
    (folder / "pq/data").mkdir(parents=True)
    dataset(0, 1, 2).to_parquet(folder / "pq/data/train-00000-of-00001.parquet")
    return folder / "pq"


def as_flat_parquet(folder: Path) -> Path:
    (folder / "flat").mkdir()
    dataset(0, 1, 2).to_parquet(folder / "flat/faces.parquet")
    return folder / "flat"


LAYOUTS = [as_one, as_splits, as_parquet, as_flat_parquet]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_pictures_and_labels(
    tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    found = listed(layout(tmp_path))
    assert labels_of(found) == ["happiness", "sadness", "surprise"]
    assert [e.facts.source_label for e in found] == NAMES
    assert [e.facts.votes[0].rater for e in found] == ["source:h"] * 3
    assert [e.read().data for e in found] == [face(0), face(1), face(2)]
    split = "" if layout is as_one else "train/"
    assert [e.source_id for e in found] == [f"{split}{i}" for i in range(3)]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised_and_counted(
    tmp_path: Path, layout: Callable[[Path], Path]
) -> None:
    path = layout(tmp_path)
    found = find(path)
    assert (found.kind, found.records, found.missing) == ("huggingface", 3, "")
    (classes,) = found.splits.values()
    assert classes == {"happiness": 1, "sadness": 1, "surprise": 1}


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (as_one, "Hugging Face, a saved dataset"),
        (as_splits, "Hugging Face, a saved dataset of several splits"),
        (as_parquet, "Hugging Face, Parquet with pictures: data/train-00000-of-00001.parquet"),
        (as_flat_parquet, "Hugging Face, Parquet with pictures: faces.parquet"),
    ],
)
def test_a_layout_is_recognised_in_words(
    tmp_path: Path, layout: Callable[[Path], Path], words: str
) -> None:
    assert recognised(layout(tmp_path)) == ("huggingface", words)


def test_splits_are_read_in_their_order_or_one_alone(tmp_path: Path) -> None:
    path = save(tmp_path / "d", {"train": dataset(0), "val": dataset(1), "test": dataset(2)})
    assert [(e.source_id, e.facts.source_split, e.place) for e in listed(path)] == [
        ("train/0", "train", "split train, row 0"),
        ("val/0", "validation", "split val, row 0"),
        ("test/0", "test", "split test, row 0"),
    ]
    assert [e.source_id for e in listed(path, split="val")] == ["val/0"]
    with pytest.raises(UsageError, match=r"found train, val, test, expected the split 'dev'"):
        listed(path, split="dev")


def test_a_split_without_rows_is_refused_as_datasets_does(tmp_path: Path) -> None:
    path = save(tmp_path / "d", {"train": dataset(0), "val": dataset()})
    with pytest.raises(UsageError, match="val: found a split without rows, which `datasets` canno"):
        listed(path)


def test_a_row_is_told_by_its_number_beyond_the_first_batch(tmp_path: Path) -> None:
    count = huggingface.ROWS_AT_A_TIME + 5
    pictures = [{"bytes": str(i).encode(), "path": None} for i in range(count)]
    table = rows(*([0] * count), pictures=pictures)
    found = listed(save(tmp_path / "d", Dataset.from_dict(table, features=PICTURES)))
    assert [int(e.source_id) for e in found] == list(range(count))
    for i in (0, count - 6, count - 5, count - 1):
        assert found[i].read().data == str(i).encode()


def test_a_config_is_chosen_by_name(tmp_path: Path) -> None:
    for name, label in (("a", 0), ("b", 1)):
        (tmp_path / "d" / name).mkdir(parents=True)
        dataset(label).to_parquet(tmp_path / "d" / name / "train-00000-of-00001.parquet")
    (tmp_path / "d/README.md").write_text(
        "---\nconfigs:\n"
        + "".join(
            f"- config_name: {n}\n  data_files:\n  - split: train\n    path: {n}/*.parquet\n"
            for n in ("a", "b")
        )
        + "---\n"
    )
    what = "Hugging Face, Parquet with pictures: a/train-00000-of-00001.parquet"
    assert recognised(tmp_path / "d") == ("huggingface", what)
    assert labels_of(listed(tmp_path / "d", config="b")) == ["sadness"]
    with pytest.raises(UsageError, match=r"d: .*\['a', 'b'\].*; say which with config = "):
        listed(tmp_path / "d")
    with pytest.raises(UsageError, match=r"'c' not found. Available: \['a', 'b'\]"):
        listed(tmp_path / "d", config="c")


def test_a_saved_dataset_has_no_config(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'found config = "a", but a saved dataset has none'):
        listed(as_one(tmp_path), config="a")


# Labels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "labels", "label_map", "expected"),
    [
        (ClassLabel(names=["HA", "contempt"]), [0, 1, None, -1], {}, "happiness contempt - -"),
        (ClassLabel(names=["a", "b"]), [0, 1], {"A": "fear", "b": "unlabelled"}, "fear -"),
        (ClassLabel(names=["joy", "sad"]), [1, 1], {}, "sadness sadness"),
        (ClassLabel(names=["1", "0"]), [0, 1], {"0": "fear", "1": "anger"}, "anger fear"),
        (Value("int64"), [3, 0, None], {"3": "fear", "0": "anger"}, "fear anger -"),
        (Value("float64"), [3.0, None, float("nan")], {"3": "fear"}, "fear - -"),
        (Value("string"), ["sad", " Happy ", "", None], {}, "sadness happiness - -"),
        (Value("large_string"), ["sad", "FE"], {"sad": "anger"}, "anger fear"),
    ],
    ids=["names", "map", "unused-name", "names-are-numbers", "ints", "floats", "texts", "codes"],
)
def test_labels_of_every_type_are_understood(
    tmp_path: Path, kind: Any, labels: list[Any], label_map: dict[str, str], expected: str
) -> None:
    found = listed(
        save(tmp_path / "d", dataset(*labels, features=features(label=kind))), label_map=label_map
    )
    assert [label or "-" for label in labels_of(found)] == expected.split()
    assert reasons(found) == [""] * len(labels)


@pytest.mark.parametrize(
    ("kind", "labels", "words"),
    [
        (Value("int64"), [3, 0], ("row 0: found the label '3' and 1 more", '"3" = "...", "0"')),
        (ClassLabel(names=["joy"]), [0], ("found the label 'joy'", '"joy" = "..."')),
        (ClassLabel(names=["0", "1"]), [None, 1], ("row 1: found the label '1'", "one of anger")),
        (
            Value("string"),
            ["sad", "sa d"],
            ("row 1", "'sa d'", '"unlabelled"', 'label_column = ""'),
        ),
        (Value("bool"), [True], ("'label' holds bool",)),
        (List(Value("int64")), [[1]], ("'label' holds list",)),
    ],
    ids=["ints", "name", "number-as-name", "text", "bool", "list"],
)
def test_a_label_that_nothing_explains_is_refused_at_once(
    tmp_path: Path, kind: Any, labels: list[Any], words: tuple[str, ...]
) -> None:
    path = save(tmp_path / "d", {"train": dataset(*labels, features=features(label=kind))})
    with pytest.raises(UsageError) as caught:
        next(entries(Settings(path), "h"))
    assert all(word in str(caught.value) for word in (str(path), *words))


def test_words_that_nothing_explains_are_listed(tmp_path: Path) -> None:
    path = save(tmp_path / "d", dataset(0, 3, 3, 1, features=features(label=Value("int64"))))
    settings = Settings(path, label_map={"1": "fear"})
    assert huggingface.unknown(settings) == {"0": f"{path}, row 0", "3": f"{path}, row 1"}


def test_a_class_number_without_a_name_is_malformed(tmp_path: Path) -> None:
    named = datasets.Features({"label": ClassLabel(names=NAMES)}).arrow_schema.metadata
    table = pa.table({"label": [0, 3, -2], "image": [{"bytes": face(0), "path": None}] * 3})
    table = table.replace_schema_metadata(named)
    (tmp_path / "d").mkdir()
    pq.write_table(table, tmp_path / "d/train.parquet")
    # `datasets` itself lets no such number pass from Parquet; a saved file may hold it.
    path = save(tmp_path / "saved", dataset(0, 0, 0))
    (arrow,) = path.glob("*.arrow")
    with pa.OSFile(str(arrow), "wb") as file:
        wide = table.select(["image", "label"]).cast(PICTURES.arrow_schema)
        with pa.ipc.new_stream(file, wide.schema) as writer:
            writer.write_table(wide)
    found = listed(path)
    assert reasons(found) == ["", "malformed_row", "malformed_row"]
    assert found[1].reject.detail == "found the class number '3', expected 0 to 2 or -1"


# Columns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "settings", "expected"),
    [
        ({"label": "emotion"}, {}, "happiness"),
        ({"label": "Class", "image": "File"}, {}, "happiness"),
        ({"image": "img", "label": "fine"}, {}, "happiness"),
        ({"image": "x", "label": "y"}, {"image_column": "x", "label_column": "y"}, "happiness"),
        ({"label": "y"}, {"label_column": ""}, None),
    ],
    ids=["usual", "any-case", "by-type", "named", "no-labels"],
)
def test_columns_are_found_by_name_or_type(
    tmp_path: Path, names: dict[str, str], settings: dict[str, Any], expected: str | None
) -> None:
    path = save(tmp_path / "d", dataset(0).rename_columns(names))
    found = listed(path, **settings)
    assert labels_of(found) == [expected]
    assert found[0].read().data == face(0)


@pytest.mark.parametrize(
    ("columns", "settings", "words"),
    [
        ({"label": "a"}, {"label_column": "b"}, ("found the columns image, a, expected 'b'",)),
        ({"image": "a"}, {"image_column": "b"}, ("found the columns a, label", 'image_column = "')),
        ({}, {"image_column": "label"}, ("'label' holds no pictures but int64",)),
    ],
    ids=["label", "image", "no-picture"],
)
def test_a_column_that_is_not_there_is_refused_with_those_that_are(
    tmp_path: Path, columns: dict[str, str], settings: dict[str, Any], words: tuple[str, ...]
) -> None:
    path = save(tmp_path / "d", dataset(0).rename_columns(columns))
    with pytest.raises(UsageError) as caught:
        listed(path, **settings)
    assert all(word in str(caught.value) for word in words)


def test_two_columns_that_might_be_meant_are_refused(tmp_path: Path) -> None:
    two = dataset(0, features=features(other=datasets.Image()), other=[None])
    path = save(tmp_path / "d", two.rename_columns({"image": "a", "label": "emotion"}))
    with pytest.raises(UsageError, match=r"found the columns a, emotion, other, expected 'image'"):
        listed(path)


def test_columns_of_a_row_count_for_it(tmp_path: Path) -> None:
    kinds = {
        **dict.fromkeys(("licence", "attribution", "rights", "test_set", "split"), Value("string")),
        "subject": Value("int64"),
    }
    said = {
        "licence": ["CC0-1.0", None, "", "CC-BY-4.0"],
        "attribution": ["Ann", None, "", "Bo"],
        "rights": ["", "index_only", "", "free"],
        "test_set": ["", "FER test", None, ""],
        "split": ["val", "", "PrivateTest", "train"],
        "subject": [7, None, None, 7],
    }
    path = save(tmp_path / "d", dataset(0, 0, 0, 0, features=features(**kinds), **said))
    found = listed(path, licence="MIT", attribution="all")
    names = ("licence", "attribution", "rights", "test_set", "source_split", "subject")
    facts = [tuple(getattr(e.facts, name) for name in names) for e in found]
    assert facts[:3] == [
        ("CC0-1.0", "Ann", "publishable", None, "validation", "7"),
        ("MIT", "all", "index_only", "FER test", None, None),
        ("MIT", "all", "index_only", "h test", "PrivateTest", None),
    ]
    assert found[3].reject.reason == "malformed_row"
    assert found[3].reject.detail.startswith("found the rights 'free', expected one of publishable")


def test_columns_that_hold_no_texts_do_not_count(tmp_path: Path) -> None:
    kinds = {"subject": List(Value("int64")), "licence": Value("bool")}
    path = save(
        tmp_path / "d", dataset(0, features=features(**kinds), subject=[[1]], licence=[True])
    )
    (entry,) = listed(path)
    assert (entry.facts.subject, entry.facts.licence) == (None, "unknown")


@pytest.mark.parametrize(
    ("splits", "settings", "expected"),
    [
        (["train", "test"], {}, [None, "h test"]),
        (["train", "test"], {"test_set": "X test"}, [None, "X test"]),
        (["train", "validation"], {"test_set": "X test"}, ["X test", "X test"]),
        (["train", "validation"], {}, [None, None]),
        (["train", "test"], {"test_set": "X test", "split": "train"}, ["X test"]),
    ],
    ids=["own", "named", "no-test-split", "none", "one-split"],
)
def test_the_split_test_never_trains(
    tmp_path: Path, splits: list[str], settings: dict[str, str], expected: list[str | None]
) -> None:
    path = save(tmp_path / "d", {split: dataset(0) for split in splits})
    assert [e.facts.test_set for e in listed(path, **settings)] == expected


def test_what_the_settings_say_stands_in_every_record(tmp_path: Path) -> None:
    said = {"content": "photograph", "licence": "CC0-1.0", "attribution": "me", "rights": "blocked"}
    (entry,) = listed(save(tmp_path / "d", dataset(0)), **said)
    assert {name: getattr(entry.facts, name) for name in said} == said


# Pictures -----------------------------------------------------------------------------------------


def test_pictures_are_never_decoded_by_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workspace: Workspace
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(datasets.Image, "decode_example", fail)
    pictures = [{"bytes": face(0), "path": None}, {"bytes": b"no picture", "path": None}]
    table = Dataset.from_dict(rows(0, 1, pictures=pictures), features=PICTURES)
    gather((source(save(tmp_path / "d", table)),), workspace, 2)
    found = {r.source_id: r.reject and r.reject.reason for r in workspace.catalog.records()}
    assert found == {"0": None, "1": "not_an_image"}


def test_what_is_null_is_told(tmp_path: Path) -> None:
    pictures = [None, {"bytes": None, "path": None}, {"bytes": face(2), "path": None}]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    image = pa.array(pictures, kind)
    found = listed(parquet(tmp_path / "d", {"image": image, "label": ["sad", None, None]}))
    assert reasons(found) == ["missing_file", "missing_file", ""]
    assert labels_of(found) == ["sadness", None, None]
    assert found[0].reject.detail == "found neither bytes nor a path, expected a picture"


def test_bytes_need_no_struct(tmp_path: Path) -> None:
    kinds = [pa.binary(), pa.large_binary()]
    for number, kind in enumerate(kinds):
        image = pa.array([face(0), None], kind)
        path = parquet(tmp_path / str(number), {"image": image, "label": ["sad", "sad"]})
        found = listed(path)
        assert found[0].read().data == face(0)
        assert reasons(found) == ["", "missing_file"]
        assert recognised(path) is not None


def test_a_picture_may_be_stored_as_a_path_within_the_folder(
    tmp_path: Path, write_tree: Write
) -> None:
    root = write_tree(
        tmp_path / "d", {"faces/1.jpg": face(1), "faces/2.jpg": face(2), "../out.jpg": face(3)}
    )
    (root / "link.jpg").symlink_to(tmp_path / "out.jpg")
    paths = [
        *("faces/1.jpg", str(root / "faces/2.jpg"), "gone.jpg", "../out.jpg", "/etc/hostname"),
        *("link.jpg", "https://example.org/1.jpg", str(root / "../out.jpg"), ""),
    ]
    expected = [
        *("", "", "missing_file", "outside_source", "outside_source"),
        *("outside_source", "missing_file", "outside_source", "missing_file"),
    ]
    labels = ["sad"] * len(paths)
    structs = [{"bytes": None, "path": path} for path in paths]
    for image in (structs, paths):
        found = listed(save(tmp_path / "d", Dataset.from_dict({"image": image, "label": labels})))
        assert reasons(found) == expected
        assert [e.read().data for e in found[:2]] == [face(1), face(2)]
        assert 'kind = "web"' in found[6].reject.detail


def test_an_entry_travels_without_its_picture(tmp_path: Path) -> None:
    for layout in (as_splits, as_parquet):
        for number, entry in enumerate(listed(layout(tmp_path))):
            packed = pickle.dumps(entry)
            assert len(packed) < 2000
            assert pickle.loads(packed).read().data == face(number)  # noqa: S301, our own


def test_another_process_reads_the_same_pictures(tmp_path: Path) -> None:
    (tmp_path / "entries").write_bytes(pickle.dumps(listed(as_parquet(tmp_path))))
    code = (
        "import hashlib, pickle, datasets, pathlib\n"
        "datasets.config.HF_DATASETS_CACHE = pathlib.Path('cache')\n"
        "for entry in pickle.loads(pathlib.Path('entries').read_bytes()):\n"
        "    print(hashlib.sha256(entry.read().data).hexdigest())\n"
    )
    env = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.stdout.split() == [hashlib.sha256(face(i)).hexdigest() for i in range(3)]
    assert "examples" not in done.stderr  # no bar where nobody watches


# Changes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_unchanged_is_not_read_again_and_what_is_changed_is(
    tmp_path: Path, workspace: Workspace, layout: Callable[[Path], Path]
) -> None:
    path = layout(tmp_path)
    assert gather((source(path),), workspace, 1) == 3
    assert gather((source(path),), workspace, 1) == 0
    data = next(file for file in path.rglob("*") if file.suffix in (".arrow", ".parquet"))
    other = dataset(1, 1)
    if data.suffix == ".parquet":
        other.to_parquet(data)
    else:
        save(tmp_path / "other", other)
        shutil.copy(tmp_path / "other/data-00000-of-00001.arrow", data)
    assert gather((source(path),), workspace, 1) == 2
    assert [r.facts.votes[0].label for r in workspace.catalog.records()] == ["sadness"] * 2


def test_a_picture_that_is_changed_in_its_file_is_read_again(
    tmp_path: Path, workspace: Workspace, write_tree: Write
) -> None:
    path = save(tmp_path / "d", Dataset.from_dict({"image": ["1.jpg", "2.jpg"]}))
    write_tree(path, {"1.jpg": face(1), "2.jpg": face(2)})
    one = source(path, label_column="")
    assert gather((one,), workspace, 1) == 2
    write_tree(path, {"1.jpg": face(3)})
    assert gather((one,), workspace, 1) == 1


def test_a_dataset_that_changes_while_it_is_read_is_tried_again(tmp_path: Path) -> None:
    path = as_one(tmp_path)
    found = listed(path)
    os.utime(path / "data-00000-of-00001.arrow", ns=(1, 1))
    opened_dataset._opened.cache_clear()  # as in a worker that starts now
    with pytest.raises(OSError, match="one was changed while it was read"):
        found[0].read()


# Pieces that are missing --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("dataset_dict.json", "found no dataset_dict.json, which names test, train"),
        ("train", "found no train, which dataset_dict.json names"),
        ("test/state.json", "test: found no state.json, which every saved split has"),
        ("test/dataset_info.json", "test: found no dataset_info.json, which every saved split has"),
        ("train/data-00000-of-00001.arrow", "found no data-00000-of-00001.arrow, which state.json"),
    ],
)
def test_a_missing_piece_of_a_saved_dataset_is_named(tmp_path: Path, gone: str, words: str) -> None:
    path = save(tmp_path / "d", {"train": dataset(0), "test": dataset(1)})
    shutil.rmtree(path / gone) if (path / gone).is_dir() else (path / gone).unlink()
    found = find(path)
    assert found.kind == "huggingface"
    assert words in found.missing
    with pytest.raises(MissingError, match="save the dataset anew"):
        next(entries(Settings(path), "h"))


@pytest.mark.parametrize("name", ["state.json", "dataset_info.json", "data-00000-of-00001.arrow"])
def test_a_missing_piece_of_one_saved_split_is_named(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / "d", dataset(0))
    (path / name).unlink()
    assert f"d: found no {name}, which" in find(path).missing


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    for name in ("train-00000-of-00003", "train-00002-of-00003"):
        parquet(tmp_path / "d/data", {"image": [face(0)], "label": ["sad"]}, name)
    assert "found no train-00001-of-00003.parquet, one of 3 shards" in find(tmp_path / "d").missing


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({}, MissingError, "found no dataset in it"),
        ({"a.parquet": b"PAR1 nothing"}, UsageError, "cannot be read by `datasets`: "),
        ({"a.parquet": b""}, UsageError, "cannot be read by `datasets`: "),
        ({"x/x.py": b""}, MissingError, "found no dataset in it"),
        ({"state.json": b'{"_data_files": 3}', "dataset_info.json": b"{}"}, UsageError, "no names"),
        (
            {"state.json": b'{"_data_files": [{"filename": "../a.arrow"}]}'}
            | {"dataset_info.json": b""},
            UsageError,
            "found no names of files",
        ),
        ({"dataset_dict.json": b'{"splits": ["../d"]}'}, UsageError, "no names of splits"),
        ({"dataset_dict.json": b"[]"}, UsageError, "found no JSON object"),
        ({"dataset_dict.json": b"\xff"}, UsageError, "found no JSON object"),
        ({"occlu_fer.lock": b"[]"}, UsageError, "JSON object, expected one as `occlufer build`"),
    ],
)
def test_what_is_no_dataset_is_refused(
    tmp_path: Path, write_tree: Write, files: dict[str, bytes], error: type[Exception], words: str
) -> None:
    path = write_tree(tmp_path / "d", files)
    with pytest.raises(error, match=rf"d.*{words}"):
        listed(path)


def test_a_path_that_is_not_there_or_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r'none: no such folder; expected .*repository = "owner'):
        listed(tmp_path / "none")
    (tmp_path / "a.parquet").write_bytes(b"")
    with pytest.raises(UsageError, match="found a file, expected a folder"):
        listed(tmp_path / "a.parquet")


def test_a_link_out_of_a_saved_dataset_is_refused(tmp_path: Path) -> None:
    path, data = save(tmp_path / "d", dataset(0)), "data-00000-of-00001.arrow"
    (path / data).rename(tmp_path / data)
    (path / data).symlink_to(tmp_path / data)
    with pytest.raises(UsageError, match=rf"{data}: a link to .*, outside "):
        listed(path)


def test_a_card_may_name_no_file_of_another_folder(tmp_path: Path, write_tree: Write) -> None:
    as_parquet(tmp_path)
    card = b"---\nconfigs:\n- config_name: default\n  data_files: ../pq/data/*.parquet\n---\n"
    path = write_tree(tmp_path / "d", {"README.md": card})
    with pytest.raises(UsageError, match=r"d: its card names .*, expected files in the folder"):
        listed(path)


def test_an_address_in_a_card_is_no_path_below_the_working_folder(
    tmp_path: Path, write_tree: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_tree(tmp_path / "d", {"README.md": b""})
    builder = datasets.DatasetBuilder.__new__(datasets.DatasetBuilder)
    addresses = DataFilesList(["https://example.org/faces.parquet"], [("etag",)])
    files = DataFilesDict({"train": addresses})
    builder.config = datasets.BuilderConfig("default", data_files=files)
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *_: builder)
    monkeypatch.chdir(path)
    with pytest.raises(UsageError, match=r"d: its card names https://example\.org/faces\.parquet"):
        listed(path)


def test_a_folder_whose_path_datasets_cannot_read_is_refused_by_name(tmp_path: Path) -> None:
    parquet(tmp_path / "faces [1]", {"image": [face(0)], "label": ["sad"]})
    with pytest.raises(UsageError, match=r"faces \[1\]: `datasets` reads no folder with \[ \] in"):
        listed(tmp_path / "faces [1]")


def test_other_folders_are_not_taken_for_datasets(tmp_path: Path, write_tree: Write) -> None:
    files = {
        "classes/happy/1.jpg": b"",
        "state/state.json": b'{"a": 1}',
        "info/dataset_info.json": b"{}",
        "damaged/a.parquet": b"PAR1",
        "shelf/one/dataset_dict.json": b"{}",
        "empty/README.md": b"",
    }
    write_tree(tmp_path, files)
    parquet(tmp_path / "numbers", {"a": [1], "sha256": [b"x"]})
    parquet(tmp_path / "shelf/two", {"image": [face(0)], "label": ["sad"]})
    parquet(tmp_path / "paths", {"image": ["1.jpg"], "label": ["sad"]})
    for path in (*tmp_path.iterdir(), tmp_path / "empty/README.md"):
        assert huggingface.detect(path) is None, path


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "path, repository: expected one of them"),
        ({"path": Path("x"), "repository": "a/b"}, "and not both"),
        ({"repository": "mnist"}, "found 'mnist', expected owner/name"),
        ({"repository": "../x"}, "found '../x', expected owner/name"),
        ({"repository": "a/b/c"}, "expected owner/name"),
        ({"repository": "https://x/y"}, "expected owner/name"),
        ({"path": Path("x"), "revision": "main"}, "revision: expected with a repository only"),
        ({"path": Path("x"), "content": "photo"}, "content: found 'photo'"),
        ({"path": Path("x"), "rights": "free"}, "rights: found 'free'"),
        ({"path": Path("x"), "label_map": {"0": "joy"}}, "label_map, '0': found 'joy'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r"found|expected") as caught:
        Settings(**settings)
    assert words in str(caught.value)


@fuzz_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["state.json", "dataset_info.json"]),
    data=st.one_of(
        st.binary(max_size=60),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["_data_files", "filename", "_split", "features", "splits"]),
                    inner,
                )
            ),
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_whatever_its_json_says_a_saved_dataset_raises_nothing_odd(
    tmp_path: Path, name: str, data: bytes
) -> None:
    path = tmp_path / "fuzzed"
    if not path.exists():
        save(path, dataset(0))
    before = (path / name).read_bytes()
    (path / name).write_bytes(data)
    try:
        huggingface.detect(path)
        list(entries(Settings(path), "h"))
    except OccluferError:
        pass
    finally:
        (path / name).write_bytes(before)


# The Hub ------------------------------------------------------------------------------------------


def from_hub(**settings: Any) -> list[Any]:
    return list(entries(Settings(repository="owner/name", **settings), "h"))


def test_without_the_hub_it_is_said_so() -> None:
    with pytest.raises(
        MissingError,
        match=r"owner/name: HF_HUB_OFFLINE is set, so the Hub is not asked .*not loaded before",
    ):
        from_hub()


def response(code: int) -> Any:
    httpx = pytest.importorskip("httpx", reason="huggingface_hub before 1.0 has no httpx")
    return httpx.Response(code, request=httpx.Request("GET", "https://huggingface.co"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (lambda: ConnectionError("Couldn't reach 'owner/name'"), "the Hub cannot be reached (Cou"),
        (lambda: TimeoutError("slow"), "the Hub cannot be reached (slow)"),
        (
            lambda: huggingface_hub.errors.HfHubHTTPError(
                "503 Server Error", response=response(503)
            ),
            "the Hub cannot be reached (503",
        ),
        (
            lambda: datasets.exceptions.DatasetNotFoundError("Dataset 'owner/name' is gated"),
            "ask at huggingface.co/datasets/owner/name, then log in with `hf auth login`, or set",
        ),
        (
            lambda: datasets.exceptions.DatasetNotFoundError("Dataset 'owner/name' doesn't exist"),
            "found no such dataset on the Hub; if it is a private one, log in",
        ),
        (
            lambda: datasets.exceptions.DatasetNotFoundError("Revision 'x' doesn't exist"),
            "found no revision 'x'",
        ),
    ],
    ids=["no-connection", "timeout", "503", "gated", "no-such", "revision"],
)
def test_what_the_hub_refuses_is_said_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, error: Callable[[], Exception], words: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error()

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(MissingError) as caught:
        from_hub(revision="x")
    assert "owner/name: " in str(caught.value)
    assert words in str(caught.value)


def test_a_full_disk_is_no_fault_of_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise datasets.exceptions.DatasetGenerationError("x") from OSError(28, "No space left")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(OSError, match="No space left"):
        from_hub()


def test_a_folder_of_the_repository_s_name_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "owner/name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r'a folder of that name here.*path = "owner/name"'):
        from_hub()


COMMIT, OTHER_COMMIT = "a" * 40, "b" * 40
REFUSED = {"owner/asked": 401, "owner/refused": 403, "owner/private": 404}


class Hub(ThreadingHTTPServer):
    """As much of the Hub as `datasets` asks for."""

    def __init__(self, repositories: dict[str, dict[str, bytes]]) -> None:
        self.repositories = repositories
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self.thread.join()


class HubHandler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.answer(404)

    def do_GET(self) -> None:
        assert isinstance(self.server, Hub)
        steps = self.path.partition("?")[0].removeprefix("/api").split("/")[2:]
        repository = "/".join(steps[:2])
        if repository not in self.server.repositories:
            code = REFUSED.get(repository, 404)
            says = "RepoNotFound" if code == 404 else "GatedRepo"
            return self.answer(code, {"X-Error-Code": says})
        files = self.server.repositories[repository]
        if steps[2:3] == ["resolve"]:
            name = "/".join(steps[4:])
            if name not in files:
                return self.answer(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{len(files[name])}"'}
            return self.answer(200, headers, files[name])
        if steps[2:3] == ["tree"]:
            return self.answer(200, {}, json.dumps(self.tree(files, "/".join(steps[4:]))).encode())
        siblings = [{"rfilename": name} for name in files]
        about = {"id": repository, "sha": COMMIT, "siblings": siblings, "private": False}
        self.answer(200, {}, json.dumps(about).encode())

    def tree(self, files: Mapping[str, bytes], folder: str) -> list[dict[str, Any]]:
        """Return what lies in a folder, and below it if that is asked for."""
        at = f"{folder}/" if folder else ""
        below = [name.removeprefix(at) for name in files if name.startswith(at)]
        deep = "recursive=true" in self.path.lower()
        inner = sorted({name.split("/")[0] for name in below if "/" in name})
        return [{"type": "directory", "path": at + name, "oid": "2" * 40} for name in inner] + [
            {"type": "file", "path": at + name, "size": len(files[at + name]), "oid": "1" * 40}
            for name in below
            if deep or "/" not in name
        ]

    def answer(self, code: int, headers: dict[str, str] | None = None, data: bytes = b"") -> None:
        self.send_response(code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A Hub on the loopback: Parquet of two splits, a folder of pictures, and what it refuses."""
    files = {"README.md": b"---\nlicense: mit\n---\n"}
    for split, labels in {"train": (0, 1), "test": (2,)}.items():
        name = f"data/{split}-00000-of-00001.parquet"
        dataset(*labels).to_parquet(tmp_path / f"{split}.parquet")
        files[name] = (tmp_path / f"{split}.parquet").read_bytes()
    pictures = {"train/happy/1.jpg": face(1), "train/sad/2.jpg": face(2)}
    server = Hub({"owner/name": files, "owner/pictures": pictures})
    yield server
    server.stop()


HUB_CODE = """
import hashlib, json, sys
from occlufer.builders.sources.huggingface import Settings, entries
from occlufer.errors import OccluferError
for asked in json.loads(sys.argv[1]):
    try:
        found = list(entries(Settings(**asked), "h"))
        print(json.dumps([
            [e.source_id, e.stamp, e.facts.votes[0].label, e.facts.test_set,
             hashlib.sha256(e.read().data).hexdigest(), e.read.args[0].revision] for e in found
        ]))
    except OccluferError as error:
        print(json.dumps(f"{type(error).__name__}: {error}"))
"""


def ask_hub(hub: Hub, home: Path, *asked: dict[str, str], offline: bool = False) -> list[Any]:
    """Return what each of the settings lists, or the error, in a process of its own."""
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
        "HF_ENDPOINT": "http://{}:{}".format(*hub.server_address),
        "HF_HOME": str(home),
        **({"HF_HUB_OFFLINE": "1"} if offline else {}),
    }
    command = [sys.executable, "-c", HUB_CODE, json.dumps(asked)]
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_dataset_of_the_hub_is_read_and_once_there_needs_no_hub(hub: Hub, tmp_path: Path) -> None:
    one = {"repository": "owner/name"}
    gated, closed = {"repository": "owner/asked"}, {"repository": "owner/private"}
    found, asked, refused, private = ask_hub(
        hub, tmp_path, one, gated, {"repository": "owner/refused"}, closed
    )
    assert [(row[0], row[2], row[3]) for row in found] == [
        ("train/0", "happiness", None),
        ("train/1", "sadness", None),
        ("test/0", "surprise", "h test"),
    ]
    pictures = [hashlib.sha256(face(i)).hexdigest() for i in (0, 1, 0)]
    assert [row[4] for row in found] == pictures
    assert {row[5] for row in found} == {COMMIT}  # what is read later is what was listed
    assert "ask at huggingface.co/datasets/owner/asked, then log in" in asked
    assert "ask at huggingface.co/datasets/owner/refused, then log in" in refused
    assert "MissingError: owner/private: found no such dataset on the Hub" in private
    (folder,) = ask_hub(hub, tmp_path, {"repository": "owner/pictures"})
    assert [row[2] for row in folder] == ["happiness", "sadness"], folder
    assert [row[4] for row in folder] == [hashlib.sha256(face(i)).hexdigest() for i in (1, 2)]
    again, pinned, other = ask_hub(
        hub,
        tmp_path,
        one,
        {**one, "revision": COMMIT},
        {**one, "revision": OTHER_COMMIT},
        offline=True,
    )
    assert again == pinned == found  # stamps too: nothing is read again
    assert other == (
        f"MissingError: owner/name: found revision {COMMIT} in the cache, expected {OTHER_COMMIT}, "
        "and HF_HUB_OFFLINE is set, so the Hub is not asked"
    )


def test_a_card_of_the_hub_names_no_file_of_this_machine_or_of_another_place(
    hub: Hub, tmp_path: Path
) -> None:
    private = tmp_path / "private"
    (private / "happy").mkdir(parents=True)
    (private / "happy/1.jpg").write_bytes(face(7))
    dataset(0, 1).to_parquet(private / "faces.parquet")
    shard = "data/train-00000-of-00001.parquet"
    address = "http://{}:{}".format(*hub.server_address)
    named = {
        "absolute": f"{private}/faces.parquet",
        "pictures": f"{private}/*/*.jpg",
        "relative": f"{'../' * 12}{str(private)[1:]}/faces.parquet",
        "address": f"{address}/datasets/owner/name/resolve/x/{shard}",
        "another": f"hf://datasets/owner/name/{shard}",
    }
    for name, files in {**named, "own": "data/*.parquet"}.items():
        card = f"---\nconfigs:\n- config_name: default\n  data_files: {files}\n---\n"
        hub.repositories[f"owner/{name}"] = {"README.md": card.encode()}
    hub.repositories["owner/own"][shard] = hub.repositories["owner/name"][shard]
    asked = ({"repository": f"owner/{name}"} for name in (*named, "own"))
    *found, own = ask_hub(hub, tmp_path, *asked)
    assert len(own) == 2
    for name, said in zip(named, found, strict=True):
        assert isinstance(said, str), f"{name}: {said}"
        assert said.startswith((f"UsageError: owner/{name}: ", f"MissingError: owner/{name}: "))


# Published by us ----------------------------------------------------------------------------------


def test_a_published_dataset_is_a_source_again(
    built: BuildSummary, rows_of: Callable[[Path], Rows], workspace: Workspace
) -> None:
    assert recognised(built.out) == (
        "huggingface",
        "Occlu-FER, a dataset that occlufer has published",
    )
    published = rows_of(built.out)
    gather((source(built.out),), workspace, 2)
    found = {record.source_id: record for record in workspace.catalog.records()}
    assert len(found) == sum(map(len, published.values()))
    for split, index, row in (
        (split, i, row) for split, listed in published.items() for i, row in enumerate(listed)
    ):
        record = found[f"{split}/{index}"]
        assert record.reject is None
        assert record.image == row["sha256"]
        election = elect(record.facts.votes)
        assert (election.votes, election.label) == (row["votes"], LABELS[row["label"]])
        assert election.agreement == pytest.approx(row["agreement"], abs=1e-3)
        assert {vote.rater for vote in record.facts.votes} == {"source:h"}
        said = ("licence", "attribution", "rights")
        assert [getattr(record.facts, name) for name in said] == [row[name] for name in said]
        assert record.facts.source_split == split


OURS = Features(
    {**PICTURES, "label": ClassLabel(names=list(LABELS)), "votes": List(Value("int32"))}
)


def test_votes_count_only_beside_our_own_classes(tmp_path: Path) -> None:
    votes = [[0, 0, 0, 2, 1, 0, 0, 0]]
    ours = dataset(3, features=OURS, votes=votes)
    (entry,) = listed(save(tmp_path / "ours", ours))
    assert entry.facts.votes == (Vote("source:h", "happiness", 2), Vote("source:h", "neutral", 1))
    (mapped,) = listed(tmp_path / "ours", label_map={"happiness": "fear"})
    assert mapped.facts.votes == (Vote("source:h", "fear"),)
    names = ClassLabel(names=list(reversed(LABELS)))
    other = dataset(3, features=Features({**OURS, "label": names}), votes=votes)
    (entry,) = listed(save(tmp_path / "other", other))
    assert entry.facts.votes == (Vote("source:h", "neutral"),)


@pytest.mark.parametrize("votes", [None, [1, 2], [0, 0, 0, -1, 0, 0, 0, 0], [None] * 8])
def test_votes_that_are_none_are_malformed(tmp_path: Path, votes: list[int] | None) -> None:
    path = save(tmp_path / "d", dataset(3, features=OURS, votes=[votes]))
    (entry,) = listed(path)
    assert entry.reject.reason == "malformed_row"
    assert entry.reject.detail == f"found the votes {votes}, expected 8 numbers from 0 on"


def test_a_published_dataset_without_a_shard_is_told(built: BuildSummary, tmp_path: Path) -> None:
    shutil.copytree(built.out, tmp_path / "occlu_fer")
    (gone,) = (tmp_path / "occlu_fer/data").glob("validation-*")
    gone.unlink()
    missing = find(tmp_path / "occlu_fer").missing
    assert f"found no data/{gone.name}, which occlu_fer.lock names" in missing


def test_the_command_line_tells_what_a_dataset_holds(
    tmp_path: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    path = as_splits(tmp_path)
    done = run_cli("sources", "detect", path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("Hugging Face, a saved dataset of several splits", "happiness", "train"):
        assert words in done.stdout
