"""The report's account of labelling by people: how far, how well they agree, how each answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from occlufer.config import BuildConfig
from occlufer.labelling_figures import (
    HABIT_COLUMNS,
    HABIT_LEGEND,
    WORK_COLUMNS,
    WORK_LEGEND,
    progress_rows,
)
from occlufer.page import Cell, folded, paragraph, table
from occlufer.schema import ANSWERS
from occlufer.vote_log import LABELLING
from occlufer.workspace import Workspace

# The part is named, not imported: the core knows none of them.
STATUS = "occlufer.annotation.status"
SMALL = 0.001  # below, three places after the point say nothing
Table = Mapping[str, Any]


def agreement(workspace: Workspace, config: BuildConfig) -> str:
    """Return what `occlufer annotate status` says; nothing where nobody was ever asked."""
    catalog = workspace.catalog
    if catalog.project(LABELLING) is None and next(catalog.answers(LABELLING), None) is None:
        return ""
    status = import_module(STATUS).status_of(workspace, config).to_json()
    parts = [progress(status), agreements(status), raters(status["raters"])]
    return "".join([*parts, *(confusions(rater) for rater in status["raters"])])


def progress(status: Table) -> str:
    """Return how far the labelling is."""
    rows = [(what, count) for count, what in progress_rows(status["progress"])]
    pulled = status["pulled_up_to"]
    until = f"pulled up to {pulled}" if pulled else "not yet pulled"
    name = status["project"]
    place = "The project is gone." if name is None else f"Project {name}, {until}."
    return paragraph(place) + table(("", "count"), rows)


def agreements(status: Table) -> str:
    """Return the agreement of people: overall, per class and per occlusion type."""
    groups = (
        ("which answer", {"all samples": status["overall"]}),
        ("this class or another", status["classes"]),
        ("which answer, by occlusion type measured", status["occluded"]),
        ("occlusion type seen or not", status["occlusion"]),
    )
    rows: list[list[Cell]] = [
        [on, what, one["samples"], one["answers"], _or_none(one["alpha"]), _or_none(one["kappa"])]
        for on, group in groups
        for what, one in group.items()
    ]
    lead = paragraph(
        "Agreement of people; the sources have no part in it. Alpha is Krippendorff's, for nominal "
        "answers; kappa is Fleiss', of the samples with as many answers as most have. 1 is full "
        "agreement, 0 what chance gives. Samples with one answer say nothing."
    )
    return lead + table(("on", "of", "samples", "answers", "alpha", "kappa"), rows)


def raters(found: Sequence[Table]) -> str:
    """Return a row for each rater."""
    if not found:
        return ""
    work = paragraph(f"Raters, by pseudonym; {WORK_LEGEND}.")
    habits = paragraph(f"{HABIT_LEGEND.capitalize()}.")
    return (
        work
        + table(WORK_COLUMNS, [_work(rater) for rater in found])
        + habits
        + table(HABIT_COLUMNS, [_habits(rater) for rater in found])
    )


def _work(rater: Table) -> list[Cell]:
    rows, gold = rater["rows"], rater["gold"]
    low, high = gold["interval"] or (None, None)
    interval = None if low is None else f"{low:.3f}-{high:.3f}"
    figures: tuple[Cell | None, ...] = (
        *(rater["rater"], rows["answers"], rows["skips"]),
        *(rater["right"]["share"], gold["share"], gold["total"], interval),
        *(rows["edited_by_others"], rows["edited_others"]),
        *(rows["double"], rows["deleted"], rows["refused"]),
    )
    return [_or_none(figure) for figure in figures]


def _habits(rater: Table) -> list[Cell]:
    pace, monotony = rater["pace"], rater["monotony"]
    figures: tuple[Cell | None, ...] = (
        *(rater["rater"], pace["median_s"], pace["fast_share"], pace["hasty_share"]),
        *(monotony["longest_run"], monotony["run_answer"], _chance(monotony["run_probability"])),
        *(monotony["entropy_bits"], monotony["others_bits"]),
    )
    return [_or_none(figure) for figure in figures]


def _chance(probability: float | None) -> Cell | None:
    small = probability is not None and probability < SMALL
    return f"{probability:.0e}" if small else probability


def confusions(rater: Table) -> str:
    """Return the confusions of one rater, to be unfolded: as counted, and as Dawid-Skene has it."""
    counted = [
        [label, *row] for label, row in zip(ANSWERS, rater["confusion"], strict=True) if any(row)
    ]
    if not counted:
        return ""
    content = paragraph("Answers (columns) to samples by their label (rows).")
    content += table(("label", *ANSWERS), counted, heat=True)
    model = rater["dawid_skene"]
    if model is not None:
        shares = [[label, *(round(100 * p) for p in row)] for label, row in model.items()]
        content += paragraph("The same by Dawid and Skene's model: percent of each row.")
        content += table(("label", *ANSWERS), shares, heat=True)
    return folded(f"{rater['rater']}: confusions", content)


def _or_none(value: Cell | None) -> Cell:
    return "" if value is None else value
