"""The catalog keeps what it is told, whole or not at all."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.build import build
from occlufer.catalog import Catalog
from occlufer.catalog_tables import LATER_TABLES, SCHEMA_VERSION, TABLES
from occlufer.change_log import CHANGE_LOG, Mark
from occlufer.config import BuildConfig, SourceConfig
from occlufer.errors import OccluferError, UsageError
from occlufer.record import Facts, Record, Reject, Result, Vote
from occlufer.vote_log import GIVEN, LABELLING, VOTE_LOG, Answer, Project


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(tmp_path / "catalog.sqlite")
    yield opened
    opened.close()


def record(name: str, image: str | None = "i", rank: int = 0, source: str = "s") -> Record:
    reject = None if image else Reject("blank", "nothing to see")
    return Record(f"{source}/{name}", source, "1", Facts(), image, reject, rank)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
FACTS = st.builds(
    Facts,
    votes=st.lists(st.builds(Vote, TEXT, TEXT), max_size=3).map(tuple),
    content=st.sampled_from(["crop", "photograph"]),
    source_split=st.none() | TEXT.filter(bool),
    subject=st.none() | TEXT.filter(bool),
    licence=TEXT.filter(bool),
    attribution=TEXT,
    truth=st.none() | st.dictionaries(TEXT, st.integers() | TEXT, min_size=1, max_size=2),
)
RECORDS = st.builds(
    lambda name, stamp, facts, image, reject, rank: Record(
        f"s/{name}", "s", stamp, facts, image, None if image else reject, rank
    ),
    TEXT,
    TEXT,
    FACTS,
    st.none() | TEXT.filter(bool),
    st.builds(Reject, TEXT, TEXT),
    st.integers(0, 5),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(RECORDS, max_size=6, unique_by=lambda r: r.id))
def test_records_come_back_as_they_were_put(records: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        opened = Catalog(Path(folder) / "c.sqlite")
        opened.put_records(records)
        opened.close()
        opened = Catalog(Path(folder) / "c.sqlite")
        assert sorted(opened.records(), key=lambda r: r.id) == sorted(records, key=lambda r: r.id)
        assert opened.stamps("s") == {r.id: r.stamp for r in records}
        opened.close()


def test_a_later_record_takes_the_place_of_the_same_id(catalog: Catalog) -> None:
    catalog.put_records([record("a", "one")])
    catalog.put_records([record("a", "two")])
    assert [r.image for r in catalog.records()] == ["two"]


def test_a_failing_write_leaves_everything_as_it_was(catalog: Catalog) -> None:
    catalog.replace_results("dedup", [Result("a", {"x": 1})], "first")
    before = catalog.revisions(["dedup"])
    with pytest.raises(sqlite3.IntegrityError):
        catalog.replace_results("dedup", [Result("b"), Result("b")], "second")
    assert list(catalog.results("dedup")) == [Result("a", {"x": 1})]
    assert catalog.fingerprint("dedup") == "first"
    assert catalog.revisions(["dedup"]) == before


def test_a_value_that_json_cannot_say_is_refused_before_anything_is_written(
    catalog: Catalog,
) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        catalog.put_results("faces", [Result("a"), Result("b", {"score": float("nan")})])
    assert list(catalog.results("faces")) == []


def test_the_record_of_the_lowest_rank_then_id_speaks_for_an_image(catalog: Catalog) -> None:
    catalog.put_records([record("z", rank=0, source="t"), record("a", rank=1), record("b", rank=0)])
    assert catalog.owner("i").id == "s/b"
    assert [(i, [r.id for r in rs]) for i, rs in catalog.holders()] == [
        ("i", ["s/b", "t/z", "s/a"])
    ]


HELD = st.lists(st.tuples(st.sampled_from("xyz") | st.none(), st.integers(0, 2)), max_size=9)


@settings(max_examples=40, deadline=None)
@given(HELD)
def test_owners_of_shared_images_are_those_of_a_plain_count(
    held: list[tuple[str | None, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        opened = Catalog(Path(folder) / "c.sqlite")
        opened.put_records(record(f"{n}", image, rank) for n, (image, rank) in enumerate(held))
        shared = {image: rs[0].id for image, rs in opened.holders() if len(rs) > 1}
        assert opened.owners_of_shared() == shared
        opened.close()


def test_a_rejected_record_holds_no_image(catalog: Catalog) -> None:
    catalog.put_records([record("a", None), record("b", "x")])
    assert [image for image, _ in catalog.holders()] == ["x"]
    assert catalog.images_passing(()) == ["x"]


VERDICTS = st.dictionaries(st.sampled_from("abcdef"), st.booleans())


@settings(max_examples=40, deadline=None)
@given(st.sets(st.sampled_from("abcdef")), VERDICTS, VERDICTS, VERDICTS)
def test_missing_and_passing_images_are_those_of_a_plain_count(
    images: set[str], one: dict[str, bool], two: dict[str, bool], three: dict[str, bool]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        opened = Catalog(Path(folder) / "c.sqlite")
        opened.put_records([record(image, image) for image in images])
        for stage, verdicts in (("one", one), ("two", two), ("three", three)):
            results = [Result(i, {}, None if ok else Reject("r")) for i, ok in verdicts.items()]
            opened.put_results(stage, results)
        passing = sorted(i for i in images if one.get(i) and two.get(i))
        assert opened.images_passing(("one", "two")) == passing
        missing = [i for i in passing if i not in three]
        assert opened.images_missing("three", ("one", "two")) == missing
        some = set("bcdx")
        among = [i for i in missing if i in some]
        assert opened.images_missing("three", ("one", "two"), some) == among
        opened.close()


def test_every_change_raises_the_revision_and_nothing_else_does(catalog: Catalog) -> None:
    def revisions() -> tuple[int, int]:
        counts = catalog.revisions(["gather", "faces"])
        return counts["gather"], counts["faces"]

    assert revisions() == (0, 0)
    catalog.put_records([])
    catalog.forget_records([])
    catalog.put_results("faces", [])
    assert revisions() == (0, 0)
    catalog.put_records([record("a")])
    assert revisions() == (1, 0)
    catalog.put_results("faces", [Result("i")])
    assert revisions() == (1, 1)
    catalog.forget_records(["s/a"])
    assert revisions() == (2, 1)


def test_another_fingerprint_empties_a_stage_and_the_same_keeps_it(catalog: Catalog) -> None:
    catalog.start_stage("faces", "p1")
    catalog.put_results("faces", [Result("a")])
    catalog.put_results("hashes", [Result("a")])
    catalog.start_stage("faces", "p1")
    assert len(list(catalog.results("faces"))) == 1
    catalog.start_stage("faces", "p2")
    assert list(catalog.results("faces")) == []
    assert len(list(catalog.results("hashes"))) == 1


def test_another_fingerprint_forgets_one_source_but_not_what_was_found_by_content(
    catalog: Catalog,
) -> None:
    catalog.start_source("s", 0, "p1")
    catalog.put_records([record("a", "mine"), record("b", "other", source="t")])
    catalog.put_results("faces", [Result("mine"), Result("other")])
    catalog.start_source("s", 0, "p2")
    assert [r.id for r in catalog.records()] == ["t/b"]
    assert [r.image for r in catalog.results("faces")] == ["mine", "other"]


def test_a_source_that_moves_in_the_config_takes_its_records_along(catalog: Catalog) -> None:
    catalog.start_source("s", 0, "p")
    catalog.put_records([record("a")])
    before = catalog.revisions(["gather"])
    catalog.start_source("s", 0, "p")
    assert catalog.revisions(["gather"]) == before
    catalog.start_source("s", 2, "p")
    assert catalog.owner("i").rank == 2
    assert catalog.revisions(["gather"]) != before


RESULTS = st.dictionaries(
    st.sampled_from("abcd"), st.tuples(st.integers(0, 2), st.none() | st.just("blank"))
)


@given(RESULTS, RESULTS)
def test_results_replaced_are_the_new_ones_and_a_change_only_where_they_differ(
    before: dict[str, tuple[int, str | None]], after: dict[str, tuple[int, str | None]]
) -> None:
    def results(values: dict[str, tuple[int, str | None]]) -> list[Result]:
        return [
            Result(image, {"n": n}, None if reason is None else Reject(reason))
            for image, (n, reason) in sorted(values.items())
        ]

    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder) / "catalog.sqlite")
        catalog.put_results("other", [Result("a", {"n": 9})])
        catalog.replace_results("s", results(before), "first")
        revision = catalog.revisions(["s"])["s"]
        catalog.replace_results("s", results(after), "second")
        assert list(catalog.results("s")) == results(after)
        assert catalog.fingerprint("s") == "second"
        assert (catalog.revisions(["s"])["s"] > revision) == (before != after)
        assert [result.value for result in catalog.results("other")] == [{"n": 9}]
        catalog.close()


# Tables with a row for every image. Of the small ones, marks and fingerprints, all may be read.
LARGE = re.compile(r"\b(?:SCAN|SEARCH) (?:records|results|changes|answers|r|p)\b(.*)")
# A place in an index that a few rows have: what else is said of them narrows it no further.
FEW_ROWS = re.compile(r"\((?:stage=\? AND image=\?|image=\?|id=\?|<expr>=\?).*\)$")


def goes_through_a_table(plan: list[str]) -> bool:
    """Return whether SQLite would read all rows of a large table, or all of a stage or a source."""
    steps = [found[1] for step in plan if (found := LARGE.search(step))]
    return any(not FEW_ROWS.search(step) for step in steps)


@pytest.mark.parametrize(
    ("step", "whole"),
    [
        ("SCAN records", True),
        ("SCAN records USING COVERING INDEX records_by_image", True),
        ("SEARCH records USING INDEX records_by_image (image>?)", True),
        ("SEARCH results USING PRIMARY KEY (stage=?)", True),
        ("SEARCH p USING PRIMARY KEY (stage=? AND image=?)", False),
        ("SEARCH records USING INDEX records_by_image (image=?)", False),
        ("SCAN marks", False),
    ],
)
def test_a_plan_that_reads_a_large_table_is_told_from_one_that_does_not(
    step: str, whole: bool
) -> None:
    assert goes_through_a_table([step]) == whole


def test_no_query_that_a_build_repeats_for_its_images_reads_a_whole_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: Counter[str] = Counter()
    examples: dict[str, str] = {}
    opened = Catalog._open
    last = [""]

    def listen(statement: str) -> None:
        # A change is told of once more by each of its triggers, row by row.
        if statement == last[0] and not statement.startswith("SELECT"):
            return
        last[0] = statement
        shape = re.sub(r"'(?:[^']|'')*'|\b\d+\b", "?", statement)
        shape = re.sub(r"\?(?:,\?)+", "?, ...", shape)
        asked[shape] += 1
        examples.setdefault(shape, statement)

    def open_and_listen(self: Catalog) -> None:
        opened(self)
        self._db.set_trace_callback(listen)

    monkeypatch.setattr(Catalog, "_open", open_and_listen)
    workspace = tmp_path / "workspace"
    for count in (60, 64):  # the second build follows what the first one has left
        source = SourceConfig("synthetic", "drawn", {"count": count})
        build(BuildConfig((source,), tmp_path / "occlu_fer", workspace, workers=1))
    monkeypatch.undo()
    with sqlite3.connect(workspace / "catalog.sqlite") as db:
        plans = {
            shape: [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
            for shape, statement in examples.items()
            if statement.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE")
        }
    whole = {shape: asked[shape] for shape, plan in plans.items() if goes_through_a_table(plan)}
    often = {shape for shape in plans if asked[shape] > 60}
    assert len(often) >= 5  # it would prove nothing of a build that asks for no image
    assert whole  # nor of plans that cannot be read
    assert {shape: times for shape, times in whole.items() if times > 30} == {}


def test_a_damaged_catalog_is_named_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"this is no database, but long enough to be taken for one" * 20)
    with pytest.raises(OccluferError, match=r"catalog\.sqlite.*cannot be read.*move it away"):
        Catalog(path)


def test_a_catalog_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    Catalog(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(UsageError, match=f"found schema 99, expected {SCHEMA_VERSION}"):
        Catalog(path)


def watched(catalog: Catalog, *stages: str) -> Mark:
    """Let a stage follow these from now on."""
    mark = Mark(catalog.last_change(), "p", "state", stages)
    catalog.replace_results("dedup", [], "any", mark)
    return mark


CHANGES: dict[str, tuple[Callable[[Catalog], None], set[str]]] = {
    "a-new-record": (lambda c: c.put_records([record("c", "three")]), {"three"}),
    "the-same-record": (lambda c: c.put_records([record("a", "one")]), set()),
    "another-image": (lambda c: c.put_records([record("a", "three")]), {"one", "three"}),
    "a-record-without-one": (lambda c: c.put_records([record("c", None)]), set()),
    "a-record-that-is-gone": (lambda c: c.forget_records(["s/a", "s/x"]), {"one"}),
    "a-source-that-moves": (lambda c: c.start_source("s", 3, "p"), {"one", "two"}),
    "a-source-of-other-settings": (lambda c: c.start_source("s", 0, "q"), {"one", "two"}),
    "a-result": (lambda c: c.put_results("faces", [Result("two")]), {"two"}),
    "a-stage-of-other-settings": (lambda c: c.start_stage("faces", "q"), {"one"}),
    "a-record-that-blocks-bytes": (lambda c: c.put_records([blocking("c", "one")]), {"one"}),
    "a-stage-that-nobody-follows": (lambda c: c.put_results("split", [Result("two")]), set()),
}


@pytest.mark.parametrize(("change", "images"), CHANGES.values(), ids=CHANGES)
def test_what_a_change_touches_is_logged_for_those_who_follow(
    catalog: Catalog, change: Callable[[Catalog], None], images: set[str]
) -> None:
    catalog.start_source("s", 0, "p")
    catalog.put_records([record("a", "one"), record("b", "two")])
    catalog.put_results("faces", [Result("one", {"crop": "one"})])
    mark = watched(catalog, "gather", "faces")
    assert catalog.changed_since(mark.seq, ("gather", "faces")) == set()
    change(catalog)
    assert catalog.changed_since(mark.seq, ("gather", "faces")) == images


def blocking(name: str, sha256: str) -> Record:
    """Return a record without an image that tells of which bytes it is."""
    facts = Facts(rights="blocked", evidence={"sha256": sha256})
    return Record(f"s/{name}", "s", "1", facts, None, Reject("blocked"))


def test_bytes_that_are_blocked_no_more_are_logged_as_well(catalog: Catalog) -> None:
    catalog.put_records([blocking("a", "one"), blocking("b", "two"), blocking("c", "three")])
    mark = watched(catalog, "gather")
    catalog.forget_records(["s/a"])
    catalog.put_records([record("b", "four")])
    assert catalog.changed_since(mark.seq, ("gather",)) == {"one", "two", "four"}


def test_records_without_an_image_are_found_by_the_bytes_they_tell_of(catalog: Catalog) -> None:
    known = [blocking("b", "one"), blocking("a", "one"), blocking("c", "two")]
    catalog.put_records([*known, record("d", "one"), record("e", None)])
    assert [r.id for r in catalog.records_without_image()] == ["s/a", "s/b", "s/c"]
    assert [r.id for r in catalog.records_without_image({"one", "x"})] == ["s/a", "s/b"]


def test_after_a_damaged_image_every_stage_begins_anew(catalog: Catalog) -> None:
    catalog.put_records([record("a", "one")])
    catalog.put_results("faces", [Result("one", {"crop": "crop of one"})])
    watched(catalog, "gather")
    catalog.forget_image("crop of one")
    assert catalog.mark("dedup") is None


def test_a_stage_of_other_settings_loses_its_mark_only(catalog: Catalog) -> None:
    mark = watched(catalog, "gather")
    catalog.put_mark("faces", mark)
    catalog.start_stage("faces", "q")
    assert (catalog.mark("faces"), catalog.mark("dedup")) == (None, mark)


def test_only_results_with_hits_are_given_to_the_gate(catalog: Catalog) -> None:
    hit = Result("b", {"hits": [["test", "t.png", "mirror", 1, 2]]}, Reject("leak", "near"))
    catalog.replace_results("leaks", [Result("a", {"hits": []}), hit], "p")
    catalog.replace_results("other", [Result("c", {"hits": [["no", "leak"]]})], "p")
    assert list(catalog.results_with_hits()) == [hit]


def put_many(catalog: Catalog, count: int, stage: str = "gather") -> None:
    for number in range(count):
        if stage == "gather":
            catalog.put_records([record("a", f"{number}")])
        else:
            catalog.put_results(stage, [Result("a", {"n": number})])


def logged(catalog: Catalog) -> int:
    with sqlite3.connect(catalog.path) as db:
        return int(db.execute("SELECT count(*) FROM changes").fetchone()[0])


def test_a_log_longer_than_the_records_lets_go_of_those_who_are_behind(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occlufer.change_log.FEW_ROWS", 10)
    catalog.put_records([record(f"r{number}", "r") for number in range(19)])
    mark = watched(catalog, "gather")
    put_many(catalog, 10)  # the first one logs one image, the others two
    assert catalog.shorten_log() == []
    put_many(catalog, 1)
    catalog.put_mark("faces", Mark(catalog.last_change(), "p", "", ("gather",)))
    assert catalog.mark("dedup") == mark
    assert catalog.shorten_log() == ["dedup"]
    assert catalog.mark("dedup") is None
    assert catalog.mark("faces") is not None
    assert logged(catalog) == 0
    put_many(catalog, 3)
    assert logged(catalog) > 0


def test_a_mark_that_no_change_concerns_is_moved_where_the_log_is_long(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("occlufer.change_log.FEW_ROWS", 10)
    mark = watched(catalog, "gather")
    catalog.put_mark("leaks", Mark(0, "p", "", ("split",)))
    put_many(catalog, 12, "split")
    assert catalog.shorten_log() == ["leaks"]
    moved = catalog.mark("dedup")
    assert moved is not None
    assert (moved.state, moved.seq) == (mark.state, catalog.last_change())
    assert logged(catalog) == 0


def test_a_failing_write_is_not_logged(catalog: Catalog) -> None:
    mark = watched(catalog, "s")
    with pytest.raises(sqlite3.IntegrityError):
        catalog.replace_results("s", [Result("b"), Result("b")], "second")
    assert catalog.changed_since(mark.seq, ("s",)) == set()


def test_what_was_followed_is_forgotten_and_numbers_go_on(catalog: Catalog) -> None:
    watched(catalog, "gather")
    catalog.put_records([record("a", "one")])
    mark = watched(catalog, "gather")
    assert mark.seq == 1
    assert catalog.mark("dedup") == mark
    assert catalog.changed_since(0, ("gather",)) == set()
    catalog.put_records([record("b", "two")])
    assert catalog.changed_since(mark.seq, ("gather",)) == {"two"}
    assert catalog.last_change() == 2


@given(RESULTS, RESULTS)
def test_results_updated_are_those_beside_the_others(
    before: dict[str, tuple[int, str | None]], after: dict[str, tuple[int, str | None]]
) -> None:
    def results(values: dict[str, tuple[int, str | None]]) -> list[Result]:
        return [
            Result(image, {"n": n}, None if reason is None else Reject(reason))
            for image, (n, reason) in sorted(values.items())
        ]

    with tempfile.TemporaryDirectory() as folder:
        catalog = Catalog(Path(folder) / "catalog.sqlite")
        catalog.replace_results("s", results(before), "first")
        revision = catalog.revisions(["s"])["s"]
        gone = {"a"} & before.keys() - after.keys()
        mark = Mark(0, "p", "state", ("gather",))
        catalog.update_results("s", results(after), gone, "second", mark)
        expected = {i: v for i, v in {**before, **after}.items() if i not in gone}
        assert list(catalog.results("s")) == results(expected)
        assert catalog.fingerprint("s") == "second"
        assert (catalog.revisions(["s"])["s"] > revision) == (before != expected)
        catalog.close()


def test_of_some_images_only_those_are_read(catalog: Catalog) -> None:
    images = [f"{i:04d}" for i in range(1200)]  # more than one query takes
    catalog.put_records(record(image, image) for image in images)
    catalog.put_results(
        "faces", [Result(i, {"n": i}, Reject("r") if i == "0003" else None) for i in images]
    )
    some = images[1:1100]
    assert catalog.passing_among(some, ("faces",)) == set(some) - {"0003"}
    assert catalog.passing_among(["x"], ()) == set()
    assert dict(catalog.values("faces", some)) == {image: {"n": image} for image in some}
    assert {i: [r.id for r in rs] for i, rs in catalog.holders_of(some).items()} == {
        image: [f"s/{image}"] for image in some
    }


OLDER = {1: TABLES, 2: TABLES + CHANGE_LOG, 3: TABLES + CHANGE_LOG + VOTE_LOG}


@pytest.mark.parametrize(("version", "tables"), OLDER.items())
def test_an_older_catalog_is_given_the_tables_it_lacks(
    tmp_path: Path, version: int, tables: str
) -> None:
    path = tmp_path / "catalog.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(f"{tables} PRAGMA user_version = {version}")
        db.execute("INSERT INTO records VALUES ('s/a', 's', 0, '1', 'one', NULL, NULL, '{}')")
    db.close()
    Catalog(path).close()
    catalog = Catalog(path)  # of this version now, and not made over again
    assert [known.id for known in catalog.records()] == ["s/a"]
    mark = watched(catalog, "gather")
    catalog.put_records([record("b", "two"), blocking("c", "three")])
    assert catalog.changed_since(mark.seq, ("gather",)) == {"two", "three"}
    assert list(catalog.results_with_hits()) == []
    assert catalog.project(LABELLING) is None
    assert catalog.rater("embedded", 7) == "rater_01"
    assert catalog.log_answers([answer("one")], LABELLING, Project("embedded", 3, "sha")) == 1
    assert list(catalog.answers(LABELLING)) == [answer("one")]
    assert catalog.project(LABELLING) == Project("embedded", 3, "sha")
    with sqlite3.connect(path) as db, sqlite3.connect(":memory:") as fresh:
        fresh.executescript(LATER_TABLES[0])
        assert schema(db) == schema(fresh)
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    db.close()
    fresh.close()
    catalog.close()


def schema(db: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(db.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def answer(image: str) -> Answer:
    when = "2026-01-02T03:04:05.000000Z"
    return Answer(
        *(LABELLING, "embedded/3", 1, 1, image, "rater_01", GIVEN, "fear", ("mask",)),
        *(3, 2.5, when, when, None),
    )


def test_a_missing_value_is_a_key_error_that_names_both(catalog: Catalog) -> None:
    with pytest.raises(KeyError, match="faces has no result for abc"):
        catalog.value("faces", "abc")
