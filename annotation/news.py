"""News: what the labelling server says of answers that the vote log does not know yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from occlufer.vote_log import DELETED, GIVEN, REFUSED, SKIPPED, Answer

# So many notes are shown on a terminal.
NAMED = 20


class Known:
    """The last known state of the answers of one project, kept up to date while it is pulled."""

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        """Take what the log says."""
        self.by_number: dict[int, Answer] = {}
        self._by_task: dict[int, dict[int, None]] = {}
        self.update(answers)

    def update(self, answers: Iterable[Answer]) -> None:
        """Take what the log says newly."""
        for answer in answers:
            self.by_number[answer.annotation] = answer
            self._by_task.setdefault(answer.task, {})[answer.annotation] = None

    def standing_in(self, task: int) -> Iterator[Answer]:
        """Yield the answers to a task that are not known to be deleted."""
        for number in self._by_task.get(task, ()):
            answer = self.by_number[number]
            # A server put back to an older state gives out its numbers again, for other tasks.
            if answer.task == task and answer.state != DELETED:
                yield answer

    def tasks(self) -> set[int]:
        """Return the tasks with answers that are not known to be deleted."""
        return {task for task in self._by_task if any(self.standing_in(task))}

    def votes(self) -> list[Answer]:
        """Return the answers that were given or skipped."""
        return [a for a in self.by_number.values() if a.state in (GIVEN, SKIPPED)]

    def refused(self) -> list[Answer]:
        """Return the answers that are kept aside, by number."""
        aside = (answer for answer in self.by_number.values() if answer.state == REFUSED)
        return sorted(aside, key=lambda answer: answer.annotation)


def news(known: Known, tasks: Iterable[int], found: Iterable[Answer]) -> list[Answer]:
    """Return what the log lacks if `found` is all that the server has as answers to `tasks`.

    An answer that was there and is there no more is "deleted".
    """
    there = {answer.annotation: answer for answer in found}
    new = [answer for answer in there.values() if known.by_number.get(answer.annotation) != answer]
    gone = (answer for task in tasks for answer in known.standing_in(task))
    return new + [replace(a, state=DELETED) for a in gone if a.annotation not in there]


@dataclass(frozen=True)
class Counts:
    """How many answers were news."""

    new: int = 0
    changed: int = 0
    deleted: int = 0
    skipped: int = 0
    """Of the new and the changed ones: the rater would not say."""
    edited: int = 0
    """Of the new and the changed ones: last changed by another than their rater."""

    def __add__(self, other: Counts) -> Counts:
        """Return the counts of both."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Counts(*(mine + theirs for mine, theirs in pairs))


def counts(known: Mapping[int, Answer], found: Iterable[Answer]) -> Counts:
    """Return how many of the news are what, `known` being what the log said before."""
    deleted = [answer for answer in found if answer.state == DELETED]
    there = [answer for answer in found if answer.state != DELETED]
    new = sum(answer.annotation not in known for answer in there)
    return Counts(
        new=new,
        changed=len(there) - new,
        deleted=len(deleted),
        skipped=sum(answer.state == SKIPPED for answer in there),
        edited=sum(answer.edited_by is not None for answer in there),
    )


@dataclass(frozen=True)
class PullSummary:
    """What a pull has found, over all rounds."""

    tasks: int = 0
    """How many were looked at."""
    counts: Counts = Counts()
    refused: int = 0
    """How many answers are kept aside by now, because what they say is not known, or of what."""
    notes: tuple[str, ...] = ()
    """Each of those, and what else a person should know."""

    def __add__(self, other: PullSummary) -> PullSummary:
        """Return the summary of both."""
        return PullSummary(
            self.tasks + other.tasks,
            self.counts + other.counts,
            self.refused + other.refused,
            self.notes + other.notes,
        )

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        found = {"tasks": self.tasks, **asdict(self.counts), "refused": self.refused}
        return {**found, "notes": list(self.notes)}

    def __str__(self) -> str:
        """Return the summary for a terminal; of many notes the first ones."""
        found = asdict(self.counts) | {"edited by others": self.counts.edited}
        del found["edited"]
        told = ", ".join(f"{count} {what}" for what, count in found.items())
        lines = [f"{self.tasks} tasks looked at; answers: {told}, {self.refused} refused"]
        lines += self.notes[:NAMED]
        if len(self.notes) > NAMED:
            lines.append(f"and {len(self.notes) - NAMED} notes more, see --json")
        return "\n".join(lines)
