"""Decisions: which label a sample has, once people were asked, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from occlufer.election import shares
from occlufer.outcome import UNLABELLED
from occlufer.record import Reject, Result
from occlufer.schema import ANSWERS, LABELS, OCCLUSION_TYPES

# Rounded, so that the last bits of a machine's arithmetic decide nothing that is published.
DIGITS = 6
# What the classes must have together of the probability, or they say nothing of one another.
LEAST_MASS = 1e-4
UNCERTAIN = ANSWERS.index("uncertain")


@dataclass(frozen=True)
class Evidence:
    """What is known of a sample's label."""

    votes: Sequence[int]
    """Of raters and sources, per answer, in the order of ANSWERS."""
    posterior: Sequence[float] | None = None
    """What the votes come to, in that order; None if no person has voted."""
    occlusion_votes: Sequence[int] = (0,) * len(OCCLUSION_TYPES)
    decided: str | None = None
    """An adjudicator's answer."""
    known: str | None = None
    """The gold answer."""


def decide(image: str, evidence: Evidence, min_posterior: float) -> Result:
    """Return the sample's label, or why it has none.

    An adjudicator's answer counts before a known one, that before the likeliest by the votes. It
    never changes `votes`, `agreement` and `soft_label`: what raters said stays to be seen.
    """
    giver, answer = _answer(evidence)
    value = {
        "by": giver,
        "votes": list(evidence.votes[: len(LABELS)]),
        "occlusion_votes": list(evidence.occlusion_votes),
    }
    reject = _reject(giver, answer, evidence, min_posterior)
    if reject is not None:
        return Result(image, value, reject)
    total = sum(evidence.votes)
    agreement = evidence.votes[ANSWERS.index(answer)] / total if total else 0.0
    return Result(image, {**value, **_label(answer, agreement, evidence)})


def _answer(evidence: Evidence) -> tuple[str, str]:
    """Return who gives the answer, and the answer."""
    if evidence.decided is not None:
        return "adjudicator", evidence.decided
    if evidence.known is not None:
        return "gold", evidence.known
    return "people", likeliest(evidence.votes, evidence.posterior or ())[0]


def likeliest(votes: Sequence[int], posterior: Sequence[float]) -> list[str]:
    """Return the answers of which none is likelier, several if nobody can tell them apart.

    "uncertain" is what has most votes, not what is probable: no face is uncertain in truth.
    """
    if all(votes[UNCERTAIN] > count for i, count in enumerate(votes) if i != UNCERTAIN):
        return [ANSWERS[UNCERTAIN]]
    rounded = [round(chance, DIGITS) for chance in posterior]
    most = max(rounded)
    return [word for word, chance in zip(ANSWERS, rounded, strict=True) if chance == most]


def _label(answer: str, agreement: float, evidence: Evidence) -> dict[str, Any]:
    return {
        "label": answer,
        "agreement": round(agreement, 4),
        "soft_label": soft_label(answer, evidence),
    }


def soft_label(label: str, evidence: Evidence) -> list[float]:
    """Return the probability of each class, in the order of LABELS, if it is one of them.

    A known answer is certain. Else it is what the votes come to: where people have voted the
    posterior, else the votes' shares; and where these say nothing of the classes, the label's.
    """
    certain = [float(label == one) for one in LABELS]
    if evidence.known is not None and evidence.decided is None:
        return certain
    weights: Sequence[float] = evidence.votes if evidence.posterior is None else evidence.posterior
    of_classes = weights[: len(LABELS)]
    return shares(of_classes) if sum(of_classes) > LEAST_MASS else certain


def _reject(giver: str, answer: str, evidence: Evidence, min_posterior: float) -> Reject | None:
    if giver != "people":
        said = {"adjudicator": "the adjudicator's answer", "gold": "the known answer"}[giver]
        return None if answer in LABELS else Reject(UNLABELLED, f"{answer} is {said}")
    posterior = evidence.posterior or ()
    first = likeliest(evidence.votes, posterior)
    chance = posterior[ANSWERS.index(answer)]
    votes = f"{evidence.votes[ANSWERS.index(answer)]} of {sum(evidence.votes)} votes"
    if len(first) > 1:
        return Reject(UNLABELLED, f"{' and '.join(first)} are equally likely: {chance:.3f} each")
    if answer == ANSWERS[UNCERTAIN]:
        return Reject(UNLABELLED, f"{answer} has {votes}")
    figures = f"{answer} is likeliest with probability {chance:.3f}, {votes}"
    if answer not in LABELS:
        return Reject(UNLABELLED, figures)
    if round(chance, DIGITS) < min_posterior:
        return Reject(UNLABELLED, f"{figures}; min_posterior {min_posterior}")
    return None
