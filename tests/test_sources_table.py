"""Tables of pictures: CSV, TSV, JSON lines and Parquet, whole and damaged."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import random
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as fuzz_settings
from hypothesis import strategies as st
from PIL import Image

from occlufer.builders.detection import find
from occlufer.builders.gather import gather
from occlufer.builders.sources import table, table_parquet, table_rows
from occlufer.builders.sources.adapters import recognised
from occlufer.builders.sources.rows import MAX_LINE_BYTES
from occlufer.builders.sources.table import Settings, entries
from occlufer.builders.synthetic import FacePlan, draw_face, encode_jpeg
from occlufer.config import SourceConfig
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.workspace import Workspace

Write = Callable[[Path, Mapping[str, bytes]], Path]


@lru_cache
def face(seed: int) -> bytes:
    data: bytes = encode_jpeg(draw_face(FacePlan("neutral", seed, seed)).image_rgb, 90)
    return data


@lru_cache
def tile(seed: int) -> bytes:
    """A picture that is quick to make."""
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def root(tmp_path: Path, write_tree: Write) -> Path:
    """A folder with three faces and no table."""
    return write_tree(tmp_path / "set", {f"faces/{i}.jpg": face(i) for i in range(3)})


def csv(root: Path, text: str | bytes, name: str = "faces.csv") -> Path:
    path = root / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def parquet(root: Path, columns: Mapping[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(dict(columns)), root / "faces.parquet", **options)
    return root / "faces.parquet"


def listed(path: Path, **settings: Any) -> list[Any]:
    return list(entries(Settings(path, **settings), "t"))


def labels_of(found: list[Any]) -> list[str | None]:
    return [e.facts.votes[0].label if e.facts.votes else None for e in found]


def reasons(found: list[Any]) -> list[str]:
    return [e.reject.reason if e.reject else "" for e in found]


def source(path: Path, **settings: Any) -> SourceConfig:
    return SourceConfig("table", "t", {"path": str(path), **settings})


def test_columns_of_parquet_that_are_called_alike_are_passed_over(root: Path) -> None:
    names = ["image", "label", "subject", "subject", "note", "note"]
    columns = [["faces/0.jpg"], ["happy"], ["ann"], ["bob"], [1], [[2]]]
    path = root / "faces.parquet"
    pq.write_table(pa.table([pa.array(cells) for cells in columns], names=names), path)
    (entry,) = listed(path)
    assert labels_of([entry]) == ["happiness"]
    assert entry.facts.subject is None
    assert entry.read().data == face(0)


# Formats ------------------------------------------------------------------------------------------

ROWS = [("faces/0.jpg", "happy"), ("faces/1.jpg", "SA"), ("faces/2.jpg", "")]
LINES = [f"{image},{label}" for image, label in ROWS]
JSON_LINES = [json.dumps({"image": image, "label": label or None}) for image, label in ROWS]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "\n".join(["image,label", *LINES]) + "\n"),
        ("a.csv", "\n".join(["image,label", *LINES])),
        ("a.csv", "\r\n".join(["image,label", *LINES, ""])),
        ("a.csv", "\r".join(["image,label", *LINES])),
        ("a.csv", "\ufeff" + "\n".join(["image,label", *LINES])),
        ("a.csv", "\n\n".join(["image,label", *LINES]) + "\n \n"),
        ("a.csv", "\n".join(["image, label", *LINES]).replace(",", " , ")),
        ("a.csv", "\n".join(["image;label", *LINES]).replace(",", ";")),
        ("a.tsv", "\n".join(["image\tlabel", *LINES]).replace(",", "\t")),
        ("a.CSV", "\n".join(["image\tlabel", *LINES]).replace(",", "\t")),
        ("a.csv", '"image","label"\n' + "\n".join(f'"{i}","{x}"' for i, x in ROWS)),
        ("a.csv", "label,,image\n" + "\n".join(f"{x},7,{i}" for i, x in ROWS)),
        ("a.jsonl", "\n".join(JSON_LINES)),
        ("a.jsonl", "\ufeff" + "\r\n".join([*JSON_LINES, ""])),
        ("a.ndjson", "\n\n".join(JSON_LINES)),
    ],
    ids=[
        *("plain", "unterminated", "crlf", "cr", "bom", "blank-lines", "spaces", "semicolons"),
        *("tsv", "tabs", "quoted", "another-order", "jsonl", "jsonl-crlf-bom", "ndjson"),
    ],
)
def test_every_way_to_write_a_table_gives_the_same_rows(root: Path, name: str, text: str) -> None:
    found = listed(csv(root, text, name))
    assert [e.source_id for e in found] == [image for image, _ in ROWS]
    assert labels_of(found) == ["happiness", "sadness", None]
    assert [e.facts.source_label for e in found] == ["happy", "SA", None]
    assert [e.read().data for e in found] == [face(0), face(1), face(2)]
    assert found[0].facts.votes[0].rater == "source:t"


IMAGES, WORDS = [image for image, _ in ROWS], ["happy", "SA", None]
BYTES = [face(i) for i in range(3)]


@pytest.mark.parametrize(
    ("image", "label"),
    [
        (pa.array(IMAGES), pa.array(WORDS)),
        (pa.array(IMAGES, pa.large_string()), pa.array(WORDS).dictionary_encode()),
        (pa.array(IMAGES).dictionary_encode(), pa.array(WORDS, pa.large_string())),
        (pa.array(IMAGES, pa.string_view()), pa.array(WORDS, pa.string_view())),
        (pa.array(BYTES), pa.array(WORDS)),
        (pa.array(BYTES, pa.large_binary()), pa.array(WORDS)),
        (pa.array([{"bytes": b, "path": None} for b in BYTES]), pa.array(WORDS)),
        (pa.array([{"bytes": b, "path": "gone.jpg"} for b in BYTES]), pa.array(WORDS)),
        (pa.array([{"bytes": b} for b in BYTES]), pa.array(WORDS)),
        (
            pa.array([{"bytes": None, "path": i} for i in IMAGES]).cast(
                pa.struct({"bytes": pa.binary(), "path": pa.string()})
            ),
            pa.array(WORDS),
        ),
    ],
    ids=[
        *("paths", "category", "paths-category", "views", "bytes", "large-bytes", "struct"),
        *("struct-with-paths", "struct-of-bytes", "struct-of-paths"),
    ],
)
def test_every_way_to_store_pictures_in_parquet_gives_the_same_rows(
    root: Path, image: Any, label: Any
) -> None:
    path = parquet(root, {"label": label, "image": image})
    found = listed(path)
    assert labels_of(found) == ["happiness", "sadness", None]
    assert [e.read().data for e in found] == BYTES
    assert [e.place for e in found] == [f"faces.parquet, row {i}" for i in range(3)]
    assert recognised(path) is not None


def test_what_pandas_writes_is_read(root: Path) -> None:
    frame = pd.DataFrame({"path": IMAGES, "emotion": [3, None, 4], "licence": "CC0-1.0"})
    label_map = {"3": "happiness", "4": "sadness"}
    frame.to_parquet(root / "faces.parquet")
    found = listed(root / "faces.parquet", label_map=label_map)
    assert labels_of(found) == ["happiness", None, "sadness"]
    frame.to_csv(root / "faces.csv")
    assert labels_of(listed(root / "faces.csv", label_map={"3.0": "fear", "4.0": "anger"})) == [
        *("fear", None, "anger")
    ]
    frame.to_json(root / "faces.jsonl", orient="records", lines=True)
    assert labels_of(listed(root / "faces.jsonl", label_map=label_map)) == labels_of(found)


def test_the_names_that_datasets_writes_into_parquet_are_known(root: Path) -> None:
    kinds = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["sad", "joy"])}
    pictures = [{"bytes": b, "path": None} for b in BYTES]
    rows = {"image": pictures, "label": [0, None, -1]}
    made = datasets.Dataset.from_dict(rows, features=datasets.Features(kinds))
    made.to_parquet(root / "faces.parquet")
    assert labels_of(listed(root / "faces.parquet")) == ["sadness", None, None]


# Malformed rows -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ("faces/0.jpg", "found 1 cells, expected 3"),
        ("faces/0.jpg,sad,,", "found 4 cells, expected 3"),
        ('"faces/0.jpg,sad,', "found quotes that do not match"),
        ('faces/0.jpg,sad,"a"b', "found quotes that do not match"),
        (
            "faces/0.jpg,sad,free",
            "found the rights 'free', expected one of publishable, index_only",
        ),
    ],
)
def test_a_malformed_row_of_a_csv_costs_itself_only(root: Path, line: str, detail: str) -> None:
    text = f"image,label,rights\nfaces/1.jpg,sad,\n{line}\nfaces/2.jpg,happy,blocked\n"
    found = listed(csv(root, text))
    assert reasons(found) == ["", "malformed_row", ""]
    assert found[1].reject.detail.startswith(detail)
    assert (found[1].source_id, found[1].place) == ("faces.csv:3", "faces.csv, line 3")
    assert found[1].facts.votes == ()


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ("[1]", "found a list, expected an object"),
        ('"a"', "found a text, expected an object"),
        ("3", "found a number, expected an object"),
        ("null", "found null, expected an object"),
        ("{'image': 'a'}", "found no JSON, expected an object"),
        ('{"image": "a"} {"image": "b"}', "found no JSON, expected an object"),
        ('{"image": "a", "label": NaN}', "found no JSON, expected an object"),
        ("[" * 5000, "found no JSON, expected an object"),
        ('{"image": {"path": "a"}}', "found an object in 'image', expected a text or a number"),
        ('{"image": "a", "label": ["sad"]}', "found a list in 'label'"),
        ('{"image": "a", "label": true}', "found true or false in 'label'"),
        ('{"image": "\\ud800", "label": "sad"}', "found half a character in 'image'"),
    ],
    ids=range(12),
)
def test_a_malformed_line_of_json_costs_itself_only(root: Path, line: str, detail: str) -> None:
    text = f"{JSON_LINES[0]}\n{line}\n{JSON_LINES[1]}\n"
    found = listed(csv(root, text, "a.jsonl"))
    assert reasons(found) == ["", "malformed_row", ""]
    assert found[1].reject.detail.startswith(detail)
    assert found[1].place == "a.jsonl, line 2"


def test_nested_values_in_other_columns_do_no_harm(root: Path) -> None:
    line = {"image": "faces/0.jpg", "label": "sad", "box": [1, 2], "more": {"a": 1}}
    assert reasons(listed(csv(root, json.dumps(line), "a.jsonl"))) == [""]


def test_a_line_of_json_may_leave_keys_out(root: Path) -> None:
    lines = ['{"image": "faces/0.jpg"}', '{"image": "faces/1.jpg", "label": "sad"}', "{}"]
    found = listed(csv(root, "\n".join(lines), "a.jsonl"))
    assert labels_of(found) == [None, "sadness", None]
    assert reasons(found) == ["", "", "missing_file"]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_an_endless_line_is_one_malformed_row(root: Path, name: str) -> None:
    first = "image,label\n" if name == "a.csv" else ""
    good = "faces/1.jpg,sad" if name == "a.csv" else JSON_LINES[1]
    found = listed(csv(root, f"{first}{'x' * (MAX_LINE_BYTES + 9)}\n{good}\n", name))
    assert reasons(found) == ["malformed_row", ""]
    assert found[0].reject.detail == f"found a line of over {MAX_LINE_BYTES} bytes"


def test_numbers_in_json_are_labels_as_they_are_written(root: Path) -> None:
    lines = [{"image": "faces/0.jpg", "label": n} for n in (3, 3.0, 3.5, 10**30)]
    text = "\n".join(map(json.dumps, lines))
    words = {"3": "fear", "3.5": "sadness", str(10**30): "anger"}
    found = listed(csv(root, text, "a.jsonl"), label_map=words)
    assert labels_of(found) == ["fear", "fear", "sadness", "anger"]


# Pictures -----------------------------------------------------------------------------------------


def test_paths_do_not_leave_the_folder_of_pictures(root: Path, write_tree: Write) -> None:
    write_tree(root.parent, {"private/1.jpg": face(0)})
    (root / "link.jpg").symlink_to(root.parent / "private/1.jpg")
    (root / "out").symlink_to(root.parent / "private")
    (root / "in.jpg").symlink_to("faces/0.jpg")
    expected = {
        "faces/../../private/1.jpg": "outside_source",
        str(root / "faces/0.jpg"): "outside_source",
        "link.jpg": "outside_source",
        "out/1.jpg": "outside_source",
        "in.jpg": "",
        "faces": "not_a_file",
        "faces/9.jpg": "missing_file",
        "https://example.org/1.jpg": "missing_file",
        "": "missing_file",
        "faces/\0": "malformed_row",
        "./faces/1.jpg": "",
    }
    structs = [{"bytes": None, "path": name} for name in expected]
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    by_text = listed(parquet(root, {"image": list(expected), "label": [""] * 11}))
    assert dict(zip(expected, reasons(by_text), strict=True)) == expected
    assert by_text[-1].source_id == "faces/1.jpg"
    found = listed(parquet(root, {"image": pa.array(structs, kind)}), label_column="")
    assert dict(zip(expected, map(reason_of_reading, found), strict=True)) == expected


def reason_of_reading(entry: Any) -> str:
    """Return why an entry gives no picture, found in its listing or in its reading."""
    if entry.reject:
        return str(entry.reject.reason)
    try:
        entry.read()
    except Exception as error:
        reason: str = error.reject.reason  # type: ignore[attr-defined]
        return reason
    return ""


def test_the_pictures_may_lie_in_another_folder(root: Path, tmp_path: Path) -> None:
    path = csv(tmp_path, "image,label\n0.jpg,sad\nfaces/1.jpg,sad\n")
    assert reasons(listed(path)) == ["missing_file", "missing_file"]
    found = listed(path, images=root / "faces")
    assert [e.source_id for e in found] == ["0.jpg", "faces/1.jpg"]
    assert reasons(found) == ["", "missing_file"]
    with pytest.raises(MissingError, match=r"none: no such folder, expected .*`images`"):
        listed(path, images=root / "none")


def test_a_name_that_is_no_utf8_is_found(root: Path) -> None:
    (root / "caf\udce9.jpg").write_bytes(face(0))
    found = listed(csv(root, b"image,label\ncaf\xe9.jpg,sad\n\xff.jpg,sad\n"))
    assert reasons(found) == ["", "missing_file"]
    assert found[0].source_id == "caf\\xe9.jpg"
    assert found[0].read().data == face(0)


def test_nulls_in_parquet_are_told_when_they_are_read(root: Path) -> None:
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    image = pa.array([None, {"bytes": None, "path": None}, {"bytes": tile(0), "path": None}], kind)
    for pictures in (image, pa.array([None, None, tile(0)], pa.binary())):
        found = listed(parquet(root, {"image": pictures, "label": ["sad"] * 3}))
        assert [reason_of_reading(e) for e in found] == ["missing_file", "missing_file", ""]
    assert (
        reasons(listed(parquet(root, {"image": [None, "x", ""], "label": [None] * 3})))
        == ["missing_file"] * 3
    )


def test_a_picture_that_cannot_be_decoded_is_one_reject(root: Path, workspace: Workspace) -> None:
    path = parquet(root, {"image": [face(0), b"no picture", None], "label": ["sad"] * 3})
    gather((source(path),), workspace, 2)
    found = {r.source_id: r.reject for r in workspace.catalog.records()}
    assert {n: r and r.reason for n, r in found.items()} == {
        "faces.parquet:0": None,
        "faces.parquet:1": "not_an_image",
        "faces.parquet:2": "missing_file",
    }
    assert str(found["faces.parquet:2"]).count("faces.parquet, row 2") == 1


def test_a_picture_that_is_listed_again_is_a_duplicate_row(
    root: Path, workspace: Workspace
) -> None:
    path = csv(root, "image,label\nfaces/0.jpg,sad\n./faces/0.jpg,sad\n")
    gather((source(path),), workspace, 1)
    found = {r.source_id: r.reject and r.reject.reason for r in workspace.catalog.records()}
    assert found == {"faces/0.jpg": None, "faces/0.jpg#2": "duplicate_row"}


@pytest.mark.parametrize("rows_per_group", [1, 7, 100, 1000])
def test_stored_pictures_are_read_in_any_order_by_many(root: Path, rows_per_group: int) -> None:
    count = table_parquet.PICTURES_AT_A_TIME * (table_parquet.BATCHES_KEPT + 2)
    pictures = [tile(i) for i in range(count)]
    path = parquet(root, {"image": pictures}, row_group_size=rows_per_group)
    found = listed(path, label_column="")
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda e: e.read().data, found)) == pictures
    order = random.Random(0).sample(range(count), 60)
    assert [found[i].read().data for i in order] == [pictures[i] for i in order]


def test_an_entry_travels_without_its_picture(root: Path) -> None:
    path = parquet(root, {"image": BYTES, "label": ["sad"] * 3})
    for number, entry in enumerate(listed(path)):
        packed = pickle.dumps(entry)
        assert len(packed) < 1500
        assert pickle.loads(packed).read().data == BYTES[number]  # noqa: S301, our own


def test_listing_a_table_reads_no_picture(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = parquet(root, {"image": BYTES, "label": ["sad"] * 3})

    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(table_parquet, "Pictures", fail)
    monkeypatch.setattr(table, "read_file", fail)
    asked: list[list[str]] = []
    iter_batches = pq.ParquetFile.iter_batches

    def watched(self: Any, size: int, columns: list[str]) -> Any:
        asked.append(columns)
        return iter_batches(self, size, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    assert len(listed(path)) == 3
    assert asked == [["label"], ["label"]]


def test_a_table_is_read_row_by_row(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = csv(root, "image,label\n" + "faces/0.jpg,sad\n" * 100)
    parsed: list[str] = []

    def watched(text: str, delimiter: str) -> list[str]:
        parsed.append(text)
        return text.split(delimiter)

    monkeypatch.setattr(table_rows, "csv_cells", watched)
    found = entries(Settings(path, label_column=""), "t")
    next(found)
    assert parsed.count("faces/0.jpg,sad") == 1


# Columns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", ["path", "file", "filename", "Image_Path", "filepath", "IMAGE"])
@pytest.mark.parametrize("label", ["emotion", "Expression", "class", "LABEL"])
def test_usual_names_of_columns_are_known(root: Path, image: str, label: str) -> None:
    path = csv(root, f"id,{label},{image}\n7,happy,faces/0.jpg\n")
    assert labels_of(listed(path)) == ["happiness"]
    assert recognised(path) == (
        "table",
        f"a table of pictures, faces.csv: pictures in {image!r}, labels in {label!r}",
    )


@pytest.mark.parametrize(
    ("header", "settings", "words"),
    [
        ("id,label", {}, ("found the columns id, label, expected 'image' once, or one of path",)),
        ("path,file,label", {}, ("found the columns path, file, label", 'image_column = "..."')),
        ("image,image,label", {}, ("found the columns image, image, label",)),
        ("image,emotion,class", {}, ("expected 'label' once, or one of emotion", "label_column")),
        ("image,id", {}, ("found the columns image, id", 'label_column = "" if none does')),
        ("image,label", {"image_column": "picture"}, ("expected 'picture' once; say",)),
        ("path,label", {"image_column": "img"}, ("expected 'img' once; say",)),
        ("image,emotion", {"label_column": "mood"}, ("expected 'mood' once; say",)),
        ("faces/0.jpg,happy", {}, ("found the columns faces/0.jpg, happy",)),
    ],
    ids=[
        *("no-image", "two-images", "image-twice", "two-labels", "no-label", "named-image"),
        *("named-image-no-guess", "named-label", "no-header"),
    ],
)
def test_columns_that_are_not_clear_are_refused_with_those_that_are_there(
    root: Path, header: str, settings: dict[str, str], words: tuple[str, ...]
) -> None:
    path = csv(root, header + "\n")
    with pytest.raises(UsageError) as caught:
        listed(path, **settings)
    assert all(word in str(caught.value) for word in (str(path), *words))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"image": [1], "label": ["sad"]}, "the column 'image' holds no pictures"),
        ({"image": [["a"]], "label": ["sad"]}, "the column 'image' holds no pictures"),
        ({"image": ["a"], "label": [["sad"]]}, "the column 'label' holds neither texts nor numb"),
        ({"image": ["a"], "label": [True]}, "the column 'label' holds neither texts nor numbers"),
    ],
)
def test_columns_of_parquet_that_hold_other_things_are_refused(
    root: Path, columns: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        listed(parquet(root, columns))


def test_columns_may_be_named(root: Path) -> None:
    path = csv(root, "image,label,mine,mood\nx,y,faces/0.jpg,sad\n")
    found = listed(path, image_column="mine", label_column="mood")
    assert labels_of(found) == ["sadness"]
    assert found[0].read().data == face(0)


def test_without_a_label_column_nothing_votes(root: Path) -> None:
    found = listed(csv(root, "image,label\nfaces/0.jpg,odd\n"), label_column="")
    assert labels_of(found) == [None]
    assert found[0].facts.source_label is None


def test_columns_of_a_row_count_for_it(root: Path) -> None:
    text = (
        "image,label,Licence,attribution,rights,test_set,split,subject\n"
        "a.jpg,sad,CC0-1.0,Ann,,,val,s1\n"
        "b.jpg,sad,,,index_only,FER test,,\n"
        "c.jpg,sad,RAF-DB,,,,test,s1\n"
        "d.jpg,sad,,,,,PrivateTest,\n"
        "e.jpg,sad,,,,,train,\n"
    )
    found = listed(csv(root, text), licence="MIT", attribution="all", source_split="training")
    names = ("licence", "attribution", "rights", "test_set", "source_split", "subject")
    assert [tuple(getattr(e.facts, name) for name in names) for e in found] == [
        ("CC0-1.0", "Ann", "publishable", None, "validation", "s1"),
        ("MIT", "all", "index_only", "FER test", "train", None),
        ("RAF-DB", "all", "index_only", "t test", "test", "s1"),
        ("MIT", "all", "index_only", "t test", "PrivateTest", None),
        ("MIT", "all", "index_only", None, "train", None),
    ]


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("image,split\na,train\nb,test\n", {"test_set": "X"}, [None, "X"]),
        ("image,split\na,train\nb,test\n", {}, [None, "t test"]),
        ("image\na\nb\n", {"test_set": "X"}, ["X", "X"]),
        ("image\na\nb\n", {"source_split": "test"}, ["t test", "t test"]),
        ("image\na\nb\n", {}, [None, None]),
        ("image,split\na,\nb,train\n", {"source_split": "test"}, ["t test", None]),
    ],
    ids=["named", "own", "whole-table", "whole-split", "none", "rows-first"],
)
def test_what_is_a_test_set_never_trains(
    root: Path, text: str, settings: dict[str, str], expected: list[str | None]
) -> None:
    found = listed(csv(root, text), label_column="", **settings)
    assert [e.facts.test_set for e in found] == expected


def test_what_the_settings_say_stands_in_every_record(root: Path) -> None:
    said = {"content": "photograph", "licence": "CC0-1.0", "attribution": "me", "rights": "blocked"}
    (entry,) = listed(csv(root, "image,label\nfaces/0.jpg,sad\n"), **said)
    assert {name: getattr(entry.facts, name) for name in said} == said


# Labels -------------------------------------------------------------------------------------------

UNKNOWN = "image,label\na,happy\nb,joy\nc,7\nd,\ne,joy\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", UNKNOWN),
        (
            "a.jsonl",
            "\n".join(
                json.dumps({"image": "a", "label": x}) for x in (None, "happy", "joy", 7, "joy")
            ),
        ),
    ],
)
def test_labels_that_nothing_explains_are_refused_before_the_first_row(
    root: Path, name: str, text: str
) -> None:
    path = csv(root, text, name)
    with pytest.raises(UsageError) as caught:
        next(entries(Settings(path), "t"))
    said = str(caught.value)
    assert said.startswith(f"{name}, line 3: found the label 'joy' and 1 more, expected one of ang")
    assert 'label_map = { "joy" = "...", "7" = "..." } (a class, or "unlabelled")' in said
    assert 'label_column = "" if the column is none of labels' in said
    place = "line 4"
    assert table.unknown(Settings(path)) == {"joy": f"{name}, line 3", "7": f"{name}, {place}"}


def test_of_very_many_labels_some_are_shown(root: Path) -> None:
    text = "image,label\n" + "".join(f"a,{i}\n" for i in range(500))
    with pytest.raises(UsageError, match=r"'0' and 499 more.*\}, and 490 more") as caught:
        listed(csv(root, text))
    assert len(str(caught.value)) < 700


def test_a_label_map_explains_labels(root: Path) -> None:
    found = listed(csv(root, UNKNOWN), label_map={"JOY": "happiness", "7": "unlabelled"})
    assert labels_of(found) == ["happiness", "happiness", None, None, "happiness"]
    assert [e.facts.source_label for e in found] == ["happy", "joy", "7", None, "joy"]


def test_a_malformed_row_explains_no_label(root: Path) -> None:
    found = listed(csv(root, 'image,label\na,"odd\nb,odd,odd\nc,sad\n'))
    assert reasons(found) == ["malformed_row", "malformed_row", "missing_file"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"label_map": {"0": "joy"}}, "label_map, '0': found 'joy'"),
        ({"content": "photo"}, "content: found 'photo', expected crop or photograph"),
        ({"rights": "free"}, "rights: found 'free'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(Path("x"), **settings)


# Changes ------------------------------------------------------------------------------------------


def test_only_what_changes_is_read_again(root: Path, workspace: Workspace) -> None:
    text = "image,label\n" + "".join(f"faces/{i}.jpg,sad\n" for i in range(3))
    path = csv(root, text)
    assert gather((source(path),), workspace, 1) == 3
    assert gather((source(path),), workspace, 1) == 0
    csv(root, text.replace("1.jpg,sad", "1.jpg,happy"))
    assert gather((source(path),), workspace, 1) == 1
    (root / "faces/2.jpg").write_bytes(face(5))
    assert gather((source(path),), workspace, 1) == 1


def test_changed_parquet_is_read_again(root: Path, workspace: Workspace) -> None:
    for number, image in enumerate(([face(0), face(1)], [face(2), face(3)])):
        path = parquet(root, {"image": image, "label": ["sad", "happy"]})
        assert gather((source(path),), workspace, 1) == 2
        assert gather((source(path),), workspace, 1) == 0, number


def test_a_table_that_changes_while_it_is_read_is_tried_again(
    root: Path, workspace: Workspace
) -> None:
    path = parquet(root, {"image": [face(0)], "label": ["sad"]})
    (entry,) = listed(path)
    parquet(root, {"image": [face(1), face(2)], "label": ["sad", "happy"]})
    with pytest.raises(OSError, match=r"faces.parquet was changed while it was read"):
        entry.read()


def test_parquet_with_a_column_s_name_that_is_no_utf8_says_so(root: Path) -> None:
    path = parquet(root, {"image": ["faces/0.jpg"], "label": ["sad"], "noteX": [1]})
    path.write_bytes(path.read_bytes().replace(b"noteX", b"note\xff"))
    with pytest.raises(UsageError, match=r"faces\.parquet: cannot be read as Parquet"):
        listed(path)


def test_damaged_parquet_says_so(root: Path) -> None:
    path = parquet(root, {"image": [tile(i) for i in range(300)], "label": ["sad"] * 300})
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(200) + whole[204:])
    assert {reason_of_reading(entry) for entry in listed(path)} == {"malformed_row"}
    for damaged in (b"", b"PAR1", whole[:-20], whole[100:]):
        path.write_bytes(damaged)
        with pytest.raises(
            UsageError, match=r"faces\.parquet(, row 0)?: cannot be read as Parquet \("
        ):
            listed(path)


# Places -------------------------------------------------------------------------------------------


def test_a_folder_with_one_table_is_that_table(root: Path) -> None:
    csv(root, "image,label\nfaces/0.jpg,sad\n")
    assert labels_of(listed(root)) == ["sadness"]
    found = find(root)
    assert (found.kind, found.records, found.missing) == ("table", 1, "")
    csv(root, JSON_LINES[0], "b.jsonl")
    with pytest.raises(UsageError, match=r"set: found b.jsonl, faces.csv, expected one table"):
        listed(root)
    assert table.detect(root) is None


@pytest.mark.parametrize(
    ("name", "data", "error", "words"),
    [
        (None, b"", MissingError, "no such file or folder; expected a table of pictures, .csv"),
        ("a.csv", b"", MissingError, "found an empty file, expected a header and rows"),
        ("a.csv", b"\n\r\n", MissingError, "found an empty file"),
        ("a.csv", b'"image,label\n', UsageError, "line 1: found '\"image,label', expected the n"),
        ("a.jsonl", b"", MissingError, "found an empty file, expected an object on every line"),
        ("a.jsonl", b"[1]\n{}\n", UsageError, "found no JSON object on its lines"),
        ("a.json", b"[]", UsageError, "found a file of another kind, expected a table"),
        ("a", b"image\n", UsageError, "found a file of another kind"),
    ],
)
def test_what_is_no_table_is_refused(
    tmp_path: Path, name: str | None, data: bytes, error: type[Exception], words: str
) -> None:
    path = tmp_path / (name or "none.csv")
    if name:
        path.write_bytes(data)
    with pytest.raises(error) as caught:
        listed(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_a_folder_without_a_table_is_refused(root: Path) -> None:
    with pytest.raises(MissingError, match="set: found no table in it, expected a table of pict"):
        listed(root)


def test_other_tables_and_folders_are_not_taken_for_tables_of_pictures(
    tmp_path: Path, write_tree: Write
) -> None:
    files = {
        "urls.csv": b"url,licence\nhttps://x/1.jpg,CC0\n",
        "numbers.csv": b"path,label\nx/y,3\n",
        "fer.csv": b"emotion,pixels,Usage\n0,1 2,Training\n",
        "words.txt": b"image,label\na.jpg,sad\n",
        "broken.parquet": b"PAR1",
        "classes/happy/1.jpg": b"",
        "classes/list.csv": b"image,label\nhappy/1.jpg,happy\n",
        "empty/x.txt": b"",
    }
    write_tree(tmp_path, files)
    parquet(tmp_path, {"a": [b"x"], "b": ["x.jpg"]})
    for path in tmp_path.iterdir():
        assert table.detect(path) is None, path
    assert recognised(tmp_path / "classes") == ("image_folder", "1 class folders: happy")


def test_a_table_in_part_is_recognised(tmp_path: Path) -> None:
    csv(tmp_path, "image\ngone/1.jpg\n")
    found = find(tmp_path)
    assert found.what == "a table of pictures, faces.csv: pictures in 'image', no column of labels"
    assert 'label_column = "" if none does' in found.missing
    csv(tmp_path, "image,label\ngone/1.jpg,sad\n")
    assert find(tmp_path).rejected == {"missing_file": 1}


def test_the_command_line_tells_what_a_table_holds(
    root: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    path = csv(root, "image,label,split\nfaces/0.jpg,sad,train\nfaces/9.jpg,sad,test\n")
    done = run_cli("sources", "detect", path, cwd=root)
    assert done.returncode == 0, done.stderr
    for words in ("a table of pictures, faces.csv", "sadness", "train", "missing_file"):
        assert words in done.stdout


def test_a_table_beside_the_current_folder_is_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    csv(root, "image,label\nfaces/0.jpg,sad\n../set/faces/1.jpg,sad\n")
    monkeypatch.chdir(root)
    found = listed(Path("faces.csv"))
    assert reasons(found) == ["", "outside_source"]
    assert found[0].read().data == face(0)


# Fuzz ---------------------------------------------------------------------------------------------

cells = st.one_of(
    st.sampled_from(["", "sad", "faces/0.jpg", '"', ",", ";", "\t", '""', "publishable", "test"]),
    st.text(max_size=6),
)
lines_of_cells = st.lists(st.lists(cells, max_size=4).map(",".join), max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
json_lines = st.lists(
    st.dictionaries(st.sampled_from(["image", "label", "rights", "split", "x"]), json_values).map(
        json.dumps
    )
    | st.text(max_size=8),
    max_size=6,
)


def count_of_lines(data: bytes) -> int:
    pieces = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return sum(1 for line in pieces.split(b"\n") if line.strip())


@fuzz_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=120) | lines_of_cells.map("\n".join).map(str.encode))
@example(data=b"\xff\xfe,\n\x00,\r\r\n\x85,a")
def test_no_line_of_a_csv_is_lost_and_nothing_odd_raised(tmp_path: Path, data: bytes) -> None:
    try_all(tmp_path / "a.csv", b"image,label,rights,split\n", data, 1)


@fuzz_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=120) | json_lines.map("\n".join).map(str.encode))
@example(data=b'{"image": "\\ud800"}\n{"image": "\\u0000", "label": 1e999}')
@example(data=b'{"image": ' + b"9" * 5000 + b"}")
def test_no_line_of_json_is_lost_and_nothing_odd_raised(tmp_path: Path, data: bytes) -> None:
    try_all(tmp_path / "a.jsonl", b'{"image": "a", "rights": "", "split": ""}\n', data, 0)


def try_all(path: Path, first: bytes, data: bytes, header_lines: int) -> None:
    """Check that every line after a good first one is listed; then read `data` alone."""
    path.write_bytes(first + data)
    # Unknown labels are refused as a whole, so without them.
    found = list(entries(Settings(path, label_column=""), "t"))
    assert len(found) == count_of_lines(first + data) - header_lines
    path.write_bytes(data)
    for settings in (Settings(path), Settings(path, label_column="")):
        with contextlib.suppress(OccluferError):
            list(entries(settings, "t"))
    table.detect(path)


@fuzz_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), junk=st.binary(min_size=1, max_size=8))
def test_damaged_parquet_raises_nothing_odd(tmp_path: Path, place: int, junk: bytes) -> None:
    whole = tmp_path / "whole"
    if not whole.exists():
        whole.mkdir()
        parquet(whole, {"image": [tile(i) for i in range(5)], "label": ["sad"] * 5})
    data = bytearray((whole / "faces.parquet").read_bytes())
    at = place % len(data)
    data[at : at + len(junk)] = junk
    (tmp_path / "faces.parquet").write_bytes(data)
    table.detect(tmp_path / "faces.parquet")
    try:
        found = listed(tmp_path / "faces.parquet")
    except OccluferError:
        return
    for entry in found:
        assert reason_of_reading(entry) in ("", "malformed_row", "missing_file")
