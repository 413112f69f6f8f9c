"""Status: how far labelling by people is, how well the raters agree, and how each one answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from occlufer.config import BuildConfig
from occlufer.errors import MissingError
from occlufer.schema import LABELS, OCCLUSION_TYPES
from occlufer.vote_log import GIVEN, LABELLING, SKIPPED, Answer
from occlufer.workspace import Workspace, open_workspace

from .aggregation import Aggregation, aggregate
from .agreement import fleiss_kappa, krippendorff_alpha, one_against_rest
from .ballots import Ballots, Weights, ballots
from .coverage import Coverage, answered_images, next_step
from .dawid_skene import dawid_skene
from .decision import DIGITS
from .latent import problem
from .raters import RaterStatistics, rater_statistics
from .tally import AFTER, Said, known_answers, what_was_said
from .wanted import wanted_images

NOTHING_FOUND = "none found"
BUILD = "run `occlufer build`"
ADJUDICATE = "run `occlufer annotate adjudicate`, or build"
NOBODY_ASKED = 'the config asks nobody: write labels = "label_studio" at its top'


@dataclass(frozen=True)
class Progress:
    """How far the labelling is, by what was pulled."""

    wanted: int
    """Samples that need people,"""
    answered: int
    """those of them with enough answers,"""
    begun: int
    """and those with some, but not enough."""
    needed_share: float
    """The build goes on from this share of the wanted ones."""
    overlap: int
    """How many answers are enough; who skips counts too."""
    given: int
    """Answers, of each rater the newest to each sample,"""
    skipped: int
    """how often a rater would not say,"""
    skipped_samples: int
    """and on how many samples."""
    decided: int
    """Samples on which an adjudicator has decided."""


@dataclass(frozen=True)
class Agreement:
    """How well people agree on something; sources have no part in it."""

    samples: int
    """Those with two answers or more: the others say nothing of agreement."""
    answers: int
    alpha: float | None
    kappa: float | None


@dataclass(frozen=True)
class Status:
    """Everything `occlufer annotate status` says."""

    project: str | None
    """The server and its number of the project, None before the first push."""
    pulled_up_to: str | None
    """The server's time up to which answers were pulled, None before the first pull."""
    next: str
    progress: Progress
    overall: Agreement
    classes: dict[str, Agreement]
    """Whether it is this class, or something else."""
    occluded: dict[str, Agreement]
    """The answers to samples with this occlusion type, as it was measured."""
    occlusion: dict[str, Agreement]
    """Whether this occlusion type is there, as people see it."""
    raters: list[RaterStatistics]
    dawid_skene: dict[str, dict[str, list[float]]]
    """{rater: {what is true: how probable each of ANSWERS is then}}, by Dawid and Skene's model"""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        table = asdict(self)
        for row, rater in zip(table["raters"], self.raters, strict=True):
            row["gold"] |= {"share": rater.gold.share, "interval": rater.gold.interval}
            row["dawid_skene"] = self.dawid_skene.get(rater.rater)
        del table["dawid_skene"]
        return table


def status(config: BuildConfig) -> Status:
    """Return how the labelling stands, by the catalog alone; no server is asked for answers.

    Raises MissingError if there is no build in the workspace.
    """
    if not (config.workspace / "catalog.sqlite").is_file():
        raise MissingError(
            f"{config.workspace}: found no catalog, expected the workspace of a build; {BUILD}"
        )
    with open_workspace(config.workspace) as workspace:
        return status_of(workspace, config)


def status_of(workspace: Workspace, config: BuildConfig) -> Status:
    """Return how the labelling stands in an open workspace."""
    said = what_was_said(workspace, config)
    progress = progress_of(workspace, config, said)
    project = workspace.catalog.project(LABELLING)
    people = ballots(said.answers, {})
    found = aggregated(workspace, config, said)
    history = [a for a in workspace.catalog.answer_history() if a.round == LABELLING]
    return Status(
        project.name if project else None,
        (project.cursor or None) if project else None,
        due(workspace, config, progress),
        progress,
        agreement(people.counts()),
        per_class(people),
        per_measured_type(people, workspace),
        per_seen_type(said.answers),
        rater_statistics(history, labels(found, said), said.gold),
        model_confusions(found, said),
    )


def aggregated(workspace: Workspace, config: BuildConfig, said: Said) -> Aggregation:
    """Return what the votes come to on the samples that people have answered, as in the labels."""
    images = said.voted
    cast = ballots(said.answers, workspace.catalog.holders_of(images)).among(images)
    return aggregate(cast, config.annotation.aggregation, known_answers(said))


def labels(found: Aggregation, said: Said) -> dict[str, str]:
    """Return {image: what people's answers came to}, where that is one answer alone."""
    posterior = found.posterior.round(DIGITS)
    alone = (posterior == posterior.max(axis=1, keepdims=True)).sum(axis=1) == 1
    clear = {
        image: found.ballots.answers[first]
        for image, first, one in zip(
            found.ballots.items, posterior.argmax(axis=1), alone, strict=True
        )
        if one
    }
    return clear | dict(said.gold) | dict(said.decisions)


def model_confusions(found: Aggregation, said: Said) -> dict[str, dict[str, list[float]]]:
    """Return {rater: {what is true: probability of each answer}} by Dawid and Skene's model."""
    if not found.ballots.items:
        return {}
    matrices = found.confusion
    if matrices is None:  # labels by majority
        matrices = dawid_skene(problem(found.ballots, known_answers(said))).model.confusion()
    people = {answer.rater for answer in said.answers}
    return {
        rater: dict(zip(found.ballots.states, matrix.tolist(), strict=True))
        for rater, matrix in zip(found.ballots.raters, matrices, strict=True)
        if rater in people
    }


def progress_of(workspace: Workspace, config: BuildConfig, said: Said) -> Progress:
    """Return how far the labelling is."""
    wanted = set(wanted_images(workspace, config))
    answered = answered_images(said, config.annotation.overlap) & wanted
    states = Counter(answer.state for answer in said.answers)
    return Progress(
        wanted=len(wanted),
        answered=len(answered),
        begun=len(said.asked().keys() & wanted - answered),
        needed_share=config.annotation.coverage,
        overlap=config.annotation.overlap,
        given=states[GIVEN],
        skipped=states[SKIPPED],
        skipped_samples=len({a.image for a in said.answers if a.state == SKIPPED}),
        decided=len(said.decisions),
    )


def due(workspace: Workspace, config: BuildConfig, progress: Progress) -> str:
    """Return what is to be done next."""
    if not workspace.catalog.images_passing(AFTER):
        return BUILD
    if config.labels != "label_studio":
        return NOBODY_ASKED
    found = Coverage(progress.wanted, progress.answered, progress.needed_share)
    return ADJUDICATE if found.enough else next_step(workspace, config)


# Agreement ---------------------------------------------------------------------------------------


def agreement(counts: Weights) -> Agreement:
    """Return how well people agree, from how many gave which answer (column) to which sample."""
    several = counts[counts.sum(axis=1) > 1]
    return Agreement(
        len(several),
        int(several.sum()),
        krippendorff_alpha(several),
        fleiss_kappa(several),
    )


def per_class(people: Ballots) -> dict[str, Agreement]:
    """Return, of every class, how well people agree whether it is this one."""
    counts = people.counts()
    return {label: agreement(one_against_rest(counts, i)) for i, label in enumerate(LABELS)}


def per_measured_type(people: Ballots, workspace: Workspace) -> dict[str, Agreement]:
    """Return how well people agree on samples with each occlusion type, and with none."""
    counts, place = people.counts(), {item: i for i, item in enumerate(people.items)}
    rows: dict[str, list[int]] = {kind: [] for kind in (*OCCLUSION_TYPES, NOTHING_FOUND)}
    for image, value in workspace.catalog.values("occlusion", people.items):
        for kind in value["types"] or [NOTHING_FOUND]:
            rows[kind].append(place[image])
    return {kind: agreement(counts[sorted(found)]) for kind, found in rows.items()}


def per_seen_type(answers: Iterable[Answer]) -> dict[str, Agreement]:
    """Return how well people agree whether each occlusion type is there."""
    sets: dict[str, list[set[str]]] = {}
    for answer in answers:
        if answer.state == GIVEN:
            sets.setdefault(answer.image, []).append(set(answer.occlusion_types))
    return {
        kind: agreement(
            np.array(
                [
                    [sum(kind in said for said in seen), sum(kind not in said for said in seen)]
                    for seen in sets.values()
                ],
                dtype=np.float64,
            ).reshape(-1, 2)
        )
        for kind in OCCLUSION_TYPES
    }
