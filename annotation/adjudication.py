"""Adjudication: the samples on which the raters leave doubt, sent to people once more, blind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from occlufer.config import AnnotationConfig, BuildConfig
from occlufer.schema import LABELS
from occlufer.vote_log import ADJUDICATION
from occlufer.workspace import Workspace, open_built

from .connect import connect
from .coverage import answered_images
from .decision import DIGITS
from .push import PushSummary, check_built, push_round
from .tally import Opinion, Said, aggregated, opinions, what_was_said

# Why a sample is due.
POSTERIOR, MARGIN, SPLIT, GOLD = "posterior", "margin", "split", "gold"
REASONS = {
    POSTERIOR: "its likeliest answer is less probable than adjudicate_below",
    MARGIN: "its answer with most votes leads by at most adjudicate_margin",
    SPLIT: "about as many name a class as name none",
    GOLD: "its votes contradict the known answer",
}


@dataclass(frozen=True)
class AdjudicationSummary:
    """What is in doubt, and what was sent to people who decide."""

    reasons: Mapping[str, Sequence[str]]
    """{image: why somebody should decide on it}"""
    decided: int
    """Samples on which somebody has decided, as far as that was pulled."""
    sent: PushSummary | None
    """None if nothing is in doubt and nothing was ever sent."""

    @property
    def counts(self) -> dict[str, int]:
        """Return {reason: samples}; one may have several."""
        counts = Counter(reason for reasons in self.reasons.values() for reason in reasons)
        return {reason: counts[reason] for reason in REASONS}

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON has it."""
        return {
            "due": len(self.reasons),
            "reasons": self.counts,
            "decided": self.decided,
            "sent": None if self.sent is None else self.sent.to_json(),
        }

    def __str__(self) -> str:
        """Return the summary for the terminal."""
        lines = [f"{len(self.reasons)} samples are in doubt, {self.decided} are decided"]
        lines += [f"  {count:7d} {REASONS[why]}" for why, count in self.counts.items() if count]
        return "\n".join(lines if self.sent is None else [*lines, str(self.sent)])


def adjudicate(config: BuildConfig, dry_run: bool = False) -> AdjudicationSummary:
    """Send the samples on which the raters leave doubt to a second project, and say which.

    What is not in doubt any more, and nobody has decided on yet, is taken back. Raises MissingError
    if the samples have not come so far, or if no server is there.
    """
    with open_built(config.workspace) as workspace:
        check_built(workspace)
        said = what_was_said(workspace, config)
        due = due_samples(workspace, said, config)
        sent = None
        if due or workspace.catalog.project(ADJUDICATION) is not None:
            studio = connect(config)
            sent = push_round(studio, workspace, config, ADJUDICATION, sorted(due), said, dry_run)
        return AdjudicationSummary(due, len(said.decisions), sent)


def due_samples(workspace: Workspace, said: Said, config: BuildConfig) -> dict[str, list[str]]:
    """Return {image: why it is due} of the samples that have all their raters' answers.

    Those on which somebody has decided are not among them: what was decided stays decided.
    """
    # Without the known answers, which would hide that the votes contradict them.
    found = opinions(aggregated(workspace, said, config, truth={}))
    asked = answered_images(said, config.annotation.overlap) & said.voted - {*said.decisions}
    reasons = {
        image: why_due(found[image], config.annotation, said.gold.get(image))
        for image in sorted(asked)
    }
    return {image: why for image, why in reasons.items() if why}


def why_due(opinion: Opinion, settings: AnnotationConfig, known: str | None = None) -> list[str]:
    """Return the reasons for which somebody should decide on a sample, none if it is clear.

    `known` is its gold answer: then only votes that contradict it are a reason.
    """
    if known is not None:
        return [] if known in opinion.likeliest else [GOLD]
    # Where one rater is asked, whatever she says leads by one vote: that is no doubt.
    margin = min(settings.adjudicate_margin, settings.overlap - 1)
    first, second = sorted(opinion.votes, reverse=True)[:2]
    of_classes, none = sum(opinion.votes[: len(LABELS)]), sum(opinion.votes[len(LABELS) :])
    most = round(max(opinion.posterior), DIGITS)
    found = {
        POSTERIOR: most < settings.adjudicate_below,
        MARGIN: first - second <= margin,
        SPLIT: bool(of_classes and none) and abs(of_classes - none) <= margin,
    }
    return [reason for reason, holds in found.items() if holds]
