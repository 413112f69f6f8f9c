"""Coverage: how much of what people are asked for has its answers, and what is to be done next."""

from __future__ import annotations

from dataclasses import dataclass

from occlufer.config import BuildConfig
from occlufer.errors import GateError, OccluferError
from occlufer.terminal import number
from occlufer.vote_log import ADJUDICATION, LABELLING, Project
from occlufer.workspace import Workspace

from .connect import EMBEDDED, server_name
from .reopening import closed_images, last_ending, pulled_rows
from .tally import Said, what_was_said
from .wanted import wanted_images

# What to run, and what it waits for; then the build goes on.
START = "run `occlufer annotate start`, then `occlufer annotate push`"
START_AGAIN = "run `occlufer annotate start`, let the raters answer, then `occlufer annotate pull`"
PUSH = "run `occlufer annotate push`"
PULL = "run `occlufer annotate pull`"
PUSH_ANEW = "run `occlufer annotate push`, which asks more raters where an answer does not count, "
START_ANEW = "run `occlufer annotate start`, then `occlufer annotate push`, "
ANSWER = "let the raters answer, then run `occlufer annotate pull`"
ADJUDICATE = "run `occlufer annotate adjudicate`, or build"
# What has come into doubt since the last `adjudicate` is sent by the next one.
DECIDE = (
    "run `occlufer annotate adjudicate`, let the adjudicators answer, "
    "then run `occlufer annotate pull`"
)
DECIDE_AGAIN = (
    "run `occlufer annotate start`, then `occlufer annotate adjudicate`, "
    "let the adjudicators answer, then run `occlufer annotate pull`"
)


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


def stuck_images(workspace: Workspace, config: BuildConfig, project: Project) -> set[str]:
    """Return the wanted images that the server asks nobody about, and that lack an answer."""
    people = config.annotation.overlap
    pulled = list(workspace.catalog.answers(LABELLING)) if project.cursor else []
    ending = last_ending(pulled, project)
    closed = closed_images(pulled_rows(pulled, ending), people) if ending else set()
    if not closed:
        return set()
    answered = answered_images(what_was_said(workspace, config), people)
    return (closed - answered) & {*wanted_images(workspace, config)}


def check_coverage(workspace: Workspace, config: BuildConfig) -> None:
    """Raise GateError, with the next command that is due, where too little is answered."""
    found = coverage(workspace, config)
    if found.enough:
        return
    raise GateError(
        f"{number(found.answered)} of {number(found.wanted)} samples labelled (needs coverage "
        f"{found.needed_share}); {next_step(workspace, config)}, then build again"
    )


def next_step(workspace: Workspace, config: BuildConfig) -> str:
    """Return what is due so that answers come in."""
    project = workspace.catalog.project(LABELLING)
    stopped = _stopped(workspace, config, project)
    if project is None:
        return START if stopped else PUSH
    stuck = stuck_images(workspace, config, project)
    if stopped:
        return START_ANEW + ANSWER if stuck else START_AGAIN
    if stuck:
        return PUSH_ANEW + ANSWER
    return ANSWER if project.cursor else PULL


def _serves(workspace: Workspace) -> bool:
    from .server.server import running

    try:
        return running(workspace.folder) is not None
    except OccluferError:  # it does not let us in; `start` says why
        return False


def adjudication_step(workspace: Workspace, config: BuildConfig) -> str:
    """Return what is due where samples are in doubt."""
    project = workspace.catalog.project(ADJUDICATION)
    if project is None:
        return ADJUDICATE
    return DECIDE_AGAIN if _stopped(workspace, config, project) else DECIDE


def _stopped(workspace: Workspace, config: BuildConfig, project: Project | None) -> bool:
    """Return whether the server is the embedded one, and does not run."""
    server = server_name(config) if project is None else project.server
    return server == EMBEDDED and not _serves(workspace)
