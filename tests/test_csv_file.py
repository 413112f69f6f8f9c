"""CSV files that people write by hand: any bytes are rows, or one line that says why not."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from occlufer.csv_file import csv_rows
from occlufer.errors import MissingError, UsageError


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old-mac"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_lines_are_the_same_however_they_end(tmp_path: Path, end: str, mark: bytes) -> None:
    text = end.join(
        ["record, label,doubt", "", ' s/a.png , "fear, or not" ', "s/b.png,anger,none", ""]
    )
    (tmp_path / "a.csv").write_bytes(mark + text.encode())
    path = tmp_path / "a.csv"
    assert list(csv_rows(path, ["record", "label", "doubt"], "")) == [
        (f"{path}, line 3", ["s/a.png", '"fear', 'or not"']),
        (f"{path}, line 4", ["s/b.png", "anger", "none"]),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
@example(data=b"\r\x00")
@example(data=b'"' + b"a" * (csv.field_size_limit() + 1))
def test_any_bytes_are_full_rows_or_a_usage_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(b"a,b\n" + data)
    try:
        rows = list(csv_rows(path, ["a", "b"], ""))
    except UsageError:
        return
    numbers = [int(place.rpartition(" ")[2]) for place, _ in rows]
    assert numbers == sorted({*numbers} - {1})
    assert all(len(cells) == 2 and all(cells) for _, cells in rows)


@pytest.mark.parametrize("text", ["", "\n", "a\n", "b,a\n", '"a\nb",b\n', "x,y\na,b\n"])
def test_another_heading_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UsageError, match=r"a\.csv, line \d: found .*, expected a,b"):
        list(csv_rows(tmp_path / "a.csv", ["a", "b"], ""))


def test_a_file_that_is_not_there_is_told_with_what_names_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"a\.csv: no such file; \[x\] y names it"):
        next(csv_rows(tmp_path / "a.csv", ["a"], "[x] y names it"))
