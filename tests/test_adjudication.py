"""Adjudication: what the raters leave in doubt, and only that, goes to people who decide."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vote_logs import answer, asking, decision, log, put

from occlufer.annotation.adjudication import adjudicate, due_samples, why_due
from occlufer.annotation.labels import label_with_people
from occlufer.annotation.pull import pull
from occlufer.annotation.push import push
from occlufer.annotation.studio import Studio
from occlufer.annotation.tally import Opinion, what_was_said
from occlufer.config import AnnotationConfig, BuildConfig
from occlufer.errors import MissingError
from occlufer.schema import ANSWERS, LABELS
from occlufer.vote_log import ADJUDICATION
from occlufer.workspace import Workspace, open_workspace

if TYPE_CHECKING:
    from occlufer.annotation.server.server import Server


def opinion(posterior: float = 0.95, **votes: int) -> Opinion:
    """Votes, of which the first named answer is as probable as told, the next one takes the rest.

    The rest goes to "contempt" where one answer has all the votes.
    """
    first, second, *_ = (*votes, "contempt")
    chances = {first: posterior, second: 1 - posterior}
    return Opinion(
        tuple(votes.get(answer, 0) for answer in ANSWERS),
        tuple(chances.get(answer, 0.0) for answer in ANSWERS),
    )


# Which samples are due ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "reasons"),
    [
        (opinion(fear=3), []),
        (opinion(fear=4, anger=2), []),
        (opinion(0.79, fear=3), ["posterior"]),
        (opinion(0.8, fear=3), []),
        (opinion(fear=2, anger=1), ["margin"]),
        (opinion(fear=1, anger=1), ["margin"]),
        (opinion(0.5, fear=1, anger=1), ["posterior", "margin"]),
        (opinion(fear=3, uncertain=1), []),
        (opinion(fear=2, uncertain=1), ["margin", "split"]),
        (opinion(fear=3, uncertain=1, not_a_face=1), ["split"]),
        (opinion(not_a_face=3, fear=1, anger=1, sadness=1), ["split"]),
        (opinion(uncertain=3), []),
        (opinion(not_a_face=1, uncertain=1), ["margin"]),
    ],
    ids=str,
)
def test_a_sample_is_due_for_these_reasons(found: Opinion, reasons: list[str]) -> None:
    settings = AnnotationConfig(overlap=3, adjudicate_below=0.8, adjudicate_margin=1)
    assert why_due(found, settings) == reasons


def test_what_one_rater_alone_has_said_is_no_doubt() -> None:
    settings = AnnotationConfig(overlap=1, adjudicate_margin=1)
    assert why_due(opinion(fear=1), settings) == []
    assert why_due(opinion(fear=1, anger=1), settings) == ["margin"]  # the source says otherwise


def test_a_known_answer_is_due_where_the_votes_contradict_it_and_for_nothing_else() -> None:
    settings = AnnotationConfig()
    assert why_due(opinion(0.5, fear=1, anger=1), settings, known="fear") == []
    assert why_due(opinion(0.9, fear=3), settings, known="anger") == ["gold"]


@given(
    st.lists(st.integers(0, 6), min_size=len(ANSWERS), max_size=len(ANSWERS)),
    st.floats(0.1, 1),
    st.floats(0, 1),
    st.integers(0, 4),
    st.integers(1, 6),
)
def test_a_higher_bar_never_makes_a_sample_less_due(
    votes: list[int], posterior: float, below: float, margin: int, overlap: int
) -> None:
    found = Opinion(tuple(votes), (posterior, 1 - posterior, *[0.0] * 8))
    settings = AnnotationConfig(adjudicate_below=below, adjudicate_margin=margin, overlap=overlap)
    stricter = dataclasses.replace(
        settings, adjudicate_below=min(1, below + 0.1), adjudicate_margin=margin + 1
    )
    assert set(why_due(found, settings)) <= set(why_due(found, stricter))


# In a workspace ----------------------------------------------------------------------------------


def config_with(workspace: Path = Path("unused"), **settings: Any) -> BuildConfig:
    return dataclasses.replace(asking(overlap=2, **settings), workspace=workspace)


def say(workspace: Workspace, image: str, rater: str, label: str | None, **changed: Any) -> None:
    log(workspace, answer(image, rater, label, **changed))


def decide(workspace: Workspace, image: str, label: str | None) -> None:
    log(workspace, decision(image, label))


def due(workspace: Workspace, **settings: Any) -> dict[str, list[str]]:
    config = config_with(**settings)
    found: dict[str, list[str]] = due_samples(workspace, what_was_said(workspace, config), config)
    return found


def test_samples_that_wait_for_answers_or_are_decided_are_not_due(workspace: Workspace) -> None:
    put(workspace, **dict.fromkeys("abcde"))
    for image in "abcd":
        say(workspace, image, "rater_01", "fear")
    for image in "bc":
        say(workspace, image, "rater_02", "anger")
    say(workspace, "d", "rater_02", None)
    say(workspace, "e", "rater_01", None)
    say(workspace, "e", "rater_02", None)
    decide(workspace, "c", "fear")
    found = due(workspace, adjudicate_below=0.0)
    # a waits, c is decided, of e nobody has said anything; d: one answer leads by one vote.
    assert found == {"b": ["margin"], "d": ["margin"]}


def test_a_decision_that_was_skipped_leaves_the_sample_due(workspace: Workspace) -> None:
    put(workspace, **dict.fromkeys("a"))
    say(workspace, "a", "rater_01", "fear")
    say(workspace, "a", "rater_02", "anger")
    decide(workspace, "a", None)
    assert list(due(workspace)) == ["a"]


def test_votes_against_a_known_answer_are_seen_though_it_counts_as_true(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("record,label\nfaces/a,sadness\nfaces/b,fear\n", encoding="utf-8")
    put(workspace, **dict.fromkeys("ab"))
    for image, rater in itertools.product("ab", ("rater_01", "rater_02")):
        say(workspace, image, rater, "fear")
    assert due(workspace, gold=path) == {"a": ["gold"]}
    labels = {r.image: r.value for r in label_with_people(workspace, config_with(gold=path))}
    assert labels["a"]["label"] == "sadness"
    decide(workspace, "a", "fear")
    assert due(workspace, gold=path) == {}
    labels = {r.image: r.value for r in label_with_people(workspace, config_with(gold=path))}
    assert (labels["a"]["label"], labels["a"]["by"]) == ("fear", "adjudicator")
    # What was found to be wrong is not known any more: the soft label is that of the votes.
    assert labels["a"]["soft_label"][LABELS.index("fear")] > 0.5


def test_where_nothing_is_in_doubt_no_server_is_asked(tmp_path: Path) -> None:
    config = config_with(tmp_path / "workspace")
    with open_workspace(config.workspace) as workspace:
        put(workspace, **dict.fromkeys("ab"))
    summary = adjudicate(config)
    assert summary.to_json() == {
        "due": 0,
        "reasons": {"posterior": 0, "margin": 0, "split": 0, "gold": 0},
        "decided": 0,
        "sent": None,
    }
    assert str(summary) == "0 samples are in doubt, 0 are decided"


def test_without_a_server_the_next_command_is_named(tmp_path: Path) -> None:
    config = config_with(tmp_path / "workspace")
    with open_workspace(config.workspace) as workspace:
        put(workspace, **dict.fromkeys("a"))
        say(workspace, "a", "rater_01", "fear")
        say(workspace, "a", "rater_02", "anger")
    with pytest.raises(MissingError, match="run `occlufer annotate start`"):
        adjudicate(config)


# On the real server ------------------------------------------------------------------------------


def give(studio: Studio, task: int, label: str) -> None:
    """Answer a task as the token's user does on the page."""
    import httpx

    result = {"from_name": "expression", "to_name": "image", "type": "choices"}
    result["value"] = {"choices": [label]}  # type: ignore[assignment]
    connection = studio.connection
    httpx.post(
        f"{connection.url}/api/tasks/{task}/annotations/",
        headers={"Authorization": f"Token {connection.token}"},
        json={"result": [result], "lead_time": 2.0},
        timeout=60,
        trust_env=False,
    ).raise_for_status()


@pytest.mark.slow
def test_what_is_in_doubt_is_a_second_project_and_its_answers_decide(
    studio_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", studio_server.connection.token)
    url = studio_server.connection.url
    config = config_with(tmp_path / "workspace", url=url, project="adjudicated")
    with open_workspace(config.workspace) as workspace:
        put(workspace, **dict.fromkeys("abcd"))
    assert push(config).new == 4
    server = {"project": f"{url}/1"}
    with open_workspace(config.workspace) as workspace:
        for image, second in {"a": "anger", "b": "anger", "c": "fear", "d": "anger"}.items():
            say(workspace, image, "rater_81", "fear", **server)
            say(workspace, image, "rater_82", second, **server)
    planned = adjudicate(config, dry_run=True)
    assert (len(planned.reasons), planned.sent and planned.sent.project) == (3, None)
    first = adjudicate(config)
    assert first.to_json()["reasons"] == {"posterior": 3, "margin": 3, "split": 0, "gold": 0}
    assert first.sent is not None
    assert (first.sent.new, first.sent.round) == (3, ADJUDICATION)
    again = adjudicate(config)
    assert again.sent is not None
    assert (again.sent.new, again.sent.there, again.sent.removed) == (0, 3, 0)

    studio = Studio(studio_server.connection)
    assert first.sent.project is not None
    project = first.sent.project
    settings = studio.project(project)
    assert settings is not None
    assert settings["title"] == "adjudicated (adjudication)"
    assert settings["maximum_annotations"] == 1
    for task in studio.export(project, [n for (n,) in studio.task_index(project).values()]):
        assert set(task["data"]) == {"image", "occlufer_id"}  # blind: no vote of a rater
        assert task["predictions"] == task["annotations"] == []

    give(studio, studio.task_index(project)["a"][0], "contempt")
    # Meanwhile a third rater has made one of them clear: it is taken back.
    with open_workspace(config.workspace) as workspace:
        say(workspace, "b", "rater_83", "anger", **server)
        say(workspace, "b", "rater_84", "anger", **server)
        say(workspace, "b", "rater_85", "anger", **server)
        say(workspace, "b", "rater_86", "anger", **server)
    later = adjudicate(config)
    assert later.sent is not None
    # What is answered on the server and not yet pulled is still in doubt, and has its task.
    assert (later.sent.new, later.sent.there, later.sent.removed) == (0, 2, 1)
    pull(config)
    after = adjudicate(config)
    assert after.decided == 1
    assert sorted(after.reasons) == ["d"]
    assert sorted(studio.task_index(project)) == ["a", "d"], "what was answered stays"
    with open_workspace(config.workspace) as workspace:
        labels = {r.image: r.value for r in label_with_people(workspace, config)}
    assert (labels["a"]["label"], labels["a"]["by"]) == ("contempt", "adjudicator")
    assert labels["a"]["votes"] == [1, 0, 1, 0, 0, 0, 0, 0]

    # The catalog is lost: a push finds both projects, and a pull brings the decision back.
    for path in config.workspace.glob("catalog.sqlite*"):
        path.unlink()
    with open_workspace(config.workspace) as workspace:
        put(workspace, **dict.fromkeys("abcd"))
    push(config, dry_run=True)
    with open_workspace(config.workspace) as workspace:
        assert workspace.catalog.project(ADJUDICATION) is None
    assert push(config).new == 0
    pull(config)
    with open_workspace(config.workspace) as workspace:
        assert what_was_said(workspace, config).decisions == {"a": "contempt"}
