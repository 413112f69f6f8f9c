"""Reopening: tasks that the server has closed, but that lack an answer that counts.

The server closes a task by its answers, whatever they say and whoever gave them; we count different
raters whose answer can be read. Where those differ, nobody would be asked any more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from occlufer.vote_log import GIVEN, LABELLING, REFUSED, Answer, Project, standing

from .studio import Task


def last_ending(answers: Iterable[Answer], project: Project) -> str | None:
    """Return how the name of a project ends, see `ending_of`, by its answers; None without any.

    The catalog has the project's number alone: of several so numbered it is the one made last, on
    the project's own server if that has one.
    """
    found = set()
    for answer in answers:
        server, _, rest = answer.project.rpartition("/")
        number, _, made = rest.partition(" of ")
        if number == str(project.number):
            found.add((server == project.server, made, f"/{rest}"))
    return max(found)[-1] if found else None


def pulled_rows(answers: Iterable[Answer], ending: str) -> dict[str, dict[int, int]]:
    """Return {image: {task: answers that close it}} of a project, by what was pulled.

    A skip closes no task; an answer that is refused, or the second one of a rater, does.
    `answers` is the last state of every answer of a round, `ending` that of the project's name.
    """
    rows: dict[str, dict[int, int]] = {}
    for answer in answers:
        if answer.project.endswith(ending) and answer.state in (GIVEN, REFUSED):
            tasks = rows.setdefault(answer.image, {})
            tasks[answer.task] = tasks.get(answer.task, 0) + 1
    return rows


def closed_images(rows: Mapping[str, Mapping[int, int]], people: int) -> set[str]:
    """Return the images of which all tasks with answers have as many as close one."""
    return {image for image, tasks in rows.items() if min(tasks.values()) >= people}


def to_reopen(
    tasks: Iterable[Task],
    answers: Collection[Answer],
    ending: str,
    images: Collection[str],
    people: int,
) -> dict[int, int]:
    """Return {task: with how many answers it is to be closed} of those that were closed too early.

    Only such as have been pulled: what is new on the server may be all that is missing. `ending` is
    that of the project's name in the log.
    """
    by_image: dict[str, list[Task]] = {image: [] for image in images}
    for task in tasks:
        if task.occlufer_id in by_image:
            by_image[task.occlufer_id].append(task)
    # A rater who skips was asked, and that is enough; an adjudicator who skips has not decided.
    counted = (one for one in standing(answers) if one.state == GIVEN or one.round == LABELLING)
    raters = Counter(answer.image for answer in counted)
    rows = pulled_rows(answers, ending)
    due = {}
    for image, some in by_image.items():
        lacking = people - raters[image]
        known = rows.get(image, {})
        closed = all(
            task.rows >= task.overlap and known.get(task.number) == task.rows for task in some
        )
        if some and closed and lacking > 0:
            due[some[0].number] = some[0].rows + lacking
    return due
