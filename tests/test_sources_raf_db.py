"""RAF-DB's basic subset as its authors give it and as it is packed again, whole and damaged."""

from __future__ import annotations

import os
import pickle
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from occlufer.builders.detection import find
from occlufer.builders.gather import check_terms, gather, read_entry
from occlufer.builders.hashing.hash_table import read_table
from occlufer.builders.leaks import register, registered
from occlufer.builders.sources import raf_db
from occlufer.builders.sources.adapters import recognised
from occlufer.builders.sources.raf_db import Settings, entries
from occlufer.builders.synthetic import FacePlan, draw_face, encode_jpeg
from occlufer.config import SourceConfig
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.images import ImageStore
from occlufer.workspace import Workspace

Write = Callable[[Path, Mapping[str, bytes]], Path]
TABLE = "EmoLabel/list_patition_label.txt"
# From the set's own readme, 1 first.
LABELS = ["surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"]
ROWS = ["train_00001.jpg 5", "train_00002.jpg 4", "test_0003.jpg 1"]
ALIGNED = [f"Image/aligned/{row.split('.')[0]}_aligned.jpg" for row in ROWS]
ORIGINAL = [f"Image/original/{row.split()[0]}" for row in ROWS]


@pytest.fixture(scope="session")
def faces() -> list[bytes]:
    """Three drawn faces."""
    drawn = (draw_face(FacePlan(LABELS[n], n, n)).image_rgb for n in range(3))
    return [encode_jpeg(image_rgb, 90) for image_rgb in drawn]


def tree(folder: Path, write: Write, rows: bytes | str = "\n".join(ROWS)) -> Path:
    """Write `basic/` as it is given, with empty pictures, and return it."""
    data = rows if isinstance(rows, bytes) else rows.encode()
    files = {TABLE: data, **dict.fromkeys(ALIGNED + ORIGINAL, b"")}
    return write(folder / "basic", files)


def listed(path: Path, **settings: Any) -> list[Any]:
    return list(entries(Settings(path, **settings), "raf"))


def labels(path: Path, **settings: Any) -> dict[str, str | None]:
    """{name in the set: label} of what is not rejected."""
    return {
        entry.facts.source_name: entry.facts.votes[0].label if entry.facts.votes else None
        for entry in listed(path, **settings)
        if entry.reject is None
    }


def rejects(path: Path, **settings: Any) -> dict[str, str]:
    return {e.source_id: e.reject.reason for e in listed(path, **settings) if e.reject}


# Rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, 8))
def test_the_numbers_mean_what_the_readme_says(
    tmp_path: Path, write_tree: Write, number: int
) -> None:
    (first, *_) = listed(tree(tmp_path, write_tree, f"train_00001.jpg {number}\n"))
    assert [vote.label for vote in first.facts.votes] == [LABELS[number - 1]]
    assert first.facts.source_label == str(number)


def test_names_splits_and_the_test_set_are_those_that_papers_cite(
    tmp_path: Path, write_tree: Write
) -> None:
    found = [entry.facts for entry in listed(tree(tmp_path, write_tree))]
    assert [(f.source_name, f.source_split, f.test_set) for f in found] == [
        ("train_00001", "train", None),
        ("train_00002", "train", None),
        ("test_0003", "test", "RAF-DB test"),
    ]
    assert {f.content for f in found} == {"crop"}
    assert {f.rights for f in found} == {"index_only"}
    assert all("CVPR 2017" in f.attribution for f in found)


def test_a_name_without_suffix_keeps_its_stem(tmp_path: Path, write_tree: Write) -> None:
    entry = listed(tree(tmp_path, write_tree, "test_0009 5\n"))[0]
    assert entry.facts.source_name == "test_0009"
    assert entry.reject.detail == "expected it at Image/aligned/test_0009_aligned"


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(ROWS) + "\n",
        "\n".join(ROWS),
        "\r\n".join(ROWS) + "\r\n",
        "\r".join(ROWS),
        "\ufeff" + "\n".join(ROWS),
        "\n\n".join(ROWS) + "\n\n",
        "\n".join(row.replace(" ", "\t") for row in ROWS),
        "\n".join(f" {row} " for row in ROWS),
    ],
    ids=["plain", "unterminated", "crlf", "cr", "bom", "blank-lines", "tabs", "spaces"],
)
def test_every_way_to_write_the_list_gives_the_same_samples(
    tmp_path: Path, write_tree: Write, text: str
) -> None:
    path = tree(tmp_path, write_tree, text)
    assert [entry.source_id for entry in listed(path)] == ALIGNED
    assert list(labels(path).values()) == ["sadness", "happiness", "surprise"]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("train_00001.jpg 0", ("the label '0'", "1 to 7")),
        ("train_00001.jpg 8", ("the label '8'",)),
        ("train_00001.jpg ²", ("the label '²'",)),
        ("train_00001.jpg happy", ("the label 'happy'",)),
        ("train_00001.jpg", ("found 1 words", "a picture's name and its label")),
        ("train_00001.jpg 5 1", ("found 3 words",)),
        ("valid_00001.jpg 5", ("the name 'valid_00001.jpg'", "train_... or test_...")),
        ("train_\0.jpg 5", ("the name 'train_\\x00_aligned.jpg'",)),
    ],
    ids=["0", "8", "superscript", "word", "no-label", "three", "no-split", "nul"],
)
def test_a_malformed_row_is_rejected_with_its_line(
    tmp_path: Path, write_tree: Write, bad: str, words: tuple[str, ...]
) -> None:
    path = tree(tmp_path, write_tree, "\n".join([ROWS[1], bad, ROWS[2]]))
    store = ImageStore(tmp_path / "images")
    reject = read_entry(listed(path)[1], "raf", store).reject
    assert reject is not None
    assert reject.reason == "malformed_row"
    assert reject.detail.startswith("list_patition_label.txt, line 2: found ")
    assert all(word in reject.detail for word in words)
    assert list(labels(path)) == ["train_00002", "test_0003"]


def test_a_row_without_its_picture_and_a_picture_without_a_row_are_counted(
    tmp_path: Path, write_tree: Write
) -> None:
    path = tree(tmp_path, write_tree, "\n".join([ROWS[0], "train_00009.jpg 5", ROWS[2]]))
    assert rejects(path) == {
        "Image/aligned/train_00009_aligned.jpg": "missing_file",
        "Image/aligned/train_00002_aligned.jpg": "unlisted",
    }
    missing, unlisted = (entry for entry in listed(path) if entry.reject)
    assert missing.place == "list_patition_label.txt, line 2"
    assert "expected it at Image/aligned/train_00009_aligned.jpg" in missing.reject.detail
    assert "found no row" in unlisted.reject.detail


def test_a_row_that_is_repeated_is_a_reject_of_its_own(
    tmp_path: Path, write_tree: Write, workspace: Workspace, faces: list[bytes]
) -> None:
    path = tree(tmp_path, write_tree, "\n".join([*ROWS, ROWS[0]]))
    write_tree(path, dict(zip(ALIGNED, faces, strict=True)))
    gather((SourceConfig("raf_db", "raf", {"path": str(path)}),), workspace, 1)
    found = list(workspace.catalog.records())
    assert len(found) == 4
    assert [r.reject.reason for r in found if r.reject] == ["duplicate_row"]
    assert {workspace.images.get(str(r.image)) for r in found if r.image} == set(faces)


@pytest.mark.parametrize("name", ["train_/../../../secret", "train_/../train_00001"])
def test_a_name_that_leads_out_of_the_folder_is_not_followed(
    tmp_path: Path, write_tree: Write, name: str
) -> None:
    path = tree(tmp_path, write_tree, f"{name}.jpg 5\n")
    write_tree(path, {"Image/aligned/train_/x": b"", "Image/secret_aligned.jpg": b"s"})
    entry = listed(path)[0]
    assert (entry.source_id, entry.reject.reason) == (f"{TABLE}:1", "outside_source")
    assert entry.read().data == b""


def test_links_out_of_the_set_are_not_read(tmp_path: Path, write_tree: Write) -> None:
    path = tree(tmp_path, write_tree)
    (tmp_path / "secret.jpg").write_bytes(b"s")
    (path / ALIGNED[0]).unlink()
    (path / ALIGNED[0]).symlink_to(tmp_path / "secret.jpg")
    assert rejects(path) == {ALIGNED[0]: "outside_source"}


def test_a_folder_of_pictures_elsewhere_is_refused(tmp_path: Path, write_tree: Write) -> None:
    path = tree(tmp_path, write_tree)
    (path / "Image").rename(tmp_path / "elsewhere")
    (path / "Image").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=r"aligned: found a link to .*elsewhere/aligned, expected"):
        listed(path)


def test_a_set_that_is_itself_a_link_is_read(tmp_path: Path, write_tree: Write) -> None:
    (tmp_path / "link").symlink_to(tree(tmp_path, write_tree))
    assert rejects(tmp_path / "link") == {}


def test_a_name_that_is_no_utf8_finds_its_picture(tmp_path: Path, write_tree: Write) -> None:
    path = tree(tmp_path, write_tree, b"train_caf\xe9.jpg 5\n" + "\n".join(ROWS).encode())
    name = os.fsdecode(os.fsencode(path / "Image/aligned") + b"/train_caf\xe9_aligned.jpg")
    Path(name).write_bytes(b"it")
    entry = listed(path)[0]
    assert entry.reject is None
    assert entry.source_id == "Image/aligned/train_caf\\xe9_aligned.jpg"
    assert entry.read().data == b"it"
    assert rejects(path) == {}


def test_a_changed_row_or_picture_has_another_stamp(tmp_path: Path, write_tree: Write) -> None:
    path = tree(tmp_path, write_tree)
    before = [entry.stamp for entry in listed(path)]
    (path / TABLE).write_text("\n".join(["train_00001.jpg 6", *ROWS[1:]]))
    (path / ALIGNED[1]).write_bytes(b"new")
    after = [entry.stamp for entry in listed(path)]
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, False, True]


def test_entries_travel_to_other_processes(tmp_path: Path, write_tree: Write) -> None:
    path = tree(tmp_path, write_tree)
    write_tree(path, {ALIGNED[0]: b"it"})
    entry = pickle.loads(pickle.dumps(listed(path)[0]))  # noqa: S301
    assert entry.read().data == b"it"


@given(st.binary(max_size=200) | st.lists(st.sampled_from([*ROWS, "x", "", "7"])).map("\n".join))
@example(b"train_1.jpg 8\ntrain_1.jpg 9\ntrain_1.jpg 10\ntrain_1.jpg 11\n")
@example(b"train_\x00.jpg 5\r\rtrain_" + b"a" * 300 + b".jpg 5")
def test_whatever_the_list_holds_every_line_is_accounted_for(data: bytes | str) -> None:
    data = data.encode() if isinstance(data, str) else data
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "EmoLabel").mkdir()
        (path / "Image/aligned").mkdir(parents=True)
        (path / TABLE).write_bytes(data)
        try:
            found = listed(path)
        except OccluferError:
            assert all(number in data for number in (b"8", b"9", b"10", b"11"))
            return
    text = data.removeprefix(b"\xef\xbb\xbf")
    assert len(found) == sum(1 for line in re.split(rb"\r\n|\r|\n", text) if line.strip())
    assert all(entry.reject for entry in found)


# Layouts ------------------------------------------------------------------------------------------


def test_the_folder_and_the_one_that_holds_it_are_the_same_source(
    tmp_path: Path, write_tree: Write
) -> None:
    path = tree(tmp_path, write_tree)
    assert [e.source_id for e in listed(path)] == [e.source_id for e in listed(tmp_path)]
    assert len(listed(path)) == 3


def test_the_list_may_be_spelled_right(tmp_path: Path, write_tree: Write) -> None:
    path = tree(tmp_path, write_tree)
    (path / TABLE).rename(path / "EmoLabel/list_partition_label.txt")
    assert list(labels(path).values()) == ["sadness", "happiness", "surprise"]


def test_originals_are_photographs(tmp_path: Path, write_tree: Write) -> None:
    path = tree(tmp_path, write_tree)
    found = listed(path, pictures="original")
    assert [entry.source_id for entry in found] == ORIGINAL
    assert {entry.facts.content for entry in found} == {"photograph"}
    assert [entry.facts.source_name for entry in found][-1] == "test_0003"


def test_an_archive_unpacked_where_it_lies_is_read(tmp_path: Path, write_tree: Write) -> None:
    path = tree(tmp_path, write_tree)
    (path / "Image/aligned").rename(path / "Image/inner")
    (path / "Image/aligned").mkdir()
    (path / "Image/inner").rename(path / "Image/aligned/aligned")
    found = listed(path)
    assert [entry.reject for entry in found] == [None] * 3
    assert found[0].source_id == "Image/aligned/aligned/train_00001_aligned.jpg"


@pytest.mark.parametrize(
    ("names", "settings", "words"),
    [
        ([], {}, ("found no folder", "EmoLabel/list_patition_label.txt and Image/aligned/")),
        (["x/1.jpg"], {}, ("found x, expected EmoLabel/",)),
        ([ALIGNED[0]], {}, ("found no EmoLabel/list_patition_label.txt, the labels",)),
        ([TABLE, "Image/aligned.zip"], {}, ("no Image/aligned/ (in Image/: aligned.zip)",)),
        ([TABLE], {}, ("no Image/aligned/ (in Image/: nothing), the pictures",)),
        ([TABLE, ALIGNED[0]], {"pictures": "original"}, ("no Image/original/", ": aligned)")),
        (["train/5/train_1_aligned.jpg"], {"pictures": "original"}, ("expected Image/original/",)),
    ],
    ids=["empty", "other", "no-list", "packed", "no-pictures", "no-originals", "packed-again"],
)
def test_a_missing_piece_is_named_and_where_it_is_obtained(
    tmp_path: Path,
    write_tree: Write,
    names: list[str],
    settings: dict[str, str],
    words: tuple[str, ...],
) -> None:
    path = write_tree(tmp_path / "basic", dict.fromkeys(names, b""))
    with pytest.raises(MissingError) as caught:
        listed(path, **settings)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert all(word in message for word in words)
    assert "whdeng.cn" in message or "aligned pictures only" in message


def test_a_missing_folder_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"none: no such folder; expected .*basic/; .*whdeng"):
        listed(tmp_path / "none")


def test_pictures_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pictures: found 'faces', expected aligned or original"):
        Settings(tmp_path, pictures="faces")


def test_the_compound_subset_is_not_taken_for_the_basic_one(
    tmp_path: Path, write_tree: Write
) -> None:
    rows = "\n".join(f"train_{n:04d}.jpg {n}" for n in range(1, 12))
    path = tree(tmp_path, write_tree, rows)
    assert raf_db.detect(path) == "RAF-DB compound, which is not read"
    with pytest.raises(UsageError, match=r"label\.txt: found labels up to 11, RAF-DB's compound"):
        listed(path)


# Packed again -------------------------------------------------------------------------------------

PACKED = [
    "train/5/train_00001_aligned.jpg",
    "train/4/train_00002_aligned.jpg",
    "test/1/test_0003_aligned.jpg",
]
CSVS = {
    "train_labels.csv": b"image,label\ntrain_00001_aligned.jpg,5\ntrain_00002_aligned.jpg,4\n",
    "test_labels.csv": b"image,label\r\ntest_0003_aligned.jpg,1",
}
EXPECTED = {"train_00001": "sadness", "train_00002": "happiness", "test_0003": "surprise"}


@pytest.mark.parametrize("csvs", [{}, CSVS], ids=["folders", "folders-and-tables"])
@pytest.mark.parametrize("inner", ["", "DATASET"])
def test_class_folders_by_number_are_read_in_the_sets_own_order(
    tmp_path: Path, write_tree: Write, csvs: dict[str, bytes], inner: str
) -> None:
    write_tree(tmp_path / inner, {**dict.fromkeys(PACKED, b""), **csvs})
    assert labels(tmp_path) == EXPECTED
    found = listed(tmp_path)
    assert [entry.source_id for entry in found if entry.facts.test_set] == [PACKED[2]]
    assert {entry.source_id for entry in found} == set(PACKED)


def test_files_outside_the_class_folders_are_counted(tmp_path: Path, write_tree: Write) -> None:
    odd = [
        *("train/train_9.jpg", "train/8/train_9.jpg", "train/5/x/train_9.jpg"),
        "train/5/test_9.jpg",
    ]
    path = write_tree(tmp_path, dict.fromkeys(PACKED + odd, b""))
    assert rejects(path) == dict.fromkeys(odd, "no_class")


def test_a_table_and_a_folder_that_disagree_are_both_counted(
    tmp_path: Path, write_tree: Write
) -> None:
    csv = b"image,label\ntrain_00001_aligned.jpg,6\ntrain_00002_aligned.jpg,4\n"
    path = write_tree(tmp_path, {**dict.fromkeys(PACKED, b""), "train_labels.csv": csv})
    assert rejects(path) == {
        "train/6/train_00001_aligned.jpg": "missing_file",
        "train/5/train_00001_aligned.jpg": "unlisted",
    }


# Recognised ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([TABLE, *ALIGNED, *ORIGINAL], "EmoLabel, Image/aligned, Image/original"),
        ([TABLE], "EmoLabel"),
        (ALIGNED, "Image/aligned"),
        (ORIGINAL, "Image/original"),
        ([f"basic/{name}" for name in (TABLE, *ALIGNED)], "EmoLabel, Image/aligned"),
        (PACKED, "packed as train, test by class number"),
        ([f"DATASET/{name}" for name in PACKED[:1]], "packed as train by class number"),
    ],
    ids=["whole", "list", "aligned", "originals", "holder", "packed-again", "a-part-of-it"],
)
def test_every_packing_is_recognised_whole_or_in_part(
    tmp_path: Path, write_tree: Write, names: list[str], expected: str
) -> None:
    write_tree(tmp_path, dict.fromkeys(names, b""))
    assert recognised(tmp_path) == ("raf_db", f"RAF-DB basic, {expected}")


@pytest.mark.parametrize(
    "names",
    [
        ["train/angry/1.jpg", "test/sad/1.jpg"],
        ["train/1/a.jpg", "test/1/b.jpg"],
        ["train/0/train_1.jpg"],
        ["Image/aligned/1.jpg"],
        ["train_set/images/1.jpg"],
        ["happy/train_00001_aligned.jpg"],
        ["image/1.jpg", "label.lst"],
    ],
)
def test_other_layouts_are_left_to_others(
    tmp_path: Path, write_tree: Write, names: list[str]
) -> None:
    write_tree(tmp_path, dict.fromkeys(names, b""))
    assert raf_db.detect(tmp_path) is None
    assert raf_db.detect(tmp_path / names[0]) is None


def test_what_is_found_is_counted_by_split_and_class(tmp_path: Path, write_tree: Write) -> None:
    path = tree(tmp_path, write_tree, "\n".join([*ROWS, "train_00003.jpg 9"]))
    found = find(path)
    assert (found.kind, found.records, found.missing) == ("raf_db", 4, "")
    assert found.splits == {"train": {"sadness": 1, "happiness": 1}, "test": {"surprise": 1}}
    (fault,) = found.faults
    assert fault.startswith("list_patition_label.txt, line 4: malformed_row: found the label '9'")


# Terms and tests ----------------------------------------------------------------------------------


def test_a_build_asks_whether_the_terms_are_accepted(tmp_path: Path) -> None:
    source = SourceConfig("raf_db", "raf", {"path": str(tmp_path)})
    with pytest.raises(UsageError) as caught:
        check_terms((source,), ("affectnet",))
    message = str(caught.value)
    for part in ("source raf: RAF-DB has terms", 'accept_terms = ["affectnet", "raf_db"]'):
        assert part in message
    check_terms((source,), ("raf_db",))


def test_of_the_whole_set_its_test_is_registered(
    tmp_path: Path, write_tree: Write, faces: list[bytes]
) -> None:
    path = tree(tmp_path, write_tree)
    write_tree(path, dict(zip(ALIGNED, faces, strict=True)))
    assert register(tmp_path / "work", "raf", path, workers=1) == (1, [])
    names, _ = read_table(registered(tmp_path / "work")["raf"])
    assert names == [ALIGNED[2]]
