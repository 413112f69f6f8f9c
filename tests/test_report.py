"""The report and the scores in it."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from occlufer.build import build
from occlufer.catalog import Catalog
from occlufer.config import BuildConfig, SourceConfig
from occlufer.errors import MissingError, UsageError
from occlufer.images import DamagedImageError
from occlufer.outcome import Outcome
from occlufer.page import page, strip, table, text
from occlufer.pipeline import stages_before
from occlufer.record import Facts, Record, Reject, Result, Vote
from occlufer.report.report import write_report
from occlufer.report.score import Score, count_pairs, score
from occlufer.report.sources import lost_labels, occlusion_lists
from occlufer.unmatched import Unmatched, read_unmatched, write_unmatched
from occlufer.workspace import Workspace, open_built

HOSTILE = '"><script>alert(1)</script>&\n%s{0}'


class Page(HTMLParser):
    """What a browser would see: tags, and addresses that it would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def read_page(content: str) -> Page:
    parser = Page()
    parser.feed(content)
    return parser


def test_hostile_names_stay_text() -> None:
    content = page(HOSTILE, [("a", HOSTILE, table([HOSTILE], [[HOSTILE, 1]]))])
    assert "script" not in read_page(content).tags
    assert text(HOSTILE) in content


def test_a_table_shades_whole_numbers_by_their_share() -> None:
    shades = re.findall(r"var\(--heat\), ([\d.]+)\)", table(["n"], [["a", 1], ["b", 4]], heat=True))
    assert float(shades[0]) < float(shades[1])


def test_count_pairs_is_precision_and_recall() -> None:
    # named, there: 3 hits, 1 false alarm, 2 misses, 4 rightly left alone
    pairs = [(True, True)] * 3 + [(True, False)] + [(False, True)] * 2 + [(False, False)] * 4
    found = count_pairs("stage", "what", pairs)
    assert (found.right, found.found, found.there) == (3, 4, 5)
    assert found.precision == pytest.approx(3 / 4)
    assert found.recall == pytest.approx(3 / 5)


def test_nothing_named_and_nothing_there_give_no_number() -> None:
    empty = Score("stage", "what", 0, 0, 0)
    assert math.isnan(empty.precision)
    assert math.isnan(empty.recall)


def truth_record(name: str, image: str | None, kind: str, family: str, label: str) -> Record:
    facts = Facts(
        votes=(Vote("rater", label),),
        subject=f"subject of {family}",
        truth={"kind": kind, "family": family, "label": label},
    )
    reject = None if image else Reject("blank", "")
    return Record(f"drawn/{name}", "drawn", "1", facts, image, reject)


def test_scores_count_by_hand(tmp_path: Path) -> None:
    """Two drawings, one copy found, one copy missed, one wrong drop, one wrong label."""
    catalog = Catalog(tmp_path / "catalog.sqlite")
    catalog.put_records(
        [
            truth_record("1", "a", "face", "1", "anger"),
            truth_record("2", "b", "copy", "1", "anger"),
            truth_record("3", "c", "mirror", "1", "anger"),
            truth_record("4", "d", "face", "4", "fear"),
            truth_record("5", "e", "sibling", "4", "fear"),
            truth_record("6", None, "blank", "6", "fear"),
            truth_record("7", None, "face", "7", "fear"),
        ]
    )
    drop = Reject("duplicate", "")
    for stage in stages_before("dedup"):
        catalog.put_results(stage, [Result(image) for image in "abcde"])
    catalog.put_results(
        "dedup",
        [
            Result("a", {"group": "g"}),
            Result("b", {"group": "g", "kept": "a"}, drop),
            Result("c", {"group": "g"}),
            Result("d", {"group": "h"}),
            Result("e", {"group": "h", "kept": "d"}, drop),
        ],
    )
    catalog.put_results("labels", [Result(i, {"label": "anger"}) for i in "acd"])
    catalog.put_results(
        "split", [Result(i, {"split": s}) for i, s in zip("acd", "ttv", strict=True)]
    )
    for stage in ("leaks", "lists", "publish"):
        catalog.put_results(stage, [Result(i, {}) for i in "acd"])
    found = {s.stage: (s.right, s.found, s.there) for s in score(catalog)[0] if s.stage != "faces"}
    assert found["gather"] == (1, 2, 1)  # the blank, and a good face refused
    assert found["dedup"] == (1, 2, 2)  # b rightly; e is a sibling, c was missed
    assert found["labels"] == (2, 3, 3)  # d is fear
    assert found["split"] == (1, 1, 1)  # a and c, one subject, one side


def test_sources_without_truth_have_no_scores(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite")
    catalog.put_records([Record("s/1", "s", "1", Facts(), "a")])
    assert score(catalog) == ([], [])


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    source = SourceConfig("synthetic", "synthetic", {"count": 60})
    build(BuildConfig((source,), out=folder / "occlu_fer", workspace=folder / "work"))
    return folder


def test_the_report_needs_nothing_beside_itself(built: Path, tmp_path: Path) -> None:
    write_report(built / "work", None, tmp_path / "deep" / "report.html")
    found = read_page((tmp_path / "deep" / "report.html").read_text(encoding="utf-8"))
    assert found.tags.count("img") > 20
    assert all(address.startswith(("data:", "#")) for address in found.addresses)


def test_the_report_shows_precision_and_recall_of_every_stage(built: Path, tmp_path: Path) -> None:
    write_report(built / "work", None, tmp_path / "report.html")
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "precision" in content
    catalog = Catalog(built / "work" / "catalog.sqlite")
    scores, measures = score(catalog)
    assert {s.stage for s in scores} == {"gather", "faces", "occlusion", "dedup", "labels", "split"}
    for found in scores:
        assert f"<td>{text(found.what)}</td>" in content
        if found.found:
            assert f"{found.precision:.3f}" in content
    for measure in measures:
        assert f"{measure.value:.3f}" in content


def test_the_report_says_why_samples_are_dropped_or_related(built: Path, tmp_path: Path) -> None:
    write_report(built / "work", None, tmp_path / "report.html")
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    results = list(Catalog(built / "work" / "catalog.sqlite").results("dedup"))
    drops = [result.value for result in results if result.reject is not None]
    kin = [result.value["related"] for result in results if "related" in result.value]
    assert drops
    assert kin
    for value in drops:
        assert (
            f"{value['view']} (of the {value['seen']} one): {value['phash64_bits']} of" in content
        )
    for value in kin:
        bits = f"{value['phash64_bits']} of 64 bits, {value['phash256_bits']} of 256"
        assert f"{value['view']}: {bits}" in content


def test_a_folder_without_a_build_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="found no catalog, expected the workspace of a build"):
        write_report(tmp_path / "nothing", None, tmp_path / "report.html")


def test_a_run_that_has_not_finished_is_named(built: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"found no metrics\.json, expected the folder"):
        write_report(built / "work", tmp_path, tmp_path / "report.html")


def test_a_page_that_would_be_a_folder_is_refused_before_the_work(
    built: Path, tmp_path: Path
) -> None:
    for out in (tmp_path, Path()):
        with pytest.raises(UsageError, match="found a folder, expected the name of a file"):
            write_report(built / "work", None, out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["[]", "3", '"figures"'])
def test_figures_of_a_training_that_are_none_are_named(
    built: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "metrics.json").write_text(text)
    with pytest.raises(UsageError, match=r"metrics\.json: found no figures of a training"):
        write_report(built / "work", tmp_path, tmp_path / "report.html")


def test_a_damaged_picture_is_read_anew_by_the_build_after_the_report_that_found_it(
    tmp_path: Path,
) -> None:
    source = SourceConfig("synthetic", "synthetic", {"count": 12})
    config = BuildConfig((source,), out=tmp_path / "occlu_fer", workspace=tmp_path / "work")
    published = build(config).published
    with open_built(config.workspace) as workspace:
        image = next(workspace.catalog.results("publish")).image
        crop = str(workspace.catalog.value("faces", image)["crop"])
    picture = tmp_path / "work" / "images" / crop[:2] / crop
    picture.write_bytes(picture.read_bytes()[:-1] + b"?")
    with pytest.raises(DamagedImageError, match="`occlufer build` reads it anew from its source"):
        write_report(config.workspace, None, tmp_path / "report.html", config)
    assert build(config).published == published
    write_report(config.workspace, None, tmp_path / "report.html", config)


def test_thumbnails_are_small(built: Path) -> None:
    images = [p for p in (built / "work" / "images").rglob("*") if p.is_file()]
    content = strip([(images[0].read_bytes(), HOSTILE)])
    assert len(content) < 40_000
    assert "script" not in read_page(content).tags


def test_the_report_says_what_the_sources_labels_became() -> None:
    facts = [
        Facts(no_class={"uncertain": 1}),
        Facts(no_class={"uncertain": 1}),
        Facts((Vote("a", "fear"), Vote("b", "anger"))),
        Facts(source_label=HOSTILE),
        Facts((Vote("a", "fear"),)),
    ]
    records = [Record(f"web/{i}", "web", "1", f, f"image {i}") for i, f in enumerate(facts)]
    gone = Record(
        "web/9", "web", "1", Facts(no_class={"not_a_face": 1}), None, Reject("not_a_face")
    )
    section = lost_labels([Outcome(r, "", None) for r in [*records, gone]])
    rows = re.findall(r"<tr>(<td>.*?)</tr>", section, re.DOTALL)
    assert [re.sub(r"<[^>]*>", "|", row).strip("|") for row in rows] == [
        "web||uncertain||unlabelled||2",
        f"web||{text(HOSTILE)}||unlabelled||1",
        "web||not_a_face||rejected||1",
        "web||tie||unlabelled||1",
    ]
    assert "5 records have no class by their own source" in section
    assert lost_labels([Outcome(records[-1], "publish", None)]) == ""


def test_the_report_says_how_much_of_every_occlusion_list_is_at_hand(workspace: Workspace) -> None:
    assert occlusion_lists(workspace) == ""
    values: list[dict[str, Any]] = [
        {"lists": ["raf_db_occlu"], "subsets": {"raf_db_occlu": ["r/1", "r/2"]}},
        {"lists": ["raf_db_occlu"], "subsets": {}},
        {"lists": [], "subsets": {}},
    ]
    workspace.catalog.put_results("lists", [Result(str(i), v) for i, v in enumerate(values)])
    write_unmatched(
        [
            Unmatched("raf_db_occlu", 3, "test_0003", "no_label"),
            Unmatched("ferplus_occlu", 1, "fer0034656", "no_such_record"),
            Unmatched("ferplus_occlu", 2, "fer0034657", "no_such_record"),
        ],
        workspace.folder,
    )
    rows = re.findall(r"<tr>(<td>.*?)</tr>", occlusion_lists(workspace))
    assert [re.sub(r"<[^>]*>", "|", row).strip("|").split("||") for row in rows] == [
        ["ferplus_occlu", "0", "0", "0", "2"],
        ["raf_db_occlu", "2", "2", "1", "0"],
    ]


def test_what_matches_nothing_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [Unmatched("raf_db_occlu", 3, 'a,"b"\r\nc', "malformed_line")]
    write_unmatched(rows, tmp_path)
    assert read_unmatched(tmp_path) == rows
    assert [path.name for path in tmp_path.iterdir()] == ["unmatched.csv"]
    assert read_unmatched(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "saved",
    [b"list;line;name;reason\nraf;1;a;b\n", "list,line,name,reason\nr,1,é,b\n".encode("cp1252")],
)
def test_a_list_of_ours_that_another_program_saved_is_named(tmp_path: Path, saved: bytes) -> None:
    (tmp_path / "unmatched.csv").write_bytes(saved)
    with pytest.raises(UsageError, match=r"unmatched\.csv: found no list of ours .*delete it"):
        read_unmatched(tmp_path)
