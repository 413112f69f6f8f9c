"""A push leaves the server with one task of each sample that needs people."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from annotators import Annotator, Ledger
from pushing import (
    VARIABLE,
    names_on,
    project_of,
    ready,
    request,
    samples,
    tasks_on,
    told,
    vote,
)

from occlufer.annotation.connect import connect, server_name
from occlufer.annotation.pull import pull
from occlufer.annotation.push import PushSummary, names, push, push_round
from occlufer.annotation.tally import what_was_said
from occlufer.annotation.wanted import priority
from occlufer.build import BuildSummary
from occlufer.config import BuildConfig
from occlufer.errors import GateError, MissingError, UsageError
from occlufer.record import Reject, Result
from occlufer.vote_log import ADJUDICATION, LABELLING, Answer
from occlufer.workspace import open_workspace


@pytest.fixture
def config(built: BuildSummary, built_config: BuildConfig, tmp_path: Path) -> BuildConfig:
    return ready(built_config, tmp_path)


@pytest.fixture
def remote(config: BuildConfig, studio_server: Any, monkeypatch: pytest.MonkeyPatch) -> BuildConfig:
    """The tests' server as one of the user's: it sees no file of the workspace."""
    monkeypatch.setenv(VARIABLE, studio_server.connection.token)
    return told(config, url=studio_server.connection.url)


# Without a server --------------------------------------------------------------------------------


def test_a_server_of_ones_own_needs_its_token_in_the_environment(
    config: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://labels.example.org"
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(MissingError, match=f"{VARIABLE}: no such environment variable"):
        connect(told(config, url=url))
    monkeypatch.setenv(VARIABLE, "two words")
    with pytest.raises(UsageError, match="spaces or strange letters") as caught:
        connect(told(config, url=url))
    assert "two words" not in str(caught.value)


def test_a_picture_without_a_record_is_named_by_the_start_of_its_own(config: BuildConfig) -> None:
    image, gone = samples(config)[0], "0123456789abcdef" * 4
    with open_workspace(config.workspace) as workspace:
        found = names(workspace, [gone, image])
        assert found == ("0123456789ab", workspace.catalog.owner(image).id)


def test_a_password_in_the_address_is_refused_and_not_said(config: BuildConfig) -> None:
    with pytest.raises(ValueError, match=r"found a name or password") as caught:
        told(config, url="https://ann:s3cret@labels.example.org")
    assert "s3cret" not in str(caught.value)


def test_without_the_embedded_server_one_is_told_how_to_start_it(config: BuildConfig) -> None:
    with pytest.raises(MissingError, match="run `occlufer annotate start`"):
        push(config)


def test_the_log_calls_a_server_by_its_address(config: BuildConfig) -> None:
    assert server_name(config) == "embedded"
    assert server_name(told(config, url="https://x.org/ls/")) == "https://x.org/ls"


def test_samples_that_have_not_come_so_far_are_not_taken_for_unwanted(config: BuildConfig) -> None:
    with open_workspace(config.workspace) as workspace:
        workspace.catalog.start_stage("rights", "other settings")  # as a build that was stopped
    with pytest.raises(MissingError, match=r"samples are not yet ready .* `occlufer build` first"):
        push(config)
    empty = dataclasses.replace(config, workspace=config.workspace.with_name("empty"))
    with pytest.raises(MissingError, match=r"found no catalog, .* run `occlufer build`"):
        push(empty)


def test_what_is_left_out_of_the_gold_samples_is_told_once(
    config: BuildConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    known = samples(config)
    with open_workspace(config.workspace) as workspace:
        rejected = next(r.id for r in workspace.catalog.records() if r.image not in known)
    path = tmp_path / "gold.csv"
    path.write_text(f"record,label\n{rejected},fear\n")
    studio = SimpleNamespace(find_project=lambda _: None)
    monkeypatch.setattr("occlufer.annotation.push.connect", lambda _: studio)
    push(told(config, gold=path), dry_run=True)
    assert caplog.text.count("is no sample of the build") == 1


def test_a_summary_says_what_was_done() -> None:
    summary = PushSummary("labelling", "embedded", 7, 300, 20, 120, 1, 180, 3, ("s/a",), ("s/b",))
    text = str(summary)
    for part in ("project 7", "300 samples", "180 tasks added", "120 were there", "s/a", "s/b"):
        assert part in text
    assert json.loads(json.dumps(summary.to_json()))["new"] == 180


# Against the real server -------------------------------------------------------------------------


@pytest.mark.slow
def test_a_push_sends_each_sample_once_and_another_one_nothing(remote: BuildConfig) -> None:
    wanted = samples(remote)
    dry = push(remote, dry_run=True)
    assert (dry.project, dry.new, dry.wanted) == (None, len(wanted), len(wanted))
    first = push(remote)
    assert (first.new, first.there, first.removed) == (len(wanted), 0, 0)
    assert names_on(remote, first.project) == Counter(wanted)
    second = push(remote)
    assert (second.new, second.there, second.removed) == (0, len(wanted), 0)
    assert second.project == first.project
    assert names_on(remote, first.project) == Counter(wanted)


@pytest.mark.slow
def test_a_task_tells_nothing_but_the_picture(remote: BuildConfig) -> None:
    summary = push(remote)
    with open_workspace(remote.workspace) as workspace:
        records = [record.id for record in workspace.catalog.records()]
        for task in tasks_on(remote, summary.project):
            assert set(task["data"]) == {"image", "occlufer_id"}
            assert task["data"]["image"].startswith(("data:image/png;", "data:image/jpeg;"))
            assert not any(name in json.dumps(task["data"]) for name in records)
            assert task["meta"] in ({}, None)
    settings = request(remote, "GET", f"/api/projects/{summary.project}/")
    assert settings["maximum_annotations"] == remote.annotation.overlap
    assert settings["show_collab_predictions"] is False
    assert settings["total_predictions_number"] == 0


@pytest.mark.slow
def test_doubles_go_unless_answered_and_what_is_not_ours_stays(remote: BuildConfig) -> None:
    summary = push(remote)
    tasks = tasks_on(remote, summary.project)
    by_hand = [{"data": task["data"]} for task in tasks[:3]] + [{"data": {"image": "x"}}]
    request(remote, "POST", f"/api/projects/{summary.project}/import", by_hand)
    doubles = tasks_on(remote, summary.project)[len(tasks) :]
    vote(remote, doubles[0]["id"])  # the double is answered, the first one is not
    vote(remote, doubles[1]["id"])
    vote(remote, tasks[1]["id"])  # both are
    again = push(remote)
    assert (again.new, again.removed) == (0, 2)
    assert len(again.doubled) == 3
    with open_workspace(remote.workspace) as workspace:
        owners = {workspace.catalog.owner(task["data"]["occlufer_id"]).id for task in tasks[:3]}
    assert set(again.doubled) == owners
    left = {task["id"] for task in tasks_on(remote, summary.project)}
    gone = {tasks[0]["id"], doubles[2]["id"]}
    assert left == {task["id"] for task in [*tasks, *doubles]} - gone


@pytest.mark.slow
def test_tasks_of_samples_that_vanish_go_unless_answered(remote: BuildConfig) -> None:
    summary = push(remote)
    tasks = tasks_on(remote, summary.project)
    answered, silent = (task["data"]["occlufer_id"] for task in tasks[:2])
    vote(remote, tasks[0]["id"])
    with open_workspace(remote.workspace) as workspace:
        names = {image: workspace.catalog.owner(image).id for image in (answered, silent)}
        gone = [Result(image, {}, Reject("blocked", "withdrawn")) for image in (answered, silent)]
        workspace.catalog.put_results("rights", gone)
    dry = push(remote, dry_run=True)
    assert (dry.removed, dry.kept) == (1, (names[answered],))
    again = push(remote)
    assert (again.removed, again.new, again.kept) == (1, 0, (names[answered],))
    assert {task["id"] for task in tasks_on(remote, summary.project)} == {
        task["id"] for task in tasks if task["data"]["occlufer_id"] != silent
    }
    with open_workspace(remote.workspace) as workspace:
        workspace.catalog.put_results("rights", [Result(silent), Result(answered)])
    back = push(remote)
    assert (back.new, back.kept) == (1, ())
    assert names_on(remote, summary.project) == Counter(samples(remote))


@pytest.mark.slow
def test_the_order_is_that_of_priority_with_gold_spread_in_it(
    remote: BuildConfig, tmp_path: Path
) -> None:
    wanted = samples(remote)
    gold = wanted[::20]
    with open_workspace(remote.workspace) as workspace:
        ids = [workspace.catalog.owner(image).id for image in gold]
        ordered = [image for image in priority(wanted, workspace) if image not in gold]
    path = tmp_path / "gold.csv"
    path.write_text("record,label\n" + "".join(f"{name},fear\n" for name in ids))
    summary = push(told(remote, gold=path))
    assert summary.gold == len(gold)
    sent = sorted(tasks_on(remote, summary.project), key=lambda task: task["id"])
    names = [task["data"]["occlufer_id"] for task in sent]
    assert [name for name in names if name not in gold] == ordered
    places = [place for place, name in enumerate(names) if name in gold]
    assert max(b - a for a, b in itertools.pairwise(places)) <= 21
    assert places[0] <= 10
    # What the first rater is given, by the server's own queue.
    met = []
    for _ in range(6):
        task = request(remote, "GET", f"/api/projects/{summary.project}/next")
        met.append(task["data"]["occlufer_id"])
        assert task["annotations"] == []
        assert task["predictions"] == []
        vote(remote, task["id"])
    assert met == names[:6]


@pytest.mark.slow
def test_the_queue_completes_what_is_begun_and_asks_no_more_than_the_overlap(
    remote: BuildConfig, studio_server: Any
) -> None:
    summary = push(remote)
    sent = sorted(task["id"] for task in tasks_on(remote, summary.project))
    for task in sent[:4]:
        vote(remote, task)
    invite = studio_server.invite.removeprefix(remote.annotation.url)

    def met(name: str, count: int) -> list[int]:
        rater = Annotator(remote.annotation.url, invite, f"{name}-{summary.project}", Ledger())
        numbers = []
        for _ in range(count):
            task = rater._ask("GET", f"/api/projects/{summary.project}/next").json()
            numbers.append(task["id"])
            rater.vote(task["id"], task["data"]["occlufer_id"], "fear")
        return numbers

    second = met("second", 6)
    assert sorted(second[:4]) == sent[:4]  # begun by the first, in any order
    assert second[4:] == sent[4:6]
    third = met("third", 3)  # what has two answers is offered to nobody else
    assert sorted(third[:2]) == sent[4:6]
    assert third[2:] == sent[6:7]


@pytest.mark.slow
def test_a_gold_sample_that_is_not_wanted_is_sent_too(remote: BuildConfig, tmp_path: Path) -> None:
    wanted = samples(remote)
    agreed = told(remote, agreed_votes=1)
    with open_workspace(remote.workspace) as workspace:
        named = workspace.catalog.owner(wanted[0]).id
    path = tmp_path / "gold.csv"
    path.write_text(f"record,label\n{named},fear\n")
    summary = push(told(agreed, gold=path))
    left = names_on(remote, summary.project)
    assert wanted[0] in left
    assert summary.wanted < len(wanted)
    assert sum(left.values()) in (summary.wanted, summary.wanted + 1)


@pytest.mark.slow
def test_a_changed_labelling_page_is_refused_until_it_is_put_back(remote: BuildConfig) -> None:
    summary = push(remote)
    path = f"/api/projects/{summary.project}/"
    ours = request(remote, "GET", path)["label_config"]
    request(remote, "PATCH", path, {"label_config": ours.replace('"fear"', '"terror"')})
    with pytest.raises(GateError, match=r"changed on the server .*terror.* run the same") as caught:
        push(remote)
    kept = remote.workspace / "label_config.xml"
    assert str(kept) in str(caught.value)
    request(remote, "PATCH", path, {"label_config": kept.read_text()})
    assert push(remote).new == 0


@pytest.mark.slow
def test_a_newer_template_of_ours_takes_the_place_of_the_older(
    remote: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = push(remote)
    path = f"/api/projects/{summary.project}/"
    newer = request(remote, "GET", path)["label_config"].replace("How sure are you", "Sure")
    monkeypatch.setattr("occlufer.annotation.round_project.template_text", lambda: newer)
    assert push(remote).new == 0
    assert request(remote, "GET", path)["label_config"] == newer
    assert push(remote).new == 0


@pytest.mark.slow
def test_what_would_show_others_answers_is_set_back(remote: BuildConfig) -> None:
    summary = push(remote)
    path = f"/api/projects/{summary.project}/"
    open_settings = {"show_collab_predictions": True, "maximum_annotations": 9}
    request(remote, "PATCH", path, open_settings)
    push(told(remote, overlap=4))
    settings = request(remote, "GET", path)
    assert settings["show_collab_predictions"] is False
    assert settings["maximum_annotations"] == 4


@pytest.mark.slow
def test_what_was_answered_elsewhere_is_not_asked_again(remote: BuildConfig) -> None:
    wanted = samples(remote)
    with open_workspace(remote.workspace) as workspace:
        answers = [
            Answer(
                *(LABELLING, "embedded/1", number, 1, wanted[image], f"rater_{rater}", state),
                *("fear" if state == "given" else None, (), None, None, "2026", "2026", None),
            )
            for number, (image, rater, state) in enumerate(
                [
                    *((0, 1, "given"), (0, 2, "given"), (1, 1, "given"), (2, 1, "given")),
                    *((2, 2, "skipped"), (3, 1, "given"), (3, 2, "deleted")),
                ]
            )
        ]
        workspace.catalog.log_answers(answers, LABELLING)
    summary = push(remote)
    assert (summary.answered, summary.new) == (2, len(wanted) - 2)  # a skip is an answer here
    assert names_on(remote, summary.project) == Counter([wanted[1], *wanted[3:]])


@pytest.mark.slow
def test_a_project_that_is_gone_is_made_anew(
    remote: BuildConfig, caplog: pytest.LogCaptureFixture
) -> None:
    first = push(remote)
    request(remote, "DELETE", f"/api/projects/{first.project}/")
    second = push(remote)
    assert second.project != first.project
    assert second.new == second.wanted
    assert "is gone from the server" in caplog.text


@pytest.mark.slow
def test_adjudication_has_a_project_of_its_own_with_one_answer_a_task(remote: BuildConfig) -> None:
    push(remote)
    due = samples(remote)[:4]
    with open_workspace(remote.workspace) as workspace:
        studio, said = connect(remote), what_was_said(workspace, remote)
        summary = push_round(studio, workspace, remote, ADJUDICATION, due, said)
    assert summary.new == 4
    assert summary.project == project_of(remote, ADJUDICATION)
    assert summary.project != project_of(remote)
    settings = request(remote, "GET", f"/api/projects/{summary.project}/")
    assert settings["title"] == "Occlu-FER (adjudication)"
    assert settings["maximum_annotations"] == 1
    vote(remote, tasks_on(remote, summary.project)[0]["id"])
    with open_workspace(remote.workspace) as workspace:
        rest = push_round(connect(remote), workspace, remote, ADJUDICATION, due[3:], said)
    assert (rest.new, rest.kept) == (0, ())  # samples still: nothing to name
    assert len(tasks_on(remote, summary.project)) in (1, 2)


@pytest.mark.slow
def test_what_was_closed_by_answers_that_are_no_votes_is_offered_to_another_rater(
    remote: BuildConfig, studio_server: Any
) -> None:
    number = push(remote).project
    twice, odd, *rest = sorted(tasks_on(remote, number), key=lambda task: task["id"])

    def delete(numbers: list[int]) -> None:
        body = {"selectedItems": {"all": False, "included": numbers}}
        request(remote, "POST", f"/api/dm/actions?id=delete_tasks&project={number}", body)

    delete([task["id"] for task in rest])
    invite = studio_server.invite.removeprefix(remote.annotation.url)
    names = ("ada", "bea", "eve")
    people = [Annotator(remote.annotation.url, invite, f"{n}-{number}", Ledger()) for n in names]
    for person, task, label in (
        (0, twice, "fear"),
        (0, twice, "anger"),
        (0, odd, "fear"),
        (1, odd, "joy"),
    ):
        people[person].vote(task["id"], task["data"]["occlufer_id"], label)
    path = f"{remote.annotation.url}/api/projects/{number}/next"

    def offered() -> int | None:
        reply = people[2]._session.get(path)
        return reply.json()["id"] if reply.status_code == 200 else None

    assert offered() is None
    pull(remote)
    only = told(remote, agreed_votes=0)
    assert push(only, dry_run=True).reopened == 2
    assert push(only).reopened == 2
    assert push(only).reopened == 0
    sent = [t["id"] for t in tasks_on(remote, number) if t["id"] not in (twice["id"], odd["id"])]
    delete(sent)
    seen = set()
    for _ in range(2):
        opened = offered()
        assert opened in (twice["id"], odd["id"])
        assert opened is not None
        seen.add(opened)
        people[2].vote(opened, "", "fear")
    assert seen == {twice["id"], odd["id"]}
