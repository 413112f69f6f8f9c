"""The report as a browser shows it: wide and narrow, light and dark, by keyboard, from the disk."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from labelled import CURSOR, IMAGES, URL, answers

from occlufer.build import BuildSummary
from occlufer.catalog import Catalog
from occlufer.cli import main
from occlufer.config import BuildConfig
from occlufer.errors import UsageError
from occlufer.outcome import outcomes
from occlufer.page import MOST_PNG_BYTES, STYLE, Bar, first_of, table, wide_picture
from occlufer.pipeline import STAGES
from occlufer.record import Result
from occlufer.report.clusters import CLUSTERS_SHOWN, PICTURES_IN_A_STRIP
from occlufer.report.heat import NONE_FOUND
from occlufer.report.report import write_report
from occlufer.report.samples import SAMPLES_PER_SHEET
from occlufer.report.training import confusions
from occlufer.schema import LABELS, OCCLUSION_TYPES
from occlufer.vote_log import LABELLING, Project
from occlufer.workspace import open_workspace

if TYPE_CHECKING:
    from browser import Browser

WIDTHS, SCHEMES = (1366, 390), ("light", "dark")
SECTIONS = (
    *("funnel", "scores", "classes", "agreement", "faces", "samples", "duplicates", "related"),
    *("leaks", "training", "evaluation", "rejected"),
)
LEAKS = 12
BROKEN = "[...document.images].filter(i => !(i.complete && i.naturalWidth)).length"
WIDER = "[document.scrollingElement.scrollWidth, innerWidth]"
# What is wider than the page and lies in no box that scrolls.
OUTSIDE = (
    "[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll')"
    " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"
)
FOCUSED = (
    "(e => e.matches('nav a') ? e.hash : e.localName == 'summary' ? 'summary'"
    " : e.className)(document.activeElement)"
)
HEADINGS = "[...document.querySelectorAll('h1, h2, h3')].map(e => Number(e.localName[1]))"
COLOURS = r"--(\w+): (#[0-9a-f]{6}|\d+, \d+, \d+);"
AA = 4.5
"""The contrast that WCAG 2.1 asks of text at level AA."""


@dataclass(frozen=True)
class Report:
    """A report with every section, and what it is about."""

    path: Path
    config: BuildConfig
    pairs: dict[str, str]
    """{record that trains: record that tests} of its leaks"""


@pytest.fixture(scope="module")
def report(
    built: BuildSummary, built_config: BuildConfig, tmp_path_factory: pytest.TempPathFactory
) -> Report:
    """Of a build with leaks and answers of people, a run of one epoch, and its evaluation."""
    folder = tmp_path_factory.mktemp("page")
    config = dataclasses.replace(built_config, workspace=folder / "workspace")
    shutil.copytree(built_config.workspace, config.workspace)
    with open_workspace(config.workspace) as workspace:
        pairs = leaked(workspace.catalog)
        answered(workspace.catalog)
    run, evaluation = str(folder / "run"), str(folder / "evaluation")
    trained = ["baseline-train", "--data", str(built.out), "--out", run, "--epochs", "1"]
    assert main([*trained, "--device", "cpu"]) == 0
    assert main(["evaluate", run, "--data", str(built.out), "--out", evaluation]) == 0
    path = folder / "report.html"
    write_report(config.workspace, Path(run), path, config, Path(evaluation))
    return Report(path, config, pairs)


def leaked(catalog: Catalog) -> dict[str, str]:
    """Say that some training samples are near one of the validation each; return both by name."""
    split = {result.image: result.value["split"] for result in catalog.results("split")}
    train = [image for image, name in split.items() if name == "train"][:LEAKS]
    tests = itertools.cycle(image for image, name in split.items() if name == "validation")
    pairs = [(image, catalog.owner(next(tests)).id) for image in train]
    sets = ["our validation"] * len(pairs)
    # Of this one nothing but hashes is at hand.
    pairs[-1], sets[-1] = (train[-1], "a/picture.png"), "registered"
    catalog.put_results(
        "leaks",
        [
            Result(image, {"hits": [[test_set, name, "mirror", n % 5, 3 * n]]})
            for n, ((image, name), test_set) in enumerate(zip(pairs, sets, strict=True))
        ],
    )
    return {catalog.owner(image).id: name for image, name in pairs}


def answered(catalog: Catalog) -> None:
    """Log what people have answered to published samples."""
    published = [result.image for result in catalog.results("publish")]
    image_of = dict(zip(IMAGES, itertools.cycle(published), strict=False))
    said = [dataclasses.replace(one, image=image_of[one.image]) for one in answers()]
    catalog.log_answers(said, LABELLING, Project(URL, 4, "sha", CURSOR))


@pytest.fixture
def content(report: Report) -> str:
    return report.path.read_text(encoding="utf-8")


def section(content: str, name: str) -> str:
    (found,) = re.findall(rf'<section id="{name}">.*?</section>', content, re.DOTALL)
    return str(found)


def tables(html: str) -> list[list[list[str]]]:
    """The text of every cell, header and all, of every table."""
    found = []
    for one in re.findall(r"<table>.*?</table>", html, re.DOTALL):
        rows = re.findall(r"<tr>(.*?)</tr>", one, re.DOTALL)
        cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]
        found.append([[re.sub(r"<[^>]*>", "", cell) for cell in row] for row in cells])
    return found


# In a browser ------------------------------------------------------------------------------------


def show(browser: Browser, report: Report, width: int, scheme: str) -> None:
    browser.prefer(scheme)
    browser.resize(width, 844)
    browser.open(report.path.as_uri())


@pytest.mark.slow
def test_the_report_opens_from_the_disk_whole_at_any_width_in_any_scheme(
    browser: Browser, report: Report
) -> None:
    backs = set()
    for width, scheme in itertools.product(WIDTHS, SCHEMES):
        browser.requests.clear()
        show(browser, report, width, scheme)
        told = f"{width} px, {scheme}"
        assert browser.value("document.images.length") > 100
        assert browser.value(BROKEN) == 0, told
        wide, inner = browser.value(WIDER)
        assert wide <= inner == width, told
        assert browser.value(OUTSIDE) == [], told
        browser.value("document.querySelectorAll('details').forEach(e => { e.open = true })")
        wide, inner = browser.value(WIDER)
        assert wide <= inner, f"{told}, unfolded"
        assert browser.value(OUTSIDE) == [], f"{told}, unfolded"
        asked = {one for one in browser.requests if not one.startswith("data:")}
        assert asked == {report.path.as_uri()}, told
        backs.add(browser.value("getComputedStyle(document.body).backgroundColor"))
    assert browser.errors == []
    assert len(backs) == len(SCHEMES)


@pytest.mark.slow
def test_every_section_is_reached_by_the_keyboard_alone(browser: Browser, report: Report) -> None:
    show(browser, report, 390, "light")
    for name in SECTIONS:
        browser.value("history.replaceState(null, '', ' '); scrollTo(0, 0); document.activeElement")
        browser.value("document.activeElement.blur(); document.querySelector('nav a').focus()")
        for _ in SECTIONS:
            if browser.value(FOCUSED) == f"#{name}":
                break
            browser.press("Tab")
        assert browser.value(FOCUSED) == f"#{name}"
        browser.press("Enter")
        browser.wait(lambda n=name: browser.value("location.hash") == f"#{n}", f"it is at {name}")  # type: ignore[misc]
        top = f"document.querySelector('section#{name}').getBoundingClientRect().top"
        assert -1 <= browser.value(top) < 844


@pytest.mark.slow
def test_what_is_folded_and_what_scrolls_is_reached_and_moved_by_keys(
    browser: Browser, report: Report
) -> None:
    show(browser, report, 390, "dark")
    folds = browser.value("document.querySelectorAll('details:not([open])').length")
    browser.value("document.querySelector('#rejected summary').focus()")
    browser.press("Enter")
    assert browser.value("document.querySelectorAll('details:not([open])').length") == folds - 1
    browser.press("Tab")
    assert browser.value("document.activeElement.className") == "scroll"
    style = "getComputedStyle(document.activeElement).outlineStyle"
    assert browser.value(style) == "solid"  # one sees where one is


@pytest.mark.slow
def test_on_paper_nothing_stays_folded(browser: Browser, report: Report) -> None:
    show(browser, report, 1366, "light")
    height = "document.querySelector('#rejected').getBoundingClientRect().height"
    folded = browser.value(height)
    browser.prefer("light", media="print")
    assert browser.value(height) > folded + 100
    assert browser.value("getComputedStyle(document.querySelector('nav')).display") == "none"


@pytest.mark.slow
def test_headings_go_down_one_step_at_a_time(browser: Browser, report: Report) -> None:
    show(browser, report, 1366, "light")
    levels = browser.value(HEADINGS)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


# What stands in it -------------------------------------------------------------------------------


def test_the_table_of_contents_names_every_section(content: str) -> None:
    (nav,) = re.findall(r"<nav.*?</nav>", content, re.DOTALL)
    assert tuple(re.findall(r'href="#(\w+)"', nav)) == SECTIONS
    assert tuple(re.findall(r'<section id="(\w+)"', content)) == SECTIONS


def test_the_funnel_has_every_stage_and_adds_up(report: Report, content: str) -> None:
    catalog = Catalog(report.config.workspace / "catalog.sqlite")
    known = list(outcomes(catalog))
    reasons = Counter((o.stage, o.reject.reason) for o in known if o.reject is not None)
    (_, *rows), *_ = tables(section(content, "funnel"))
    assert [row[0] for row in rows] == ["gather", *STAGES]
    come = len(known)
    for stage, *figures, _bar, why in rows:
        gone = {reason: count for (at, reason), count in reasons.items() if at == stage}
        lost = sum(gone.values())
        assert list(map(int, figures)) == [come, lost, come - lost]
        assert why == ", ".join(f"{reason} {gone[reason]}" for reason in sorted(gone))
        come -= lost
    assert come == sum(o.reject is None for o in known)
    widths = [float(w) for w in re.findall(r"width: ([\d.]+)%", section(content, "funnel"))]
    assert widths == [round(100 * int(row[3]) / len(known), 1) for row in rows]


def test_the_heat_map_counts_what_was_published(
    built: BuildSummary, content: str, rows_of: Callable[[Path], dict[str, list[dict[str, Any]]]]
) -> None:
    counted: Counter[tuple[str, str, str]] = Counter()
    splits: Counter[tuple[str, str]] = Counter()
    for split, rows in rows_of(built.out).items():
        for row in rows:
            splits[LABELS[row["label"]], split] += 1
            for kind in row["occlusion_types"] or [NONE_FOUND]:
                counted[row["source"], LABELS[row["label"]], kind] += 1
    by_split, by_source = tables(section(content, "classes"))
    for label, *cells in by_split[1:]:
        assert list(map(int, cells)) == [splits[label, split] for split in by_split[0][1:]]
    names: list[str] = [*OCCLUSION_TYPES, NONE_FOUND]
    assert by_source[0] == ["source", "class", *names]
    assert [row[1] for row in by_source[1:]] == [*LABELS]
    for source, label, *cells in by_source[1:]:
        assert list(map(int, cells)) == [counted[source, label, kind] for kind in names]
    assert counted.total() == sum(int(c) for _, _, *cells in by_source[1:] for c in cells) > 0


def test_there_is_a_contact_sheet_of_every_class_and_every_type(
    built: BuildSummary, content: str, rows_of: Callable[[Path], dict[str, list[dict[str, Any]]]]
) -> None:
    rows = [row for some in rows_of(built.out).values() for row in some]
    classes = Counter(LABELS[row["label"]] for row in rows)
    types = Counter(f"covered by {kind}" for row in rows for kind in row["occlusion_types"])
    there = {**classes, **types, NONE_FOUND: sum(not row["occlusion_types"] for row in rows)}
    sheets = re.split("<h3>", section(content, "samples"))[1:]
    drawn = {sheet.partition("</h3>")[0]: sheet.count("<img") for sheet in sheets}
    assert drawn == {name: min(n, SAMPLES_PER_SHEET) for name, n in there.items() if n}
    for sheet in sheets:
        name = sheet.partition("</h3>")[0].removeprefix("covered by ")
        if name != NONE_FOUND:
            captions = re.findall("<figcaption>(.*?)</figcaption>", sheet)
            assert all(name.replace("_", " ") in caption for caption in captions)


def test_leaks_are_drawn_beside_the_test_picture_if_it_is_at_hand(
    report: Report, content: str
) -> None:
    leaks = section(content, "leaks")
    assert leaks.count("<img") == 2 * LEAKS - 1
    captions = re.findall("<figcaption>(.*?)</figcaption>", leaks)
    for train, tests in report.pairs.items():
        (first,) = [c for c in captions if c.startswith(f"trains: {train};")]
        if tests == "a/picture.png":
            assert first.endswith("near a/picture.png of registered")
        else:
            assert captions[captions.index(first) + 1] == f"tests: {tests} of our validation"
    (rows,) = tables(leaks)
    assert {row[0]: row[1] for row in rows[1:]} == report.pairs


def test_the_baseline_has_curves_confusions_and_where_it_looks(content: str) -> None:
    training = section(content, "training")
    assert re.findall(r'<img class="wide" alt="(.*?)"', training) == [
        "learning curves",
        "confusion matrix",
    ]
    captions = re.findall("<figcaption>(.*?)</figcaption>", training)
    assert len(captions) >= 2 * len(LABELS) - 2
    for face, looks in zip(captions[::2], captions[1::2], strict=True):
        label, told = re.fullmatch(r"(\w+), told (\w+) 0\.\d\d", face).groups()  # type: ignore[union-attr]
        assert label in LABELS
        assert looks == f"what speaks for {told}"
    matrix = tables(training)[-1]
    shown = sum(int(cell) for row in matrix[1:] for cell in row[1:])
    (count,) = [row[1] for row in tables(training)[0] if row[0] == "validation_samples"]
    assert shown == int(count)


def test_a_run_without_its_checkpoint_has_figures_but_no_looks(
    report: Report, tmp_path: Path
) -> None:
    (tmp_path / "metrics.json").write_text('{"accuracy": 0.5}', encoding="utf-8")
    write_report(report.config.workspace, tmp_path, tmp_path / "r.html")
    training = section((tmp_path / "r.html").read_text(encoding="utf-8"), "training")
    assert "0.500" in training
    assert "where it looks" not in training
    (tmp_path / "best.pt").write_bytes(b"no checkpoint")
    write_report(report.config.workspace, tmp_path, tmp_path / "r.html")
    training = section((tmp_path / "r.html").read_text(encoding="utf-8"), "training")
    assert "Where it looks is not shown: " in training


# What it is made of ------------------------------------------------------------------------------


class Texts(HTMLParser):
    """Gathers what stands for pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.alts: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.alts.append(dict(attrs).get("alt"))


def test_every_picture_has_a_text(content: str) -> None:
    reader = Texts()
    reader.feed(content)
    assert reader.alts
    assert all(reader.alts)


def colours() -> Iterator[tuple[str, dict[str, tuple[float, ...]]]]:
    """The colours of each scheme, in [0, 255]."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    for scheme, text in zip(SCHEMES, (light, dark), strict=True):
        yield scheme, {name: rgb(value) for name, value in re.findall(COLOURS, text + ";")}


def rgb(value: str) -> tuple[float, ...]:
    if value.startswith("#"):
        return tuple(int(value[i : i + 2], 16) for i in (1, 3, 5))
    return tuple(map(float, value.split(",")))


def luminance(colour: tuple[float, ...]) -> float:
    """WCAG 2.1's relative luminance."""
    shares = (c / 255 for c in colour)
    linear = [s / 12.92 if s <= 0.03928 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_black_on_white_has_the_contrast_that_wcag_states() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.005)


def test_every_text_has_contrast_in_both_schemes_on_the_strongest_cell_too() -> None:
    (strongest,) = re.findall(r"--heat\), ([\d.]+)\)", table(["n"], [[7]], heat=True))
    for scheme, palette in colours():
        share, back = float(strongest), palette["back"]
        cell = tuple(
            share * h + (1 - share) * b for h, b in zip(palette["heat"], back, strict=True)
        )
        assert contrast(palette["ink"], cell) >= AA, scheme
        for name in ("ink", "soft", "link"):
            assert contrast(palette[name], back) >= AA, f"{scheme}: {name}"


def test_a_bar_is_as_wide_as_its_share() -> None:
    assert 'style="width: 37.5%"' in table(["x"], [[Bar(0.375)]])


def test_a_page_shows_some_blocks_and_folds_the_rest() -> None:
    assert "<details" not in first_of(["a", "b"], 2, "things")
    shown, folded = first_of(["a", "b", "c"], 2, "things").split("<summary>1 more things</summary>")
    assert "ab" in shown
    assert "c" in folded


def test_a_picture_of_any_size_is_not_taken_into_the_page(tmp_path: Path) -> None:
    with (tmp_path / "curves.png").open("wb") as file:
        file.truncate(MOST_PNG_BYTES + 1)
    with pytest.raises(UsageError, match=r"curves\.png: found 4194305 bytes, expected 4194304"):
        wide_picture(tmp_path / "curves.png", "curves")


def test_strips_are_bounded_however_many_copies_there_are(report: Report, content: str) -> None:
    for name in ("duplicates", "related", "leaks"):
        strips = re.findall(r'<div class="strip">(.*?)</div>', section(content, name), re.DOTALL)
        assert 0 < len(strips) <= CLUSTERS_SHOWN
        assert max(one.count("<img") for one in strips) <= PICTURES_IN_A_STRIP


@pytest.mark.parametrize(
    "found", [{}, {"labels": 3, "confusion_matrix": 4}, {"confusion_matrix": [], "labels": []}, []]
)
def test_figures_without_a_confusion_matrix_have_no_table_of_it(found: Any) -> None:
    assert confusions(found) == ""
