"""Coverage: how much of what people are asked for has its answers, and what is to be done next."""

from __future__ import annotations

from dataclasses import dataclass

from occlufer.config import BuildConfig
from occlufer.errors import GateError
from occlufer.vote_log import LABELLING
from occlufer.workspace import Workspace

from .connect import EMBEDDED
from .tally import Said, what_was_said
from .wanted import wanted_images

# What to run, and what it waits for; then the build goes on.
START = "run `occlufer annotate start`, then `occlufer annotate push`"
START_AGAIN = "run `occlufer annotate start`, let the raters answer, then `occlufer annotate pull`"
PUSH = "run `occlufer annotate push`"
PULL = "run `occlufer annotate pull`"
ANSWER = "let the raters answer, then run `occlufer annotate pull`"


@dataclass(frozen=True)
class Coverage:
    """How many samples are wanted, and how many of them have their answers."""

    wanted: int
    answered: int
    needed_share: float

    @property
    def enough(self) -> bool:
        """Whether the build may go on; it may where nothing is wanted."""
        return self.answered >= self.needed_share * self.wanted - 1e-9


def coverage(workspace: Workspace, config: BuildConfig) -> Coverage:
    """Return how far the labelling is, by what was pulled."""
    said = what_was_said(workspace, config)
    wanted = wanted_images(workspace, config)
    answered = answered_images(said, config.annotation.overlap)
    count = sum(image in answered for image in wanted)
    return Coverage(len(wanted), count, config.annotation.coverage)


def answered_images(said: Said, overlap: int) -> set[str]:
    """Return the images that so many raters have answered or skipped, or that were decided on."""
    return {image for image, raters in said.asked().items() if raters >= overlap} | {
        *said.decisions
    }


def check_coverage(workspace: Workspace, config: BuildConfig) -> None:
    """Raise GateError, with the next command that is due, where too little is answered."""
    found = coverage(workspace, config)
    if found.enough:
        return
    raise GateError(
        f"{_number(found.answered)} of {_number(found.wanted)} samples labelled (needs coverage "
        f"{found.needed_share}); {next_step(workspace, config)}, then build again"
    )


def next_step(workspace: Workspace, config: BuildConfig) -> str:
    """Return what is due so that answers come in."""
    from .server import running

    project = workspace.catalog.project(LABELLING)
    server = project.server if project else config.annotation.url or EMBEDDED
    stopped = server == EMBEDDED and running(workspace.folder) is None
    if project is None:
        return START if stopped else PUSH
    if stopped:
        return START_AGAIN
    return ANSWER if project.cursor else PULL


def _number(count: int) -> str:
    """Return the number with its thousands apart."""
    return f"{count:,}".replace(",", " ")
