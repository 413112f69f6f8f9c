"""The whole round trip of labelling, against the ledger that the scripted raters keep."""

from __future__ import annotations

import json
from typing import Any

import pytest
from annotators import Entry
from round_trip import AT_THE_PAGE, BENTS, OVERLAP, TYPES
from trip import Trip, rows

from occlufer.annotation import template

pytestmark = pytest.mark.slow


def test_the_build_stops_and_says_what_is_wanted(trip: Trip) -> None:
    said = trip.said["build before"].stderr
    assert f"0 of {len(trip.tasks)} samples labelled" in said
    assert "run `occlufer annotate start`, then `occlufer annotate push`" in said
    assert "Traceback" not in said


def test_the_kills_came_in_the_middle(trip: Trip) -> None:
    assert [tasks for _, tasks in trip.snapshots["after the first kill"]] == [0]
    assert [tasks for _, tasks in trip.snapshots["after the second kill"]] != [0]
    assert 0 < trip.snapshots["after the kill of the pull"] < len(trip.snapshots["log"])
    for moment in ("push killed", "push killed again", "pull killed"):
        killed = trip.said[moment]
        assert killed.returncode == 1
        assert killed.stderr.splitlines()[-1].startswith("occlufer: ")
        assert "Traceback" not in killed.stderr


def test_every_sample_is_pushed_once_whatever_was_killed(trip: Trip) -> None:
    query = "SELECT image FROM results WHERE stage = 'dedup' AND reason IS NULL"
    wanted = {image for (image,) in rows(trip.catalog, query)}
    assert len(wanted) >= 300
    pushed = [task["data"]["occlufer_id"] for task in trip.snapshots["tasks"]]
    assert sorted(pushed) == sorted(wanted)
    assert len(trip.snapshots["projects"]) == 1
    told = trip.snapshots["pushed"]
    assert told["there"] + told["new"] == len(pushed)
    assert trip.snapshots["pushed again"]["new"] == trip.snapshots["pushed again"]["removed"] == 0


def test_a_task_says_nothing_of_what_the_sample_is_called(trip: Trip) -> None:
    names = {record for (record,) in rows(trip.catalog, "SELECT id FROM records")}
    for task in trip.snapshots["tasks"]:
        assert {*task["data"]} == {"image", "occlufer_id"}
        assert task["total_predictions"] == 0
        text = json.dumps(task["data"])
        assert not [name for name in names if name.partition("/")[2] in text]


def test_three_tasks_are_answered_at_the_page_by_keys(trip: Trip) -> None:
    if not trip.snapshots["page"]:
        pytest.skip("no Chromium: `make test-all` installs it where it may (apt-get, as root)")
    for said, (_, label, types, sure) in zip(trip.snapshots["page"], AT_THE_PAGE, strict=True):
        parts = {part["from_name"]: part["value"] for part in said["result"]}
        assert parts[template.EXPRESSION] == {"choices": [label]}
        assert {*parts[template.OCCLUSION]["choices"]} == {*types}
        assert parts.get(template.CONFIDENCE) == (None if sure is None else {"rating": sure})
    assert len({said["task"] for said in trip.snapshots["page"]}) == len(AT_THE_PAGE)


@pytest.mark.parametrize("when", ["", " at the end"])
def test_the_log_is_what_the_raters_know_that_they_said(trip: Trip, when: str) -> None:
    """Nothing lost, nothing doubled, and of every answer the last state."""
    log, entries = trip.snapshots["log" + when], trip.snapshots["ledger" + when]
    raters = trip.pseudonyms()
    assert len({*raters.values()}) == len(raters)
    expected = {e.annotation: in_words_of_the_log(e, raters) for e in entries if not e.deleted}
    found = {number: row[:-1] for number, row in log.items() if row[3] != "deleted"}
    assert len(found) >= OVERLAP * len(trip.tasks)
    assert found == expected
    gone = {number for number, row in log.items() if row[3] == "deleted"}
    assert gone <= {entry.annotation for entry in entries if entry.deleted}
    assert len({row[-1] for row in log.values()}) == 1


def in_words_of_the_log(entry: Entry, raters: dict[str, str]) -> tuple[Any, ...]:
    types = [kind for kind in TYPES if kind in entry.occlusion]
    return (
        entry.task,
        entry.image,
        raters[entry.email],
        "skipped" if entry.label is None else "given",
        entry.label,
        json.dumps(types),
        entry.confidence,
        None if entry.edited_by is None else raters[entry.edited_by],
    )


def test_the_trip_had_everything_in_it_that_happens(trip: Trip) -> None:
    """Else the tests before would compare nothing with nothing."""
    entries = trip.snapshots["ledger at the end"]
    assert {entry.email for entry in entries} >= {trip.people[name].email for name in BENTS}
    assert sum(entry.deleted for entry in entries) > 10
    assert sum(entry.edited_by is not None for entry in entries) > 10
    assert sum(entry.label is None for entry in entries) > 3
    left = [entry for entry in entries if not entry.deleted]
    assert len(left) - len(trip.ledger.standing()) > 10, "nobody has answered twice"
    assert trip.snapshots["pulled changes"]["changed"] > 10
    assert trip.snapshots["pulled changes"]["deleted"] > 10


def test_who_pulls_again_finds_no_news(trip: Trip) -> None:
    for moment in ("pulled once more", "pulled in full"):
        said = trip.snapshots[moment]
        assert (said["new"], said["changed"], said["deleted"]) == (0, 0, 0)
    before, after = trip.snapshots["states"]
    assert before == after


def test_no_name_and_no_secret_is_kept_or_said(trip: Trip) -> None:
    workspace = trip.folder / "workspace"
    secrets = json.loads((workspace / "label_studio" / "credentials.json").read_text())
    del secrets["user"]
    words = {*secrets.values(), *(rater.email for rater in trip.people.values())}
    words |= {cookie for rater in trip.people.values() for cookie in rater.cookies}
    words.add(trip.invite.partition("token=")[2])
    assert all(len(word) > 8 for word in words)
    own = workspace / "label_studio"
    files = [path for path in trip.folder.rglob("*") if path.is_file()]
    published = [path for path in files if not path.is_relative_to(own)]
    for path in (*published, *own.glob("*.log")):
        if path.is_relative_to(trip.folder / "browser"):
            continue  # a browser keeps its own cookies
        content = path.read_bytes()
        assert not [word for word in words if word.encode() in content], path.name
    for moment, said in trip.said.items():
        told = said.stderr if "start" in moment else said.stdout + said.stderr
        assert not [word for word in words if word in told], moment
