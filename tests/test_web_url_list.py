"""Lists of photographs of the user's own: no line is lost, no unknown licence passes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from occlufer.builders.sources.table_parquet import ROWS_AT_A_TIME
from occlufer.builders.web.ledger import Fault
from occlufer.builders.web.photograph import Photograph
from occlufer.builders.web.url_list import read_list
from occlufer.errors import MissingError, OccluferError, UsageError

A, B = "https://example.org/a.jpg", "https://example.org/b.png?size=l"
BY = "https://creativecommons.org/licenses/by/4.0/"


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., list[Photograph | Fault]]:
    """Write a list and read it."""

    def read(name: str, data: bytes | str, **options: str) -> list[Photograph | Fault]:
        path = tmp_path / name
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return list(read_list(path, **options))

    return read


def as_parquet(path: Path, columns: dict[str, Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def reasons(found: list[Photograph | Fault]) -> list[str]:
    return [row.reason if isinstance(row, Fault) else row.url for row in found]


WHOLE = Photograph(
    url=A,
    service="urls",
    page="https://example.org/a",
    licence="CC-BY-4.0",
    licence_url=BY,
    author="Anna",
    title="A face, masked",
    said={"licence": "CC BY", "licence_url": BY},
)
CELLS = {
    "url": A,
    "licence": "CC BY",
    "licence_url": BY,
    "author": "Anna",
    "title": "A face, masked",
    "page": "https://example.org/a",
}


def test_a_row_is_the_same_photograph_in_every_format(
    tmp_path: Path, rows: Callable[..., list[Photograph | Fault]]
) -> None:
    header = ",".join(CELLS)
    line = ",".join(f'"{cell}"' for cell in CELLS.values())
    assert rows("a.csv", f"{header}\n{line}\n") == [WHOLE]
    assert rows("a.tsv", f"{header}\n{line}\n".replace('","', '"\t"').replace(",", "\t", 5)) == [
        WHOLE
    ]
    assert rows("a.jsonl", json.dumps(CELLS)) == [WHOLE]
    assert rows("A.NDJSON", json.dumps(CELLS) + "\n") == [WHOLE]
    path = as_parquet(tmp_path / "a.parquet", {name: [cell] for name, cell in CELLS.items()})
    assert list(read_list(path)) == [WHOLE]


def test_a_text_file_has_addresses_and_perhaps_their_licences(
    rows: Callable[..., list[Photograph | Fault]],
) -> None:
    found = rows("a.txt", f"{A} CC BY 4.0\n\n  {B}\t{BY}\n{A}?2\nhttp://example.org/c")
    assert found[:2] == [
        Photograph(A, "urls", licence="CC-BY-4.0", licence_url=BY, said={"licence": "CC BY 4.0"}),
        Photograph(B, "urls", licence="CC-BY-4.0", licence_url=BY, said={"licence": BY}),
    ]
    assert found[2:] == [
        Fault(
            f"a.txt, line {number}",
            "unknown_licence",
            "found no licence, expected one that is known, e.g. CC-BY-4.0 or its address at "
            "creativecommons.org",
        )
        for number in (4, 5)
    ]


def test_a_line_of_a_txt_may_state_its_licence(
    rows: Callable[..., list[Photograph | Fault]],
) -> None:
    found = rows("a.txt", f"{A}\n{B} CC0\n{B}2 own terms\n")
    assert [row.licence if isinstance(row, Photograph) else row.reason for row in found] == [
        "unknown_licence",
        "CC0-1.0",
        "unknown_licence",
    ]


@pytest.mark.parametrize(
    "header",
    [
        "url,licence,licence_url,author,title,page",
        "URL, License ,license_url,creator,Title,landing_page",
        "image_url,licenseName,LicenseURL,artist,title,foreign_landing_url",
        "OriginalURL,License,license-url,Photographer,TITLE,OriginalLandingURL",
    ],
)
def test_columns_are_known_by_their_usual_spellings(
    rows: Callable[..., list[Photograph | Fault]], header: str
) -> None:
    line = f'{A},CC BY,{BY},Anna,"A face, masked",https://example.org/a'
    assert rows("a.csv", f"{header},other\n{line},x\n") == [WHOLE]
    keys = header.split(",")
    assert rows("a.jsonl", json.dumps(dict(zip(keys, CELLS.values(), strict=True)))) == [WHOLE]


@pytest.mark.parametrize(
    "data",
    [
        "\ufeffurl,licence\r\n{A},CC0\r\n",
        "url,licence\r{A},CC0\r",
        "\n\nurl,licence\n\n{A},CC0",
        'url,licence\n "{A}", "CC0"\n',
    ],
    ids=["bom-crlf", "cr", "blank-lines-unterminated", "quotes"],
)
def test_line_ends_and_marks_of_any_kind_are_read(
    rows: Callable[..., list[Photograph | Fault]], data: str
) -> None:
    assert reasons(rows("a.csv", data.replace("{A}", A))) == [A]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (f"{A},own terms,", "unknown_licence: found 'own terms', expected one that is known"),
        (f"{A},CC BY 2.0,{BY}", "unknown_licence: found 'CC BY 2.0' and 'https://creat"),
        (f"{A},,", "unknown_licence: found no licence, expected"),
        (f"{A},All rights reserved,{BY}", "unknown_licence: found 'All rights reserved' and"),
        (",CC0,", "malformed_row: found no url"),
        (f"{A},CC0", "malformed_row: found 2 cells, expected 3"),
        (f"{A},CC0,,", "malformed_row: found 4 cells, expected 3"),
        (f'"{A},CC0,', "malformed_row: found quotes that do not match"),
        ("a.jpg,CC0,", "bad_url: found no"),
        ("file:///etc/passwd,CC0,", "blocked_scheme: found file"),
        ("https://me:s3cret@example.org/a,CC0,", "credentials_in_url: found a name or a pass"),
        ("https://exa mple.org/a,CC0,", "malformed_row: found a blank, a backslash or bytes"),
        (r"C:\a.jpg,CC0,", "malformed_row: found a blank, a backslash or bytes"),
        ("http://[,CC0,", "bad_url: the address cannot be read"),
    ],
)
def test_a_row_that_cannot_be_used_is_a_fault_with_its_place(
    rows: Callable[..., list[Photograph | Fault]], row: str, fault: str
) -> None:
    good, bad, other = rows("a.csv", f"url,licence,licence_url\n{B},CC0,\n{row}\n{B}2,CC0,\n")
    assert isinstance(good, Photograph)
    assert isinstance(other, Photograph)
    assert isinstance(bad, Fault)
    assert bad.place == "a.csv, line 3"
    assert f"{bad.reason}: {bad.detail}".startswith(fault)
    assert "s3cret" not in bad.detail


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ("{", "found no JSON, expected an object"),
        ("[" * 100_000, "found no JSON, expected an object"),
        ("9" * 5000, "found no JSON, expected an object"),
        ("[1]", "found JSON that is no object, expected one"),
        ("{}", "the object: found nothing, expected url, and beside it licence"),
        ('{"link": "x", "\\ud800": 1}', "the object: found link,, expected url"),
        ('{"url": 5}', "found 5 as url, expected a text"),
        ('{"url": ["x"]}', "found a list of 1 as url, expected a text"),
        (f'{{"url": "{A}", "licence": 4}}', "found 4 as licence, expected a text"),
        (f'{{"url": "{A}", "license": "CC0", "licence": "CC0"}}', "the object: found the columns"),
        ('{"url": null, "licence": "CC0"}', "found no url"),
    ],
)
def test_a_line_that_is_no_object_with_texts_is_a_fault(
    rows: Callable[..., list[Photograph | Fault]], line: str, detail: str
) -> None:
    (fault,) = rows("a.jsonl", line)
    assert isinstance(fault, Fault)
    assert (fault.place, fault.reason) == ("a.jsonl, line 1", "malformed_row")
    assert fault.detail.startswith(detail)


def test_bytes_that_are_no_utf8_spoil_their_own_row_alone(
    tmp_path: Path, rows: Callable[..., list[Photograph | Fault]]
) -> None:
    found = rows("a.txt", b"https://example.org/caf\xe9.jpg CC0\n" + A.encode() + b" CC0\n")
    assert reasons(found) == ["malformed_row", A]
    named = rows("a.csv", b"url,licence,author\n" + A.encode() + b",CC0,Ren\xe9\n")
    assert [row.author for row in named if isinstance(row, Photograph)] == ["Ren\\xe9"]
    raw = pa.array([b"https://example.org/caf\xe9", A.encode()]).view(pa.string())
    path = as_parquet(tmp_path / "a.parquet", {"url": raw, "licence": ["CC0"] * 2})
    assert reasons(list(read_list(path))) == ["malformed_row", A]


def test_an_address_that_comes_twice_is_counted_once(
    rows: Callable[..., list[Photograph | Fault]],
) -> None:
    found = rows("a.txt", f"{A} CC0\n{B} CC0\n{A} CC BY 4.0\n")
    assert reasons(found) == [A, B, "duplicate_row"]
    assert found[2] == Fault(
        "a.txt, line 3", "duplicate_row", "found the address of a.txt, line 1 once more"
    )


def test_texts_of_a_list_are_made_plain(rows: Callable[..., list[Photograph | Fault]]) -> None:
    cells = {**CELLS, "author": "<b>Anna</b>\u202e", "page": "javascript:alert(1)"}
    (row,) = rows("a.jsonl", json.dumps(cells))
    assert isinstance(row, Photograph)
    assert (row.author, row.page) == ("Anna", "")


def test_a_parquet_file_may_hold_nulls_and_other_columns(tmp_path: Path) -> None:
    columns = {
        "url": [A, None, B],
        "license": pa.array(["CC0", "CC0", None]).dictionary_encode(),
        "pixels": [[1], [2], [3]],
        "creator": pa.array([None, None, None]),
    }
    found = list(read_list(as_parquet(tmp_path / "a.parquet", columns)))
    assert reasons(found) == [A, "malformed_row", "unknown_licence"]
    assert [row.place for row in found if isinstance(row, Fault)] == [
        "a.parquet, row 1",
        "a.parquet, row 2",
    ]


def test_a_list_of_many_rows_keeps_its_order(tmp_path: Path) -> None:
    urls = [f"{A}?{n}" for n in range(2500)]
    path = as_parquet(tmp_path / "a.parquet", {"url": urls, "licence": ["CC0"] * 2500})
    assert reasons(list(read_list(path))) == urls


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.xlsx", b"", "found '.xlsx', expected .txt, .csv, .tsv, .jsonl, .ndjson, .parquet"),
        ("a", b"", "found 'no ending', expected .txt"),
        ("a.csv", b"link,licence\n", "found link, licence, expected url, and beside it"),
        ("a.csv", b'"url\n', "line 1: found '\"url', expected the names of the columns"),
        ("a.csv", b"url,image_url\n", "found the columns url and image_url, expected one for url"),
        ("a.csv", b"url,url\n", "found the columns url and url, expected one for url"),
        ("a.parquet", b"PAR1", "cannot be read as Parquet"),
        ("a.parquet", b"", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_is_no_list_is_refused_by_name(
    rows: Callable[..., list[Photograph | Fault]], name: str, data: bytes, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        rows(name, data)
    assert name in str(caught.value)
    assert message in str(caught.value)


def test_a_parquet_file_with_pictures_for_addresses_is_refused(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "a.parquet", {"url": [b"\xff\xd8"]})
    with pytest.raises(UsageError, match="the column url holds neither texts nor numbers"):
        list(read_list(path))


def test_a_list_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(
        MissingError, match=r"photos\.csv: no such file; expected a list of photogr"
    ):
        list(read_list(tmp_path / "photos.csv"))
    (tmp_path / "photos.csv").write_bytes(b"\n")
    with pytest.raises(MissingError, match=r"photos\.csv: found an empty file, expected a header"):
        list(read_list(tmp_path / "photos.csv"))


TEXTS = [
    "url",
    "licence",
    ",",
    "\n",
    "\r\n",
    "\r",
    '"',
    " ",
    A,
    "CC0",
    '{"url": "',
    '"}',
    ":",
    "\t",
]
BYTES = [b"\xff", b"\x00", b"\x1c", b"\xef\xbb\xbf", b"\xc2\xa0"]
PIECES = st.sampled_from([*(text.encode() for text in TEXTS), *BYTES])


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.jsonl", "a.tsv"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(st.binary(), st.lists(PIECES).map(b"".join)))
@example(data=b"url\n\x1c\n")
def test_whatever_is_in_a_list_no_line_is_lost(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    lines = data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    count = sum(bool(line.strip()) for line in lines.split(b"\n"))
    try:
        found = list(read_list(path))
    except OccluferError:
        assert name in ("a.csv", "a.tsv")  # whose first line has to be a header
        return
    assert len(found) == count - (name in ("a.csv", "a.tsv"))
    places = [row.place for row in found if isinstance(row, Fault)]
    assert len(set(places)) == len(places)
    for row in found:
        assert isinstance(row, Fault) or row.licence


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_parquet_file_that_was_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    path = as_parquet(tmp_path / "a.parquet", {"url": [A] * 50, "licence": ["CC0"] * 50})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        list(read_list(path))


def test_a_parquet_file_with_a_column_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "a.parquet", {"url": [A], "licencX": ["CC0"]})
    path.write_bytes(path.read_bytes().replace(b"licencX", b"licenc\xff"))
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        list(read_list(path))


def test_rows_before_a_damaged_part_of_a_parquet_file_are_read(tmp_path: Path) -> None:
    urls = [f"{A}?{n}" for n in range(3 * ROWS_AT_A_TIME)]
    path = tmp_path / "a.parquet"
    table = pa.table({"url": urls, "licence": ["CC0"] * len(urls)})
    options = {"compression": "NONE", "use_dictionary": False}
    pq.write_table(table, path, row_group_size=ROWS_AT_A_TIME, **options)
    at = pq.read_metadata(path).row_group(2).column(0).data_page_offset
    data = bytearray(path.read_bytes())
    data[at : at + 30] = b"\xff" * 30
    path.write_bytes(data)
    found = []
    with pytest.raises(UsageError, match=f"row {2 * ROWS_AT_A_TIME}: cannot be read as Par"):
        found.extend(read_list(path))
    assert reasons(found) == urls[: 2 * ROWS_AT_A_TIME]
