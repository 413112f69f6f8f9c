"""Labels: what the raters of a sample agree on, sources and people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from occlufer.config import BuildConfig
from occlufer.digest import file_sha256
from occlufer.election import elect_by_sources
from occlufer.label_account import read_account, write_account
from occlufer.outcome import UNLABELLED
from occlufer.record import Record, Reject, Result
from occlufer.stages import SetStage
from occlufer.vote_log import VOTES
from occlufer.workspace import Workspace

from .coverage import check_coverage
from .decision import decide
from .tally import account, aggregated, evidence, opinions, what_was_said
from .wanted import BEFORE_LABELS

VERSION = 2
PEOPLE_VERSION = 1


def stage(config: BuildConfig) -> SetStage:
    """Return the stage; with people, it works again after each pull, once its gate is content."""
    params = {"version": VERSION, "from": config.labels}
    if config.labels == "source":
        return SetStage("labels", BEFORE_LABELS, params, label_samples)
    return SetStage(
        "labels",
        BEFORE_LABELS,
        params | _settings(config),
        partial(label_with_people, config=config),
        watches=(VOTES,),
        ready=lambda workspace: read_account(workspace.folder) is not None,
        gate=partial(check_coverage, config=config),
        gate_first=True,
    )


def _settings(config: BuildConfig) -> dict[str, Any]:
    gold = config.annotation.gold
    return {
        "people": PEOPLE_VERSION,
        "aggregation": config.annotation.aggregation,
        "min_posterior": config.annotation.min_posterior,
        "gold": _gold_sha256(gold) if gold is not None else None,
    }


def _gold_sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError:
        # The stage says so when it reads it: names for the file come from a build up to there.
        return "missing"


def label_samples(workspace: Workspace) -> Iterable[Result]:
    """Yield `label`, `votes` (a count per class) and `agreement` of every sample.

    All records with the same bytes vote on them. A sample without a vote, whose first place is
    shared, or that most call no expression at all, is unlabelled.
    """
    for image, records in _samples(workspace):
        yield label_by_sources(image, records)


def label_with_people(workspace: Workspace, config: BuildConfig) -> Iterable[Result]:
    """Yield what `label_samples` does, and `by` whom, `soft_label` and `occlusion_votes`.

    A sample that no person has voted on keeps its sources' label. Writes the account of it all.
    Raises MissingError if the file of gold answers is not there.
    """
    said = what_was_said(workspace, config)
    known = evidence(workspace, said, opinions(aggregated(workspace, said, config)))
    asked = said.asked()
    for image, records in _samples(workspace):
        if image in known:
            yield decide(image, known[image], config.annotation.min_posterior)
        else:
            yield label_by_sources(image, records, skips=asked[image])
    write_account(account(said), workspace.folder)


def _samples(workspace: Workspace) -> Iterator[tuple[str, list[Record]]]:
    passing = set(workspace.catalog.images_passing(BEFORE_LABELS))
    for image, records in workspace.catalog.holders():
        if image in passing:
            yield image, records


def label_by_sources(image: str, records: Iterable[Record], skips: int = 0) -> Result:
    """Return the label of one sample by what the sources of its records say.

    What they call no class stands for election too, but gives no label. `skips` is how many people
    were asked as well, and would not say.
    """
    election = elect_by_sources(records)
    value = {"votes": election.votes}
    winners, most, total = election.winners, election.most, election.total
    if not winners:
        skipped = f"{skips} rater{'s' if skips > 1 else ''} skipped it"
        return Result(image, value, Reject(UNLABELLED, skipped if skips else "no rater has voted"))
    if len(winners) > 1:
        detail = f"{' and '.join(winners)} have {most} of {total} votes each"
        return Result(image, value, Reject(UNLABELLED, detail))
    if election.label is None:
        detail = f"{winners[0]} has {most} of {total} votes"
        return Result(image, value, Reject(UNLABELLED, detail))
    return Result(image, {**value, "label": election.label, "agreement": election.agreement})
