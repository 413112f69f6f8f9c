"""A task that the server closed by answers that are no votes is asked about again."""

from __future__ import annotations

import dataclasses

import pytest
from vote_logs import answer, asking, decision, log, put

from occlufer.annotation.coverage import next_step
from occlufer.annotation.push import answered_enough
from occlufer.annotation.reopening import to_reopen
from occlufer.annotation.server import server
from occlufer.annotation.studio import Task
from occlufer.annotation.tally import what_was_said
from occlufer.vote_log import ADJUDICATION, DELETED, LABELLING, REFUSED, Answer, Project
from occlufer.workspace import Workspace

PROJECT = Project("embedded", 1, "sha", "2026")
FIRST = answer("a", "rater_01", "fear", task=5)
AGAIN = answer("a", "rater_01", "anger", task=5)
ODD = answer("a", "rater_02", None, task=5, state=REFUSED)
SKIP = answer("a", "rater_02", None, task=5)
SECOND = answer("a", "rater_02", "fear", task=5)
OTHER = answer("a", "rater_03", "fear", task=5)


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
    assert to_reopen(tasks, answers, PROJECT, ["a"], 2) == due


def test_an_open_double_of_the_task_is_enough() -> None:
    tasks = [Task(5, "a", 2, 2, 2), Task(6, "a", 0, 0, 2)]
    assert to_reopen(tasks, [FIRST, AGAIN], PROJECT, ["a"], 2) == {}


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


def test_enough_is_the_same_for_push_as_for_the_build(workspace: Workspace) -> None:
    put(workspace, a="anger", b="anger", c="anger")
    config = asking(overlap=2)
    log(workspace, FIRST, SKIP, answer("b", "rater_01", "fear"), decision("c", "fear"))
    log(workspace, decision("b", None))
    assert answered_enough(workspace, config, LABELLING) == {"a", "c"}
    assert answered_enough(workspace, config, ADJUDICATION) == {"c"}


def test_what_is_said_of_a_picture_that_is_gone_for_once_counts_when_it_is_back(
    workspace: Workspace,
) -> None:
    put(workspace, b="anger")
    log(workspace, FIRST)
    assert what_was_said(workspace, asking()).answers == ()
    put(workspace, a="anger")
    assert what_was_said(workspace, asking()).answers == (FIRST,)
