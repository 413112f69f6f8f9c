"""Labels: what the raters of a sample agree on."""

from __future__ import annotations

from collections.abc import Iterable

from occlufer.config import BuildConfig
from occlufer.outcome import UNLABELLED
from occlufer.pipeline import stages_before
from occlufer.record import Reject, Result, Vote
from occlufer.schema import LABELS
from occlufer.stages import SetStage
from occlufer.workspace import Workspace

VERSION = 1
AFTER = stages_before("labels")


def stage(config: BuildConfig) -> SetStage:
    """Return the stage."""
    return SetStage("labels", AFTER, {"version": VERSION, "from": config.labels}, label_samples)


def label_samples(workspace: Workspace) -> Iterable[Result]:
    """Yield `label`, `votes` (a count per class) and `agreement` of every sample.

    All records with the same bytes vote on them. A sample without a vote, or whose first place is
    shared, is unlabelled.
    """
    passing = set(workspace.catalog.images_passing(AFTER))
    for image, records in workspace.catalog.holders():
        if image in passing:
            yield label_sample(image, {vote for r in records for vote in r.facts.votes})


def label_sample(image: str, votes: set[Vote]) -> Result:
    """Return the label of one sample by the majority of `votes`."""
    counts = [sum(vote.label == label for vote in votes) for label in LABELS]
    most = max(counts)
    value = {"votes": counts}
    if most == 0:
        return Result(image, value, Reject(UNLABELLED, "no rater has voted"))
    winners = [label for label, count in zip(LABELS, counts, strict=True) if count == most]
    if len(winners) > 1:
        detail = f"{' and '.join(winners)} have {most} of {len(votes)} votes each"
        return Result(image, value, Reject(UNLABELLED, detail))
    agreement = round(most / len(votes), 4)
    return Result(image, {**value, "label": winners[0], "agreement": agreement})
