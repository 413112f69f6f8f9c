"""Push: the samples that need people, brought to the labelling server.

The server is the truth: what it has is read first, and only the difference is sent. So a push may
be repeated at will, also after a kill or a lost connection.

What raters meet (Label Studio community 1.23): the first one gets the tasks in the order of their
numbers, which is the order of our push. As soon as others have answered, a rater first gets tasks
that others have begun, at random among those with the most answers, so that each is soon complete;
then, in the order of numbers, what nobody has begun. Tasks pushed later come last, whatever their
priority. A task that lies open before k people is offered to nobody else, so that k answers are
what comes; but only the queue keeps to that: who opens a task by its number may answer it too, and
see what others said.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from occlufer.config import BuildConfig
from occlufer.errors import MissingError, OccluferError
from occlufer.images import DamagedImageError
from occlufer.pipeline import stages_before
from occlufer.progress import progress
from occlufer.vote_log import ADJUDICATION, LABELLING
from occlufer.workspace import Workspace, open_built

from .connect import EMBEDDED, connect, server_name
from .coverage import answered_images
from .pictures import pictures
from .reopening import to_reopen
from .round_project import ending_of, find_project, open_project, overlap
from .studio import Studio, UnsureError
from .tally import Said, what_was_said
from .tasks import Difference, batches, difference, mixed
from .wanted import BEFORE_LABELS, priority, wanted_images

log = logging.getLogger(__name__)

TRIES = 4
# After a lost connection the server may still be at it.
SETTLE_S = 5.0
NAMED = 5
# Digits of a picture that has no other name any more.
SHOWN = 12


@dataclass(frozen=True)
class PushSummary:
    """What a push has found and done; of a dry run, what it would do."""

    round: str
    server: str
    project: int | None
    """The server's number of it; None if a dry run would make it."""
    wanted: int
    """Samples that need people."""
    gold: int
    """Gold samples, in part among the wanted ones."""
    there: int
    """Samples that had a task already."""
    answered: int
    """Samples without a task that have enough answers from elsewhere, and get none."""
    new: int
    """Tasks that were added."""
    removed: int
    """Tasks without an answer that were removed: doubles, and such as are not wanted any more."""
    doubled: tuple[str, ...]
    """Samples that had several tasks; those with answers were left."""
    kept: tuple[str, ...]
    """Pictures that are no samples any more; people have answered, so their tasks stay."""
    dry_run: bool = False
    reopened: int = 0
    """Tasks that the server had closed, though they lack an answer that counts."""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON has it."""
        return asdict(self) | {"doubled": list(self.doubled), "kept": list(self.kept)}

    def __str__(self) -> str:
        """Return the summary for the terminal."""
        place = "a new project" if self.project is None else f"project {self.project}"
        lines = [
            f"{self.round}, {place} ({self.server}): {self.wanted} samples need people",
            f"  {self.new:7d} tasks {'to add' if self.dry_run else 'added'}",
            f"  {self.there:7d} were there",
        ]
        more = {"gold samples among them": self.gold, "answered enough elsewhere": self.answered}
        more["to remove" if self.dry_run else "removed: doubled or not wanted"] = self.removed
        more["to open anew" if self.dry_run else "opened anew: some answer was no vote"] = (
            self.reopened
        )
        lines += [f"  {count:7d} {what}" for what, count in more.items() if count]
        if self.doubled:
            lines.append(f"  had several tasks: {_some(self.doubled)}")
        if self.kept:
            lines.append(f"  no samples any more, but answered, so left: {_some(self.kept)}")
        return "\n".join(lines)


def push(config: BuildConfig, dry_run: bool = False) -> PushSummary:
    """Send the samples that need people, and the gold ones, and return what was done.

    Raises MissingError if the samples have not come so far, or if no server is there.
    """
    with open_built(config.workspace) as workspace:
        check_built(workspace)
        said = what_was_said(workspace, config)
        images = wanted_images(workspace, config)
        studio = connect(config)
        summary = push_round(studio, workspace, config, LABELLING, images, said, dry_run)
        if not dry_run:
            note_adjudication(studio, workspace, config)
        return summary


def note_adjudication(studio: Studio, workspace: Workspace, config: BuildConfig) -> None:
    """Note the project of those who decide, if the server has one and the catalog was lost.

    Else their decisions would be pulled only once something new is in doubt.
    """
    if workspace.catalog.project(ADJUDICATION) is None:
        found = find_project(studio, workspace, config, ADJUDICATION)
        if found is not None:
            workspace.catalog.log_answers((), ADJUDICATION, found.project)


def check_built(workspace: Workspace) -> None:
    """Raise MissingError if some samples have not come as far as their labels.

    Else what a build left half-done would look as if it were not wanted any more.
    """
    waiting: set[str] = set()
    for stage in BEFORE_LABELS:
        waiting.update(workspace.catalog.images_missing(stage, stages_before(stage)))
    if waiting or not workspace.catalog.images_passing(BEFORE_LABELS):
        found = f"{len(waiting)} samples are" if waiting else "no sample is"
        state = "not yet ready for labels" if waiting else "ready for labels"
        raise MissingError(f"{workspace.folder}: {found} {state}; run `occlufer build` first")


def push_round(
    studio: Studio,
    workspace: Workspace,
    config: BuildConfig,
    round_name: str,
    images: Sequence[str],
    said: Said,
    dry_run: bool = False,
) -> PushSummary:
    """Bring a round's project to where it has one task of each of `images`, and of gold samples.

    Tasks of other images go if nobody has answered them. Only raters get gold samples.
    """
    gold = said.gold if round_name == LABELLING else {}
    order = mixed(priority(images, workspace), sorted(gold))
    known = find_project(studio, workspace, config, round_name)
    project = None if known is None else known.project
    if not dry_run:
        project = open_project(studio, workspace, config, round_name, known)
    tasks = [] if project is None else list(studio.tasks(project.number))
    found = difference(tasks, order)
    enough = answered_enough(said, config, round_name)
    new = [image for image in found.new if image not in enough]
    closed: dict[int, int] = {}
    if known is not None:  # nobody has answered in a project that was made just now
        going = {*found.superfluous}
        stay = [task for task in tasks if task.number not in going]
        asked = [image for image in order if image not in enough]
        answers = list(workspace.catalog.answers(round_name))
        ending = ending_of(known.project, known.settings)
        closed = to_reopen(stay, answers, ending, asked, overlap(config, round_name))
    removed = len(found.superfluous)
    if project is not None and not dry_run:
        change = _Change(order, len(tasks), found, new, closed)
        found, removed = _carry_out(change, studio, project.number, workspace, _served(config))
    return PushSummary(
        round=round_name,
        server=server_name(config),
        project=None if project is None else project.number,
        wanted=len(images),
        gold=len(gold),
        there=found.there,
        answered=len(found.new) - len(new),
        new=len(new),
        removed=removed,
        doubled=names(workspace, found.doubled),
        kept=names(workspace, _no_samples(workspace, found.kept)),
        dry_run=dry_run,
        reopened=len(closed),
    )


@dataclass(frozen=True)
class _Change:
    """What a push does to a project."""

    order: Sequence[str]
    """The images that are to have a task each."""
    tasks: int
    """How many there were."""
    found: Difference
    new: Sequence[str]
    """The images that get a task."""
    closed: Mapping[int, int]
    """{task to open anew: how many people are to answer it}"""


def _carry_out(
    change: _Change, studio: Studio, project: int, workspace: Workspace, served: Path | None
) -> tuple[Difference, int]:
    """Return what was found, late doubles among it, and how many tasks were removed.

    Raises OccluferError if a picture of the workspace is damaged.
    """
    removed = studio.delete_unanswered(project, change.found.superfluous)
    for number, people in change.closed.items():
        studio.reopen(number, people)
    try:
        send(studio, workspace, project, change.new, served)
    except DamagedImageError as error:
        workspace.catalog.forget_image(error.sha256)
        raise OccluferError(f"{error}: run `occlufer build`, then push again") from None
    if not change.new:
        return change.found, removed
    count = change.tasks - removed + len(change.new)
    found, late = _with_late_doubles(studio, project, change.order, count, change.found)
    return found, removed + late


def answered_enough(said: Said, config: BuildConfig, round_name: str) -> set[str]:
    """Return the images on which a round need not ask anybody, wherever they were answered."""
    if round_name == LABELLING:
        return answered_images(said, config.annotation.overlap)
    return {*said.decisions}


def send(
    studio: Studio, workspace: Workspace, project: int, images: Sequence[str], served: Path | None
) -> None:
    """Add a task of each image; the server must have none of them yet."""
    shown = pictures(workspace, images, served)
    if shown.folder is not None:
        studio.serve_folder(project, shown.folder)
    for batch in batches(progress(images, len(images), "push"), shown.address):
        send_batch(studio, project, batch)


def send_batch(studio: Studio, project: int, batch: Sequence[dict[str, Any]]) -> None:
    """Add some tasks, each once also if the connection is lost meanwhile."""
    left = list(batch)
    for attempt in range(1, TRIES + 1):
        try:
            studio.import_tasks(project, left)
            return
        except UnsureError as error:
            if attempt == TRIES:
                raise
            log.warning("%s; looking what has arrived", error)
        time.sleep(SETTLE_S)
        there = studio.task_index(project)
        left = [task for task in left if task["data"]["occlufer_id"] not in there]


def _with_late_doubles(
    studio: Studio, project: int, order: Sequence[str], count: int, found: Difference
) -> tuple[Difference, int]:
    """Return `found` with the doubles that came meanwhile, and how many were removed now.

    An earlier push that was killed may have left the server at work, or two may push at once: then
    the project has more tasks than we know of.
    """
    settings = studio.project(project)
    if settings is None or settings["task_number"] == count:
        return found, 0
    late = difference(studio.tasks(project), order)
    removed = studio.delete_unanswered(project, late.superfluous)
    both = Difference(
        found.new,
        found.there,
        found.superfluous + late.superfluous,
        tuple(sorted({*found.kept, *late.kept})),
        tuple(sorted({*found.doubled, *late.doubled})),
    )
    return both, removed


def _served(config: BuildConfig) -> Path | None:
    """Return the folder that the embedded server serves, None for another server."""
    if server_name(config) != EMBEDDED:
        return None
    from .server.server import running

    server = running(config.workspace)
    return None if server is None else server.files


def _no_samples(workspace: Workspace, images: Iterable[str]) -> list[str]:
    images = list(images)
    passing = workspace.catalog.passing_among(images, BEFORE_LABELS)
    return [image for image in images if image not in passing]


def names(workspace: Workspace, images: Iterable[str]) -> tuple[str, ...]:
    """Return the images by the names of their records; one without by the start of its own."""
    images = list(images)
    holders = workspace.catalog.holders_of(images)
    return tuple(holders[image][0].id if image in holders else image[:SHOWN] for image in images)


def _some(found: Sequence[str]) -> str:
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more
