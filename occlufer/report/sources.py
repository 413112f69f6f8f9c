"""The report's account of sources: labels that became no class, and what occlusion lists name."""

from __future__ import annotations

from collections import Counter

from occlufer.losses import losses
from occlufer.outcome import Outcome
from occlufer.page import Cell, paragraph, table
from occlufer.unmatched import UNMATCHED_NAME, read_unmatched
from occlufer.workspace import Workspace

WORDS_SHOWN = 200


def lost_labels(known: list[Outcome]) -> str:
    """Return which of the sources' own labels became no class of ours, and what they became."""
    rows = [
        (source, word, became, count)
        for source, words in losses(outcome.record for outcome in known).items()
        for word, counts in words.items()
        for became, count in counts.items()
    ]
    if not rows:
        return ""
    rows.sort(key=lambda row: (row[0], -row[3], row[1]))
    lead = paragraph(
        f"{sum(row[3] for row in rows)} records have no class by their own source's word; "
        "another source that holds the same picture may give it one still. In a tie several words "
        "have most votes."
    )
    header = ("source", "its word", "became", "records")
    return lead + table(header, rows[:WORDS_SHOWN])


def occlusion_lists(workspace: Workspace) -> str:
    """Return how much of every occlusion list is at hand; nothing where none was given."""
    samples: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    for result in workspace.catalog.results("lists"):
        marked.update(result.value["lists"])
        samples.update({name: len(records) for name, records in result.value["subsets"].items()})
    missing = Counter((row.list, row.reason) for row in read_unmatched(workspace.folder))
    names = sorted({*marked, *(name for name, _ in missing)})
    if not names:
        return ""
    reasons = sorted({reason for _, reason in missing})
    rows: list[tuple[Cell, ...]] = [
        (name, marked[name], samples[name], *(missing[name, reason] for reason in reasons))
        for name in names
    ]
    lead = paragraph(
        "Images that a list marks as occluded, samples of its evaluation subset, and lines that "
        f"add none, by reason. These lines are in the workspace's {UNMATCHED_NAME}."
    )
    return lead + table(("list", "marked", "samples", *reasons), rows)
