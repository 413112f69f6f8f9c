"""Tables of hashes come back as they were written, and others are refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.hashes import hash_images
from occlufer.builders.hashing.hash_table import (
    from_hex,
    in_hex,
    read_table,
    table_of,
    write_table,
)
from occlufer.builders.hashing.kept import placed_views
from occlufer.errors import MissingError, UsageError

SHAPES: dict[str, tuple[int, ...]] = {
    "phash64": (),
    "phash256": (4,),
    "dhash64": (),
    "views64": (37,),
    "views256": (37, 4),
}


def rows_of(count: int, seed: int = 0) -> list[dict[str, NDArray[np.uint64]]]:
    """Random hashes, every bit of which is used."""
    rng = np.random.default_rng(seed)
    return [
        {name: rng.integers(0, 2**64, shape, dtype=np.uint64) for name, shape in SHAPES.items()}
        for _ in range(count)
    ]


def same(a: Any, b: Any) -> bool:
    return all(
        getattr(a, name).dtype == np.uint64 and np.array_equal(getattr(a, name), getattr(b, name))
        for name in SHAPES
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "set" / "hashes.parquet"


# Words and hex ------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2**64 - 1), max_size=8))
def test_words_come_back_from_hex(words: list[int]) -> None:
    text = in_hex(np.array(words, dtype=np.uint64))
    assert text == "".join(f"{word:016x}" for word in words)
    back = from_hex(text)
    assert back.dtype == np.uint64
    assert back.tolist() == words


def test_hashes_stand_in_the_order_of_images_however_the_catalog_gives_them() -> None:
    rows = dict(zip("abc", rows_of(3), strict=True))
    kept = {image: {k: in_hex(words) for k, words in row.items()} for image, row in rows.items()}
    table = placed_views(["c", "a", "b"], sorted(kept.items()))
    for place, image in enumerate("cab"):
        assert np.array_equal(table.views64[place], rows[image]["views64"])
        assert np.array_equal(table.views256[place], rows[image]["views256"])
    with pytest.raises(KeyError, match="no result for d"):
        placed_views(["a", "d"], [("a", kept["a"])])


@pytest.mark.parametrize("side", [8, 16])
def test_hex_is_what_imagehash_writes(textured: Callable[..., Any], side: int) -> None:
    image = Image.fromarray(textured(side))
    table = hash_images([image], workers=1)
    words = table.phash64[0] if side == 8 else table.phash256[0]
    text = str(imagehash.phash(image, hash_size=side))
    assert in_hex(words) == text
    assert np.array_equal(from_hex(text), np.atleast_1d(words))


# Tables -------------------------------------------------------------------------------------------


def test_a_table_holds_the_hashes_of_each_picture_in_a_row() -> None:
    rows = rows_of(5)
    table = table_of(iter(rows))
    assert len(table) == 5
    for place, row in enumerate(rows):
        for name in SHAPES:
            assert np.array_equal(getattr(table, name)[place], row[name])


@pytest.mark.parametrize("views", [True, False])
def test_a_table_of_nothing_has_its_columns(views: bool) -> None:
    table = table_of([], views)
    assert len(table) == 0
    shapes = {name: getattr(table, name).shape for name in SHAPES}
    count = 37 if views else 0
    assert shapes == {
        "phash64": (0,),
        "phash256": (0, 4),
        "dhash64": (0,),
        "views64": (0, count),
        "views256": (0, count, 4),
    }


def test_views_that_are_not_wanted_are_no_columns() -> None:
    rows = [{name: row[name] for name in ("phash64", "phash256", "dhash64")} for row in rows_of(3)]
    table = table_of(rows, views=False)
    assert (len(table), table.views64.shape, table.views256.shape) == (3, (3, 0), (3, 0, 4))
    assert table.dhash64.tolist() == [int(row["dhash64"]) for row in rows]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (np.array([3, 0, 3]), [3, 0, 3]),
        (np.zeros(0, dtype=np.int64), []),
        (np.array([True, False, False, True, False]), [0, 3]),
        (slice(1, 3), [1, 2]),
    ],
    ids=["positions", "none", "mask", "slice"],
)
def test_chosen_rows_are_a_table_of_their_own(chosen: Any, expected: list[int]) -> None:
    rows = rows_of(5)
    assert same(table_of(rows).rows(chosen), table_of(rows[place] for place in expected))


# Files --------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@settings(max_examples=40)
@given(st.lists(NAMES, max_size=6), st.integers(0, 999))
def test_a_table_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], seed: int
) -> None:
    path = tmp_path_factory.mktemp("table") / "hashes.parquet"
    table = table_of(rows_of(len(names), seed))
    write_table(path, names, table)
    back_names, back = read_table(path)
    assert back_names == names
    assert same(back, table)


def test_a_written_table_replaces_the_last_one_and_leaves_nothing_beside(path: Path) -> None:
    write_table(path, ["a", "b"], table_of(rows_of(2, 1)))
    write_table(path, ["c"], table_of(rows_of(1, 2)))
    assert read_table(path)[0] == ["c"]
    assert [entry.name for entry in path.parent.iterdir()] == ["hashes.parquet"]


def test_chosen_rows_are_written_in_their_order(path: Path) -> None:
    # Numpy's views of other arrays do not lie in memory as they are counted.
    table = table_of(rows_of(6)).rows(slice(None, None, -2))
    write_table(path, ["f", "d", "b"], table)
    assert same(read_table(path)[1], table_of([rows_of(6)[i] for i in (5, 3, 1)]))


def test_the_file_holds_hashes_as_imagehash_writes_them(path: Path) -> None:
    rows = rows_of(2)
    write_table(path, ["a", "b"], table_of(rows))
    columns = pq.read_table(path).to_pydict()
    assert list(columns) == ["name", *SHAPES]
    for name in SHAPES:
        expected = ["".join(f"{word:016x}" for word in row[name].ravel().tolist()) for row in rows]
        assert [data.hex() for data in columns[name]] == expected


def refused(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: found ")
    return message.removeprefix(f"{path}: found ")


def test_a_missing_table_is_named(path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        read_table(path)
    assert str(caught.value) == f"{path}: no such table of hashes"


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"name,phash64\n", b"\0" * 5000], ids=["empty", "begun", "csv", "zeros"]
)
def test_what_is_no_parquet_file_is_refused(path: Path, data: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(data)
    assert refused(path).startswith("no Parquet table of hashes (")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(path: Path, share: float) -> None:
    write_table(path, list("abcde"), table_of(rows_of(5)))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    assert refused(path).startswith("no Parquet table of hashes (")


def test_damaged_hashes_are_refused(path: Path) -> None:
    write_table(path, list("abcde"), table_of(rows_of(5)))
    data = bytearray(path.read_bytes())
    for place in range(100, len(data) // 2):
        data[place] = 0
    path.write_bytes(data)
    assert refused(path).startswith("no Parquet table of hashes (")


ANEW = "expected 2; register the pictures anew with this version of occlufer"


def test_another_parquet_file_is_refused(path: Path) -> None:
    path.parent.mkdir()
    pq.write_table(pa.table({"name": ["a"], "phash64": [1]}), path)
    assert refused(path) == f"hashes of version none, {ANEW}"


@pytest.mark.parametrize(("version", "shown"), [(b"3", "3"), (b"", ""), (b"\xff1", "\ufffd1")])
def test_a_table_of_another_version_is_refused(path: Path, version: bytes, shown: str) -> None:
    write_table(path, ["a"], table_of(rows_of(1)))
    written = pq.read_table(path)
    pq.write_table(written.replace_schema_metadata({b"occlufer_hashes": version}), path)
    assert refused(path) == f"hashes of version {shown}, {ANEW}"


@pytest.mark.parametrize("lost", ["name", "views256"])
def test_a_table_without_one_of_the_columns_is_refused(path: Path, lost: str) -> None:
    write_table(path, ["a"], table_of(rows_of(1)))
    pq.write_table(pq.read_table(path).drop_columns([lost]), path)
    refused(path)


def test_a_table_of_other_columns_under_the_same_names_is_refused(path: Path) -> None:
    write_table(path, ["a"], table_of(rows_of(1)))
    written = pq.read_table(path)
    place = written.column_names.index("views64")
    shorter = pa.array([b"12345678" * 36], pa.binary(8 * 36))
    pq.write_table(written.set_column(place, "views64", shorter), path)
    refused(path)


def test_equal_tables_are_written_as_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(tmp_path / name, ["x", "y"], table_of(rows_of(2)))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
