"""FER2013 as a CSV and as image folders, whole and damaged."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from occlufer.builders.gather import read_entry
from occlufer.builders.pixels import encode_png
from occlufer.builders.sources import fer2013
from occlufer.builders.sources.fer2013 import Settings, entries
from occlufer.errors import MissingError, UsageError
from occlufer.images import ImageStore
from occlufer.record import Record

Write = Callable[[Path, Mapping[str, bytes]], Path]
HEADER = "emotion,pixels,Usage"
# From the challenge's description.
EMOTIONS = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]


def picture(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (48, 48))


def line(emotion: object = 3, seed: int = 0, usage: str = "Training") -> str:
    return f"{emotion},{' '.join(map(str, picture(seed).ravel()))},{usage}"


def listed(path: Path) -> list[Any]:
    return list(entries(Settings(path), "f"))


def read_csv(folder: Path, text: str | bytes) -> list[Record]:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "fer2013.csv").write_bytes(data)
    store = ImageStore(folder / "images")
    return [read_entry(entry, "f", store) for entry in listed(folder)]


def test_pixels_come_back_bit_for_bit(tmp_path: Path) -> None:
    records = read_csv(tmp_path, "\n".join([HEADER, line(seed=1), line(seed=2)]) + "\n")
    store = ImageStore(tmp_path / "images")
    for record, seed in zip(records, (1, 2), strict=True):
        image = Image.open(io.BytesIO(store.get(str(record.image))))
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), picture(seed))


@pytest.mark.parametrize("number", range(7))
def test_the_csv_s_numbers_mean_what_the_challenge_says(tmp_path: Path, number: int) -> None:
    (record,) = read_csv(tmp_path, f"{HEADER}\n{line(number)}\n")
    assert [vote.label for vote in record.facts.votes] == [EMOTIONS[number]]


def test_the_csv_s_usage_becomes_the_split(tmp_path: Path) -> None:
    lines = [line(usage=usage, seed=n) for n, usage in enumerate(fer2013.CSV_SPLITS)]
    records = read_csv(tmp_path, "\n".join([HEADER, *lines]))
    assert [r.facts.source_split for r in records] == ["train", "validation", "test"]


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\n{line(seed=1)}\n{line(seed=2)}\n",
        f"{HEADER}\n{line(seed=1)}\n{line(seed=2)}",
        f"{HEADER}\r\n{line(seed=1)}\r\n{line(seed=2)}\r\n",
        f"\ufeff{HEADER}\n{line(seed=1)}\n{line(seed=2)}\n",
        f"emotion, pixels, Usage\n{line(seed=1)}\n{line(seed=2)}\n",
        f"{line(seed=1)}\n{line(seed=2)}\n",
        f"\ufeff{line(seed=1)}\r\n{line(seed=2)}",
        f"{HEADER}\n"
        + "\n".join(f'{e},"{p}",{u}' for e, p, u in (line(seed=s).split(",") for s in (1, 2))),
    ],
    ids=[
        *("plain", "unterminated", "crlf", "bom", "spaced-header", "headless", "headless-bom"),
        "quoted",
    ],
)
def test_every_way_to_write_the_csv_gives_the_same_rows(tmp_path: Path, text: str) -> None:
    records = read_csv(tmp_path, text)
    assert [r.source_id for r in records] == ["row_00000", "row_00001"]
    store = ImageStore(tmp_path / "images")
    for record, seed in zip(records, (1, 2), strict=True):
        stored = Image.open(io.BytesIO(store.get(str(record.image))))
        assert np.array_equal(np.asarray(stored), picture(seed))


GOOD = line(seed=1)
PIXELS = GOOD.split(",")[1]


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (f"7,{PIXELS},Training", ("found emotion '7'", "0 to 6")),
        (f"joy,{PIXELS},Training", ("found emotion 'joy'",)),
        (f"3,{PIXELS},Test", ("found Usage 'Test'", "PrivateTest")),
        (f"3,{PIXELS}", ("found 2 cells", "expected 3")),
        (f"3,{PIXELS},Training,x", ("found 4 cells",)),
        ("3,1 2 3,Training", ("found 3 pixels", "expected 2304")),
        (f"3,{PIXELS} 4,Training", ("found 2305 pixels",)),
        (f"3,{PIXELS.rsplit(' ', 1)[0]} 256,Training", ("the pixel '256'", "0-255")),
        (f"3,{PIXELS.rsplit(' ', 1)[0]} -1,Training", ("the pixel '-1'",)),
        (f"3,{PIXELS.rsplit(' ', 1)[0]} ²,Training", ("the pixel",)),
        (f"3,{PIXELS.rsplit(' ', 1)[0]} 1.5,Training", ("the pixel '1.5'",)),
        ("3,,Training", ("found 0 pixels",)),
        ("garbage", ("found 1 cells",)),
    ],
    ids=[
        *("emotion-7", "emotion-word", "usage", "two-cells", "four-cells", "few-pixels"),
        *("many-pixels", "pixel-256", "pixel-negative", "pixel-superscript", "pixel-float"),
        *("no-pixels", "garbage"),
    ],
)
def test_a_malformed_row_is_rejected_with_its_line(
    tmp_path: Path, bad: str, words: tuple[str, ...]
) -> None:
    records = read_csv(tmp_path, "\n".join([HEADER, GOOD, bad, line(seed=2)]))
    assert [record.reject is None for record in records] == [True, False, True]
    reject = records[1].reject
    assert reject is not None
    assert reject.reason == "malformed_row"
    assert reject.detail.startswith("fer2013.csv, line 3: ")
    assert all(word in reject.detail for word in words)


def test_a_stray_quote_costs_its_own_row_only(tmp_path: Path) -> None:
    records = read_csv(tmp_path, "\n".join([HEADER, f'3,"{PIXELS},Training', GOOD, line(seed=2)]))
    assert [record.reject is None for record in records] == [False, True, True]


def test_bytes_that_are_no_text_cost_their_own_row_only(tmp_path: Path) -> None:
    data = b"\n".join([HEADER.encode(), b"\xff\xfe\x00,\x00,\x00", GOOD.encode()])
    assert [record.reject is None for record in read_csv(tmp_path, data)] == [False, True]


def test_the_csv_itself_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "icml_face_data.csv"
    path.write_text(f"{HEADER}\n{GOOD}\n")
    assert len(listed(path)) == 1


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", MissingError, "found an empty file"),
        ("a,b,c\n1,2,3\n", UsageError, r"line 1: found 'a, b, c', expected emotion,pixels,Usage"),
    ],
    ids=["empty", "another-table"],
)
def test_another_file_is_refused(
    tmp_path: Path, text: str, error: type[Exception], words: str
) -> None:
    (tmp_path / "fer2013.csv").write_text(text)
    with pytest.raises(error, match=words):
        listed(tmp_path)


def test_a_changed_row_has_another_stamp_and_no_other_row_has(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text("\n".join([HEADER, GOOD, line(seed=2)]))
    before = [entry.stamp for entry in listed(tmp_path)]
    (tmp_path / "fer2013.csv").write_text("\n".join([HEADER, line(5, seed=1), line(seed=2)]))
    after = [entry.stamp for entry in listed(tmp_path)]
    assert (before[0] != after[0], before[1] == after[1]) == (True, True)


def test_the_image_release_is_read_by_split_and_class(tmp_path: Path, write_tree: Write) -> None:
    names = ("train/angry/1.jpg", "validation/sad/2.jpg", "test/neutral/3.jpg", "valid/fear/4.jpg")
    write_tree(tmp_path, dict.fromkeys(names, b"x"))
    found = {e.source_id: (e.facts.source_split, e.facts.votes[0].label) for e in listed(tmp_path)}
    assert found == {
        "train/angry/1.jpg": ("train", "anger"),
        "validation/sad/2.jpg": ("validation", "sadness"),
        "test/neutral/3.jpg": ("test", "neutral"),
        "valid/fear/4.jpg": ("validation", "fear"),
    }


def test_files_outside_the_classes_of_the_image_release_are_rejected(
    tmp_path: Path, write_tree: Write
) -> None:
    names = ("train/angry/1.jpg", "notes.txt", "train/list.txt", "other/x/1.jpg")
    write_tree(tmp_path, dict.fromkeys(names, b"x"))
    rejects = {e.source_id: e.reject.reason for e in listed(tmp_path) if e.reject}
    assert rejects == dict.fromkeys(names[1:], "no_class")


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        ([], MissingError, "found no folder, expected fer2013.csv"),
        (["faces/1.jpg"], MissingError, "found faces, expected fer2013.csv"),
        (["train/1.jpg"], MissingError, "found no class folder in train"),
        (["train/4/1.jpg"], UsageError, "found the class '4'"),
        (["train/grumpy/1.jpg"], UsageError, "found the class 'grumpy'"),
    ],
    ids=["empty", "no-splits", "no-classes", "numbers", "unknown-class"],
)
def test_another_layout_is_refused(
    tmp_path: Path, write_tree: Write, names: list[str], error: type[Exception], words: str
) -> None:
    write_tree(tmp_path, dict.fromkeys(names, b"x"))
    with pytest.raises(error, match=words):
        listed(tmp_path)


def test_a_missing_folder_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"none: no such folder; expected fer2013\.csv.*Kaggle"):
        listed(tmp_path / "none")


def test_both_releases_are_recognised(tmp_path: Path, write_tree: Write) -> None:
    write_tree(tmp_path / "csv", {"fer2013.csv": b""})
    face = encode_png(picture(0).astype(np.uint8))
    damaged = {"train/angry/1.jpg": b"", "train/angry/2.jpg": face, "test/sad/1.jpg": face}
    write_tree(tmp_path / "images", damaged)
    write_tree(tmp_path / "other", {"train/grumpy/1.jpg": face})
    write_tree(tmp_path / "no_picture", {"train/angry/1.mp4": b"", "test/sad/1.mp4": b""})
    assert fer2013.detect(tmp_path / "csv") == "FER2013, fer2013.csv"
    assert fer2013.detect(tmp_path / "images") == "FER2013, the image release: test, train"
    assert fer2013.detect(tmp_path / "other") is None
    assert fer2013.detect(tmp_path / "no_picture") is None


def test_the_real_image_release_is_listed_whole(real_data: Path) -> None:
    found = listed(real_data / "fer2013")
    assert len(found) == 2059
    assert not [entry for entry in found if entry.reject]


PIECES = (
    b"3,",
    b"0 0 0,",
    b"Training",
    b"PublicTest",
    b",",
    b'"',
    b"\n",
    b"\r",
    b"\r\n",
    b"\xff",
    b" ",
)


@given(st.binary(max_size=400) | st.lists(st.sampled_from(PIECES)).map(b"".join))
def test_any_bytes_after_the_header_lose_no_row(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz-fer2013.csv"
    path.write_bytes(f"{HEADER}\n".encode() + data)
    found = list(fer2013.entries(fer2013.Settings(path), "f"))
    rows = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert len(found) == sum(1 for row in rows if row.strip())
    assert len({entry.source_id for entry in found}) == len(found)
