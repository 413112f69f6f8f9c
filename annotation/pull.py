"""Pull: what people have answered on the labelling server goes into the vote log.

Only tasks that have changed are looked at, the server's clock says which; all of a chunk of tasks,
and up to where the server was followed, are written at once or not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from occlufer.catalog import Catalog
from occlufer.config import BuildConfig
from occlufer.errors import MissingError, UsageError
from occlufer.progress import progress
from occlufer.vote_log import ADJUDICATION, GIVEN, LABELLING, Answer, Project
from occlufer.workspace import open_built

from .answers import Exported, Reader, answers_of
from .connect import EMBEDDED, connect, server_name
from .exports import left_behind
from .news import Known, PullSummary, counts, news
from .patience import may_pass, patiently
from .round_project import ending_of
from .studio import EXPORTED_AT_ONCE, Studio, StudioError, in_parts, server_time
from .template import changes, template_sha256

log = logging.getLogger(__name__)

# {round: the action that makes its project}
MADE_BY = {LABELLING: "push", ADJUDICATION: "adjudicate"}
# A change gets its time before it is there to be seen, under load seconds before.
SLACK = timedelta(seconds=5)


def pull(config: BuildConfig, full: bool = False) -> PullSummary:
    """Bring the vote log up to date with the server, and return what was new.

    `full` looks at every task, which also finds tasks that were deleted, and follows a server that
    was put back to an older state. Raises MissingError if nothing was pushed, StudioError if the
    server fails and does not recover; what was pulled until then is kept.
    """
    with open_built(config.workspace) as workspace:
        known = {name: workspace.catalog.project(name) for name in MADE_BY}
        rounds = {name: project for name, project in known.items() if project is not None}
        _check(rounds, config)
        studio = connect(config)
        summary = PullSummary()
        for name, project in rounds.items():
            folder = config.workspace if project.server == EMBEDDED else None
            with left_behind(folder, project.number):
                summary += _Round(studio, workspace.catalog, name, project).pull(full)
        return summary


def _check(rounds: dict[str, Project], config: BuildConfig) -> None:
    if not rounds:
        raise MissingError(
            f"{config.workspace}: found no labelling to pull from; run `occlufer annotate push`"
        )
    here = server_name(config)
    for name, project in rounds.items():
        if project.server != here:
            raise UsageError(
                f"[annotation], url: found the server {here}, expected {project.server}, to which "
                f"the round {name} was pushed"
            )


@dataclass
class _Round:
    """A round that is being pulled."""

    studio: Studio
    catalog: Catalog
    name: str
    project: Project
    """As the catalog has it, up to the last chunk that was written."""
    identity: str = ""
    """How the log calls the project,"""
    server: str = ""
    """and the server: as it was called when the first answer came."""
    known: Known = field(default_factory=Known)
    raters: dict[int, str] = field(default_factory=dict)
    summary: PullSummary = field(default_factory=PullSummary)

    def pull(self, full: bool) -> PullSummary:
        answers = list(self.catalog.answers(self.name))
        settings = patiently(partial(self.studio.project, self.project.number))
        if settings is None:
            self._note(
                f"project {self.project.number} is gone from the server, or not shown to this "
                f"token's user; the {len(answers)} answers that were pulled are kept; run "
                f"`occlufer annotate {MADE_BY[self.name]}`, which makes it anew"
            )
            self.catalog.forget_project(self.name)
            return self.summary
        ending = ending_of(self.project, settings)
        self.known.update(answer for answer in answers if answer.project.endswith(ending))
        names = {answer.project for answer in self.known.by_number.values()}
        self.identity = min(names, default=self.project.server + ending)
        self.server = self.identity.removesuffix(ending)
        if answers and not self.known.by_number:
            self.project = replace(self.project, cursor="")
        self._compare(str(settings["label_config"]))
        self._follow(full)
        aside = self.known.refused()
        for answer in aside:
            self._tell(answer, "kept aside, no vote")
        self._tell_absent()
        return replace(self.summary, refused=len(aside))

    def _tell_absent(self) -> None:
        """Say how many answers are to images that are not there, for once or for good."""
        images = [answer.image for answer in self.known.votes()]
        there = self.catalog.passing_among(set(images), ())
        absent = sum(image not in there for image in images)
        if absent:
            self._note(
                f"{absent} answers are to images that the workspace does not have now; they are "
                "kept, and count when it has them"
            )

    def _compare(self, page: str) -> None:
        if template_sha256(page) != self.project.template_sha256:
            self._note(
                f"the labelling page was changed on the server since the push ({changes(page)}); "
                "the answers are kept"
            )

    def _follow(self, full: bool) -> None:
        # Asked before all else: what changes from now on may be missed, and is later than this.
        newest = patiently(partial(self.studio.newest_change, self.project.number))
        lost = self.project.cursor and (not newest or newest < _shifted(self.project.cursor, SLACK))
        if lost and not full:
            self._note("the task that changed last is gone; every task was looked at")
        if full or lost:
            self._pull_all(newest)
        else:
            self._pull_changed(self.project.cursor, newest)

    def _pull_all(self, newest: str) -> None:
        """Look at every task: by the server's own export if it manages, else chunk by chunk."""
        try:
            tasks = self.studio.export(self.project.number)
        except StudioError as error:
            if not may_pass(error):
                raise
            log.info("%s; asking for a few tasks at a time", error)
            present = self._pull_changed("", newest)
        else:
            for some in in_parts(tasks, EXPORTED_AT_ONCE):
                self._write([int(task["id"]) for task in some], some, self.project.cursor)
            present = {int(task["id"]) for task in tasks}
        gone = self.known.tasks() - present
        self._write(gone, [], _shifted(newest, -SLACK) if newest else "")

    def _pull_changed(self, since: str, newest: str) -> set[int]:
        """Look at the tasks that have changed since a time, the oldest change first."""
        number = self.project.number
        listed = patiently(partial(self.studio.changed_tasks, number, since))
        times = {task: server_time(when) for task, when in listed}
        order = sorted(times, key=lambda task: (times[task], task))
        parts = list(in_parts(order, EXPORTED_AT_ONCE))
        for some in progress(parts, len(parts), f"pull {self.name}"):
            tasks = patiently(partial(self.studio.export, number, some))
            reached = min(times[some[-1]], newest)
            cursor = _shifted(reached, -SLACK) if reached else ""
            self._write(some, tasks, max(self.project.cursor, cursor))
        return set(order)

    def _write(self, asked: Iterable[int], tasks: Sequence[Exported], cursor: str) -> None:
        """Write what is new of the tasks `asked` for, and up to where that is, at once."""
        reader = Reader(self.name, self.identity, self._pseudonym, self.known.by_number)
        found = news(self.known, asked, (a for task in tasks for a in answers_of(task, reader)))
        project = replace(self.project, cursor=cursor)
        if found or project != self.project:
            self.catalog.log_answers(found, self.name, project)
        self.project = project
        self.summary += PullSummary(len(tasks), counts(self.known.by_number, found))
        self.known.update(found)
        for answer in found:
            if answer.state == GIVEN and answer.detail:
                self._tell(answer, "the rest counts")

    def _pseudonym(self, user: int) -> str:
        if user not in self.raters:
            self.raters[user] = self.catalog.rater(self.server, user)
        return self.raters[user]

    def _tell(self, answer: Answer, what: str) -> None:
        where = f"task {answer.task}, annotation {answer.annotation}"
        self._note(f"{where}: {answer.detail}; {what}")

    def _note(self, text: str) -> None:
        self.summary += PullSummary(notes=(f"{self.name}: {text}",))


def _shifted(when: str, by: timedelta) -> str:
    """Return a time of the server, moved."""
    return server_time((datetime.fromisoformat(when.replace("Z", "+00:00")) + by).isoformat())
