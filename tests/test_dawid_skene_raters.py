"""Raters of all kinds: what Dawid-Skene makes of spammers, liars, newcomers and known answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from drawn_votes import ANSWERS, Cast, careful, fitted, some_truth, votes
from numpy.typing import NDArray

from occlufer.annotation.aggregation.dawid_skene import Rows, misnamed
from occlufer.annotation.aggregation.latent import Fit


def right_share(fit: Fit[Rows], truth: Sequence[int]) -> float:
    return float((fit.posterior.argmax(axis=0) == np.array(truth)).mean())


def test_a_rater_of_two_answers_gets_no_wild_confusion() -> None:
    truth = some_truth(300)
    cast = votes(truth, {name: careful(0.75) for name in "abcd"})
    wrong = [ANSWERS[(truth[i] + 1) % 3] for i in (0, 1)]
    cast |= {(f"item_{i:04d}", "new", word): 1.0 for i, word in enumerate(wrong)}
    ballots, _, fit = fitted(cast)
    new = fit.model.matrix[ballots.raters.index("new")]
    for state in range(3):
        assert new[state, state] == new[state].max()
        assert 0.25 < new[state, state] < 0.75
    assert right_share(fit, truth) > 0.9


def liar() -> list[list[float]]:
    """Return the confusion of one who always names the next class."""
    return [[float(a == (k + 1) % 3) for a in range(len(ANSWERS))] for k in range(3)]


def test_a_rater_who_always_errs_is_known_and_renames_nothing() -> None:
    truth = some_truth(300)
    crowd = {name: careful(0.6) for name in "abcd"}
    ballots, posed, fit = fitted(votes(truth, crowd | {"liar": liar()}))
    found = fit.model.matrix[ballots.raters.index("liar")]
    for state in range(3):
        assert found[state, (state + 1) % 3] > 0.8
    # Once she is known, her lies tell the truth.
    _, _, without = fitted(votes(truth, crowd))
    assert right_share(fit, truth) > right_share(without, truth) + 0.03
    assert misnamed(fit, posed) == []


def test_classes_that_have_changed_names_do_not_pass() -> None:
    truth = some_truth(200)
    _, posed, fit = fitted(votes(truth, {name: careful(0.6) for name in "abcd"}))
    assert misnamed(fit, posed) == []
    renamed = replace(fit, posterior=fit.posterior[[1, 2, 0, 3]])
    assert misnamed(renamed, posed) == [0, 1, 2]


def test_where_most_raters_err_as_one_known_answers_show_it() -> None:
    truth = some_truth(300)
    mistaken = careful(0.8)
    mistaken[1] = mistaken[0]  # they call disgust anger
    cast = votes(truth, dict.fromkeys("abcd", mistaken))
    gold = {f"item_{i:04d}": ANSWERS[truth[i]] for i in range(100)}
    _, posed, fit = fitted(cast, gold)
    assert [posed.shape[2], misnamed(fit, posed)] == [4, [1]]


def test_spammers_are_told_from_raters() -> None:
    truth = some_truth(200)
    always = [[0.01, 0.96, 0.01, 0.01, 0.01]] * 3
    crowd = {name: careful(0.7) for name in "abc"} | {f"spam {n}": always for n in range(3)}
    cast = votes(truth, crowd)
    ballots, _, fit = fitted(cast)
    majority = ballots.counts()[:, [0, 1, 2, 4]].argmax(axis=1)
    assert right_share(fit, truth) > float((majority == np.array(truth)).mean()) + 0.2


# What is known ------------------------------------------------------------------------------------


def test_known_answers_are_certain_and_teach_who_is_right() -> None:
    truth = some_truth(60)
    crowd = {"good": careful(0.9), "bad": careful(0.3), "worse": careful(0.2)}
    cast = votes(truth, crowd, seed=3)
    gold = {f"item_{i:04d}": ANSWERS[truth[i]] for i in range(30)}
    ballots, _, blind = fitted(cast)
    _, _, fit = fitted(cast, gold)
    for i in range(30):
        assert fit.posterior[:, i].tolist() == [float(k == truth[i]) for k in range(4)]
    good = ballots.raters.index("good")
    rest = np.array(truth[30:])
    shares = [
        float((found.posterior[:, 30:].argmax(axis=0) == rest).mean()) for found in (blind, fit)
    ]
    assert shares[1] >= shares[0]
    seen: NDArray[np.float64] = fit.model.matrix[:, range(3), range(3)].mean(axis=1)
    assert seen.argmax() == good


def test_a_known_answer_that_cannot_be_true_is_left_to_the_votes() -> None:
    cast: Cast = {("a", rater, "fear"): 1.0 for rater in "pqr"}
    _, _, fit = fitted(cast, {"a": "uncertain", "unheard of": "fear"})
    _, _, blind = fitted(cast)
    assert np.array_equal(fit.posterior, blind.posterior)
