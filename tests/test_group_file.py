"""The user's groups are read as they stand, or the line that is wrong is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.duplicates.group_file import read_groups
from occlufer.config_file import load_config
from occlufer.errors import MissingError, UsageError


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "bom"])
def test_records_have_their_groups(tmp_path: Path, end: str, mark: str) -> None:
    path = tmp_path / "groups.csv"
    lines = ["record,group", "s/a.jpg,ann", '"s/b, c.jpg",ann', "", "s/d.jpg,7"]
    path.write_bytes((mark + end.join(lines)).encode())
    assert read_groups(path) == {"s/a.jpg": "ann", "s/b, c.jpg": "ann", "s/d.jpg": "7"}


def test_without_a_file_there_are_no_groups() -> None:
    assert read_groups(None) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n", "line 1: found 'a,b', expected record,group"),
        ("record,group\na\n", "line 2: found 'a', expected record,group"),
        ("record,group\na,b,c\n", "line 2: found 'a,b,c', expected record,group"),
        ("record,group\na,\n", "line 2: found 'a,', expected record,group"),
        ("record,group\na,x\na,x\na,y\n", "line 4: found 'a' in the group 'y', and before in 'x'"),
    ],
    ids=["header", "one-cell", "three-cells", "empty-group", "two-groups"],
)
def test_a_line_that_says_something_else_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)):
        read_groups(path)


def test_a_missing_file_says_what_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="names a CSV with the columns record,group"):
        read_groups(tmp_path / "groups.csv")


@given(st.binary(max_size=200))
def test_any_bytes_are_groups_or_a_usage_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "groups.csv"
    path.write_bytes(b"record,group\n" + data)
    try:
        groups = read_groups(path)
    except UsageError:
        return
    assert all(record and group for record, group in groups.items())


def test_the_config_s_path_is_relative_to_the_config(tmp_path: Path) -> None:
    path = tmp_path / "occlufer.toml"
    path.write_text('[dedup]\ngroups = "g.csv"\n[[sources]]\nkind = "synthetic"\n')
    assert load_config(path).dedup.groups == tmp_path / "g.csv"
