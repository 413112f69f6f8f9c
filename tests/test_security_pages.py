"""Hostile names and words in every page that we write, looked at in a real browser."""

from __future__ import annotations

import html
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hostile import CLOSING, FORGED, HTML, NAMES, TEXTS, hostile_build
from mixed import picture

from occlufer.cli import main
from occlufer.config import BuildConfig
from occlufer.errors import UsageError
from occlufer.page import POLICY, page, paragraph, pictures, strip, table, text, wide_picture
from occlufer.report.report import write_report
from occlufer.schema import LABELS

if TYPE_CHECKING:
    from browser import Browser
    from web_server import WebServer

TAGS = {
    *("html", "head", "meta", "link", "title", "style", "body", "h1", "h2", "h3", "nav", "a"),
    *("main", "section", "p", "div", "table", "thead", "tbody", "tr", "th", "td", "details"),
    *("summary", "figure", "figcaption", "img", "span", "i", "pre", "ul", "li"),
}
ATTRIBUTES = {
    *("lang", "charset", "name", "content", "http-equiv", "rel", "href", "id", "scope", "class"),
    *("tabindex", "style", "alt", "src", "open", "aria-label"),
}
# Every element of a page that a browser has made of it: [tag, {attribute: value}, ...].
ELEMENTS = (
    "[...document.querySelectorAll('*')].map(e => [e.localName, "
    "Object.fromEntries([...e.attributes].map(a => [a.name, a.value]))])"
)
STATED = "[document.title, document.body.textContent, typeof window.ran]"


class Seen(HTMLParser):
    """Gathers a page's elements as the browser's script does."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[list[Any]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append([tag, dict(attrs)])


def check_elements(elements: list[list[Any]]) -> None:
    assert {tag for tag, _ in elements} <= TAGS
    for tag, attributes in elements:
        assert attributes.keys() <= ATTRIBUTES, tag
        for name in ("src", "href"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#"))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> BuildConfig:
    return hostile_build(tmp_path_factory)


def evaluation_of(config: BuildConfig, folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Evaluate predictions, all of them wrong, that are called as a script; return its folder."""
    lines = [f"{row['sha256']},{LABELS[(row['label'] + 1) % len(LABELS)]}" for row in rows]
    (folder / f"{HTML}.csv").write_text("\n".join(["id,predicted", *lines]), encoding="utf-8")
    where = ["--data", str(config.out), "--out", str(folder / "evaluation")]
    assert main(["evaluate", str(folder / f"{HTML}.csv"), *where]) == 0
    return folder / "evaluation"


def run_of(folder: Path) -> Path:
    """A training run whose figures are called as scripts."""
    folder.mkdir()
    metrics = {CLOSING: 1, FORGED: 0.5, "half \ud800": 2, "list": [HTML]}
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    picture(1).save(folder / "curves.png")
    return folder


@pytest.fixture(scope="module")
def pages(
    config: BuildConfig, tmp_path_factory: pytest.TempPathFactory, rows_of: Any
) -> dict[str, tuple[Path, list[str]]]:
    """{page: (its file, texts that stand in it)}."""
    tmp_path = tmp_path_factory.mktemp("pages")
    evaluated = evaluation_of(config, tmp_path, rows_of(config.out)["validation"])
    told = json.loads((evaluated / "metrics.json").read_text(encoding="utf-8"))
    told["slices"][CLOSING] = told["slices"]["all"]
    figures = tmp_path / "figures"
    shutil.copytree(evaluated, figures)
    (figures / "metrics.json").write_text(json.dumps(told), encoding="utf-8")
    write_report(config.workspace, run_of(tmp_path / "run"), tmp_path / "r.html", config, figures)
    shots = [tmp_path / f"{name}.png" for name in NAMES]
    picture(5).save(shots[0])
    for shot in shots[1:]:
        shot.write_bytes(CLOSING.encode())
    assert main(["inspect", *map(str, shots), "--out", str(tmp_path / "i.html")]) == 0
    names = [*NAMES, "half \\ud800", CLOSING]
    return {
        "report": (tmp_path / "r.html", names),
        "inspection": (tmp_path / "i.html", [*NAMES]),
        "evaluation": (evaluated / "evaluation.html", [HTML]),
    }


def as_read(words: str) -> str:
    """A text as a browser has it: line ends are line feeds."""
    return re.sub("\r\n?", "\n", words)


@pytest.mark.slow
def test_no_page_runs_asks_or_holds_what_a_name_says(
    pages: dict[str, tuple[Path, list[str]]], browser: Browser
) -> None:
    for name, (path, words) in pages.items():
        browser.requests.clear()
        browser.open(path.as_uri())
        title, shown, ran = browser.value(STATED)
        assert ran == "undefined", name
        check_elements(browser.value(ELEMENTS))
        for word in words:
            assert as_read(word) in shown + title, f"{name}: {word!r}"
        outside = {one for one in browser.requests if not one.startswith("data:")}
        assert outside == {path.as_uri()}, name
    assert browser.errors == []  # the policy of a page had nothing to refuse


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["ours", "none"])
def test_by_the_policy_a_browser_runs_and_fetches_nothing_even_of_what_is_not_escaped(
    policy: str, tmp_path: Path, browser: Browser, web_server: WebServer
) -> None:
    planted = (
        "<script>window.ran=1</script><iframe srcdoc='<script>parent.ran=1</script>'></iframe>"
        f"<link rel=stylesheet href={web_server.url('/x.css')}><img src={web_server.url('/x.png')}>"
    )
    content = page("x", [("a", "b", planted)])
    if policy == "none":
        content = content.replace("Content-Security-Policy", "None")
    (tmp_path / "p.html").write_text(content, encoding="utf-8")
    browser.open((tmp_path / "p.html").as_uri())
    obeyed = policy == "none"
    assert browser.value("typeof window.ran") == ("number" if obeyed else "undefined")
    assert {*web_server.requests} == ({"/x.css", "/x.png"} if obeyed else set())


def test_the_pages_have_our_elements_alone(pages: dict[str, tuple[Path, list[str]]]) -> None:
    for path, words in pages.values():
        content = path.read_bytes().decode()
        seen = Seen()
        seen.feed(content)
        check_elements(seen.elements)
        assert ["meta", {"http-equiv": "Content-Security-Policy", "content": POLICY}] in (
            seen.elements
        )
        for word in words:
            assert text(word) in content


@pytest.mark.parametrize("word", TEXTS)
def test_every_block_of_a_page_keeps_a_hostile_word_as_text(word: str) -> None:
    import io

    file = io.BytesIO()
    picture(1).save(file, "PNG")
    shown = [(file.getvalue(), word)]
    blocks = (paragraph(word), table([word], [[word]]), strip(shown), pictures(shown))
    seen = Seen()
    seen.feed(page(word, [("a", word, "".join(blocks))]))
    check_elements(seen.elements)
    assert all(html.unescape(block).count(word) >= 1 for block in blocks)


def test_a_page_takes_halves_of_characters(tmp_path: Path) -> None:
    content = page("\udcff", [("a", "\ud800", paragraph("x\udfff"))])
    (tmp_path / "p.html").write_text(content, encoding="utf-8")
    assert "x\\udfff" in content


def test_a_page_carries_no_file_that_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a secret")
    (tmp_path / "curves.png").symlink_to(tmp_path / "key")
    with pytest.raises(UsageError, match=r"curves\.png: found no PNG, expected a picture"):
        wide_picture(tmp_path / "curves.png", "curves")
    picture(1).save(tmp_path / "real.png")
    assert "data:image/png" in wide_picture(tmp_path / "real.png", "curves")
