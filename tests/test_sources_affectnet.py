"""AffectNet as tables and as arrays, whole and damaged."""

from __future__ import annotations

import io
import os
import pickle
import re
import shutil
import tempfile
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from occlufer.builders.detection import find
from occlufer.builders.gather import check_terms, gather, read_entry
from occlufer.builders.hashing.hash_table import read_table
from occlufer.builders.leaks import register, registered
from occlufer.builders.sources import affectnet
from occlufer.builders.sources.adapters import recognised
from occlufer.builders.sources.affectnet import Settings, entries
from occlufer.builders.synthetic import FacePlan, draw_face, encode_jpeg
from occlufer.config import SourceConfig
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.images import ImageStore
from occlufer.workspace import Workspace

Write = Callable[[Path, Mapping[str, bytes]], Path]
# From the authors' own description, 0 first.
LABELS = ["neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"]
HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,"
    "facial_landmarks,expression,valence,arousal"
)
IMAGES = "Manually_Annotated_Images"
LANDMARKS = ";".join(["12.5"] * 136)


def row(
    picture: str = "1/aa.jpg", label: object = 3, box: str = "2,2,20,20", landmarks: str = LANDMARKS
) -> str:
    return f"{picture},{box},{landmarks},{label},0.1,-0.2"


TRAINING, VALIDATION = [row("1/aa.jpg", 0), row("2/bb.jpg", 1)], [row("1/cc.jpg", 7)]
PICTURES = [f"{IMAGES}/{row.split(',')[0]}" for row in VALIDATION + TRAINING]


def first(
    folder: Path,
    write: Write,
    training: list[str] | str | bytes = TRAINING,
    validation: list[str] | str | bytes = VALIDATION,
    header: str = f"{HEADER}\n",
) -> Path:
    """Write the first release with empty pictures; a table given as a list gets the header."""
    tables = {"training.csv": training, "validation.csv": validation}
    files = dict.fromkeys(PICTURES, b"")
    for name, table in tables.items():
        text = header + "\n".join(table) + "\n" if isinstance(table, list) else table
        files[name] = text.encode() if isinstance(text, str) else text
    return write(folder, files)


def npy(value: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.asarray(value), allow_pickle=True)
    return file.getvalue()


def later(folder: Path, write: Write, files: Mapping[str, bytes] | None = None) -> Path:
    """Write the later release with empty pictures: two that train and one of the validation."""
    labels = {"train_set": {"10": "0", "9": "1"}, "val_set": {"0": "7"}}
    tree: dict[str, bytes] = {}
    for split, numbers in labels.items():
        for number, label in numbers.items():
            tree[f"{split}/images/{number}.jpg"] = b""
            tree[f"{split}/annotations/{number}_exp.npy"] = npy(label)
            tree[f"{split}/annotations/{number}_val.npy"] = npy("0.5")
            tree[f"{split}/annotations/{number}_aro.npy"] = npy("-0.5")
            tree[f"{split}/annotations/{number}_lnd.npy"] = npy(np.zeros(136))
    return write(folder, {**tree, **(files or {})})


def listed(path: Path, **settings: Any) -> list[Any]:
    return list(entries(Settings(path, **settings), "aff"))


def labels(path: Path, **settings: Any) -> dict[str, str | None]:
    """{name in the set: label} of what is not rejected."""
    return {
        entry.facts.source_name: entry.facts.votes[0].label if entry.facts.votes else None
        for entry in listed(path, **settings)
        if entry.reject is None
    }


def rejects(path: Path, **settings: Any) -> dict[str, str]:
    return {e.source_id: e.reject.reason for e in listed(path, **settings) if e.reject}


# The first release: rows --------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(8))
def test_the_numbers_mean_what_the_authors_say(
    tmp_path: Path, write_tree: Write, number: int
) -> None:
    path = first(tmp_path, write_tree, [row(label=number)])
    assert labels(path)["aa"] == LABELS[number]
    assert [e.facts.source_label for e in listed(path)] == ["7", str(number)]


@pytest.mark.parametrize(
    ("number", "word", "reason"),
    [(8, "none", None), (9, "uncertain", None), (10, "not_a_face", "not_a_face")],
)
def test_what_is_no_expression_is_kept_as_that_and_no_face_is_rejected(
    tmp_path: Path, write_tree: Write, number: int, word: str, reason: str | None
) -> None:
    (_, entry) = listed(first(tmp_path, write_tree, [row(label=number)]))
    assert (entry.facts.votes, entry.facts.no_class) == ((), {word: 1})
    assert (entry.reject.reason if entry.reject else None) == reason
    assert entry.source_id == f"{IMAGES}/1/aa.jpg"


def test_names_splits_and_the_validation_set_are_those_that_papers_cite(
    tmp_path: Path, write_tree: Write
) -> None:
    found = listed(first(tmp_path, write_tree))
    assert [entry.source_id for entry in found] == PICTURES
    assert [(e.facts.source_name, e.facts.source_split, e.facts.test_set) for e in found] == [
        ("cc", "validation", "AffectNet validation"),
        ("aa", "train", None),
        ("bb", "train", None),
    ]
    assert {entry.facts.content for entry in found} == {"crop"}
    assert {entry.facts.rights for entry in found} == {"index_only"}


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n" + "\n".join(TRAINING) + "\n",
        "\n".join(TRAINING),
        f"{HEADER}\r\n" + "\r\n".join(TRAINING) + "\r\n",
        f"\ufeff{HEADER}\n" + "\n".join(TRAINING),
        "\ufeff" + "\r\n".join(TRAINING) + "\r\n",
        f"{HEADER}\n\n" + "\n\n".join(TRAINING),
        HEADER.upper().replace(",", ", ") + "\n" + "\n".join(TRAINING),
        "\n".join(re.sub("([^,]+)", r'"\1"', line) for line in (HEADER, *TRAINING)),
    ],
    ids=[
        *("plain", "headless-unterminated", "crlf", "bom", "headless-bom", "blank-lines"),
        *("spaced-header", "quoted"),
    ],
)
def test_every_way_to_write_a_table_gives_the_same_samples(
    tmp_path: Path, write_tree: Write, text: str
) -> None:
    assert labels(first(tmp_path, write_tree, text)) == {
        "cc": "contempt",
        "aa": "neutral",
        "bb": "happiness",
    }


def test_landmarks_may_be_left_out_and_boxes_have_fractions(
    tmp_path: Path, write_tree: Write
) -> None:
    rows = [row(landmarks=""), row("2/bb.jpg", 1, "-2.0,2.5,1e2,.5", f"{LANDMARKS};")]
    assert rejects(first(tmp_path, write_tree, rows)) == {}


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (row(label=11), ("the expression '11'", "0 to 10")),
        (row(label=-1), ("the expression '-1'",)),
        (row(label="3.0"), ("the expression '3.0'",)),
        (row(label=""), ("the expression ''",)),
        (row(box="2,NULL,20,20"), ("face_y 'NULL'", "a number")),
        (row(box="2,2,20,nan"), ("face_height 'nan'",)),
        (row(box="2,2,,20"), ("face_width ''",)),
        (row(box="٢,2,20,20"), ("face_x '٢'",)),
        (row(landmarks="1;2"), ("found 2 numbers as landmarks", "136 or none")),
        (row(landmarks=f"{LANDMARKS};1"), ("found 137 numbers",)),
        (row() + ",9", ("found 10 cells", "expected 9")),
        ("1/aa.jpg,3", ("found 2 cells",)),
        ('"' + row(), ("found quotes that do not match",)),
        (row(picture=""), ("the name ''",)),
        (row(picture="1/\0.jpg"), ("the name '1/\\x00.jpg'",)),
    ],
    ids=[
        *("11", "negative", "float", "empty", "null-box", "nan-box", "empty-box", "digits"),
        *("two-landmarks", "137-landmarks", "ten-cells", "two-cells"),
        *("open-quote", "no-name", "nul"),
    ],
)
def test_a_malformed_row_is_rejected_with_its_line(
    tmp_path: Path, write_tree: Write, bad: str, words: tuple[str, ...]
) -> None:
    path = first(tmp_path, write_tree, [TRAINING[0], bad, TRAINING[1]])
    _, before, entry, after = listed(path)
    reject = read_entry(entry, "aff", ImageStore(tmp_path / "images")).reject
    assert reject is not None
    assert reject.reason == "malformed_row"
    assert reject.detail.startswith("training.csv, line 3: found ")
    assert all(word in reject.detail for word in words)
    assert (before.reject, after.reject) == (None, None)


def test_a_row_whose_picture_is_gone_is_counted(tmp_path: Path, write_tree: Write) -> None:
    path = first(tmp_path, write_tree, [row("3/dd.JPG"), *TRAINING])
    assert rejects(path) == {f"{IMAGES}/3/dd.JPG": "missing_file"}
    entry = listed(path)[1]
    assert entry.place == "training.csv, line 2"
    assert entry.reject.detail == f"expected it at {IMAGES}/3/dd.JPG"


@pytest.mark.parametrize("name", ["../secret.jpg", "1/../../secret.jpg", "/etc/hostname", ".."])
def test_a_name_that_leads_out_of_the_folder_is_not_followed(
    tmp_path: Path, write_tree: Write, name: str
) -> None:
    path = first(tmp_path, write_tree, [row(name), *TRAINING])
    write_tree(path, {"secret.jpg": b"s"})
    assert rejects(path) == {"training.csv:2": "outside_source"}
    assert f"the name {name!r}, expected one under {IMAGES}/" in listed(path)[1].reject.detail


def test_links_out_of_the_set_are_not_read(tmp_path: Path, write_tree: Write) -> None:
    rows = [*TRAINING, row("3/dd.jpg"), row("4/ee.jpg"), row("1/ff.jpg"), row("1")]
    path = first(tmp_path / "set", write_tree, rows)
    write_tree(tmp_path / "private", {"dd.jpg": b"s"})
    (path / IMAGES / "3").symlink_to(tmp_path / "private")
    (path / IMAGES / "4").symlink_to("1")
    (path / IMAGES / "1/ee.jpg").symlink_to("aa.jpg")
    (path / IMAGES / "1/ff.jpg").symlink_to(tmp_path / "private/dd.jpg")
    assert rejects(path) == {
        f"{IMAGES}/3/dd.jpg": "outside_source",
        f"{IMAGES}/1/ff.jpg": "outside_source",
        f"{IMAGES}/1": "not_a_file",
    }


def test_a_name_that_is_no_utf8_finds_its_picture(tmp_path: Path, write_tree: Write) -> None:
    table = row("1/caf\xe9.jpg").encode("latin-1") + b"\n" + row("1/caf\\xe8.jpg").encode()
    path = first(tmp_path, write_tree, table)
    folder = os.fsencode(path / IMAGES / "1")
    Path(os.fsdecode(folder + b"/caf\xe9.jpg")).write_bytes(b"bytes")
    Path(os.fsdecode(folder + b"/caf\\xe8.jpg")).write_bytes(b"written out")
    _, raw, written = listed(path)
    assert (raw.source_id, raw.read().data) == (f"{IMAGES}/1/caf\\xe9.jpg", b"bytes")
    assert (written.source_id, written.read().data) == (
        f"{IMAGES}/1/caf\\\\xe8.jpg",
        b"written out",
    )


def test_a_picture_of_both_tables_is_of_the_validation_set(
    tmp_path: Path, write_tree: Write, workspace: Workspace
) -> None:
    path = first(tmp_path / "set", write_tree, [*TRAINING, row("1/cc.jpg", 7), TRAINING[0]])
    for seed, name in enumerate(PICTURES):
        (path / name).write_bytes(face(seed))
    gather((SourceConfig("affectnet", "aff", {"path": str(path)}),), workspace, 1)
    found = list(workspace.catalog.records())
    assert len(found) == 5
    assert [r.reject.reason for r in found if r.reject] == ["duplicate_row"] * 2
    (kept,) = (r for r in found if r.image and r.facts.source_name == "cc")
    assert kept.facts.test_set == "AffectNet validation"


def test_a_changed_row_or_picture_has_another_stamp(tmp_path: Path, write_tree: Write) -> None:
    before = [entry.stamp for entry in listed(first(tmp_path, write_tree))]
    path = first(tmp_path, write_tree, [row("1/aa.jpg", 5), TRAINING[1]])
    (path / PICTURES[0]).write_bytes(b"new")
    os.utime(path / PICTURES[2], ns=(10**18, 10**18))
    after = [entry.stamp for entry in listed(path)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [False] * 3
    assert [e.stamp for e in listed(path)] == after


CELLS = st.sampled_from(["1/aa.jpg", "2", "NULL", "", "10", LANDMARKS, '"', ";", "\ufeff", "\\"])
LINES = st.lists(CELLS, max_size=10).map(",".join) | st.sampled_from([HEADER, row(), row()[:9]])


@given(st.binary(max_size=200) | st.lists(LINES, max_size=5).map("\n".join))
@example(b"\xff\xfe\x00,\x00,\x00\r\r\n1/../x")
@example(row("1/" + "a" * 300 + ".jpg").encode() + b"\n" + row("1/\x00").encode())
def test_whatever_a_table_holds_every_line_is_accounted_for(data: bytes | str) -> None:
    data = data.encode() if isinstance(data, str) else data
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / IMAGES).mkdir()
        (path / "training.csv").write_bytes(data)
        try:
            found = listed(path)
        except OccluferError:
            assert b"subdirectory_filepath" in data.lower()
            return
    text = data.removeprefix(b"\xef\xbb\xbf")
    written = [line for line in re.split(rb"\r\n|\r|\n", text) if line.strip()]
    headed = bool(written) and written[0].strip() == HEADER.encode()
    assert len(found) == len(written) - headed
    assert all(entry.reject for entry in found)


# The first release: layouts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tables", "images"),
    [
        ("", IMAGES),
        ("", f"Manually_Annotated/{IMAGES}"),
        ("Manually_Annotated_file_lists/", f"Manually_Annotated/{IMAGES}"),
        ("Manually_Annotated/", f"Manually_Annotated/{IMAGES}"),
    ],
)
def test_pieces_are_found_where_the_archives_put_them(
    tmp_path: Path, write_tree: Write, tables: str, images: str
) -> None:
    files = {f"{tables}training.csv": "\n".join(TRAINING).encode()}
    files |= {f"{images}/{line.split(',')[0]}": b"" for line in TRAINING}
    path = write_tree(tmp_path, files)
    assert [e.source_id for e in listed(path)] == [f"{images}/1/aa.jpg", f"{images}/2/bb.jpg"]
    assert rejects(path) == {}
    what = f"AffectNet, the first release: {tables}training.csv, {images} (without validation.csv)"
    assert recognised(path) == ("affectnet", what)


@pytest.mark.parametrize(
    "table",
    [
        "automatically_annotated.csv",
        "Automatically_annotated_file_list/automatically_annotated.csv",
    ],
)
def test_what_a_network_labelled_is_read_only_if_asked_for(
    tmp_path: Path, write_tree: Write, table: str
) -> None:
    path = first(tmp_path, write_tree)
    auto = {table: row("5/zz.jpg", 2).encode(), "Automatically_Annotated_Images/5/zz.jpg": b""}
    write_tree(path, auto)
    assert "zz" not in labels(path)
    assert labels(path, automatic=True) == {**labels(path), "zz": "sadness"}
    assert listed(path, automatic=True)[-1].facts.source_split == "train"
    for name in ("training.csv", "validation.csv"):
        (path / name).unlink()
    assert labels(path, automatic=True) == {"zz": "sadness"}


@pytest.mark.parametrize(
    ("names", "automatic", "words"),
    [
        ([], False, ("found no folder", "expected training.csv, validation.csv and Manually_")),
        (["x/1.jpg"], False, ("found x, expected training.csv",)),
        ([f"{IMAGES}/1/aa.jpg"], False, (f"found {IMAGES}, expected training.csv or validation",)),
        (["training.csv"], False, (f"found training.csv, expected {IMAGES} or Manually_",)),
        (
            ["training.csv", f"{IMAGES}/1/aa.jpg"],
            True,
            (f"found training.csv, {IMAGES}, expected automatically_annotated.csv or Auto",),
        ),
        (["automatically_annotated.csv"], False, ("or automatic = true with automatically_",)),
        (
            ["automatically_annotated.csv"],
            True,
            ("expected Automatically_Annotated_Images or Automatically_Annotated/Auto",),
        ),
        (["train_set/images/1.jpg"], False, ("expected train_set/annotations/",)),
        (["val_set/annotations/1_exp.npy"], False, ("expected val_set/images/",)),
        (["train_set/images/1.jpg"], True, ("found nothing, expected automatically_",)),
    ],
)
def test_a_missing_piece_is_named_and_where_it_is_obtained(
    tmp_path: Path, write_tree: Write, names: list[str], automatic: bool, words: tuple[str, ...]
) -> None:
    tables = {name: f"{HEADER}\n".encode() for name in names if name.endswith(".csv")}
    path = write_tree(tmp_path, {**dict.fromkeys(names, b""), **tables})
    with pytest.raises(MissingError) as caught:
        listed(path, automatic=automatic)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith("ask its authors for AffectNet at mohammadmahoor.com")
    assert all(word in message for word in words)


def test_a_missing_folder_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"none: no such folder; expected training\.csv"):
        listed(tmp_path / "none")


@pytest.mark.parametrize("header", [f",{HEADER}", HEADER.replace(",valence", "")])
def test_a_table_of_other_columns_is_refused(
    tmp_path: Path, write_tree: Write, header: str
) -> None:
    path = first(tmp_path, write_tree, f"{header}\n{row()}\n")
    with pytest.raises(UsageError) as caught:
        listed(path)
    message = str(caught.value)
    assert message == f"{path / 'training.csv'}, line 1: found {header!r}, expected {HEADER}"


@pytest.mark.parametrize("piece", [IMAGES, "train_set/images", "val_set/annotations"])
def test_a_folder_of_pictures_elsewhere_is_refused(
    tmp_path: Path, write_tree: Write, piece: str
) -> None:
    path = (first if piece == IMAGES else later)(tmp_path / "set", write_tree)
    (path / piece).rename(tmp_path / "elsewhere")
    (path / piece).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=rf"{piece}: found a link to .*elsewhere, expected a fold"):
        listed(path)


# The later release --------------------------------------------------------------------------------


def test_every_picture_gets_the_label_of_its_array(tmp_path: Path, write_tree: Write) -> None:
    found = listed(later(tmp_path, write_tree))
    assert [
        (e.source_id, e.facts.source_name, e.facts.votes[0].label, e.facts.source_split)
        for e in found
    ] == [
        ("val_set/images/0.jpg", "0", "contempt", "validation"),
        ("train_set/images/10.jpg", "10", "neutral", "train"),
        ("train_set/images/9.jpg", "9", "happiness", "train"),
    ]
    assert [e.facts.test_set for e in found] == ["AffectNet validation", None, None]
    assert {entry.facts.content for entry in found} == {"crop"}


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize(
    "kind", [str, int, np.uint8, np.dtype(">i4").type, lambda n: np.array(str(n), ">U3")]
)
def test_labels_are_text_or_whole_numbers(
    tmp_path: Path, write_tree: Write, number: int, kind: Callable[[int], object]
) -> None:
    files = {"train_set/annotations/9_exp.npy": npy(kind(number))}
    assert labels(later(tmp_path, write_tree, files))["9"] == LABELS[number]


def huge(shape: str = "(1000000000000,)", kind: str = "<i8") -> bytes:
    """An array whose header promises much and whose file holds nothing."""
    file = io.BytesIO()
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
    file.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (npy("8"), ("found the label '8', expected 0 to 7",)),
        (npy(-1), ("found the label '-1'",)),
        (npy("happy"), ("found the label 'happy'",)),
        (npy(""), ("found the label ''",)),
        (npy(3.0), ("found float64 in the shape (), expected one number",)),
        (npy(["3"]), ("in the shape (1,)",)),
        (npy(np.array({"a": 1}, dtype=object)), ("found no array that numpy reads",)),
        (npy("3")[:-4], ("found no array",)),
        (b"", ("found no array",)),
        (b"3", ("found no array",)),
        (b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 3_000, ("found no array",)),
        (huge(), ("found no array",)),
        (huge("()", "<U1000000000"), ("found no array",)),
        (npy("3") + bytes(5_000), ("found over 4096 bytes",)),
    ],
    ids=[
        *("8", "negative", "word", "empty-text", "float", "one-in-a-row", "pickled", "cut-short"),
        *("empty", "text", "deep-header", "huge", "huge-text", "long"),
    ],
)
def test_a_wrong_array_is_rejected_with_its_name(
    tmp_path: Path, write_tree: Write, data: bytes, words: tuple[str, ...]
) -> None:
    path = later(tmp_path, write_tree, {"train_set/annotations/9_exp.npy": data})
    assert rejects(path) == {"train_set/images/9.jpg": "malformed_file"}
    detail = listed(path)[-1].reject.detail
    assert detail.startswith("9_exp.npy: found ")
    assert all(word in detail for word in words)


def test_an_archive_of_arrays_is_no_label(tmp_path: Path, write_tree: Write) -> None:
    file = io.BytesIO()
    np.savez(file, a=np.array("3"))
    path = later(tmp_path, write_tree, {"train_set/annotations/9_exp.npy": file.getvalue()})
    assert "found an archive of arrays" in listed(path)[-1].reject.detail


def test_a_picture_without_label_and_a_label_without_picture_are_counted(
    tmp_path: Path, write_tree: Write
) -> None:
    path = later(tmp_path, write_tree, {"train_set/images/notes.txt": b""})
    (path / "train_set/annotations/9_exp.npy").unlink()
    (path / "train_set/images/10.jpg").unlink()
    (path / "train_set/images/inner").mkdir()
    found = {e.source_id: e.reject for e in listed(path) if e.reject}
    assert {name: reject.reason for name, reject in found.items()} == {
        "train_set/images/9.jpg": "no_class",
        "train_set/images/notes.txt": "no_class",
        "train_set/images/inner": "not_a_file",
        "train_set/annotations/10_exp.npy": "missing_file",
    }
    assert found["train_set/images/9.jpg"].detail == "expected its label in annotations/9_exp.npy"
    expected = "expected train_set/images/10.jpg"
    assert found["train_set/annotations/10_exp.npy"].detail == expected


def test_links_and_pipes_among_the_arrays_are_not_read(tmp_path: Path, write_tree: Write) -> None:
    path = later(tmp_path / "set", write_tree)
    write_tree(tmp_path, {"secret.npy": npy("3"), "secret.jpg": b""})
    for inner, target in (
        ("train_set/annotations/9_exp.npy", "secret.npy"),
        ("val_set/images/0.jpg", "secret.jpg"),
    ):
        (path / inner).unlink()
        (path / inner).symlink_to(tmp_path / target)
    (path / "train_set/annotations/10_exp.npy").unlink()
    os.mkfifo(path / "train_set/annotations/10_exp.npy")
    assert rejects(path) == {  # opening the pipe would wait for ever
        "train_set/images/9.jpg": "outside_source",
        "train_set/images/10.jpg": "not_a_file",
        "val_set/images/0.jpg": "outside_source",
    }


def test_names_that_are_no_utf8_are_written_out(
    tmp_path: Path, write_tree: Write, workspace: Workspace
) -> None:
    path = later(tmp_path / "set", write_tree)
    for inner, data in ((b"images/\xe9.jpg", face(1)), (b"annotations/\xe9_exp.npy", npy("3"))):
        Path(os.fsdecode(os.fsencode(path / "train_set") + b"/" + inner)).write_bytes(data)
    gather((SourceConfig("affectnet", "aff", {"path": str(path)}),), workspace, 1)
    found = {r.source_id: r for r in workspace.catalog.records()}
    record = found["train_set/images/\\xe9.jpg"]
    assert (record.facts.source_name, record.facts.votes[0].label) == ("\\xe9", "surprise")
    assert record.image is not None


@pytest.mark.parametrize("split", ["train_set", "val_set"])
def test_one_of_the_two_sets_will_do(tmp_path: Path, write_tree: Write, split: str) -> None:
    path = later(tmp_path / "whole", write_tree)
    (path / split).rename(tmp_path / split)
    assert all(entry.reject is None for entry in listed(tmp_path))
    assert {e.source_id.split("/")[0] for e in listed(tmp_path)} == {split}


def test_a_changed_label_or_picture_has_another_stamp(tmp_path: Path, write_tree: Write) -> None:
    path = later(tmp_path, write_tree)
    before = [entry.stamp for entry in listed(path)]
    (path / "val_set/annotations/0_exp.npy").write_bytes(npy("13"))
    (path / "train_set/images/10.jpg").write_bytes(b"new")
    after = [entry.stamp for entry in listed(path)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, False, True]


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: npy("3")[:90] + tail))
def test_whatever_an_array_s_file_holds_its_picture_is_accounted_for(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        for name in ("images", "annotations"):
            (path / "train_set" / name).mkdir(parents=True)
        (path / "train_set/images/1.jpg").touch()
        (path / "train_set/annotations/1_exp.npy").write_bytes(data)
        (entry,) = listed(path)
    assert entry.reject is None or entry.reject.reason == "malformed_file"


# Both ---------------------------------------------------------------------------------------------


def face(seed: int) -> bytes:
    """A drawn face."""
    data: bytes = encode_jpeg(draw_face(FacePlan(LABELS[seed], seed, seed)).image_rgb, 90)
    return data


def test_both_releases_in_one_folder_are_both_read(tmp_path: Path, write_tree: Write) -> None:
    first(tmp_path, write_tree)
    later(tmp_path, write_tree)
    assert list(labels(tmp_path)) == ["cc", "aa", "bb", "0", "10", "9"]
    assert affectnet.detect(tmp_path) == (
        f"AffectNet, the first release: validation.csv, training.csv, {IMAGES}; the later release: "
        "val_set/images, val_set/annotations, train_set/images, train_set/annotations"
    )


def test_pieces_that_are_not_there_are_told(tmp_path: Path, write_tree: Write) -> None:
    path = first(tmp_path, write_tree)
    (path / "training.csv").write_bytes(b"")  # a copy that has failed
    assert affectnet.detect(path) == (
        f"AffectNet, the first release: validation.csv, {IMAGES} (without training.csv)"
    )
    later(tmp_path / "later", write_tree)
    shutil.rmtree(tmp_path / "later/val_set")
    assert affectnet.detect(tmp_path / "later") == (
        "AffectNet, the later release: train_set/images, train_set/annotations "
        "(without val_set/images, val_set/annotations)"
    )


@pytest.mark.parametrize(
    "names",
    [
        ["train/angry/1.jpg", "test/sad/1.jpg"],
        ["train_set/1.jpg"],
        ["training.csv", "images/1.jpg"],
        ["Manually_Annotated/1.jpg"],
        ["EmoLabel/list_patition_label.txt"],
    ],
)
def test_other_layouts_are_left_to_others(
    tmp_path: Path, write_tree: Write, names: list[str]
) -> None:
    write_tree(tmp_path, dict.fromkeys(names, b"name,label\n1.jpg,2\n"))
    assert affectnet.detect(tmp_path) is None
    assert affectnet.detect(tmp_path / names[0]) is None


@pytest.mark.parametrize(
    ("write", "train"), [(first, {"neutral": 1, "happiness": 1}), (later, {"neutral": 1})]
)
def test_what_is_found_is_counted_by_split_and_class(
    tmp_path: Path, write_tree: Write, write: Callable[..., Path], train: dict[str, int]
) -> None:
    path = write(tmp_path, write_tree)
    (path / "train_set/annotations/9_exp.npy").unlink(missing_ok=True)
    found = find(path)
    assert (found.kind, found.records, found.missing) == ("affectnet", 3, "")
    assert found.splits == {"validation": {"contempt": 1}, "train": train}
    assert found.rejected == ({} if write is first else {"no_class": 1})


def test_entries_travel_to_other_processes(tmp_path: Path, write_tree: Write) -> None:
    for write, folder in ((first, tmp_path / "first"), (later, tmp_path / "later")):
        entry = listed(write(folder, write_tree))[0]
        (folder / entry.source_id).write_bytes(b"it")
        assert pickle.loads(pickle.dumps(entry)).read().data == b"it"  # noqa: S301


def test_a_long_table_is_never_held_whole(tmp_path: Path, write_tree: Write) -> None:
    path = first(tmp_path, write_tree, [row(f"1/{n}.jpg") for n in range(1_500)])
    assert (path / "training.csv").stat().st_size > 1_000_000
    peaks = []
    for _ in range(3):  # threads that other tests left behind are counted as well
        tracemalloc.start()
        try:
            assert sum(1 for _ in entries(Settings(path), "aff")) == 1_501
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    assert min(peaks) < 300_000


def test_a_build_asks_whether_the_terms_are_accepted(tmp_path: Path) -> None:
    source = SourceConfig("affectnet", "aff", {"path": str(tmp_path)})
    with pytest.raises(UsageError, match=r'AffectNet has terms .*accept_terms = \["affectnet"\]'):
        check_terms((source,), ())
    check_terms((source,), ("affectnet",))


def test_of_the_whole_set_its_validation_is_registered(tmp_path: Path, write_tree: Write) -> None:
    path = first(tmp_path, write_tree)
    for seed, name in enumerate(PICTURES):
        (path / name).write_bytes(face(seed))
    assert register(tmp_path / "work", "aff", path, workers=1) == (1, [])
    names, _ = read_table(registered(tmp_path / "work")["aff"])
    assert names == PICTURES[:1]
