"""What a sample's label is once people were asked: who decides, and what is left of the votes."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from occlufer.annotation.decision import Evidence, decide
from occlufer.record import Reject
from occlufer.schema import ANSWERS, LABELS, OCCLUSION_TYPES


def counts(**votes: int) -> list[int]:
    return [votes.get(answer, 0) for answer in ANSWERS]


def chances(**chances: float) -> list[float]:
    return [chances.get(answer, 0.0) for answer in ANSWERS]


def test_the_likeliest_answer_is_the_label_whatever_most_votes_are_for() -> None:
    evidence = Evidence(
        counts(anger=1, fear=2, uncertain=1), chances(anger=0.6, fear=0.2, uncertain=0.2)
    )
    result = decide("i", evidence, 0.5)
    assert result.reject is None
    assert result.value == {
        "by": "people",
        "label": "anger",
        "votes": [1, 0, 2, 0, 0, 0, 0, 0],
        "agreement": 0.25,
        "soft_label": [0.75, 0, 0.25, 0, 0, 0, 0, 0],
        "occlusion_votes": [0] * 6,
    }


@pytest.mark.parametrize(
    ("evidence", "detail"),
    [
        (
            Evidence(counts(fear=2, anger=1), chances(fear=0.45, anger=0.3, sadness=0.25)),
            "fear is likeliest with probability 0.450, 2 of 3 votes; min_posterior 0.5",
        ),
        (
            Evidence(counts(fear=1, anger=1), chances(fear=0.5, anger=0.5)),
            "anger and fear are equally likely: 0.500 each",
        ),
        (
            Evidence(counts(uncertain=2, anger=1), chances(anger=1)),
            "uncertain has 2 of 3 votes",
        ),
        (
            Evidence(counts(not_a_face=3), chances(not_a_face=1)),
            "not_a_face is likeliest with probability 1.000, 3 of 3 votes",
        ),
        (
            Evidence(counts(fear=3), chances(fear=1), decided="uncertain"),
            "uncertain is the adjudicator's answer",
        ),
        (Evidence(counts(fear=3), chances(fear=1), known="not_a_face"), "not_a_face is the known"),
    ],
    ids=["improbable", "tie", "uncertain", "not-a-face", "adjudicated", "gold"],
)
def test_a_sample_without_a_label_says_why_with_the_figures(
    evidence: Evidence, detail: str
) -> None:
    result = decide("i", evidence, 0.5)
    assert result.reject is not None
    assert result.reject.reason == "unlabelled"
    assert result.reject.detail.startswith(detail)
    assert not {"label", "soft_label"} & set(result.value)
    assert result.value["votes"] == list(evidence.votes[:8])


def test_a_probability_of_exactly_min_posterior_is_enough() -> None:
    evidence = Evidence(counts(fear=2, anger=1), chances(fear=0.5, anger=0.3, sadness=0.2))
    assert decide("i", evidence, 0.5).reject is None
    assert decide("i", evidence, 0.500002).reject is not None


def test_an_adjudicator_decides_and_overwrites_nothing() -> None:
    votes, posterior = counts(fear=2, anger=1, uncertain=1), chances(fear=0.8, anger=0.2)
    seen = (1, 0, 2, 0, 0, 0)
    before = decide("i", Evidence(votes, posterior, seen), 0.5).value
    after = decide("i", Evidence(votes, posterior, seen, decided="anger"), 0.5).value
    assert (before["label"], before["by"]) == ("fear", "people")
    assert (after["label"], after["by"]) == ("anger", "adjudicator")
    assert (before["agreement"], after["agreement"]) == (0.5, 0.25)
    for name in ("votes", "soft_label", "occlusion_votes"):
        assert before[name] == after[name]


def test_a_decision_counts_before_a_known_answer_and_that_before_the_votes() -> None:
    votes, posterior = counts(fear=3), chances(fear=1)
    known = decide("i", Evidence(votes, posterior, known="anger"), 0.5)
    assert (known.value["label"], known.value["by"]) == ("anger", "gold")
    assert known.value["agreement"] == 0
    assert known.value["soft_label"] == [1, 0, 0, 0, 0, 0, 0, 0]
    both = decide("i", Evidence(votes, posterior, decided="sadness", known="anger"), 0.5)
    assert (both.value["label"], both.value["by"]) == ("sadness", "adjudicator")


def test_a_decision_on_what_nobody_could_tell_is_certain() -> None:
    skipped = decide("i", Evidence(counts(), decided="fear"), 0.5)
    assert skipped.value["soft_label"] == [0, 0, 1, 0, 0, 0, 0, 0]
    assert skipped.value["agreement"] == 0
    posterior = chances(uncertain=1 - 1e-9, anger=1e-9)
    unsure = decide("i", Evidence(counts(uncertain=3), posterior, decided="fear"), 0.5)
    assert unsure.value["soft_label"] == [0, 0, 1, 0, 0, 0, 0, 0]
    told = decide("i", Evidence(counts(fear=1, anger=3), decided="fear"), 0.5)
    assert told.value["soft_label"] == [0.75, 0, 0.25, 0, 0, 0, 0, 0]


VOTES = st.lists(st.integers(0, 9), min_size=len(ANSWERS), max_size=len(ANSWERS))
POSTERIOR = (
    st.lists(st.floats(0, 1), min_size=len(ANSWERS), max_size=len(ANSWERS))
    .filter(lambda weights: sum(weights) > 0.01)
    .map(lambda weights: [weight / sum(weights) for weight in weights])
)
ANSWER = st.none() | st.sampled_from(ANSWERS)


@given(VOTES, st.none() | POSTERIOR, ANSWER, ANSWER, st.floats(0, 1))
def test_a_label_comes_with_probabilities_that_sum_to_one(
    votes: list[int],
    posterior: list[float] | None,
    decided: str | None,
    known: str | None,
    least: float,
) -> None:
    assume(posterior or decided or known)  # else nobody was asked
    seen = tuple(range(len(OCCLUSION_TYPES)))
    result = decide("i", Evidence(votes, posterior, seen, decided, known), least)
    assert result.value["votes"] == votes[: len(LABELS)]
    assert result.value["occlusion_votes"] == list(seen)
    if isinstance(result.reject, Reject):
        assert result.reject.detail
        return
    label = result.value["label"]
    soft = result.value["soft_label"]
    assert sum(soft) == pytest.approx(1, abs=1e-5)
    assert min(soft) >= 0
    assert result.value["agreement"] <= 1
    if decided or known:
        assert label == (decided or known)
    else:
        assert soft[LABELS.index(label)] == max(soft)
        assert posterior is not None
        assert posterior[ANSWERS.index(label)] == pytest.approx(max(posterior), abs=1e-6)
