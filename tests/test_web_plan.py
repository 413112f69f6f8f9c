"""The plan of a search: every expression with every occlusion, in a fixed order."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.web.photograph import Photograph
from occlufer.builders.web.plan import EXPRESSIONS, OCCLUSIONS, Query, joined, plan
from occlufer.errors import UsageError
from occlufer.schema import LABELS, OCCLUSION_TYPES


def test_there_are_words_for_every_class_and_every_occlusion_type() -> None:
    assert tuple(EXPRESSIONS) == LABELS
    assert tuple(OCCLUSIONS) == OCCLUSION_TYPES
    for words in (EXPRESSIONS, OCCLUSIONS):
        assert len(set(words.values())) == len(words)


def test_by_default_every_class_is_looked_for_under_every_occlusion() -> None:
    queries = list(plan())
    assert len(queries) == len(LABELS) * len(OCCLUSION_TYPES)
    assert queries[0] == Query("angry face", "face mask", "angry face mask", "anger")
    assert [query.label for query in queries[:: len(OCCLUSION_TYPES)]] == list(LABELS)
    assert [query.occlusion for query in queries[: len(OCCLUSION_TYPES)]] == list(
        OCCLUSIONS.values()
    )
    assert len({query.words for query in queries}) == len(queries)
    assert queries == list(plan())


def test_words_of_the_user_s_own_replace_ours_and_mean_no_class() -> None:
    queries = list(plan(["angry person", "scared face"], ["sunglasses"]))
    assert queries == [
        Query("angry person", "sunglasses", "angry person sunglasses", ""),
        Query("scared face", "sunglasses", "scared face sunglasses", "fear"),
    ]
    assert [query.expression for query in plan(occlusions=["scarf"])] == list(EXPRESSIONS.values())


def test_words_given_twice_count_once_and_keep_their_order() -> None:
    queries = plan(["b", "a", " b "], ["x", "x"])
    assert [query.words for query in queries] == ["b x", "a x"]


@pytest.mark.parametrize("words", ["", "  ", "\t\n"])
def test_blank_words_are_refused(words: str) -> None:
    with pytest.raises(UsageError, match=r"expressions: found blank words, expected .* 'angry"):
        plan([words])
    with pytest.raises(UsageError, match=r"occlusions: found blank words, expected .* 'face m"):
        plan(["angry"], ["mask", words])


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("scared face", "face mask", "scared face mask"),
        ("scared face", "mask", "scared face mask"),
        ("a b c", "b c d", "a b c d"),
        ("a b", "a b", "a b"),
        ("face", "mask face", "face mask face"),
        ('sad "a face"', "face", 'sad "a face" face'),
    ],
)
def test_what_ends_one_text_and_begins_the_other_stands_there_once(
    first: str, second: str, both: str
) -> None:
    assert joined(first, second) == both


@given(st.lists(st.sampled_from("ab")), st.lists(st.sampled_from("ab")))
def test_joined_texts_begin_with_one_and_end_with_the_other(
    first: list[str], second: list[str]
) -> None:
    words = joined(" ".join(first), " ".join(second)).split()
    assert words[: len(first)] == first
    assert words[len(words) - len(second) :] == second


def test_the_class_of_a_query_does_not_go_on_to_the_photograph() -> None:
    names = {field.name for field in dataclasses.fields(Photograph)}
    assert "query" in names
    assert not names & {"label", "votes", "expression", "occlusion"}
