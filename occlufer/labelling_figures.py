"""Which figures of labelling by people are shown, the same on a terminal and in the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORK_COLUMNS = (
    *("rater", "answers", "skips", "right", "gold", "of", "95 %"),
    *("edited", "edits", "twice", "deleted", "refused"),
)
WORK_LEGEND = (
    "right: answers that are what most of the others said, of samples with two others or more that "
    "have one such answer; gold: right ones of the known answers, with their interval (Wilson's); "
    "edited: rows that somebody else changed; edits: others' rows that this one changed; twice: "
    "further answers to a sample; refused: rows that say nothing that was asked for"
)
HABIT_COLUMNS = (
    *("rater", "median s", "fast", "hasty", "longest run", "of", "chance"),
    *("bits", "others' bits"),
)
HABIT_LEGEND = (
    "fast: below one second; hasty: below a third of everybody's median; chance: how likely so "
    "long a run of one answer is, in any order; bits: entropy of the answers, and of all that "
    "others answered to the same samples"
)


def progress_rows(found: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return (count, what is counted) of the progress, as the status has it in JSON."""
    return [
        (found["wanted"], "samples wanted"),
        (found["answered"], f"with {found['overlap']} answers or skips, or decided on"),
        (found["begun"], "with fewer"),
        (found["given"], "answers"),
        (found["skipped"], "skips"),
        (found["skipped_samples"], "samples skipped by somebody"),
        (found["decided"], "samples decided on by adjudicators"),
        (found["open"], "samples in doubt and not decided on"),
    ]
