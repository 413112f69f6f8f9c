"""The vote log only grows; what stands is read from it."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.catalog import Catalog
from occlufer.vote_log import (
    ADJUDICATION,
    DELETED,
    GIVEN,
    LABELLING,
    REFUSED,
    SKIPPED,
    VOTE_LOG,
    VOTES,
    Answer,
    Project,
    append,
    history,
    latest,
    standing,
)

PROJECT = Project("embedded", 3, "sha")


def answer(number: int = 1, **fields: Any) -> Answer:
    when = f"2026-01-02T03:04:{number:02d}.000000Z"
    known = Answer(
        *(LABELLING, "embedded/3", number, 1, "image", "rater_01", GIVEN, "fear", ("mask", "hair")),
        *(3, 2.5, when, when, None),
    )
    return replace(known, **fields)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "catalog.sqlite")
    yield catalog
    catalog.close()


def test_an_answer_comes_back_as_it_was_put(catalog: Catalog) -> None:
    odd = answer(
        2, state=REFUSED, label=None, occlusion_types=(), confidence=None, lead_time_s=None
    )
    odd = replace(odd, edited_by="rater_02", detail="expression 'joy' is not one of ...")
    assert catalog.log_answers([answer(), odd], LABELLING) == 2
    assert list(catalog.answer_history()) == [answer(), odd]
    assert list(catalog.answers(LABELLING)) == [answer(), odd]


def test_logging_the_same_twice_adds_nothing_and_changes_nothing(catalog: Catalog) -> None:
    assert catalog.log_answers([answer(), answer()], LABELLING, PROJECT) == 1
    before = catalog.revisions([VOTES])
    assert catalog.log_answers([answer()], LABELLING, PROJECT) == 0
    assert catalog.revisions([VOTES]) == before == {VOTES: 1}


def test_every_state_of_an_answer_stays_in_the_history(catalog: Catalog) -> None:
    states = [
        answer(),
        answer(label="anger"),
        answer(label="anger", state=DELETED),
        answer(),  # restored: it differs from its last state
    ]
    for state in states:
        assert catalog.log_answers([state], LABELLING) == 1
    assert list(catalog.answer_history()) == states
    assert list(catalog.answers(LABELLING)) == [answer()]


def test_equal_numbers_of_two_projects_are_two_answers(catalog: Catalog) -> None:
    two = [answer(), answer(project="embedded/4")]
    assert catalog.log_answers(two, LABELLING) == 2
    assert len(list(catalog.answers(LABELLING))) == 2


def test_rounds_do_not_mix(catalog: Catalog) -> None:
    other = answer(5, round=ADJUDICATION, project="embedded/4", label="anger")
    catalog.log_answers([answer(), other], LABELLING)
    assert list(catalog.answers(LABELLING)) == [answer()]
    assert list(catalog.answers(ADJUDICATION)) == [other]


def test_answers_and_cursor_are_written_together_or_not_at_all(catalog: Catalog) -> None:
    catalog.log_answers([answer(1)], LABELLING, PROJECT)
    broken = answer(3, label=object())
    with pytest.raises(sqlite3.Error):
        catalog.log_answers([answer(2), broken], LABELLING, replace(PROJECT, cursor="later"))
    assert list(catalog.answers(LABELLING)) == [answer(1)]
    assert catalog.project(LABELLING) == PROJECT


def test_a_user_keeps_the_pseudonym_and_another_server_counts_anew(catalog: Catalog) -> None:
    names = [catalog.rater("embedded", 7), catalog.rater("embedded", 9), catalog.rater("other", 7)]
    assert names == ["rater_01", "rater_02", "rater_03"]
    assert catalog.rater("embedded", 9) == "rater_02"


# What stands -------------------------------------------------------------------------------------


def test_the_newest_answer_of_a_rater_to_an_image_stands() -> None:
    first, second = answer(1), answer(2, label="anger")
    other = answer(3, rater="rater_02")
    assert standing([second, first, other]) == [second, other]
    edited = replace(first, label="disgust", updated_at=answer(9).updated_at)
    assert standing([edited, second]) == [edited]


def test_a_skip_after_an_answer_stands_for_it() -> None:
    skip = answer(2, state=SKIPPED, label=None)
    assert standing([answer(1), skip]) == [skip]


@pytest.mark.parametrize("state", [DELETED, REFUSED])
def test_what_is_deleted_or_refused_does_not_stand_nor_hide_another(state: str) -> None:
    assert standing([answer(1), answer(2, state=state, label=None)]) == [answer(1)]
    assert standing([answer(2, state=state)]) == []


SAID = st.builds(
    answer,
    st.integers(1, 6),
    image=st.sampled_from("ab"),
    rater=st.sampled_from(["rater_01", "rater_02"]),
    state=st.sampled_from([GIVEN, SKIPPED, DELETED, REFUSED]),
    label=st.sampled_from(["fear", "anger", None]),
    updated_at=st.integers(10, 14).map(lambda second: f"2026-01-02T03:04:{second}.000000Z"),
    detail=st.none() | st.text(st.characters(codec="utf-8")),
)


@given(st.lists(SAID, max_size=30))
def test_the_log_is_that_of_a_list_in_memory(said: list[Answer]) -> None:
    db = sqlite3.connect(":memory:")
    db.executescript(VOTE_LOG)
    rows: list[Answer] = []
    for one in said:
        before = [row for row in rows if row.annotation == one.annotation]
        if not before or before[-1] != one:
            rows.append(one)
    assert append(db, said) == len(rows)
    assert list(history(db)) == rows
    last = {row.annotation: row for row in rows}
    assert {a.annotation: a for a in latest(db, LABELLING)} == last
    assert append(db, last.values()) == 0
    types = {row for (row,) in db.execute("SELECT occlusion_types FROM answers")}
    assert all(json.loads(row) == ["mask", "hair"] for row in types)
    db.close()


@given(st.lists(SAID, max_size=30), st.randoms(use_true_random=False))
def test_what_stands_is_the_same_in_any_order(said: list[Answer], shuffler: random.Random) -> None:
    answers = list({one.annotation: one for one in said}.values())
    found = {(a.image, a.rater): a for a in standing(answers)}
    expected: dict[tuple[str, str], Answer] = {}
    for one in sorted(answers, key=lambda a: (a.updated_at, a.annotation)):
        if one.state in ("given", "skipped"):
            expected[one.image, one.rater] = one
    assert found == expected
    shuffler.shuffle(answers)
    assert {(a.image, a.rater): a for a in standing(answers)} == expected
