"""An exported task is read as answers; what cannot be read is kept aside, never dropped."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.annotation.answers import NOBODY, Reader, Said, answers_of, said_in
from occlufer.annotation.news import Counts, Known, PullSummary, counts, news
from occlufer.schema import ANSWERS, OCCLUSION_TYPES
from occlufer.vote_log import DELETED, GIVEN, LABELLING, REFUSED, SKIPPED, Answer

WHEN = "2026-01-02T03:04:05.678901Z"


def part(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "image", "type": kind, "value": {kind: value}}


def expression(*labels: Any) -> dict[str, Any]:
    return part("expression", "choices", list(labels))


def given_answer(*parts: Any, **fields: Any) -> dict[str, Any]:
    """As the server exports it, with all that we must not look at."""
    exported = {"id": 11, "completed_by": 4, "result": list(parts), "was_cancelled": False}
    exported |= {"created_at": WHEN, "updated_at": WHEN, "lead_time": 2.5, "updated_by": None}
    exported |= {"created_username": "Ada A ada@example.org, 4", "unique_id": "u", "draft": None}
    return exported | fields


def task(*answers: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    drafts = [{"user": "ada@example.org", "result": [expression("anger")]}]
    exported = {"id": 5, "data": {"image": "x", "occlufer_id": "aa"}, "annotations": list(answers)}
    return exported | {"drafts": drafts, "updated_at": WHEN} | fields


def reader(known: Mapping[int, Answer] | None = None) -> Reader:
    return Reader(LABELLING, "embedded/1", lambda user: f"rater_{user}", known or {})


def read(*answers: Mapping[str, Any], **fields: Any) -> list[Answer]:
    found: list[Answer] = answers_of(task(*answers, **fields), reader())
    return found


def test_an_answer_is_read_with_all_that_it_says() -> None:
    parts = expression("fear"), part("occlusion", "choices", ["hand", "mask", "none"])
    found = read(given_answer(*parts, part("confidence", "rating", 2)))
    expected = (LABELLING, "embedded/1", 11, 5, "aa", "rater_4", GIVEN, "fear", ("mask", "hand"))
    doubt = "occlusion none beside mask, hand"
    assert found == [Answer(*expected, 2, 2.5, WHEN, WHEN, None, doubt)]


def test_drafts_are_no_answers() -> None:
    assert read() == []


@pytest.mark.parametrize("parts", [[], [expression("fear")]], ids=["empty", "with a rest"])
def test_a_skipped_answer_says_nothing(parts: list[Any]) -> None:
    found = read(given_answer(*parts, was_cancelled=True))[0]
    assert (found.state, found.label, found.detail) == (SKIPPED, None, None)


@pytest.mark.parametrize(
    ("parts", "detail"),
    [
        ([], "it has no expression"),
        ([part("occlusion", "choices", ["mask"])], "it has no expression"),
        ([expression("joy")], "expression 'joy' is not one of anger, "),
        ([expression("Anger")], "expression 'Anger' is not one of "),
        ([expression("mask")], "expression 'mask' is not one of "),
        ([expression("anger", "fear")], "2 expressions: 'anger', 'fear'; expected one"),
        ([expression("anger"), expression("fear")], "2 expressions: "),
        ([expression()], "it has no expression"),
        ([expression(3)], "expression 3 is not one of "),
        ([expression("\ud83d")], "expression '\\ud83d' is not one of "),
        ([expression("x\ny" * 99)], "expression 'x\\nyx\\nyx\\ny"),
        ([{"from_name": "expression"}], "expression None is not one of "),
        ([{"from_name": "expression", "value": ["fear"]}], "expression None is not one of "),
        (["fear", None], "it has no expression"),
    ],
)
def test_what_is_no_answer_of_ours_is_kept_aside_and_is_no_class(
    parts: list[Any], detail: str
) -> None:
    found = read(given_answer(*parts))[0]
    assert (found.state, found.label) == (REFUSED, None)
    assert found.detail is not None
    assert found.detail.startswith(detail)
    assert "\n" not in found.detail
    found.detail.encode()
    assert len(found.detail) < 300


def test_the_same_expression_twice_is_one() -> None:
    assert read(given_answer(expression("fear", "fear"), expression("fear")))[0].label == "fear"


@pytest.mark.parametrize(
    ("extra", "detail"),
    [
        (part("occlusion", "choices", ["scarf", "mask"]), "occlusion 'scarf' is not one of mask, "),
        (part("confidence", "rating", 4), "confidence 4 is not one of 1 to 3"),
        (part("confidence", "rating", True), "confidence True is not one of 1 to 3"),
        (part("confidence", "rating", "2"), "confidence '2' is not one of 1 to 3"),
    ],
)
def test_an_unknown_extra_is_told_and_the_vote_counts(extra: dict[str, Any], detail: str) -> None:
    found = read(given_answer(expression("fear"), extra))[0]
    assert (found.state, found.label, found.confidence) == (GIVEN, "fear", None)
    assert set(found.occlusion_types) <= {"mask"}
    assert str(found.detail).startswith(detail)


def test_a_control_that_is_not_ours_is_not_looked_at() -> None:
    found = read(given_answer(expression("fear"), part("remarks", "text", ["ada@example.org"])))
    assert (found[0].state, found[0].detail) == (GIVEN, None)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        ({}, "its task has no occlufer_id"),
        ({"occlufer_id": None}, "its task has no occlufer_id"),
        ({"occlufer_id": ""}, "its task has no occlufer_id"),
    ],
)
def test_an_answer_to_a_task_of_no_image_is_kept_aside_with_what_it_says(
    data: dict[str, Any], detail: str
) -> None:
    found = read(given_answer(expression("fear")), data=data)[0]
    assert (found.state, found.label) == (REFUSED, "fear")
    assert str(found.detail).startswith(detail)
    found.image.encode()


@pytest.mark.parametrize("name", ["cc", 7, "\ud83d"])
def test_an_answer_to_an_image_that_is_not_there_is_what_it_is(name: Any) -> None:
    skip = given_answer(id=12, was_cancelled=True)
    found = read(given_answer(expression("fear")), skip, data={"occlufer_id": name})
    assert [(one.state, one.label) for one in found] == [(GIVEN, "fear"), (SKIPPED, None)]
    assert all(one.detail is None for one in found)
    found[0].image.encode()


def test_who_changed_the_answer_of_another_is_named() -> None:
    editors = [None, 4, 6, {"id": 6, "email": "eve@example.org"}]
    found = [read(given_answer(expression("fear"), updated_by=one))[0] for one in editors]
    assert [one.edited_by for one in found] == [None, None, "rater_6", "rater_6"]


def test_an_answer_whose_rater_was_deleted_keeps_the_pseudonym_if_it_was_known() -> None:
    orphan = given_answer(expression("fear"), completed_by=None)
    known = read(given_answer(expression("fear")))
    assert answers_of(task(orphan), reader({11: known[0]})) == known
    unknown = answers_of(task(orphan), reader())[0]
    assert (unknown.state, unknown.rater, unknown.label) == (REFUSED, NOBODY, "fear")
    assert unknown.detail == "its rater is gone from the server"


def test_times_have_one_form_so_that_they_sort_as_text() -> None:
    late = given_answer(expression("fear"), updated_at="2026-01-02T03:04:06Z")
    found = read(given_answer(expression("fear")), late)
    assert [a.updated_at for a in found] == [WHEN, "2026-01-02T03:04:06.000000Z"]


@pytest.mark.parametrize("value", [None, "x", True, float("nan"), float("inf")])
def test_a_lead_time_that_is_none_is_left_out(value: Any) -> None:
    assert read(given_answer(expression("fear"), lead_time=value))[0].lead_time_s is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(ANSWERS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
PARTS = st.fixed_dictionaries(
    {"from_name": st.sampled_from(["expression", "occlusion", "confidence", "other"])},
    optional={"value": st.fixed_dictionaries({}, optional={"choices": JSON, "rating": JSON})},
)


@given(st.lists(PARTS | JSON, max_size=4) | JSON, st.booleans())
def test_whatever_is_posted_is_a_vote_for_a_word_of_ours_or_kept_aside(
    result: Any, cancelled: bool
) -> None:
    said = said_in({"result": json.loads(json.dumps(result)), "was_cancelled": cancelled})
    if said.state == GIVEN:
        assert said.label in ANSWERS
    else:
        assert said.label is None
        assert (said.state == REFUSED) == bool(said.details)
    assert set(said.occlusion_types) <= {*OCCLUSION_TYPES, "none"}
    assert said.confidence in (None, 1, 2, 3)


@given(st.sampled_from(ANSWERS), st.sets(st.sampled_from(OCCLUSION_TYPES)), st.booleans())
def test_every_word_of_ours_is_read(label: str, types: set[str], none: bool) -> None:
    chosen = part("occlusion", "choices", [*types, *(["none"] if none else [])])
    said = said_in({"result": [chosen, expression(label)], "was_cancelled": False})
    in_order = tuple(kind for kind in OCCLUSION_TYPES if kind in types)
    doubt = (f"occlusion none beside {', '.join(in_order)}",) if none and types else ()
    seen = in_order or (("none",) if none else ())
    assert said == Said(GIVEN, label, seen, details=doubt)


def test_who_ticks_nothing_has_said_nothing_of_occlusion() -> None:
    for ticked, seen in (([], ()), (["none"], ("none",)), (["mask"], ("mask",))):
        parts = [part("occlusion", "choices", ticked)] if ticked else []
        (found,) = read(given_answer(expression("fear"), *parts))
        assert (found.occlusion_types, found.detail) == (seen, None)


def test_no_name_or_address_of_a_rater_is_kept() -> None:
    odd = given_answer(expression("joy"), completed_by={"id": 4, "email": "ada@example.org"})
    assert not re.search("ada|Ada|@", repr(read(odd, given_answer(expression("fear")))))


# What is news ------------------------------------------------------------------------------------


def said(number: int, at: int, label: str = "fear", **fields: Any) -> Answer:
    return Answer(
        LABELLING,
        "embedded/1",
        number,
        at,
        "aa",
        "rater_1",
        fields.get("state", GIVEN),
        label,
        (),
        None,
        1.0,
        WHEN,
        WHEN,
        fields.get("edited_by"),
    )


def test_new_changed_and_gone_answers_are_news_and_others_are_not() -> None:
    known = Known([said(1, 5), said(2, 5), said(3, 5), said(4, 6), said(5, 5, state=DELETED)])
    found = [said(1, 5), said(2, 5, "anger", edited_by="rater_2"), said(9, 5, state=SKIPPED)]
    new = news(known, [5], found)
    assert new == [*found[1:], said(3, 5, state=DELETED)]
    assert counts(known.by_number, new) == Counts(new=1, changed=1, deleted=1, skipped=1, edited=1)


def test_a_number_that_is_given_out_again_leaves_its_old_task() -> None:
    """So does a server that was put back to an older state."""
    known = Known([said(1, 5), said(2, 5)])
    moved = news(known, [6], [said(1, 6)])
    assert moved == [said(1, 6)]
    known.update(moved)
    assert news(known, [5], [said(2, 5)]) == []
    assert known.tasks() == {5, 6}


SERVER = st.dictionaries(
    st.integers(1, 8),
    st.tuples(st.integers(1, 3), st.sampled_from(["fear", "anger"])),
    max_size=8,
)


@given(st.lists(SERVER, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_after_any_changes_the_log_ends_as_the_server_has_it(
    states: list[dict[int, tuple[int, str]]], shuffler: random.Random
) -> None:
    known = Known()
    for state in states:
        chunks = [[1], [2], [3]]
        shuffler.shuffle(chunks)
        for tasks in chunks:
            found = [said(n, at, label) for n, (at, label) in state.items() if at in tasks]
            known.update(news(known, tasks, found))
            assert news(known, tasks, found) == []
        there = {n: a for n, a in known.by_number.items() if a.state != DELETED}
        assert there == {n: said(n, at, label) for n, (at, label) in state.items()}
        assert known.tasks() == {at for at, _ in state.values()}


def test_a_summary_adds_up_and_names_the_first_notes() -> None:
    one = PullSummary(3, Counts(1, 2, 3, 4, 5), 1, tuple(f"note {n}" for n in range(15)))
    both = one + one
    told = both.to_json()
    assert told.pop("notes") == [*one.notes, *one.notes]
    fields = {"tasks": 6, "new": 2, "changed": 4, "deleted": 6, "skipped": 8, "edited": 10}
    assert told == fields | {"refused": 2}
    lines = str(both).splitlines()
    assert lines[0] == (
        "6 tasks looked at; answers: 2 new, 4 changed, 6 deleted, 8 skipped, 10 edited by others, "
        "2 refused"
    )
    assert len(lines) == 22
    assert lines[-1] == "and 10 notes more, see --json"
