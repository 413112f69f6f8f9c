"""ATTRIBUTION.md names everybody, and what they call their pictures stays text."""

from __future__ import annotations

import importlib
import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from occlufer.builders.markdown import TURNING, UNSEEN, address, escape, table
from occlufer.builders.publishing.attribution import attribution_lines, photograph_line
from occlufer.builders.publishing.census import Published, source_terms
from occlufer.record import Facts, Record

SHA256 = "ab" * 32
HOSTILE = (
    'a\nb|c [d](javascript:x) ![e](http://f) <script>alert(1)</script> `g` *h* _i_ \\ &amp; "j"'
)


def photograph(name: str = "1", source: str = "web", **evidence: Any) -> Record:
    facts = Facts(
        licence=evidence.get("licence", "unknown"), rights="publishable", evidence=evidence
    )
    return Record(f"{source}/{name}", source, "1", facts, SHA256)


def parsed(text: str) -> Any:
    """Return the tokens of Markdown with raw HTML and tables, as the Hub renders it."""
    markdown_it = pytest.importorskip("markdown_it", reason="needs markdown-it-py")
    return markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)


def file_of(*published: Published) -> str:
    return "".join(attribution_lines(source_terms(published), published))


def test_a_photograph_s_line_says_title_author_page_licence_and_sample() -> None:
    record = photograph(
        "https://example.org/a.jpg",
        title="Mask",
        author="A. Nother",
        page="https://example.org/photos/1",
        licence="CC-BY-4.0",
        licence_url="https://creativecommons.org/licenses/by/4.0/",
    )
    assert photograph_line(record, SHA256) == (
        '- "Mask" by A. Nother, <https://example.org/photos/1>, '
        "CC-BY-4.0 <https://creativecommons.org/licenses/by/4.0/>; "
        f"`{SHA256}`, web/https\\://example.org/a.jpg"
    )


def test_what_is_not_known_of_a_photograph_is_said_so() -> None:
    assert photograph_line(photograph(page="http://e.org/"), SHA256) == (
        f"- without a title by an unknown author, <http://e.org/>, unknown; `{SHA256}`, web/1"
    )


def test_only_what_may_be_passed_on_and_has_an_author_of_its_own_has_a_line() -> None:
    own = photograph("own", author="Ann", page="https://e.org/1", licence="CC0-1.0")
    kept = photograph("kept", author="Bob", page="https://e.org/2", licence="CC-BY-4.0")
    plain = Record("set/1", "set", "1", Facts(licence="MIT", attribution="Carl et al."), "x")
    found = file_of(
        Published(own, SHA256, "publishable", only_in_subsets=False),
        Published(kept, SHA256, "index_only", only_in_subsets=False),
        Published(plain, SHA256, "index_only", only_in_subsets=False),
        Published(plain, SHA256, "index_only", only_in_subsets=True),
    )
    assert [line for line in found.splitlines() if line.startswith("- ")] == [
        photograph_line(own, SHA256)
    ]
    assert "| set | 2 | MIT | Carl et al. |" in found
    assert "| web | 2 | CC-BY-4.0; CC0-1.0 | 2 samples have their own: in the column" in found
    assert found.count("# Photographs") == 1


def test_without_photographs_there_is_no_such_section() -> None:
    plain = Record("set/1", "set", "1", Facts(licence="MIT"), "x")
    found = file_of(Published(plain, SHA256, "publishable", only_in_subsets=False))
    assert "Photographs" not in found
    assert "| set | 1 | MIT | none was stated |" in found


@pytest.mark.parametrize("key", ["title", "author", "page", "licence", "licence_url"])
def test_a_hostile_text_stays_one_line_of_text(key: str) -> None:
    told = {"title": "t", "author": "u", "page": "https://e.org", "licence": "CC0", key: HOSTILE}
    line = photograph_line(photograph(**told), SHA256)
    assert len(line.splitlines()) == 1
    tokens = parsed(f"{line}\n{line}\n")
    assert [token.type for token in tokens].count("list_item_open") == 2
    inner = [child for token in tokens for child in token.children or ()]
    links = [child.attrs["href"] for child in inner if child.type == "link_open"]
    assert links == ["https://e.org"] * (2 if key != "page" else 0)
    assert {child.type for child in inner} <= {"text", "code_inline", "link_open", "link_close"}
    assert "<script>alert(1)</script>" in "".join(child.content for child in inner)


def test_hostile_names_do_not_break_the_table_of_sources() -> None:
    record = Record("s/1", "s", "1", Facts(licence=HOSTILE, attribution=HOSTILE), "x")
    tokens = parsed(file_of(Published(record, SHA256, "index_only", only_in_subsets=False)))
    assert [token.type for token in tokens].count("td_open") == 4
    inner = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inner} == {"text"}


@given(st.text(max_size=60))
@example(HOSTILE)
@example("&lt; &#60; \\&lt;")
@example("**a** __b__ ~~c~~ $d$ ``e` :smile: https://f.g www.h.i j@k.l")
@example("\u202eevil\u2028line\x00end\ud800")
def test_any_text_means_itself(text: str) -> None:
    line = escape(text)
    assert len(line.splitlines()) <= 1
    line.encode()
    (inline,) = [t for t in parsed(f'- "{line}"') if t.type == "inline"]
    assert {child.type for child in inline.children} <= {"text"}
    seen = TURNING.sub("", "".join(" " if unicodedata.category(c) in UNSEEN else c for c in text))
    assert "".join(child.content for child in inline.children) == f'"{" ".join(seen.split())}"'


@given(st.text(max_size=40) | st.text(max_size=40).map(lambda text: f"https://e.org/{text}"))
@example("https://e.org/a b")
@example("https://e.org/><script>")
@example("javascript:alert(1)")
@example("http://[::1")
@example("https:///nowhere")
@example("https://e.org/\ud800")
def test_an_address_links_to_itself_or_is_text(text: str) -> None:
    line = address(text)
    assert len(line.splitlines()) <= 1
    inlines = [t for t in parsed(f"- x {line}") if t.type == "inline"]
    children = [child for inline in inlines for child in inline.children]
    assert {child.type for child in children} <= {"text", "link_open", "link_close"}
    for child in children:
        if child.type == "link_open":
            assert child.attrs["href"].startswith(("https://", "http://"))
    if line.startswith("<"):
        assert [child.type for child in children] == ["text", "link_open", "text", "link_close"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://e.org/a?b=c&d=%20#e", "<https://e.org/a?b=c&d=%20#e>"),
        ("https://e.org/ü(1)", "<https://e.org/%C3%BC%281%29>"),
        ("ftp://e.org", "ftp\\://e.org"),
        ("https://e.org/ a", "https\\://e.org/ a"),
    ],
)
def test_an_address_is_shown_as_it_is_written(text: str, shown: str) -> None:
    assert address(text) == shown


def test_a_table_has_a_row_for_each_row() -> None:
    assert table(("a", "b"), [(1, "x"), (2, escape("y|z"))]).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| 1 | x |",
        "| 2 | y\\|z |",
    ]


def test_thousands_of_authors_are_counted_and_not_listed() -> None:
    published = [
        Published(photograph(str(i), author=f"author {i}"), SHA256, "publishable", False)
        for i in range(3000)
    ]
    (terms,) = source_terms(published).values()
    assert terms["own_attribution"] == terms["samples"] == 3000
    assert terms["attributions"] == []
    assert importlib.import_module("json").dumps(terms)
