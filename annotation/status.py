"""Status: how far labelling by people is, how well the raters agree, and how each one answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

import numpy as np

from occlufer.config import BuildConfig
from occlufer.errors import OccluferError
from occlufer.pipeline import STAGE_MODULES
from occlufer.schema import LABELS, OCCLUSION_TYPES
from occlufer.stages import is_fresh
from occlufer.vote_log import GIVEN, LABELLING, SKIPPED, Answer
from occlufer.workspace import CATALOG_NAME, Workspace, open_built

from .adjudication import due_samples
from .aggregation.aggregation import Aggregation
from .aggregation.agreement import fleiss_kappa, krippendorff_alpha, one_against_rest
from .aggregation.ballots import Ballots, Weights, ballots
from .aggregation.dawid_skene import dawid_skene
from .aggregation.latent import problem
from .coverage import Coverage, adjudication_step, answered_images, next_step
from .raters import RaterStatistics, rater_statistics
from .tally import (
    Said,
    aggregated,
    evidence,
    known_answers,
    labels,
    opinions,
    what_was_said,
)
from .wanted import BEFORE_LABELS, wanted_images

NOTHING_FOUND = "none found"
BUILD = "run `occlufer build`"
NOTHING = "nothing; all answers are in what is published"
PUBLISH = "publish"
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
    """Samples on which an adjudicator has decided,"""
    open: int
    """and those in doubt on which none has."""


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
            row["right"] |= {"share": rater.right.share, "interval": rater.right.interval}
            row["gold"] |= {"share": rater.gold.share, "interval": rater.gold.interval}
            row["dawid_skene"] = self.dawid_skene.get(rater.rater)
        del table["dawid_skene"]
        return table


def status(config: BuildConfig) -> Status:
    """Return how the labelling stands, by the catalog alone; no server is asked for answers.

    Raises MissingError if there is no build in the workspace.
    """
    with open_built(config.workspace) as workspace:
        return status_of(workspace, config)


def due_after_start(config: BuildConfig) -> str:
    """Return what is to be done next once a server runs, or what keeps us from saying it."""
    if not (config.workspace / CATALOG_NAME).is_file():
        return f"{BUILD}, then `occlufer annotate push`"
    try:
        with open_built(config.workspace) as workspace:
            said = what_was_said(workspace, config)
            return due(workspace, config, progress_of(workspace, config, said))
    except OccluferError as error:  # the server runs all the same
        return f"{error}; then run `occlufer annotate status`"


def status_of(workspace: Workspace, config: BuildConfig) -> Status:
    """Return how the labelling stands in an open workspace."""
    said = what_was_said(workspace, config)
    progress = progress_of(workspace, config, said)
    project = workspace.catalog.project(LABELLING)
    people = ballots(said.answers, {})
    found = aggregated(workspace, said, config)
    known = evidence(workspace, said, opinions(found))
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
        rater_statistics(history, labels(known, config.annotation.min_posterior), said.gold),
        model_confusions(found, said),
    )


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
        open=len(due_samples(workspace, said, config)),
    )


def due(workspace: Workspace, config: BuildConfig, progress: Progress) -> str:
    """Return what is to be done next."""
    if not workspace.catalog.images_passing(BEFORE_LABELS):
        return BUILD
    if config.labels != "label_studio":
        return NOBODY_ASKED
    if not Coverage(progress.wanted, progress.answered, progress.needed_share).enough:
        return next_step(workspace, config)
    if progress.open:
        return adjudication_step(workspace, config)
    return NOTHING if is_published(workspace, config) else BUILD


def is_published(workspace: Workspace, config: BuildConfig) -> bool:
    """Return whether the published folder is there, of all that the workspace knows by now."""
    if workspace.catalog.fingerprint(PUBLISH) is None:
        return False
    try:
        # The part is named, not imported, as the build does it.
        stage = import_module(STAGE_MODULES[PUBLISH]).stage(config)
    except OccluferError:  # something that it takes is not there any more; the build says what
        return False
    return is_fresh(stage, workspace)


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
    """Return how well people agree whether each occlusion type is there, of those who said."""
    sets: dict[str, list[set[str]]] = {}
    for answer in answers:
        if answer.state == GIVEN and answer.occlusion_types:  # else she said nothing of it
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
