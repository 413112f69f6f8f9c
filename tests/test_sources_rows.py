"""Lines of text files: none is lost, whatever ends them and however long the file is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.sources import rows
from occlufer.builders.sources.rows import MAX_LINE_BYTES, lines

ENDS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("count", [1, 3, 200_000], ids=["one", "three", "over the longest line"])
def test_every_line_is_one_whatever_ends_it(tmp_path: Path, end: bytes, count: int) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf" + end.join([b"a.jpg 5"] * count))
    found = [(line.number, line.text, line.fault) for line in lines(tmp_path / "a")]
    assert found == [(number, "a.jpg 5", "") for number in range(1, count + 1)]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_line_that_is_too_long_takes_no_other_with_it(tmp_path: Path, end: bytes) -> None:
    long = b"x" * (2 * MAX_LINE_BYTES + 9)
    (tmp_path / "a").write_bytes(end.join([b"first", long, b"last"]))
    found = list(lines(tmp_path / "a"))
    assert [line.number for line in found] == [1, 2, 3]
    assert [bool(line.fault) for line in found] == [False, True, False]
    assert [len(line.text) for line in found] == [5, MAX_LINE_BYTES, 4]


def test_a_cell_may_be_as_long_as_a_line() -> None:
    cell = "x" * (MAX_LINE_BYTES - 2)
    assert rows.csv_cells(f'a,"{cell}"') == ["a", cell]


@given(
    st.binary(max_size=60).map(
        lambda data: data.translate(bytes(b"ab\r\n"[i % 4] for i in range(256)))
    )
)
def test_pieces_of_any_size_give_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("rows") / "a"
    path.write_bytes(data)
    expected = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode().split("\n")
    for limit in (1000, 61, 7):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rows, "MAX_LINE_BYTES", limit)
            found = [(line.number, line.text) for line in lines(path)]
        assert found == [(n, text[:limit]) for n, text in enumerate(expected, 1) if text]
