"""The tally: everything people have said of the samples of a workspace, and what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from occlufer.config import BuildConfig
from occlufer.label_account import LabelAccount
from occlufer.schema import ANSWERS, OCCLUSION_TYPES
from occlufer.vote_log import ADJUDICATION, GIVEN, LABELLING, SKIPPED, Answer, standing
from occlufer.workspace import Workspace

from .aggregation.aggregation import Aggregation, aggregate
from .aggregation.agreement import krippendorff_alpha
from .aggregation.ballots import Ballots, ballots
from .decision import DIGITS, Evidence, decide, likeliest
from .gold import read_gold
from .wanted import BEFORE_LABELS


@dataclass(frozen=True)
class Opinion:
    """What the votes on one sample come to."""

    votes: tuple[int, ...]
    """Of raters and sources, in the order of ANSWERS,"""
    posterior: tuple[float, ...]
    """and in that order how probable each answer is."""

    @property
    def likeliest(self) -> list[str]:
        """All answers of which none is likelier, see `decision.likeliest`."""
        return likeliest(self.votes, self.posterior)


@dataclass(frozen=True)
class Said:
    """What people have said of the samples that have come as far as their labels."""

    answers: tuple[Answer, ...]
    """Those of the raters that stand, skips among them."""
    decisions: Mapping[str, str]
    """{image: an adjudicator's answer}"""
    gold: Mapping[str, str]
    """{image: the answer that was known before}"""

    @property
    def voted(self) -> set[str]:
        """The images to which a rater has given an answer."""
        return {answer.image for answer in self.answers if answer.state == GIVEN}

    def asked(self) -> Counter[str]:
        """Return how many raters have answered or skipped each image."""
        return Counter(answer.image for answer in self.answers)

    def occlusion_votes(self) -> dict[str, list[int]]:
        """Return how many raters saw each of OCCLUSION_TYPES, of each image that was voted on."""
        seen: dict[str, list[int]] = {image: [0] * len(OCCLUSION_TYPES) for image in self.voted}
        for answer in self.answers:
            types = set(OCCLUSION_TYPES).intersection(answer.occlusion_types)
            for kind in types if answer.state == GIVEN else ():
                seen[answer.image][OCCLUSION_TYPES.index(kind)] += 1
        return seen


def what_was_said(workspace: Workspace, config: BuildConfig) -> Said:
    """Return what people have said of the samples that pass all stages before "labels"."""
    catalog = workspace.catalog
    passing = set(catalog.images_passing(BEFORE_LABELS))
    answers = (a for a in standing(catalog.answers(LABELLING)) if a.image in passing)
    return Said(
        tuple(sorted(answers, key=lambda answer: (answer.image, answer.rater))),
        decisions(a for a in catalog.answers(ADJUDICATION) if a.image in passing),
        read_gold(config.annotation.gold, workspace),
    )


def decisions(answers: Iterable[Answer]) -> dict[str, str]:
    """Return {image: its newest answer} of adjudicators; who skipped has not decided."""
    given = [answer for answer in standing(answers) if answer.state == GIVEN]
    given.sort(key=lambda answer: (answer.updated_at, answer.annotation, answer.rater))
    return {answer.image: str(answer.label) for answer in given}


def aggregated(
    workspace: Workspace,
    said: Said,
    config: BuildConfig,
    truth: Mapping[str, str] | None = None,
) -> Aggregation:
    """Return what the votes come to on the images to which a rater has given an answer.

    `truth` is {image: its known answer}, by default the gold ones. Samples that only sources have
    voted on take no part: where nobody contradicts a source it would seem to be always right.
    """
    images = sorted(said.voted)
    cast = ballots(said.answers, workspace.catalog.holders_of(images)).among(images)
    known = known_answers(said) if truth is None else truth
    return aggregate(cast, config.annotation.aggregation, known)


def opinions(found: Aggregation) -> dict[str, Opinion]:
    """Return {image: what its votes come to}."""
    cast = found.ballots
    return {
        image: Opinion(tuple(map(int, votes)), tuple(map(float, chances)))
        for image, votes, chances in zip(cast.items, cast.counts(), found.posterior, strict=True)
    }


def known_answers(said: Said) -> dict[str, str]:
    """Return {image: gold answer}, without those that an adjudicator has found to be wrong."""
    return {
        image: answer
        for image, answer in said.gold.items()
        if said.decisions.get(image, answer) == answer
    }


def evidence(workspace: Workspace, said: Said, found: Mapping[str, Opinion]) -> dict[str, Evidence]:
    """Return {image: what is known of its label} wherever people have a part in it."""
    seen = said.occlusion_votes()
    none = Evidence(votes=(0,) * len(ANSWERS))
    images = sorted({*found, *said.decisions, *said.gold})
    cast = ballots((), workspace.catalog.holders_of(set(images) - set(found)))
    sources = dict(zip(cast.items, cast.counts(), strict=True))
    return {
        image: Evidence(
            votes=found[image].votes if image in found else [int(n) for n in sources[image]],
            posterior=found[image].posterior if image in found else None,
            occlusion_votes=seen.get(image, none.occlusion_votes),
            decided=said.decisions.get(image),
            known=said.gold.get(image),
        )
        for image in images
    }


def labels(known: Mapping[str, Evidence], min_posterior: float) -> dict[str, str]:
    """Return {image: the label that the build gives it}, where it gives one."""
    results = (decide(image, one, min_posterior) for image, one in known.items())
    return {one.image: one.value["label"] for one in results if one.reject is None}


def account(said: Said) -> LabelAccount:
    """Return the account of the labelling."""
    states = Counter(answer.state for answer in said.answers)
    return LabelAccount(
        raters=len({answer.rater for answer in said.answers}),
        answers=states[GIVEN],
        skipped=states[SKIPPED],
        adjudicated=len(said.decisions),
        gold=len(said.gold),
        alpha=_alpha(ballots(said.answers, {})),
    )


def _alpha(cast: Ballots) -> float | None:
    alpha = krippendorff_alpha(cast.counts())
    return None if alpha is None else round(alpha, DIGITS)
