"""Labels: what the raters of a sample agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from occlufer.config import BuildConfig
from occlufer.election import elect
from occlufer.outcome import UNLABELLED
from occlufer.pipeline import stages_before
from occlufer.record import Reject, Result, Vote
from occlufer.stages import SetStage
from occlufer.workspace import Workspace

VERSION = 2
AFTER = stages_before("labels")


def stage(config: BuildConfig) -> SetStage:
    """Return the stage."""
    return SetStage("labels", AFTER, {"version": VERSION, "from": config.labels}, label_samples)


def label_samples(workspace: Workspace) -> Iterable[Result]:
    """Yield `label`, `votes` (a count per class) and `agreement` of every sample.

    All records with the same bytes vote on them. A sample without a vote, whose first place is
    shared, or that most call no expression at all, is unlabelled.
    """
    passing = set(workspace.catalog.images_passing(AFTER))
    for image, records in workspace.catalog.holders():
        if image in passing:
            votes = {vote for r in records for vote in r.facts.votes}
            # Once per source, as the votes: the same file listed twice says nothing more.
            said = {(r.source, *pair) for r in records for pair in (r.facts.no_class or {}).items()}
            no_class = Counter[str]()
            for _, word, count in said:
                no_class[word] += count
            yield label_sample(image, votes, no_class)


def label_sample(
    image: str, votes: set[Vote], no_class: Mapping[str, int] = MappingProxyType({})
) -> Result:
    """Return the label of one sample by the majority of `votes`.

    `no_class` is {word of schema.NO_CLASS: votes}; it stands for election, but gives no label.
    """
    election = elect(votes, no_class)
    value = {"votes": election.votes}
    winners, most, total = election.winners, election.most, election.total
    if not winners:
        return Result(image, value, Reject(UNLABELLED, "no rater has voted"))
    if len(winners) > 1:
        detail = f"{' and '.join(winners)} have {most} of {total} votes each"
        return Result(image, value, Reject(UNLABELLED, detail))
    if election.label is None:
        detail = f"{winners[0]} has {most} of {total} votes"
        return Result(image, value, Reject(UNLABELLED, detail))
    return Result(image, {**value, "label": election.label, "agreement": election.agreement})
