"""Ballots: what people and sources say, as arrays, whoever said it first."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.annotation.aggregation.ballots import Ballots, ballots, cast_ballots
from occlufer.record import Facts, Record, Vote
from occlufer.schema import ANSWERS, LABELS, NO_CLASS
from occlufer.vote_log import LABELLING, Answer, standing


def answer(image: str, rater: str, label: str | None, **changes: object) -> Answer:
    given = Answer(
        *(LABELLING, "embedded/1", 1, 1, image, rater),
        *("given" if label else "skipped", label, (), None, None),
        *("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", None),
    )
    return replace(given, **changes)  # type: ignore[arg-type]


def record(source: str, *votes: Vote, **no_class: int) -> Record:
    return Record(f"{source}/1", source, "", Facts(votes=votes, no_class=no_class or None), "i")


def said(cast: Ballots) -> dict[tuple[str, str, str], float]:
    """Return the rows of the arrays by their names."""
    rows = zip(cast.item, cast.rater, cast.answer, cast.weight, strict=True)
    return {
        (cast.items[i], cast.raters[r], cast.answers[a]): float(weight) for i, r, a, weight in rows
    }


def test_people_and_sources_are_raters_of_names_of_their_own() -> None:
    synthetic = record("synthetic", Vote("rater_01", "fear"), Vote("rater_2", "fear"))
    panel = record("plus", Vote("source:plus", "fear", 7), Vote("source:plus", "anger", 3))
    cast = ballots([answer("i", "rater_01", "sadness")], {"i": [synthetic, panel]})
    assert said(cast) == {
        ("i", "rater_01", "sadness"): 1,
        ("i", "source:plus", "anger"): 3,
        ("i", "source:plus", "fear"): 7,
        ("i", "source:synthetic/rater_01", "fear"): 1,
        ("i", "source:synthetic/rater_2", "fear"): 1,
    }
    assert cast.raters == tuple(sorted(cast.raters))


def test_a_person_cannot_pass_for_a_source() -> None:
    with pytest.raises(ValueError, match="found the rater 'source:plus': a source's name"):
        ballots([answer("i", "source:plus", "fear")], {})


def test_a_skip_is_an_abstention_and_its_image_stays() -> None:
    cast = ballots([answer("b", "rater_01", None), answer("a", "rater_02", "fear")], {"c": []})
    assert cast.items == ("a", "b", "c")
    assert cast.raters == ("rater_02",)
    assert said(cast) == {("a", "rater_02", "fear"): 1}


def test_only_the_newest_answer_that_stands_counts() -> None:
    first = answer("i", "rater_01", "fear")
    edited = replace(first, label="anger", updated_at="2026-01-02T00:00:00Z")
    other = answer("i", "rater_02", "fear", state="deleted", annotation=2)
    cast = ballots(standing([first, edited, other]), {})
    assert said(cast) == {("i", "rater_01", "anger"): 1}


def test_an_answer_that_nobody_can_give_is_refused() -> None:
    with pytest.raises(ValueError, match="embedded/1, annotation 1: found 'joy', expected one of"):
        ballots([answer("i", "rater_01", "joy")], {})


@pytest.mark.parametrize("word", NO_CLASS)
def test_what_sources_call_no_class_is_what_a_person_would_have_answered(word: str) -> None:
    cast = ballots([], {"i": [record("plus", Vote("source:plus", "fear", 6), **{word: 4})]})
    expected = "not_a_face" if word == "not_a_face" else "uncertain"
    assert said(cast) == {
        ("i", "source:plus", "fear"): 6,
        ("i", "source:plus", expected): 4,
    }


def test_words_that_come_to_the_same_answer_are_added() -> None:
    cast = ballots([], {"i": [record("plus", unknown=2, none=3, not_a_face=1)]})
    assert said(cast) == {
        ("i", "source:plus", "uncertain"): 5,
        ("i", "source:plus", "not_a_face"): 1,
    }


def test_a_record_that_a_source_lists_twice_votes_once() -> None:
    once = record("plus", Vote("source:plus", "fear", 6), unknown=4)
    other = record("other", Vote("source:other", "fear"))
    twice = ballots([], {"i": [once, replace(once, id="plus/2"), other]})
    assert said(twice) == said(ballots([], {"i": [once, other]}))
    assert twice.counts()[0, ANSWERS.index("fear")] == 7


names = st.sampled_from(["rater_01", "rater_02", "rater_03"])
images = st.sampled_from(["a", "b", "c"])
people = st.lists(
    st.builds(answer, images, names, st.sampled_from([*ANSWERS, None])),
    max_size=9,
    unique_by=lambda one: (one.image, one.rater),
)
sources = st.dictionaries(
    images,
    st.lists(
        st.builds(
            lambda name, label, count: record(name, Vote(f"source:{name}", label, count)),
            st.sampled_from(["x", "y"]),
            st.sampled_from(LABELS),
            st.integers(1, 10),
        ),
        max_size=3,
    ),
)


@given(people, sources, st.randoms(use_true_random=False))
def test_the_order_of_answers_and_records_changes_nothing(
    given_answers: list[Answer], records: dict[str, list[Record]], order: random.Random
) -> None:
    cast = ballots(given_answers, records)
    shuffled = order.sample(given_answers, len(given_answers))
    mixed = {
        image: order.sample(records[image], len(records[image]))
        for image in order.sample(sorted(records), len(records))
    }
    again = ballots(shuffled, mixed)
    assert (again.items, again.raters) == (cast.items, cast.raters)
    for name in ("item", "rater", "answer", "weight"):
        assert getattr(again, name).tobytes() == getattr(cast, name).tobytes(), name


@given(people, sources)
def test_the_counts_are_those_of_the_answers(
    given_answers: list[Answer], records: dict[str, list[Record]]
) -> None:
    cast = ballots(given_answers, records)
    expected: dict[str, Counter[str]] = {image: Counter() for image in cast.items}
    for one in given_answers:
        if one.label is not None:
            expected[one.image][one.label] += 1
    for image, holders in records.items():
        for source, vote in {(r.source, v) for r in holders for v in r.facts.votes}:
            assert vote.rater == f"source:{source}"
            expected[image][vote.label] += vote.count
    counts = [[expected[image][word] for word in ANSWERS] for image in cast.items]
    assert cast.counts().tolist() == counts


def test_ballots_of_some_items_are_as_if_there_were_no_others() -> None:
    cast = {
        ("a", "p", "fear"): 1.0,
        ("a", "q", "anger"): 1.0,
        ("b", "q", "fear"): 2.0,
        ("c", "r", "fear"): 1.0,
    }
    everything = cast_ballots(["d"], cast)
    some = everything.among(["b", "d", "unheard of"])
    assert (some.items, some.raters) == (("b", "d"), ("q",))
    assert said(some) == {("b", "q", "fear"): 2}
    assert said(everything) == cast


def test_what_can_be_true_is_all_that_may_be_answered_but_uncertain() -> None:
    assert ballots([], {}).states == (*LABELS, "not_a_face")


def test_nothing_said_is_no_error() -> None:
    cast = ballots([], {})
    assert (cast.items, cast.raters) == ((), ())
    assert cast.counts().shape == (0, len(ANSWERS))
    assert np.array_equal(cast.among([]).weight, [])
