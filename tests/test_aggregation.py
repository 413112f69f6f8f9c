"""Aggregation: what votes come to, how sure that is, and that it is as sure as it is right."""

from __future__ import annotations

import itertools
import logging
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer.annotation.aggregation import calibration, latent
from occlufer.annotation.aggregation.aggregation import METHODS, Aggregation, aggregate
from occlufer.annotation.aggregation.ballots import Ballots, cast_ballots
from occlufer.annotation.aggregation.calibration import (
    calibration_error,
    temperature_by_votes,
    tempered,
)
from occlufer.annotation.aggregation.dawid_skene import dawid_skene
from occlufer.annotation.aggregation.latent import problem
from occlufer.config import AnnotationConfig
from occlufer.schema import ANSWERS, LABELS

Cast = dict[tuple[str, str, str], float]
FEAR, UNCERTAIN, NO_FACE = (ANSWERS.index(w) for w in ("fear", "uncertain", "not_a_face"))

casts = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("pqr"), st.sampled_from(ANSWERS)),
    st.integers(1, 4).map(float),
    max_size=12,
)
methods = st.sampled_from(sorted(METHODS))


def crowd(items: int, seed: int, hard: float = 0.0) -> tuple[Ballots, NDArray[np.int64]]:
    """Return five votes on each item, by twelve raters of accuracies of their own, two at random.

    On a share of the items every other vote goes to one and the same wrong class.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, len(LABELS), items)
    right = np.concatenate([[1 / 8, 1 / 8], rng.uniform(0.45, 0.75, 10)])
    cast: Cast = {}
    for item, state in enumerate(truth):
        lure = rng.random() < hard
        for rater in rng.permutation(len(right))[:5]:
            other = (state + rng.integers(1, len(LABELS))) % len(LABELS)
            answer = state if rng.random() < right[rater] else other
            if lure and rng.random() < 0.5:
                answer = (state + 1) % len(LABELS)
            cast[f"{item:05d}", f"rater_{rater:02d}", LABELS[answer]] = 1.0
    return cast_ballots([], cast), truth


def one_item(*answers: str) -> Cast:
    return {("i", f"rater_{n}", answer): 1.0 for n, answer in enumerate(answers)}


# Shapes and bounds --------------------------------------------------------------------------------


def test_the_config_s_words_name_the_methods() -> None:
    assert set(METHODS) == {"dawid_skene", "majority"}
    assert AnnotationConfig().aggregation in METHODS


@settings(max_examples=20)
@given(casts, methods)
def test_every_item_has_a_distribution_over_the_answers(cast: Cast, method: str) -> None:
    found = aggregate(cast_ballots("abcd", cast), method)
    assert found.posterior.shape == (4, len(ANSWERS))
    assert found.posterior.min() >= 0
    assert np.allclose(found.posterior.sum(axis=1), 1)


@settings(max_examples=20)
@given(casts, methods)
def test_the_same_votes_give_the_same_bits_in_any_order(cast: Cast, method: str) -> None:
    found = aggregate(cast_ballots("abcd", cast), method)
    again = aggregate(cast_ballots("dcba", dict(reversed(cast.items()))), method)
    assert again.posterior.tobytes() == found.posterior.tobytes()
    assert again.temperature == found.temperature


@given(casts)
def test_the_majority_s_posterior_is_the_share_of_the_votes(cast: Cast) -> None:
    found = aggregate(cast_ballots("abcd", cast), "majority")
    assert (found.confusion, found.fit, found.iterations) == (None, None, 0)
    for item, row in zip("abcd", found.posterior, strict=True):
        said = Counter[str]()
        for (image, _, answer), count in cast.items():
            said[answer] += int(count) * (image == item)
        if said.total():
            assert row.tolist() == [said[a] / said.total() for a in ANSWERS]
        else:
            assert row[UNCERTAIN] == 1


def test_the_model_comes_along() -> None:
    ballots, _ = crowd(100, seed=0)
    found = aggregate(ballots)
    assert found.confusion is not None
    assert found.fit is not None
    assert found.confusion.shape == (12, 9, 10)
    assert found.fit.prevalence.shape == (9,)
    assert found.iterations > 1
    assert found.fit.converged


# Words that are no class --------------------------------------------------------------------------


def test_uncertain_is_never_what_the_model_finds_unless_nobody_says_anything_else() -> None:
    cast = one_item("uncertain", "uncertain", "fear") | {
        ("none", f"rater_{n}", "uncertain"): 1.0 for n in range(3)
    }
    found = aggregate(cast_ballots(["silent"], cast))
    rows = dict(zip(found.ballots.items, found.posterior, strict=True))
    assert rows["i"][UNCERTAIN] == 0
    assert rows["i"].argmax() == FEAR
    assert rows["none"][UNCERTAIN] == rows["silent"][UNCERTAIN] == 1


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_a_face_can_win_and_leaves_the_classes_apart(method: str) -> None:
    cast = one_item("not_a_face", "not_a_face", "not_a_face", "fear")
    found = aggregate(cast_ballots([], cast), method)
    assert found.posterior[0].argmax() == NO_FACE
    assert found.posterior[0, : len(LABELS)].argmax() == FEAR


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_known_answer_is_certain(method: str, answer: str) -> None:
    cast = one_item("fear", "fear", "anger")
    found = aggregate(cast_ballots([], cast), method, {"i": answer, "unheard of": "fear"})
    assert found.posterior[0].tolist() == [float(word == answer) for word in ANSWERS]


# It is worth it -----------------------------------------------------------------------------------


def right(found: Aggregation, truth: NDArray[np.int64]) -> float:
    return float((found.posterior.argmax(axis=1) == truth).mean())


def test_weighing_raters_is_right_more_often_than_counting_them() -> None:
    gains = []
    for seed in range(4):
        ballots, truth = crowd(400, seed)
        gains.append(
            right(aggregate(ballots), truth) - right(aggregate(ballots, "majority"), truth)
        )
    assert min(gains) > 0
    assert np.mean(gains) > 0.02


# It is as sure as it is right ---------------------------------------------------------------------


def test_the_calibration_error_is_that_of_the_bins() -> None:
    posterior = np.array([[0.9, 0.8, 0.3, 0.52], [0.1, 0.2, 0.7, 0.48]])
    truth = np.array([0, 1, 1, 0])
    # Two bins from .5 on: those of .52 and .7 (both right), and of .8 and .9 (one right).
    expected = (abs(2 - 1.22) + abs(1 - 1.7)) / 4
    assert calibration_error(posterior, truth, bins=4) == pytest.approx(expected)


def test_tempering_divides_the_logarithm() -> None:
    posterior = np.array([[0.9, 0.5], [0.1, 0.5], [0.0, 0.0]])
    found = tempered(posterior, 2.0)
    assert found[0, 0] / found[1, 0] == pytest.approx(3)
    assert found[:2, 1].tolist() == pytest.approx([0.5, 0.5])
    assert found[2].max() < 1e-100
    assert np.allclose(tempered(posterior, 1.0), posterior)


@pytest.mark.parametrize("degree", [0.7, 1.0, 1.8, 3.0])
def test_known_answers_tell_the_temperature(degree: float) -> None:
    rng = np.random.default_rng(0)
    honest = rng.dirichlet([0.5] * 8, 2000).T
    truth = (honest.cumsum(axis=0) < rng.random(2000)).sum(axis=0).clip(max=7)
    too_sure = tempered(honest, 1 / degree)
    found = calibration._best(calibration._log_right(too_sure, truth))
    assert found == pytest.approx(degree, rel=0.08)


def errors(ballots: Ballots, truth: NDArray[np.int64], gold: int = 0) -> tuple[float, float]:
    """Return the calibration error of items that are not known, before and after."""
    known = {ballots.items[i]: LABELS[truth[i]] for i in range(gold)}
    found = aggregate(ballots, gold=known)
    assert found.fit is not None
    before, after = found.fit.posterior[:, gold:], found.posterior.T[:, gold:]
    return calibration_error(before, truth[gold:]), calibration_error(after, truth[gold:])


def test_after_calibration_the_posterior_is_surer_than_right_by_much_less() -> None:
    found = [errors(*crowd(300, seed)) for seed in range(5)]
    before, after = np.mean(found, axis=0)
    assert after < 0.75 * before
    assert sum(b > a for b, a in found) >= 4


def test_known_answers_show_what_the_votes_do_not_tell() -> None:
    worlds = [crowd(300, seed, hard=0.3) for seed in range(3)]
    blind = np.mean([errors(*world) for world in worlds], axis=0)
    known = np.mean([errors(*world, gold=80) for world in worlds], axis=0)
    assert blind[1] < blind[0]
    assert known[1] < 0.6 * known[0]


def test_votes_drawn_by_the_model_itself_need_a_temperature_near_that_of_the_truth() -> None:
    for seed in range(3):
        ballots, truth = crowd(600, seed)
        posed = problem(ballots, {})
        fit = dawid_skene(posed)
        lost = calibration._log_right(fit.posterior, truth)
        best = calibration.TEMPERATURES[lost.argmax()]
        assert temperature_by_votes(posed, fit) == pytest.approx(best, rel=0.25)


def test_votes_that_were_held_out_show_some_of_what_the_model_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    posed = [problem(crowd(400, seed, hard=0.3)[0], {}) for seed in range(3)]
    fits = [dawid_skene(one) for one in posed]
    found = [temperature_by_votes(*both) for both in zip(posed, fits, strict=True)]
    monkeypatch.setattr(calibration, "_held_out", lambda _: np.zeros(len(calibration.TEMPERATURES)))
    drawn_alone = [temperature_by_votes(*both) for both in zip(posed, fits, strict=True)]
    assert np.mean(found) > 1.05 * np.mean(drawn_alone)


def test_where_there_is_nothing_to_go_by_the_temperature_is_1() -> None:
    assert aggregate(cast_ballots([], {})).temperature == 1
    assert aggregate(cast_ballots(["a"], {})).temperature == 1


def test_the_draws_of_the_calibration_have_a_seed() -> None:
    posed = problem(crowd(60, 0)[0], {})
    fit = dawid_skene(posed)
    found = {seed: temperature_by_votes(posed, fit, seed) for seed in range(4)}
    assert len(set(found.values())) > 1
    assert all(temperature_by_votes(posed, fit, seed) == t for seed, t in found.items())


# It says so ---------------------------------------------------------------------------------------


def test_a_model_that_still_moves_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(latent, "ROUNDS", 2)
    with caplog.at_level(logging.WARNING):
        found = aggregate(crowd(80, 0)[0])
    assert found.fit is not None
    assert not found.fit.converged
    assert "the model of raters still moved after 2 rounds" in caplog.text


def test_a_class_that_most_raters_call_by_another_name_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cast: Cast = {}
    for item, rater in itertools.product(range(40), range(3)):
        cast[f"{item:02d}", f"rater_{rater}", "anger" if item % 2 else "fear"] = 1.0
    gold = {f"{item:02d}": "disgust" for item in range(1, 30, 2)}
    with caplog.at_level(logging.WARNING):
        aggregate(cast_ballots([], cast), gold=gold)
    assert "raters mostly answer something else where the model finds disgust" in caplog.text
    caplog.clear()
    aggregate(cast_ballots([], cast))
    assert not caplog.text
