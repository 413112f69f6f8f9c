"""Gold answers are read as they stand, or the row that is wrong is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from occlufer.annotation.gold import read_gold
from occlufer.errors import MissingError, UsageError
from occlufer.pipeline import stages_before
from occlufer.record import Facts, Record, Reject, Result
from occlufer.schema import ANSWERS
from occlufer.workspace import Workspace

STAGES = stages_before("labels")


@pytest.fixture
def filled(workspace: Workspace) -> Workspace:
    """Samples s/a and s/b, t/b with the bytes of s/b, and two records that were rejected."""
    names = {"s/a.png": "aa", "s/b, c.png": "bb", "t/b": "bb", "s/twin": "cc"}
    records = [Record(name, name[0], "1", Facts(), image) for name, image in names.items()]
    records.append(Record("s/bad", "s", "1", Facts(), None, Reject("undecodable", "x")))
    workspace.catalog.put_records(records)
    for stage in STAGES:
        workspace.catalog.put_results(stage, [Result(image) for image in ("aa", "bb", "cc")])
    workspace.catalog.put_results("dedup", [Result("cc", {}, Reject("duplicate", "s/a.png"))])
    return workspace


@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "bom"])
def test_images_have_their_answers(filled: Workspace, tmp_path: Path, end: str, mark: str) -> None:
    path = tmp_path / "gold.csv"
    lines = ["record,label", "s/a.png,fear", "", '"s/b, c.png",not_a_face']
    path.write_bytes((mark + end.join(lines)).encode())
    assert read_gold(path, filled) == {"aa": "fear", "bb": "not_a_face"}


def test_the_usual_spellings_are_understood(filled: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("record,label\ns/a.png,Happy\nt/b,SU\n")
    assert read_gold(path, filled) == {"aa": "happiness", "bb": "surprise"}


def test_without_a_file_there_are_none(filled: Workspace) -> None:
    assert read_gold(None, filled) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: found '', expected record,label"),
        ("a,b\n", "line 1: found 'a,b', expected record,label"),
        ("record,label\ns/a.png\n", "line 2: found 's/a.png', expected record,label"),
        ("record,label\ns/a.png,\n", "line 2: found 's/a.png,', expected record,label"),
        ("record,label\ns/a.png,fear\n\ns/z,fear\n", "line 4: found 's/z', expected a record"),
        ("record,label\ns/a.png,terror\n", "line 2: found label 'terror', expected one of anger"),
        ("record,label\ns/a.png,6\n", "line 2: found label '6', expected one of anger"),
        (
            "record,label\ns/a.png,fear\nt/b,fear\ns/a.png,fear\n",
            "line 4: found 's/a.png', which stands in ",
        ),
        (
            'record,label\n"s/b, c.png",fear\nt/b,anger\n',
            "line 3: found 'anger' for 't/b', and 'fear' for 's/b, c.png'",
        ),
    ],
    ids=["empty", "header", "cell", "blank", "record", "label", "number", "twice", "picture"],
)
def test_a_row_that_says_something_else_is_named(
    filled: Workspace, tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "gold.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(f"{path}, {message}")):
        read_gold(path, filled)


def test_two_records_of_one_picture_may_agree(filled: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text('record,label\n"s/b, c.png",fear\nt/b,fear\n')
    assert read_gold(path, filled) == {"bb": "fear"}


def test_what_the_build_has_rejected_is_left_out_and_named(
    filled: Workspace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("record,label\ns/a.png,fear\ns/bad,fear\ns/twin,fear\n")
    assert read_gold(path, filled) == {"aa": "fear"}
    assert "line 3: 's/bad' is no sample" in caplog.text
    assert "line 4: 's/twin' is no sample" in caplog.text
    assert "line 2" not in caplog.text


def test_a_missing_file_says_what_it_should_be(filled: Workspace, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="names a CSV with the columns record,label"):
        read_gold(tmp_path / "gold.csv", filled)


def test_only_the_records_that_the_file_names_are_looked_up(
    filled: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("record,label\ns/a.png,fear\n")
    monkeypatch.setattr(filled.catalog, "records", lambda: pytest.fail("all were read"))
    assert read_gold(path, filled) == {"aa": "fear"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes_are_gold_or_a_usage_error(
    filled: Workspace, tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "fuzz.csv"
    path.write_bytes(b"record,label\ns/a.png,fear\n" + data)
    try:
        gold = read_gold(path, filled)
    except UsageError:
        return
    assert set(gold.values()) <= set(ANSWERS)
