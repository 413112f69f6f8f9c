"""ExpW: the list of faces, the photographs they are cut out of, whole and damaged."""

from __future__ import annotations

import io
import os
import pickle
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.cut import CROP_PX
from occlufer.builders.detection import find
from occlufer.builders.gather import gather, read_entry
from occlufer.builders.sources import expw
from occlufer.builders.sources.adapters import recognised
from occlufer.builders.sources.expw import Settings, entries
from occlufer.config import SourceConfig
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.images import ImageStore
from occlufer.record import Reject
from occlufer.workspace import Workspace

Pixels = NDArray[np.uint8]
Write = Callable[[Path, Mapping[str, bytes]], Path]
# From the set's own readme.
LABELS = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
NAME = "angry_actor_104.jpg"
ROW = f"{NAME} 0 28 113 141 226 22.9362 0"


def png(height: int = 200, width: int = 300) -> bytes:
    """A picture whose red is its row and whose green is its column, by halves."""
    rows, columns = np.mgrid[:height, :width] // 2
    pixels = np.stack([rows, columns, np.zeros_like(rows)], axis=-1).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


PNG = png()


def row(
    name: str = NAME,
    face: object = 0,
    box: tuple[object, ...] = (20, 40, 80, 120),
    label: object = 3,
) -> str:
    """A row of the list; `box` is left, top, right, bottom."""
    left, top, right, bottom = box
    return f"{name} {face} {top} {left} {right} {bottom} 64.1 {label}"


def write(folder: Path, rows: list[str] | bytes, *names: str, listed: str = "label.lst") -> Path:
    data = rows if isinstance(rows, bytes) else "\n".join(rows).encode() + b"\n"
    for name, content in {listed: data, **dict.fromkeys(names or (f"image/{NAME}",), PNG)}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def listed(path: Path, **settings: Any) -> list[Any]:
    return list(entries(Settings(path, **settings), "e"))


def rejects(path: Path) -> dict[str, str]:
    return {e.source_id: e.reject.reason for e in listed(path) if e.reject}


def crop(entry: Any) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(entry.read().data)))


# Rows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "label"), list(enumerate(LABELS)))
def test_the_list_s_numbers_mean_what_the_set_says(tmp_path: Path, number: int, label: str) -> None:
    (entry,) = listed(write(tmp_path, [row(label=number)]))
    assert {vote.label: vote.count for vote in entry.facts.votes} == {label: 1}
    assert entry.facts.votes[0].rater == "source:e"
    assert entry.facts.source_label == str(number)


def test_a_row_is_one_face_by_its_picture_and_number(tmp_path: Path) -> None:
    names = (f"image/{NAME}", "image/b_1.jpg")
    rows = [row(face=0), row(face=2), row("b_1.jpg", 0)]
    found = listed(write(tmp_path, rows, *names))
    assert [e.source_id for e in found] == [f"{NAME}:0", f"{NAME}:2", "b_1.jpg:0"]
    assert [e.facts.source_name for e in found] == [NAME, NAME, "b_1.jpg"]
    assert [e.place for e in found] == [f"label.lst, line {n}" for n in (1, 2, 3)]
    assert {e.facts.content for e in found} == {"crop"}
    assert {(e.facts.source_split, e.facts.test_set) for e in found} == {(None, None)}


def test_its_terms_allow_no_redistribution(tmp_path: Path) -> None:
    (entry,) = listed(write(tmp_path, [ROW]))
    assert entry.facts.rights == "index_only"
    assert "no redistribution" in entry.facts.licence
    assert "IJCV 2018" in entry.facts.attribution
    assert expw.TERMS.must_accept is False


@pytest.mark.parametrize(
    "data",
    [
        f"{ROW}\n{row(face=1)}\n".encode(),
        f"{ROW}\n{row(face=1)}".encode(),
        f"{ROW}\r\n{row(face=1)}\r\n".encode(),
        f"{ROW}\r{row(face=1)}\r".encode(),
        f"\ufeff{ROW}\n{row(face=1)}\n".encode(),
        f"\n{ROW}\n \n\n{row(face=1)}\n\n".encode(),
        f"  {ROW} \n{row(face=1)}\t\n".encode(),
        "\n".join([ROW, row(face=1)]).replace(" ", "\t").encode(),
        "\n".join([ROW, row(face=1)]).replace(" ", "  ").encode(),
        f"{expw.COLUMNS}\n{ROW}\n{row(face=1)}\n".encode(),
        f"\ufeff{expw.COLUMNS}\r\n{ROW}\r\n{row(face=1)}".encode(),
    ],
    ids=[
        *("plain", "unterminated", "crlf", "cr", "bom", "blank-lines", "around", "tabs", "two"),
        *("header", "bom-header"),
    ],
)
def test_every_way_to_write_the_list_gives_the_same_rows(tmp_path: Path, data: bytes) -> None:
    found = listed(write(tmp_path, data))
    assert [(e.source_id, e.reject) for e in found] == [(f"{NAME}:0", None), (f"{NAME}:1", None)]
    assert [e.facts.source_label for e in found] == ["0", "3"]


def test_names_may_have_blanks(tmp_path: Path) -> None:
    name = "very angry 1 2.jpg"
    (entry,) = listed(write(tmp_path, [row(name, 4)], f"image/{name}"))
    assert (entry.source_id, entry.reject) == (f"{name}:4", None)
    assert crop(entry).shape == (CROP_PX, CROP_PX, 3)


def test_names_may_be_no_utf8(tmp_path: Path) -> None:
    name = b"caf\xe9_1.jpg"
    write(tmp_path, name + b" 0 40 20 80 120 1.5 3\n")
    place = os.fsencode(tmp_path) + b"/image/" + name
    Path(os.fsdecode(place)).write_bytes(PNG)
    (entry,) = listed(tmp_path)
    assert (entry.source_id, entry.reject) == ("caf\\xe9_1.jpg:0", None)
    assert crop(entry).shape == (CROP_PX, CROP_PX, 3)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("", None),
        (f"{NAME} 0 40 20 80 120 1.5", ("found 7 words", "expected 8: image_name face_id top")),
        ("garbage", ("found 1 words",)),
        (row(face=-1), ("face_id '-1'", "from 0 on")),
        (row(face="x"), ("face_id 'x'",)),
        (row(face="²"), ("face_id '²'",)),
        (row(box=("a", 40, 80, 120)), ("found left 'a'", "expected a number")),
        (row(box=(20, "nan", 80, 120)), ("found top 'nan'",)),
        (row(box=(20, 40, "inf", 120)), ("found right 'inf'",)),
        (row(box=(20, 40, 80, "1e999")), ("found bottom '1e999'",)),
        (row(box=(20, 40, 80, "1_0")), ("found bottom '1_0'",)),
        (ROW.replace("22.9362", "sure"), ("found confidence 'sure'",)),
        (row(box=(80, 40, 80, 120)), ("the box top 40, left 80, right 80, bottom 120", "empty")),
        (row(box=(20, 120, 80, 40)), ("not empty",)),
        (row(label=7), ("found label '7'", "0 to 6")),
        (row(label=-1), ("found label '-1'",)),
        (row(label="happy"), ("found label 'happy'",)),
        (row(label="3.0"), ("found label '3.0'",)),
    ],
    ids=[
        *("blank", "seven-words", "one-word", "face-negative", "face-word", "face-superscript"),
        *("box-word", "box-nan", "box-inf", "box-huge", "box-underscore", "confidence"),
        *("box-empty", "box-turned", "label-7", "label-negative", "label-word", "label-fraction"),
    ],
)
def test_a_malformed_row_is_rejected_with_its_line(
    tmp_path: Path, bad: str, words: tuple[str, ...] | None
) -> None:
    found = listed(write(tmp_path, [row(face=0), bad, row(face=2)]))
    if words is None:
        assert [(e.source_id, e.reject) for e in found] == [(f"{NAME}:{n}", None) for n in (0, 2)]
        return
    assert [e.reject is None for e in found] == [True, False, True]
    assert (found[1].source_id, found[1].place) == ("line 2", "label.lst, line 2")
    assert found[1].reject.reason == "malformed_row"
    assert all(word in found[1].reject.detail for word in words)


@pytest.mark.parametrize("number", ["1.5e-05", "-0.3", "22.", "7"])
def test_the_confidence_may_be_any_number(tmp_path: Path, number: str) -> None:
    (entry,) = listed(write(tmp_path, [ROW.replace("22.9362", number)]))
    assert entry.reject is None


def test_a_face_listed_again_is_a_duplicate_row(tmp_path: Path, workspace: Workspace) -> None:
    write(tmp_path / "e", [row(face=0), row(face=1), row(face=0)])
    gather((SourceConfig("expw", "e", {"path": str(tmp_path / "e")}),), workspace, 1)
    found = {record.source_id: record.reject for record in workspace.catalog.records()}
    assert {name: reject and reject.reason for name, reject in found.items()} == {
        f"{NAME}:0": None,
        f"{NAME}:1": None,
        f"{NAME}:0#2": "duplicate_row",
    }


def test_a_stamp_changes_with_its_row_and_with_its_picture(tmp_path: Path) -> None:
    def stamps(box: tuple[int, ...] = (20, 40, 80, 120)) -> list[str]:
        rows = [row("a_1.jpg", box=box), row("b_1.jpg")]
        (tmp_path / "label.lst").write_text("\n".join(rows))
        return [entry.stamp for entry in listed(tmp_path)]

    write(tmp_path, [], "image/a_1.jpg", "image/b_1.jpg")
    before, moved = stamps(), stamps((21, 40, 80, 120))
    (tmp_path / "image/b_1.jpg").write_bytes(png(210))
    changed = stamps()
    assert [a == b for a, b in zip(before, moved, strict=True)] == [False, True]
    assert [a == b for a, b in zip(before, changed, strict=True)] == [True, False]


# Pictures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["image", "image/origin", "origin"])
@pytest.mark.parametrize("where", ["label.lst", "label/label.lst"])
def test_list_and_pictures_are_found_where_the_release_and_its_copies_have_them(
    tmp_path: Path, place: str, where: str
) -> None:
    (entry,) = listed(write(tmp_path, [ROW], f"{place}/{NAME}", listed=where))
    assert entry.reject is None
    assert crop(entry).shape == (CROP_PX, CROP_PX, 3)


def test_pictures_may_lie_in_two_places(tmp_path: Path) -> None:
    rows = [row("a_1.jpg"), row("b_1.jpg"), row("c_1.jpg")]
    write(tmp_path, rows, "image/origin/a_1.jpg", "image/b_1.jpg")
    found = listed(tmp_path)
    assert [e.reject for e in found] == [
        *(None, None),
        Reject("missing_file", "expected c_1.jpg in image/origin/ or image/"),
    ]


def test_pictures_that_no_row_names_are_not_listed(tmp_path: Path) -> None:
    write(tmp_path, [ROW], f"image/{NAME}", "image/other_1.jpg", "image/readme.txt")
    assert [e.source_id for e in listed(tmp_path)] == [f"{NAME}:0"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../secret.jpg", "outside_source"),
        ("x/../../secret.jpg", "outside_source"),
        ("../image/a_1.jpg", "outside_source"),
        ("/etc/hostname", "outside_source"),
        ("a\0b.jpg", "malformed_row"),
        (".", "malformed_row"),
        ("sub", "not_a_file"),
        ("gone.jpg", "missing_file"),
        ("x" * 5000, "missing_file"),
        ("\\x2e\\x2e/secret.jpg", "missing_file"),
    ],
    ids=[
        *("up", "down-and-up", "up-and-back", "absolute", "null", "dot", "folder", "gone"),
        *("long", "escaped"),
    ],
)
def test_a_name_never_leads_out_of_the_pictures(tmp_path: Path, name: str, reason: str) -> None:
    root = write(tmp_path / "set", [row(name), ROW], f"image/{NAME}", "image/sub/1.jpg")
    (tmp_path / "set/secret.jpg").write_bytes(PNG)
    (tmp_path / "secret.jpg").write_bytes(PNG)
    assert rejects(root) == {f"{name}:0": reason}


def test_links_that_lead_out_of_the_source_are_rejected(tmp_path: Path) -> None:
    rows = [row("link_1.jpg"), row("folder/secret.jpg"), row("inner_1.jpg"), row("round_1.jpg")]
    root = write(tmp_path / "set", rows)
    (tmp_path / "secret.jpg").write_bytes(PNG)
    (root / "image/link_1.jpg").symlink_to(tmp_path / "secret.jpg")
    (root / "image/folder").symlink_to(tmp_path)
    (root / "image/inner_1.jpg").symlink_to(NAME)
    (root / "image/round_1.jpg").symlink_to("round_1.jpg")
    assert rejects(root) == {
        "link_1.jpg:0": "outside_source",
        "folder/secret.jpg:0": "outside_source",
        "round_1.jpg:0": "unreadable",
    }


# Cutting ------------------------------------------------------------------------------------------


def test_the_columns_are_top_left_right_bottom(tmp_path: Path) -> None:
    write(tmp_path, [f"{NAME} 0 40 100 164 104 1 3"])
    (entry,) = listed(tmp_path, margin=0.0)
    pixels = crop(entry).astype(int)
    middle = pixels[CROP_PX // 2, CROP_PX // 2]
    assert np.abs(middle - (72 // 2, 132 // 2, 0)).max() <= 1
    assert np.abs(pixels[2, 2] - (40 // 2, 100 // 2, 0)).max() <= 1
    assert np.abs(pixels[-3, -3] - (103 // 2, 163 // 2, 0)).max() <= 1


@pytest.mark.parametrize("margin", [0.0, 0.25, 0.5])
def test_the_margin_is_a_share_of_the_longer_side(tmp_path: Path, margin: float) -> None:
    write(tmp_path, [row(box=(100, 60, 140, 140))])
    (entry,) = listed(tmp_path, margin=margin)
    pixels = crop(entry).astype(int)
    side = 80 * (1 + 2 * margin)
    assert np.abs(pixels[2, 2] - ((100 - side / 2) / 2, (120 - side / 2) / 2, 0)).max() <= 2


def test_the_default_margin_is_that_of_the_build_s_own_crops(tmp_path: Path) -> None:
    from occlufer.config import FacesConfig

    assert Settings(tmp_path).margin == FacesConfig().crop_margin


def test_faces_of_one_photograph_are_crops_of_their_own(tmp_path: Path) -> None:
    write(tmp_path, [row(face=0, box=(0, 0, 90, 90)), row(face=1, box=(200, 100, 290, 190))])
    store = ImageStore(tmp_path / "images")
    records = [read_entry(entry, "e", store) for entry in listed(tmp_path)]
    assert [record.reject for record in records] == [None, None]
    first, second = (store.get(str(record.image)) for record in records)
    assert first != second
    assert {Image.open(io.BytesIO(data)).format for data in (first, second)} == {"PNG"}


def test_a_crop_is_the_same_bytes_again(tmp_path: Path) -> None:
    write(tmp_path, [row(box=(13, 17, 90, 101))])
    first, second = ((listed(tmp_path)[0]).read().data for _ in range(2))
    assert first == second


def test_what_lies_outside_the_photograph_is_left_off_the_box(tmp_path: Path) -> None:
    rows = [row(face=0, box=(-40, -60, 100, 100)), row(face=1, box=(0, 0, 100, 100))]
    rows += [
        row(face=2, box=(200, 100, 9_999_999, 9_999_999)),
        row(face=3, box=(200, 100, 300, 200)),
    ]
    found = listed(write(tmp_path, rows))
    crops = [entry.read().data for entry in found]
    assert crops[0] == crops[1]
    assert crops[2] == crops[3]


@pytest.mark.parametrize(
    ("box", "reason", "words"),
    [
        ((300, 40, 400, 120), "malformed_row", "top 40, left 300, right 400, bottom 120, expected"),
        ((20, 200, 80, 260), "malformed_row", "in the picture of 300x200"),
        ((-90, 40, 0, 120), "malformed_row", "left -90"),
        ((-90, -50, -10, -5), "malformed_row", "top -50"),
        ((20, 40, 30, 120), "too_small", "found a face of 10x80, expected sides >= 16 px"),
        ((290, 40, 400, 120), "too_small", "found a face of 10x80"),
    ],
    ids=["right", "below", "left", "above", "narrow", "narrow-within"],
)
def test_a_box_without_a_face_in_the_picture_is_rejected_when_read(
    tmp_path: Path, box: tuple[int, ...], reason: str, words: str
) -> None:
    (entry,) = listed(write(tmp_path, [row(box=box)]))
    assert entry.reject is None
    reject = read_entry(entry, "e", ImageStore(tmp_path / "images")).reject
    assert reject is not None
    assert reject.reason == reason
    assert reject.detail.startswith("label.lst, line 1: ")
    assert words in reject.detail


def test_a_strip_of_a_picture_is_not_cut_out_as_a_huge_square(tmp_path: Path) -> None:
    write(tmp_path, [row(box=(0, 0, 9000, 20))])
    (tmp_path / "image" / NAME).write_bytes(png(20, 9000))
    (entry,) = listed(tmp_path)
    reject = read_entry(entry, "e", ImageStore(tmp_path / "images")).reject
    assert reject is not None
    assert reject.reason == "too_many_pixels"


def test_what_is_no_picture_is_rejected_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, [ROW])
    (tmp_path / "image" / NAME).write_bytes(b"<html>")
    reject = read_entry(listed(tmp_path)[0], "e", ImageStore(tmp_path / "images")).reject
    assert reject is not None
    assert reject.reason == "not_an_image"
    assert reject.detail.startswith("label.lst, line 1: begins with '<html>'")


def test_an_entry_can_be_sent_to_another_process(tmp_path: Path) -> None:
    (entry,) = listed(write(tmp_path, [ROW]))
    assert isinstance(entry.read, partial)
    again = pickle.loads(pickle.dumps(entry))  # noqa: S301
    assert again.read().data == entry.read().data


def test_nothing_of_a_picture_is_read_by_the_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, [ROW])
    monkeypatch.setattr(Path, "read_bytes", lambda path: pytest.fail(f"{path} was read"))
    assert len(listed(tmp_path)) == 1


@pytest.mark.parametrize("margin", [-0.1, 2.1, float("nan")])
def test_a_margin_out_of_range_is_refused(tmp_path: Path, margin: float) -> None:
    with pytest.raises(ValueError, match=r"margin: found .*, expected 0 to 2"):
        Settings(tmp_path, margin)


# What is missing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["image/origin.7z.001", "image/origin.7z.002"], "found image/origin.7z.001, image/origin"),
        (["image.zip"], "found image.zip, not unpacked"),
        (["image.z01", "image.zip"], "found image.z01, image.zip, not unpacked"),
        (["origin.tar.gz"], "found origin.tar.gz, not unpacked"),
        (["image/origin/.keep", "image/origin.7z.001"], "found image/origin.7z.001, not unpacked"),
    ],
    ids=["release", "zip", "split-zip", "tar", "unpacked-to-nothing"],
)
def test_archives_are_to_be_unpacked(tmp_path: Path, names: list[str], words: str) -> None:
    with pytest.raises(MissingError) as caught:
        listed(write(tmp_path, [ROW], *names))
    assert words in str(caught.value)
    assert "in image/ or image/origin/: unpack it, a split archive by its first part" in str(
        caught.value
    )


@pytest.mark.parametrize(
    ("files", "error", "words"),
    [
        ({"label.lst": ROW}, MissingError, "found no picture, expected the pictures in image/"),
        ({f"image/{NAME}": "x"}, MissingError, "found no label.lst in it or in label/"),
        ({"label.lst": "", f"image/{NAME}": "x"}, MissingError, "label.lst: found an empty file"),
        ({}, MissingError, "found no label.lst"),
    ],
    ids=["no-pictures", "no-list", "empty-list", "nothing"],
)
def test_a_missing_piece_is_named_with_where_it_is_obtained(
    tmp_path: Path,
    write_tree: Write,
    files: dict[str, str],
    error: type[Exception],
    words: str,
) -> None:
    write_tree(tmp_path, {name: text.encode() for name, text in files.items()})
    with pytest.raises(error) as caught:
        next(entries(Settings(tmp_path), "e"))
    assert words in str(caught.value)
    assert "mmlab.ie.cuhk.edu.hk" in str(caught.value)


def test_a_missing_folder_and_a_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"none: no such folder; expected label\.lst"):
        listed(tmp_path / "none")
    write(tmp_path, [ROW])
    with pytest.raises(UsageError, match=r"label\.lst: found a file, expected a folder"):
        listed(tmp_path / "label.lst")


# Detection ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"label.lst": ROW, f"image/{NAME}": ""}, "label.lst with image/"),
        (
            {"label/label.lst": ROW, f"image/origin/{NAME}": ""},
            "label/label.lst with image/origin/",
        ),
        ({"label.lst": f"x\n\n{ROW}"}, "label.lst without its pictures"),
        ({"label.lst": ROW, "image.zip": ""}, "label.lst without its pictures"),
        (
            {f"image/origin/{NAME}": "", "image/origin/awe_7.jpg": ""},
            "image/origin/ without a readable label.lst",
        ),
        (
            {"image/origin.7z.001": "", "image/origin.7z.002": ""},
            "image/origin.7z.001 without a readable label.lst",
        ),
    ],
    ids=["whole", "as-released", "list", "list-and-archive", "pictures", "archives"],
)
def test_expw_is_recognised_whole_and_in_part(
    tmp_path: Path, write_tree: Write, files: dict[str, str], what: str
) -> None:
    write_tree(tmp_path, {name: text.encode() for name, text in files.items()})
    assert recognised(tmp_path) == ("expw", f"ExpW, {what}")


@pytest.mark.parametrize(
    "files",
    [
        {"label.lst": "0\t3\ta.jpg\n1\t4\tb.jpg\n", "image/a.jpg": ""},
        {"label.lst": ""},
        {"image/1.jpg": "", "images/angry_1.jpg": ""},
        {"image/origin/IMG 1.jpg": ""},
        {"image/origin/notes.txt": ""},
        {"angry/angry_1.jpg": "", "origin.7z": ""},
        {"fer2013.csv": "emotion,pixels,Usage\n"},
    ],
    ids=["other-list", "empty-list", "images", "other-origin", "no-picture", "classes", "fer2013"],
)
def test_other_folders_are_not_taken_for_expw(
    tmp_path: Path, write_tree: Write, files: dict[str, str]
) -> None:
    write_tree(tmp_path, {name: text.encode() for name, text in files.items()})
    assert expw.detect(tmp_path) is None
    assert expw.detect(tmp_path / next(iter(files))) is None


def test_detection_counts_by_class(tmp_path: Path) -> None:
    rows = [row(face=0, label=3), row(face=1, label=6), row(face=2, label=6), row("gone.jpg"), "x"]
    found = find(write(tmp_path, rows))
    assert found.splits == {"all": Counter(neutral=2, happiness=1)}
    assert found.rejected == Counter(missing_file=1, malformed_row=1)
    assert (found.records, found.missing) == (5, "")
    assert found.faults[0] == "label.lst, line 4: missing_file: expected gone.jpg in image/"


# Any bytes ----------------------------------------------------------------------------------------

PIECES = st.sampled_from(
    [
        *(b"angry_actor_104.jpg", b" 0", b" 20 20 90 90", b" 0 -5 3.5", b" 1.5", b" 3", b" 9"),
        *(
            b"\n",
            b"\r",
            b"\r\n",
            b"\xff",
            b"\x00",
            b"../",
            b"/",
            b" ",
            b"\t",
            b"nan",
            b"\xef\xbb\xbf",
        ),
        *(b"angry_actor_104.jpg 0 20 20 90 90 1.5 3\n", b"\\xe9", b"\xe9", b"sub/"),
    ]
)
BYTES = st.binary(max_size=60) | st.lists(PIECES, max_size=30).map(b"".join)


@given(data=BYTES)
def test_any_bytes_lose_no_row(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = write(
        tmp_path_factory.getbasetemp() / "fuzz-expw",
        ROW.encode() + b"\n" + data,
        *(f"image/{NAME}", "image/sub/a.jpg"),
    )
    text = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    found = listed(folder)
    assert len(found) == 1 + sum(bool(line.strip()) for line in text.split(b"\n"))
    for entry in found:
        read_entry(entry, "e", ImageStore(folder / "images"))
    (folder / "label.lst").write_bytes(data)
    expw.detect(folder)
    try:
        listed(folder)
    except OccluferError:
        assert not text.strip(b"\xef\xbb\xbf \t\n\r\v\f")
