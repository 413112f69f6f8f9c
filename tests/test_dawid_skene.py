"""Dawid-Skene with habits: against plain loops and crowd-kit, and what it may never do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from drawn_votes import ANSWERS, Cast, careful, fitted, some_truth, votes
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.annotation.aggregation import latent
from occlufer.annotation.aggregation.ballots import cast_ballots
from occlufer.annotation.aggregation.dawid_skene import (
    GAIN,
    Rows,
    best_habits,
    dawid_skene,
)
from occlufer.annotation.aggregation.latent import Fit, Problem, climb, problem

Votes = Sequence[tuple[int, int, int, float]]
Table = list[list[float]]

KNOWS, ERRS, TASTE = 6.0, 3.0, 3.0
ERROR, LIKES, WORTH = 5.0, 3.0, 20.0


def normal(values: Sequence[float]) -> list[float]:
    return [value / sum(values) for value in values]


@dataclass
class Plain:
    """The two climbs, a given number of rounds each."""

    votes: Votes
    items: int
    raters: int
    answers: int
    home: list[int]
    known: Mapping[int, int]

    def fit(self, first: Table, habit_rounds: int, rounds: int) -> tuple[Table, list[Table]]:
        """Return the truth (item, state) and the confusion (rater, state, answer)."""
        truth, confusion = self.habits(first, habit_rounds)
        around = [[[WORTH * p for p in row] for row in matrix] for matrix in confusion]
        for _ in range(rounds):
            counts = self.counts(truth)
            confusion = [
                [
                    normal([n + m for n, m in zip(*both, strict=True)])
                    for both in zip(counts[r], around[r], strict=True)
                ]
                for r in range(self.raters)
            ]
            truth = self.truth(confusion, self.prevalence(truth))
        return truth, confusion

    def habits(self, truth: Table, rounds: int) -> tuple[Table, list[Table]]:
        states, answers = range(len(self.home)), range(self.answers)
        share = [normal([KNOWS, ERRS, TASTE])] * self.raters
        errors = [normal([float(a != self.home[k]) for a in answers]) for k in states]
        taste = [[1 / self.answers] * self.answers] * self.raters
        confusion: list[Table] = []
        for _ in range(rounds):
            counts = self.counts(truth)
            ways = [[KNOWS, ERRS, TASTE] for _ in range(self.raters)]
            erred = [[ERROR * (a != self.home[k]) for a in answers] for k in states]
            liked = [[LIKES for _ in answers] for _ in range(self.raters)]
            for r in range(self.raters):
                for k in states:
                    for a in answers:
                        parts = normal(
                            [
                                share[r][0] * (a == self.home[k]),
                                share[r][1] * errors[k][a],
                                share[r][2] * taste[r][a],
                            ]
                        )
                        n = counts[r][k][a]
                        ways[r] = [way + n * part for way, part in zip(ways[r], parts, strict=True)]
                        erred[k][a] += n * parts[1]
                        liked[r][a] += n * parts[2]
            share, errors, taste = [[normal(row) for row in t] for t in (ways, erred, liked)]
            confusion = [
                [
                    [
                        share[r][0] * (a == self.home[k])
                        + share[r][1] * errors[k][a]
                        + share[r][2] * taste[r][a]
                        for a in answers
                    ]
                    for k in states
                ]
                for r in range(self.raters)
            ]
            truth = self.truth(confusion, self.prevalence(truth))
        return truth, confusion

    def first(self, by_surprise: bool) -> Table:
        said = [[0.1] * len(self.home) for _ in range(self.items)]
        for item, rater, answer, count in self.votes:
            own = [(a, n) for _, r, a, n in self.votes if r == rater]
            same = sum(n for a, n in own if a == answer) + 3
            often = same / (sum(n for _, n in own) + 3 * self.answers)
            if answer in self.home:
                said[item][self.home.index(answer)] += count * (1 - often * by_surprise)
        return [self.settled(item, normal(row)) for item, row in enumerate(said)]

    def truth(self, confusion: list[Table], prevalence: list[float]) -> Table:
        found = [list(prevalence) for _ in range(self.items)]
        for item, rater, answer, count in self.votes:
            for state in range(len(self.home)):
                found[item][state] *= math.pow(confusion[rater][state][answer], count)
        return [self.settled(item, normal(row)) for item, row in enumerate(found)]

    def settled(self, item: int, row: list[float]) -> list[float]:
        if item not in self.known:
            return row
        return [float(state == self.known[item]) for state in range(len(row))]

    def counts(self, truth: Table) -> list[Table]:
        found = [[[0.0] * self.answers for _ in range(len(self.home))] for _ in range(self.raters)]
        for item, rater, answer, count in self.votes:
            for state in range(len(self.home)):
                found[rater][state][answer] += count * truth[item][state]
        return found

    def prevalence(self, truth: Table) -> list[float]:
        return normal([1.0 + sum(column) for column in zip(*truth, strict=True)])


# Votes to try -------------------------------------------------------------------------------------


casts = st.dictionaries(
    st.tuples(
        st.sampled_from("abcdef"), st.sampled_from(["p", "q", "r"]), st.sampled_from(ANSWERS)
    ),
    st.integers(1, 4).map(float),
    min_size=1,
    max_size=25,
)
golds = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(ANSWERS), max_size=3)


# It is the model ----------------------------------------------------------------------------------


@settings(max_examples=30)
@given(casts, golds)
def test_plain_loops_come_to_the_same(cast: Cast, gold: dict[str, str]) -> None:
    ballots, posed, fit = fitted(cast, gold)
    states = [answer for answer in ANSWERS if answer != "uncertain"]
    known = {
        i: states.index(gold[item])
        for i, item in enumerate(ballots.items)
        if gold.get(item) in states
    }
    rows = [
        (ballots.items.index(i), ballots.raters.index(r), ANSWERS.index(a), count)
        for (i, r, a), count in cast.items()
    ]
    home = [ANSWERS.index(state) for state in states]
    plain = Plain(rows, len(ballots.items), len(ballots.raters), len(ANSWERS), home, known)
    rounds = len(best_habits(posed).trace), len(fit.trace)
    found = [plain.fit(plain.first(by_surprise), *rounds) for by_surprise in (False, True)]
    assert any(
        np.allclose(fit.posterior.T, truth, atol=1e-9)
        and np.allclose(fit.model.confusion(), confusion, atol=1e-9)
        for truth, confusion in found
    )


@given(casts, golds)
def test_the_log_posterior_never_falls(cast: Cast, gold: dict[str, str]) -> None:
    _, posed, fit = fitted(cast, gold)
    for trace in (best_habits(posed).trace, fit.trace):
        assert np.diff(trace).min(initial=0) >= -1e-9 * abs(trace[-1])


def log_posterior(posed: Problem, fit: Fit[Rows]) -> float:
    """What is climbed, summed up vote by vote."""
    total = float((fit.model.prior * np.log(fit.model.matrix)).sum())
    total += float(latent.PREVALENCE_VOTES * np.log(fit.prevalence).sum())
    for item in range(posed.shape[0]):
        score = np.log(fit.prevalence)
        for row in np.flatnonzero(posed.item == item):
            rater, answer = divmod(int(posed.cell[row]), posed.shape[3])
            score = score + posed.weight[row] * np.log(fit.model.matrix[rater, :, answer])
        known = posed.known[item]
        total += float(np.logaddexp.reduce(score if known < 0 else score[[known]]))
    return total


@given(casts, golds)
def test_the_trace_is_the_log_posterior(cast: Cast, gold: dict[str, str]) -> None:
    _, posed, fit = fitted(cast, gold)
    assert fit.trace[-1] == pytest.approx(log_posterior(posed, fit))


@given(casts, golds)
def test_posterior_confusion_and_prevalence_are_probabilities(
    cast: Cast, gold: dict[str, str]
) -> None:
    _, posed, fit = fitted(cast, gold)
    for shares in (fit.posterior.T, fit.model.confusion(), fit.prevalence):
        assert shares.min() >= 0
        assert np.allclose(shares.sum(axis=-1), 1)
    _, raters, states, answers = posed.shape
    assert fit.model.confusion().shape == (raters, states, answers)


def test_nothing_to_go_by_is_no_error() -> None:
    _, _, nobody = fitted({})
    assert (nobody.posterior.shape, nobody.converged) == ((4, 0), True)
    silent = problem(cast_ballots(["a", "b"], {}, ANSWERS), {})
    assert np.allclose(dawid_skene(silent).posterior, 1 / 4)


# It converges, and says if not --------------------------------------------------------------------


def test_another_round_would_have_gained_next_to_nothing() -> None:
    truth = some_truth(200)
    _, posed, fit = fitted(votes(truth, {name: careful(0.7) for name in "abcde"}))
    more = climb(posed, fit.model, fit.posterior, 0)
    assert fit.converged
    assert more.trace[1] - fit.trace[-1] < 2 * GAIN * posed.weight.sum()
    assert np.abs(more.posterior - fit.posterior).max() < 0.02


def test_a_climb_that_is_cut_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent, "ROUNDS", 2)
    _, _, fit = fitted(votes(some_truth(50), {name: careful(0.5) for name in "abc"}))
    assert (len(fit.trace), fit.converged) == (2, False)


# Names do not matter ------------------------------------------------------------------------------


@given(casts, st.permutations("abcdef"), st.permutations(["p", "q", "r"]))
def test_other_names_of_items_and_raters_change_nothing(
    cast: Cast, items: list[str], raters: list[str]
) -> None:
    item_of = dict(zip("abcdef", items, strict=True))
    rater_of = dict(zip(["p", "q", "r"], raters, strict=True))
    ballots, _, fit = fitted(cast)
    other, _, again = fitted({(item_of[i], rater_of[r], a): n for (i, r, a), n in cast.items()})
    places = [other.items.index(item_of[item]) for item in ballots.items]
    assert np.allclose(again.posterior[:, places], fit.posterior, atol=1e-6)
    places = [other.raters.index(rater_of[rater]) for rater in ballots.raters]
    assert np.allclose(again.model.matrix[places], fit.model.matrix, atol=1e-6)


@given(casts)
def test_classes_that_change_names_change_places(cast: Cast) -> None:
    swap = {"anger": "fear", "fear": "anger"}
    _, _, fit = fitted(cast)
    _, _, again = fitted({(i, r, swap.get(a, a)): n for (i, r, a), n in cast.items()})
    assert np.allclose(again.posterior, fit.posterior[[2, 1, 0, 3]], atol=1e-6)


@given(casts)
def test_a_panel_is_as_many_people_of_one_kind(cast: Cast) -> None:
    _, posed, fit = fitted(cast)
    rows = np.repeat(np.arange(len(posed.item)), posed.weight.astype(int))
    apart = replace(posed, item=posed.item[rows], cell=posed.cell[rows], weight=np.ones(len(rows)))
    assert np.allclose(dawid_skene(apart).posterior, fit.posterior, atol=1e-9)


# The peer -----------------------------------------------------------------------------------------


def test_without_priors_it_is_crowd_kit_s() -> None:
    crowdkit = pytest.importorskip(
        "crowdkit.aggregation", reason="crowd-kit is not installed: pip install 'occlufer[bench]'"
    )
    pandas = pytest.importorskip("pandas")
    truth = some_truth(400, seed=5)
    names = [f"rater {n}" for n in range(6)]
    cast = votes(truth, {name: careful(0.4 + 0.08 * n) for n, name in enumerate(names)}, seed=5)
    cast = {key: 1.0 for key in cast if key[2] in ANSWERS[:3]}
    ballots = cast_ballots([], cast, ANSWERS[:3])
    posed = problem(ballots, {})
    _, R, K, A = posed.shape
    start = Rows(np.full((R, K, A), 1e-9), np.full((R, K, A), 1 / A))
    # crowd-kit starts from the plain shares of the votes.
    shares = ballots.counts().T / ballots.counts().sum(axis=1)
    fit = climb(posed, start, shares, 1e-9)
    rows = pandas.DataFrame(
        {"task": ballots.item, "worker": ballots.rater, "label": ballots.answer}
    )
    theirs = crowdkit.DawidSkene(n_iter=1000, tol=1e-9).fit(rows)
    found = theirs.probas_.sort_index().sort_index(axis=1).to_numpy()
    assert np.abs(fit.posterior.T - found).max() < 0.02  # ours counts one vote more for each state
    assert (fit.posterior.argmax(axis=0) == found.argmax(axis=1)).mean() > 0.99
