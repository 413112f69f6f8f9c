"""CSV files that people write by hand: any bytes are lines, or one line that says why not."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from occlufer.csv_file import csv_lines
from occlufer.errors import MissingError, UsageError


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old-mac"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_lines_are_the_same_however_they_end(tmp_path: Path, end: str, mark: bytes) -> None:
    text = end.join(["record,label", "", ' s/a.png , "fear, or not" ', "s/b.png,anger", ""])
    (tmp_path / "a.csv").write_bytes(mark + text.encode())
    assert list(csv_lines(tmp_path / "a.csv", "")) == [
        (1, ["record", "label"]),
        (3, ["s/a.png", '"fear', 'or not"']),
        (4, ["s/b.png", "anger"]),
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
@example(data=b"\r\x00")
@example(data=b'"' + b"a" * (csv.field_size_limit() + 1))
def test_any_bytes_are_lines_or_a_usage_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(data)
    try:
        lines = list(csv_lines(path, ""))
    except UsageError:
        return
    assert [number for number, _ in lines] == sorted({number for number, _ in lines})
    assert lines[0][0] == 1 or data.startswith(b'"')


def test_a_file_that_is_not_there_is_told_with_what_names_it(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"a\.csv: no such file; \[x\] y names it"):
        next(csv_lines(tmp_path / "a.csv", "[x] y names it"))
