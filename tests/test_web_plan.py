"""The plan of a search: every expression with every occlusion, in a fixed order."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.web.photograph import Photograph
from occlufer.builders.web.plan import EXPRESSIONS, OCCLUSIONS, joined, plan
from occlufer.errors import UsageError
from occlufer.schema import LABELS, OCCLUSION_TYPES


def test_there_are_words_for_every_class_and_every_occlusion_type() -> None:
    assert tuple(EXPRESSIONS) == LABELS
    assert tuple(OCCLUSIONS) == OCCLUSION_TYPES
    for words in (EXPRESSIONS, OCCLUSIONS):
        assert len(set(words.values())) == len(words)


def test_by_default_every_class_is_looked_for_under_every_occlusion() -> None:
    queries = plan()
    assert len({*queries}) == len(queries) == len(LABELS) * len(OCCLUSION_TYPES)
    assert queries[:2] == ["angry face mask", "angry face hand over mouth"]
    for words, face in zip(queries[:: len(OCCLUSION_TYPES)], EXPRESSIONS.values(), strict=True):
        assert words.startswith(face)
    for words, cover in zip(queries[: len(OCCLUSION_TYPES)], OCCLUSIONS.values(), strict=True):
        assert words.endswith(cover)


def test_words_of_the_user_s_own_replace_ours() -> None:
    queries = plan(["angry person", "scared face"], ["sunglasses"])
    assert queries == ["angry person sunglasses", "scared face sunglasses"]
    assert plan(occlusions=["scarf"]) == [f"{words} scarf" for words in EXPRESSIONS.values()]


def test_words_given_twice_count_once_and_keep_their_order() -> None:
    assert plan(["b", "a", " b "], ["x", "x"]) == ["b x", "a x"]


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
