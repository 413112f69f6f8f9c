"""The status as plain text for a terminal, of 100 columns at most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from textwrap import wrap

from occlufer.labelling_figures import (
    HABIT_COLUMNS,
    HABIT_LEGEND,
    WORK_COLUMNS,
    WORK_LEGEND,
    progress_rows,
)
from occlufer.schema import ANSWERS
from occlufer.terminal import number

from .raters import RaterStatistics
from .status import Agreement, Progress, Status

CONFUSIONS_NAMED = 3
NONE = "-"
WIDTH = 100


def status_text(status: Status) -> str:
    """Return the status as lines of text."""
    lines = [*_heading(status), "", *progress_lines(status.progress)]
    if status.progress.given:
        lines += ["", *agreement_lines(status)]
    if status.raters:
        lines += ["", *rater_lines(status.raters), "", *confusion_lines(status.raters)]
    return "\n".join([*lines, "", f"next: {status.next}"])


def _heading(status: Status) -> list[str]:
    if status.project is None:
        return ["the project is gone" if status.progress.given else "no project yet"]
    pulled = status.pulled_up_to
    until = f"pulled up to {time_text(pulled)}" if pulled else "not yet pulled"
    return [f"project {status.project}", until]


def time_text(when: str) -> str:
    """Return a time of the server's to the second."""
    return f"{when[:19].replace('T', ' ')} UTC"


def progress_lines(progress: Progress) -> list[str]:
    """Return how far the labelling is."""
    return [f"{number(count):>10} {what}" for count, what in progress_rows(asdict(progress))]


def agreement_lines(status: Status) -> list[str]:
    """Return the tables of agreement, below one another."""
    header = ("agreement of people", "samples", "answers", "alpha", "kappa")
    groups: list[tuple[str, Mapping[str, Agreement]]] = [
        ("", {"which answer": status.overall}),
        ("this class or another", status.classes),
        ("which answer, on samples with", status.occluded),
        ("occlusion type seen or not", status.occlusion),
    ]
    rows: list[Sequence[str]] = []
    for name, group in groups:
        rows += [(name, "", "", "", "")] if name else []
        indent = "  " if name else ""
        rows += [(f"{indent}{what}", *agreement_cells(one)) for what, one in group.items()]
    return table(header, rows)


def agreement_cells(one: Agreement) -> tuple[str, str, str, str]:
    """Return samples, answers, alpha and kappa."""
    return number(one.samples), number(one.answers), figure(one.alpha), figure(one.kappa)


def rater_lines(raters: Sequence[RaterStatistics]) -> list[str]:
    """Return two tables with a row for each rater, and what their columns are."""
    work = table(WORK_COLUMNS, [work_cells(rater) for rater in raters])
    habits = table(HABIT_COLUMNS, [habit_cells(rater) for rater in raters])
    return [*work, *wrap(WORK_LEGEND, WIDTH), "", *habits, *wrap(HABIT_LEGEND, WIDTH)]


def work_cells(rater: RaterStatistics) -> list[str]:
    """Return what a rater has done, as text."""
    rows, gold = rater.rows, rater.gold
    interval = gold.interval
    return [
        rater.rater,
        number(rows.answers),
        number(rows.skips),
        percent(rater.right.share),
        percent(gold.share),
        number(gold.total),
        f"{interval[0] * 100:.0f}-{interval[1] * 100:.0f}" if interval else NONE,
        number(rows.edited_by_others),
        number(rows.edited_others),
        number(rows.double),
        number(rows.deleted),
        number(rows.refused),
    ]


def habit_cells(rater: RaterStatistics) -> list[str]:
    """Return how a rater answers, as text."""
    pace, monotony = rater.pace, rater.monotony
    return [
        rater.rater,
        f"{pace.median_s:.1f}" if pace.median_s is not None else NONE,
        percent(pace.fast_share),
        percent(pace.hasty_share),
        number(monotony.longest_run),
        monotony.run_answer or NONE,
        chance(monotony.run_probability),
        bits(monotony.entropy_bits),
        bits(monotony.others_bits),
    ]


def confusion_lines(raters: Iterable[RaterStatistics]) -> list[str]:
    """Return what each rater takes for something else most often."""
    lines = ["most often, where the label is another:"]
    for rater in raters:
        named = [f"{said} for {label} {count}" for count, label, said in mistakes(rater.confusion)]
        lines.append(f"  {rater.rater}: {', '.join(named[:CONFUSIONS_NAMED]) or 'nothing'}")
    return lines


def mistakes(confusion: Sequence[Sequence[int]]) -> list[tuple[int, str, str]]:
    """Return (count, label, answer) wherever the answer is not the label, the commonest first."""
    found = [
        (count, label, said)
        for label, row in zip(ANSWERS, confusion, strict=True)
        for said, count in zip(ANSWERS, row, strict=True)
        if count and said != label
    ]
    return sorted(found, key=lambda mistake: (-mistake[0], *mistake[1:]))


# Cells -------------------------------------------------------------------------------------------


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return lines of columns: the first one to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        ).rstrip()
        for row in (header, *rows)
    ]


def figure(value: float | None) -> str:
    """Return alpha or kappa; NONE where it is not defined."""
    return NONE if value is None else f"{value:.3f}"


def percent(share: float | None) -> str:
    """Return a share in percent."""
    return NONE if share is None else f"{share * 100:.0f}%"


def bits(value: float | None) -> str:
    """Return an entropy."""
    return NONE if value is None else f"{value:.2f}"


def chance(probability: float | None) -> str:
    """Return a probability that may be very small."""
    if probability is None:
        return NONE
    return f"{probability:.2f}" if probability >= 0.01 else f"{probability:.0e}"
