"""Occlusion lists are read whatever their form; no line of them is lost."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.publishing.occlusion_lists import FORMS, Listed, read_lines, read_lists
from occlufer.builders.sources.adapters import ADAPTERS
from occlufer.builders.sources.rows import Line, lines
from occlufer.config import ListsConfig
from occlufer.errors import MissingError, UsageError

HASH = "bc9ad400db82eca1882b11c9603348fb3e92f5b0d67391ac22a1bc79"
REAL = {
    "raf_db_occlu": "RAF_DB_dir/rafdb_occlusion_list.txt",
    "ferplus_occlu": "FERplus_dir/jianfei_occlusion_list.txt",
    "affectnet_occlu": "AffectNet_dir/occlusion_affectnet_list.txt",
}


def listed(text: str, name: str) -> Listed:
    found = (Line(number, line) for number, line in enumerate(text.split("\n"), start=1))
    return read_lines((line for line in found if line.text.strip()), FORMS[name])


@pytest.fixture
def real_lists(real_data: Path) -> Path:
    folder = real_data / "lists/Challenge-condition-FER-dataset"
    if not folder.is_dir():
        pytest.skip(f"no real lists: {folder} is missing")
    return folder


@pytest.mark.parametrize(
    ("name", "names", "again", "first"),
    [
        ("raf_db_occlu", 734, ["test_2464_aligned"], "test_0003"),
        ("ferplus_occlu", 605, [], "fer0034656"),
        ("affectnet_occlu", 683, [], HASH),
    ],
)
def test_ran_s_lists_have_the_counts_that_are_known(
    real_lists: Path, name: str, names: int, again: list[str], first: str
) -> None:
    (found,) = read_lists(ListsConfig(**{name: real_lists / REAL[name]}))
    assert (found.name, found.file) == (name, REAL[name].rpartition("/")[2])
    assert len(found.listed.names) == names
    assert [line.text.split()[0] for line in found.listed.duplicates] == again
    assert found.listed.faults == []
    assert next(iter(found.listed.names)) == first
    assert found.sha256 == hashlib.sha256((real_lists / REAL[name]).read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "file", "names", "again"),
    [
        ("raf_db_occlu", "RAF_DB_dir/val_raf_db_list.txt", 1247, 0),
        ("raf_db_occlu", "RAF_DB_dir/val_raf_db_list_45.txt", 558, 0),
        ("ferplus_occlu", "FERplus_dir/pose_30_ferplus_list.txt", 1170, 0),
        ("ferplus_occlu", "FERplus_dir/pose_45_ferplus_list.txt", 633, 0),
        ("affectnet_occlu", "AffectNet_dir/pose_30_affectnet_list.txt", 1944, 5),
        ("affectnet_occlu", "AffectNet_dir/pose_45_affectnet_list.txt", 983, 2),
    ],
)
def test_ran_s_pose_lists_are_read_too(
    real_lists: Path, name: str, file: str, names: int, again: int
) -> None:
    found = read_lines(lines(real_lists / file), FORMS[name])
    assert found.faults == []
    assert (len(found.names), len(found.duplicates)) == (names, again)


@pytest.mark.parametrize(
    ("name", "text", "picture"),
    [
        ("raf_db_occlu", "test_0003_aligned 3 4", "test_0003"),
        ("raf_db_occlu", "train_12271_aligned.jpg", "train_12271"),
        ("raf_db_occlu", "4/test_0006_aligned.jpg", "test_0006"),
        ("raf_db_occlu", "test_0003.jpg\t3\t4", "test_0003"),
        ("ferplus_occlu", "1_fer0034656.png 8 0", "fer0034656"),
        ("ferplus_occlu", "0/fer0032226.jpg", "fer0032226"),
        ("ferplus_occlu", "fer0032226", "fer0032226"),
        ("affectnet_occlu", f"val/0/{HASH}/", HASH),
        ("affectnet_occlu", f"0/{HASH}.jpg", HASH),
        ("affectnet_occlu", f"7/{HASH}/8.jpg", HASH),
        ("affectnet_occlu", f"  val/7/{HASH}  ", HASH),
    ],
)
def test_a_picture_s_name_is_found_in_every_form(name: str, text: str, picture: str) -> None:
    found = listed(text, name)
    assert list(found.names) == [picture]
    assert found.faults == found.duplicates == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("raf_db_occlu", "1_fer0034656.png 8 0"),
        ("raf_db_occlu", "test_0003_aligned 7 4"),
        ("raf_db_occlu", "test_0003_aligned 3"),
        ("raf_db_occlu", "test_0003_aligned 3 4 5"),
        ("raf_db_occlu", "../test_0003_aligned.jpg"),
        ("raf_db_occlu", "1247 7"),
        ("raf_db_occlu", "test_٣"),
        ("ferplus_occlu", "test_0003_aligned 3 4"),
        ("ferplus_occlu", "8_fer0034656.png 8 0"),
        ("ferplus_occlu", "1_fer34656.png 8 0"),
        ("affectnet_occlu", f"val/8/{HASH}/"),
        ("affectnet_occlu", f"test/0/{HASH}/"),
        ("affectnet_occlu", "val/0/1234.jpg"),
        ("affectnet_occlu", HASH),
    ],
)
def test_a_line_that_names_no_picture_is_a_fault_with_its_number(name: str, text: str) -> None:
    found = listed(f"\n\n{text}", name)
    (fault,) = found.faults
    assert fault.number == 3
    assert repr(text[:60]) in fault.fault
    assert f"expected e.g. {FORMS[name].example}" in fault.fault
    assert found.names == {}


@pytest.mark.parametrize("name", FORMS)
def test_the_example_of_a_form_is_of_that_form_and_no_other(name: str) -> None:
    for other in FORMS:
        assert bool(listed(FORMS[name].example, other).names) == (name == other)


def test_a_name_that_is_listed_again_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(
        b"\xef\xbb\xbftest_0003_aligned 3 4\r\n\r\ntest_0004_aligned 0 1\r\n"
        b"\xff\xfe no line\r\n2/test_0003_aligned.jpg\r\ntest_0005_aligned 6 2"
    )
    found = read_lines(lines(path), FORMS["raf_db_occlu"])
    assert {name: line.number for name, line in found.names.items()} == {
        "test_0003": 1,
        "test_0004": 3,
        "test_0005": 6,
    }
    assert [line.number for line in found.duplicates] == [5]
    assert [line.number for line in found.faults] == [4]


PIECES = st.sampled_from(
    ["test_0003_aligned 3 4", "test_1_aligned", "1_fer0034656.png 8 0", f"val/0/{HASH}/", "x", ""]
)
TABLES = st.binary(max_size=80) | st.lists(
    PIECES.map(str.encode) | st.binary(max_size=12), max_size=9
).map(b"\r\n".join)


@pytest.mark.parametrize("name", FORMS)
@given(data=TABLES)
def test_no_line_is_lost(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.txt"
    path.write_bytes(data)
    given_lines = list(lines(path))
    found = read_lines(given_lines, FORMS[name])
    read = [*found.names.values(), *found.duplicates, *found.faults]
    assert sorted(line.number for line in read) == [line.number for line in given_lines]
    assert all(line.fault for line in found.faults)
    if found.names:
        assert read_lists(ListsConfig(**{name: path}))[0].listed == found
    else:
        with pytest.raises(UsageError, match=r"fuzzed\.txt: found no line that names a picture"):
            read_lists(ListsConfig(**{name: path}))


def test_a_line_beyond_all_bounds_is_a_fault() -> None:
    line = Line(1, "test_0003_aligned", "found a line of over 1000000 bytes")
    found = read_lines([line], FORMS["raf_db_occlu"])
    assert (found.names, found.faults) == ({}, [line])


def test_every_list_of_the_config_has_a_form_and_a_kind_of_source() -> None:
    assert [field.name for field in dataclasses.fields(ListsConfig)] == list(FORMS)
    assert {form.kind for form in FORMS.values()} <= set(ADAPTERS)


def test_no_list_is_read_where_none_is_given() -> None:
    assert read_lists(ListsConfig()) == ()


def test_a_missing_list_is_named_with_where_it_is_obtained(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        read_lists(ListsConfig(ferplus_occlu=tmp_path / "none.txt"))
    message = str(caught.value)
    assert f"[lists] ferplus_occlu: {tmp_path / 'none.txt'}: no such file" in message
    assert "jianfei_occlusion_list.txt" in message
    assert "Challenge-condition-FER-dataset" in message


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "expected e.g. test_0003_aligned 3 4"),
        (b"\n1_fer0034656.png 8 0\n", "line 2: found '1_fer0034656.png 8 0', expected e.g. test"),
        (None, "cannot be read"),
    ],
    ids=["empty", "another-set-s", "a-folder"],
)
def test_a_file_that_is_no_such_list_is_refused(
    tmp_path: Path, data: bytes | None, words: str
) -> None:
    path = tmp_path if data is None else tmp_path / "list.txt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UsageError, match=r"\[lists\] raf_db_occlu: ") as caught:
        read_lists(ListsConfig(raf_db_occlu=path))
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
