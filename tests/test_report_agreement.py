"""The report's section on labelling by people shows what the status says."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from labelled import RATERS, config_of, labelled

from occlufer.annotation.status import status
from occlufer.config import BuildConfig
from occlufer.page import folded
from occlufer.report.agreement import raters
from occlufer.report.report import write_report
from occlufer.schema import ANSWERS, OCCLUSION_TYPES
from occlufer.vote_log import LABELLING, Project
from occlufer.workspace import open_workspace


@pytest.fixture
def config(tmp_path: Path) -> BuildConfig:
    return labelled(tmp_path)


class Reader(HTMLParser):
    """What a page holds: its tags with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.fixture
def section(config: BuildConfig, tmp_path: Path) -> str:
    """The part of the report that is about agreement; its project has a hostile name."""
    hostile = '"><script>alert(1)</script>&'
    with open_workspace(config.workspace) as workspace:
        workspace.catalog.log_answers([], LABELLING, Project(hostile, 4, "sha", hostile))
    write_report(config.workspace, None, tmp_path / "report.html", config)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    found = re.search(r'<section id="agreement">.*?</section>', text, re.DOTALL)
    assert found is not None
    return found.group()


def rows_of(section: str) -> list[list[str]]:
    rows = re.findall(r"<tr>(<td.*?)</tr>", section)
    return [[re.sub(r"<[^>]*>", "", cell) for cell in row.split("</td>")[:-1]] for row in rows]


def test_the_report_shows_agreement_and_raters(section: str, config: BuildConfig) -> None:
    found, rows = status(config), rows_of(section)
    assert ["samples wanted", "60"] in rows
    for on, what, one in (
        ("which answer", "all samples", found.overall),
        *(("this class or another", label, one) for label, one in found.classes.items()),
        *(("occlusion type seen or not", k, found.occlusion[k]) for k in OCCLUSION_TYPES[:3]),
    ):
        figures = [str(one.samples), str(one.answers), f"{one.alpha:.3f}", f"{one.kappa:.3f}"]
        assert [on, what, *figures] in rows
    for rater in found.raters:
        work, habits = (row for row in rows if row[0] == rater.rater)
        right = f"{rater.right.share:.3f}"
        assert work[1:7] == [str(rater.rows.answers), str(rater.rows.skips), right, "", "0", ""]
        assert work[7:] == ["0", "0", "0", str(rater.rows.deleted), "0"]
        pace, found_run = rater.pace, rater.monotony
        assert habits[1:] == [
            *(f"{x:.3f}" for x in (pace.median_s, pace.fast_share, pace.hasty_share)),
            *(str(found_run.longest_run), found_run.run_answer),
            *(f"{found_run.run_probability:.3f}", f"{found_run.entropy_bits:.3f}"),
            f"{found_run.others_bits:.3f}",
        ]


def test_the_report_shows_every_confusion_as_a_heat_map(section: str, config: BuildConfig) -> None:
    found, rows = status(config), rows_of(section)
    for rater in found.raters:
        for label, counts in zip(ANSWERS, rater.confusion, strict=True):
            if any(counts):
                assert [label, *map(str, counts)] in rows
        for truth, shares in found.dawid_skene[rater.rater].items():
            assert [truth, *(str(round(100 * share)) for share in shares)] in rows
    assert section.count("background: rgba(var(--heat)") > 4 * 100


def test_the_report_s_section_needs_no_script_and_no_mouse(section: str) -> None:
    reader = Reader()
    reader.feed(section)
    names = [tag for tag, _ in reader.tags]
    assert names.count("details") == names.count("summary") == len(RATERS)
    assert not {"script", "a", "img", "button"} & set(names)
    assert all(not name.startswith("on") for _, attrs in reader.tags for name in attrs)
    scrolls = [attrs for tag, attrs in reader.tags if attrs.get("class") == "scroll"]
    assert scrolls
    assert all(attrs.get("tabindex") == "0" for attrs in scrolls)
    assert "&lt;script&gt;" in section
    assert folded("<b>", "<p></p>") == "<details><summary>&lt;b&gt;</summary><p></p></details>"


def test_a_run_that_is_hardly_chance_is_told_by_its_power_of_ten(config: BuildConfig) -> None:
    (rater, *_) = status(config).to_json()["raters"]
    rater["monotony"]["run_probability"] = 1.234e-9
    assert "<td>1e-09</td>" in raters([rater])
    rater["monotony"]["run_probability"] = None
    assert "<td>None</td>" not in raters([rater])


def test_a_build_without_people_has_no_such_section(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with open_workspace(config.workspace):
        pass
    write_report(config.workspace, None, tmp_path / "report.html", config)
    assert "agreement" not in (tmp_path / "report.html").read_text(encoding="utf-8")
