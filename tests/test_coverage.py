"""Coverage: the build waits until people have answered, and says what is to be done next."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from vote_logs import answer, asking, decision, log, put

from occlufer.annotation import coverage
from occlufer.annotation.coverage import check_coverage
from occlufer.annotation.server import server
from occlufer.errors import GateError
from occlufer.vote_log import ADJUDICATION, DELETED, LABELLING, Project
from occlufer.workspace import Workspace


def gate(workspace: Workspace, **settings: Any) -> str:
    """What the gate says, nothing if the build goes on."""
    try:
        check_coverage(workspace, asking(**settings))
    except GateError as error:
        return str(error)
    return ""


def test_a_sample_is_answered_when_overlap_raters_have_answered_or_skipped_it(
    workspace: Workspace,
) -> None:
    put(workspace, a="anger", b="anger")
    assert gate(workspace, overlap=2).startswith("0 of 2 samples labelled (needs coverage 1.0); ")
    mine = answer("a", "rater_01", "fear")
    log(workspace, mine, answer("a", "rater_01", "anger"), answer("b", "rater_01", None))
    assert gate(workspace, overlap=2).startswith("0 of 2 ")
    log(workspace, answer("a", "rater_02", None), answer("b", "rater_02", "fear", state=DELETED))
    assert gate(workspace, overlap=2).startswith("1 of 2 ")
    assert gate(workspace, overlap=1) == ""
    log(workspace, decision("b", "fear"))
    assert gate(workspace, overlap=2) == ""


def test_a_lower_coverage_lets_the_build_go_on_earlier(workspace: Workspace) -> None:
    put(workspace, **dict.fromkeys("abcdefghij", "anger"))
    log(workspace, *(answer(image, "rater_01", "fear") for image in "abcdefg"))
    assert gate(workspace, overlap=1, coverage=0.7) == ""
    assert gate(workspace, overlap=1, coverage=0.71).startswith("7 of 10 samples labelled (needs ")
    assert gate(workspace, overlap=1, coverage=0.0) == ""


def test_where_nobody_is_needed_the_build_goes_on(workspace: Workspace) -> None:
    put(workspace, a="anger", b="fear")
    assert gate(workspace, agreed_votes=1) == ""
    put(workspace, c=None)
    assert gate(workspace, agreed_votes=1).startswith("0 of 1 samples")


def test_thousands_stand_apart(monkeypatch: pytest.MonkeyPatch, workspace: Workspace) -> None:
    found = coverage.Coverage(7718, 4312, 1.0)
    monkeypatch.setattr(coverage, "coverage", lambda *_: found)
    assert gate(workspace).startswith("4 312 of 7 718 samples labelled (needs coverage 1.0); run ")


def test_the_gate_names_the_command_that_is_due(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(workspace, a="anger")
    runs: list[bool] = []
    monkeypatch.setattr(server, "running", lambda folder: folder if runs else None)
    start = "run `occlufer annotate start`, then `occlufer annotate push`, then build again"
    assert gate(workspace).endswith(f"); {start}")
    own = {"url": "https://labels.example.org"}
    assert gate(workspace, **own).endswith("); run `occlufer annotate push`, then build again")
    runs.append(True)
    assert gate(workspace).endswith("); run `occlufer annotate push`, then build again")
    project = Project("embedded", 1, "sha")
    workspace.catalog.log_answers([], LABELLING, project)
    assert gate(workspace).endswith("); run `occlufer annotate pull`, then build again")
    workspace.catalog.log_answers([], LABELLING, dataclasses.replace(project, cursor="2026"))
    pull = "then run `occlufer annotate pull`, then build again"
    assert gate(workspace).endswith(f"); let the raters answer, {pull}")
    runs.clear()
    again = "run `occlufer annotate start`, let the raters answer, then `occlufer annotate pull`"
    assert gate(workspace).endswith(f"); {again}, then build again")
    # Pushed to a server of one's own by --url: there is nothing to start.
    own_project = Project("https://labels.example.org", 1, "sha", "2026")
    workspace.catalog.log_answers([], LABELLING, own_project)
    assert gate(workspace).endswith(f"); let the raters answer, {pull}")


def test_what_is_in_doubt_is_sent_before_adjudicators_are_waited_for(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.catalog.log_answers([], ADJUDICATION, Project("embedded", 2, "sha"))
    send = "run `occlufer annotate adjudicate`, let the adjudicators answer, "
    monkeypatch.setattr(server, "running", lambda folder: folder)
    assert coverage.adjudication_step(workspace, asking()).startswith(send)
    monkeypatch.setattr(server, "running", lambda folder: None)
    started = "run `occlufer annotate start`, then "
    found = coverage.adjudication_step(workspace, asking())
    assert found.startswith(started + send.removeprefix("run "))
