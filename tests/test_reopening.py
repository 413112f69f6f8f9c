"""A task that the server closed by answers that are no votes is asked about again."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
from vote_logs import answer, asking, decision, log, put

from occlufer.annotation.coverage import next_step
from occlufer.annotation.push import answered_enough, push_round
from occlufer.annotation.reopening import to_reopen
from occlufer.annotation.round_project import ending_of
from occlufer.annotation.server import server
from occlufer.annotation.studio import Task
from occlufer.annotation.tally import what_was_said
from occlufer.vote_log import (
    ADJUDICATION,
    DELETED,
    GIVEN,
    LABELLING,
    REFUSED,
    SKIPPED,
    Answer,
    Project,
)
from occlufer.workspace import Workspace

PROJECT = Project("embedded", 1, "sha", "2026")
MADE = "2026-01-01T00:00:00.000000Z"
ENDING = ending_of(PROJECT, {"created_at": "2026-01-01T01:00:00+01:00"})
IN_IT = {"project": f"{PROJECT.name} of {MADE}", "task": 5}
FIRST = answer("a", "rater_01", "fear", **IN_IT)
AGAIN = answer("a", "rater_01", "anger", **IN_IT)
ODD = answer("a", "rater_02", None, state=REFUSED, **IN_IT)
SKIP = answer("a", "rater_02", None, **IN_IT)
SECOND = answer("a", "rater_02", "fear", **IN_IT)
OTHER = answer("a", "rater_03", "fear", **IN_IT)
FORMER = f"{PROJECT.name} of 2025-01-01T00:00:00.000000Z"


@pytest.mark.parametrize(
    ("answers", "rows", "overlap", "due"),
    [
        ([FIRST, AGAIN], 2, 2, {5: 3}),
        ([FIRST, ODD], 2, 2, {5: 3}),
        ([ODD, dataclasses.replace(ODD, annotation=99)], 2, 2, {5: 4}),
        ([FIRST, SECOND], 2, 2, {}),
        ([FIRST, ODD, OTHER], 3, 3, {}),
        ([FIRST, AGAIN, SKIP], 2, 2, {}),
        ([FIRST, SKIP], 1, 2, {}),
        ([FIRST, AGAIN], 2, 3, {}),  # opened before
        ([FIRST, AGAIN], 3, 2, {}),  # the third one was not pulled
        ([FIRST, dataclasses.replace(AGAIN, state=DELETED)], 1, 2, {}),
        ([], 0, 2, {}),
    ],
)
def test_what_lacks_a_rater_and_was_closed_is_opened_for_as_many_as_it_lacks(
    answers: list[Answer], rows: int, overlap: int, due: dict[int, int]
) -> None:
    tasks = [Task(5, "a", rows, rows, overlap), Task(6, "b", 2, 2, 2), Task(7, None, 2, 2, 2)]
    assert to_reopen(tasks, answers, ENDING, ["a"], 2) == due


def test_an_open_double_of_the_task_is_enough() -> None:
    tasks = [Task(5, "a", 2, 2, 2), Task(6, "a", 0, 0, 2)]
    assert to_reopen(tasks, [FIRST, AGAIN], ENDING, ["a"], 2) == {}


def test_answers_in_a_former_project_of_the_same_number_close_no_task_of_this_one() -> None:
    former = dataclasses.replace(ODD, project=FORMER)
    tasks = [Task(5, "a", 2, 2, 2)]
    assert to_reopen(tasks, [FIRST, AGAIN, former], ENDING, ["a"], 2) == {5: 3}
    assert to_reopen(tasks, [FIRST, former], ENDING, ["a"], 2) == {}  # one was not pulled


@pytest.mark.parametrize(
    ("states", "rows", "due"),
    [
        ([REFUSED], 1, {5: 2}),
        ([REFUSED, SKIPPED], 1, {5: 2}),
        ([REFUSED, REFUSED], 2, {5: 3}),
        ([SKIPPED], 0, {}),  # a skip closes no task
        ([REFUSED, GIVEN], 2, {}),
        ([], 0, {}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else str(value),
)
def test_an_adjudicator_who_has_not_decided_is_followed_by_another(
    states: list[str], rows: int, due: dict[int, int]
) -> None:
    said = [
        answer("a", f"rater_1{i}", "fear", round=ADJUDICATION, state=state, **IN_IT)
        for i, state in enumerate(states)
    ]
    assert to_reopen([Task(5, "a", rows, rows, 1)], said, ENDING, ["a"], 1) == due


def test_a_sample_whose_only_decision_was_refused_is_adjudicated_again(
    workspace: Workspace,
) -> None:
    put(workspace, a="anger", b="anger")
    workspace.catalog.log_answers([], ADJUDICATION, PROJECT)
    for image, task, state in (("a", 5, REFUSED), ("b", 6, GIVEN)):
        said = answer(image, "rater_11", "fear", round=ADJUDICATION, state=state, **IN_IT)
        log(workspace, dataclasses.replace(said, task=task))
    there = [Task(5, "a", 1, 1, 1), Task(6, "b", 1, 1, 1)]
    studio = SimpleNamespace(tasks=lambda _: there, project=lambda _: {"created_at": MADE})
    config = asking(overlap=3)
    said = what_was_said(workspace, config)
    found = push_round(studio, workspace, config, ADJUDICATION, ["a", "b"], said, dry_run=True)
    assert (found.there, found.new, found.reopened) == (2, 0, 1)


def test_the_next_step_is_a_push_where_the_server_asks_nobody(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "running", lambda folder: folder)
    put(workspace, a="anger")
    workspace.catalog.log_answers([], LABELLING, PROJECT)
    config = asking(overlap=2)
    log(workspace, FIRST)
    assert next_step(workspace, config).startswith("let the raters answer")
    log(workspace, ODD)
    assert next_step(workspace, config).startswith("run `occlufer annotate push`, ")
    monkeypatch.setattr(server, "running", lambda folder: None)
    assert next_step(workspace, config).count("annotate push") == 1
    monkeypatch.setattr(server, "running", lambda folder: folder)
    log(workspace, OTHER)
    assert next_step(workspace, config).startswith("let the raters answer")


def test_what_closed_a_task_of_a_former_server_keeps_nobody_from_being_asked_by_this_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "running", lambda folder: folder)
    put(workspace, a="anger", b="anger")
    config = asking(overlap=2)
    refused = [dataclasses.replace(one, project=FORMER) for one in (ODD, AGAIN)]
    log(workspace, *refused)
    fresh = dataclasses.replace(PROJECT, cursor="")
    workspace.catalog.log_answers([], LABELLING, fresh)
    assert next_step(workspace, config) == "run `occlufer annotate pull`"
    workspace.catalog.log_answers([], LABELLING, PROJECT)
    log(workspace, answer("b", "rater_01", "fear", **IN_IT))
    assert next_step(workspace, config).startswith("let the raters answer")


def test_enough_is_the_same_for_push_as_for_the_build(workspace: Workspace) -> None:
    put(workspace, a="anger", b="anger", c="anger")
    config = asking(overlap=2)
    log(workspace, FIRST, SKIP, answer("b", "rater_01", "fear"), decision("c", "fear"))
    log(workspace, decision("b", None))
    said = what_was_said(workspace, config)
    assert answered_enough(said, config, LABELLING) == {"a", "c"}
    assert answered_enough(said, config, ADJUDICATION) == {"c"}


def test_what_is_said_of_a_picture_that_is_gone_for_once_counts_when_it_is_back(
    workspace: Workspace,
) -> None:
    put(workspace, b="anger")
    log(workspace, FIRST)
    assert what_was_said(workspace, asking()).answers == ()
    put(workspace, a="anger")
    assert what_was_said(workspace, asking()).answers == (FIRST,)
