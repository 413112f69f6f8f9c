"""The report's funnel: how many records come to every stage, go on, and why the others do not."""

from __future__ import annotations

from collections import Counter

from occlufer.outcome import Outcome
from occlufer.page import Bar, Cell, paragraph, table
from occlufer.pipeline import STAGES

# The last: where a build was stopped, records have come to no end yet.
ORDER = ("gather", *STAGES, "")


def funnel(known: list[Outcome]) -> str:
    """Return a row for every stage, with a bar that narrows; every record ends in one row."""
    ended: dict[str, Counter[str]] = {stage: Counter() for stage in ORDER}
    for outcome in known:
        if outcome.reject is not None:
            ended[outcome.stage][outcome.reject.reason] += 1
    rows: list[list[Cell]] = []
    come = len(known)
    for stage, reasons in ended.items():
        if not stage and not reasons:
            continue
        count = reasons.total()
        why = ", ".join(f"{reason} {number}" for reason, number in sorted(reasons.items()))
        left = come - count
        rows.append([stage, come, count, left, Bar(left / max(len(known), 1)), why])
        come = left
    lead = paragraph(
        f"{len(known)} records were read, {come} are published. Every other one is left out by one "
        "stage, for one reason."
    )
    header = ("stage", "come", "left out", "go on", "share that goes on", "reasons")
    return lead + table(header, rows)
