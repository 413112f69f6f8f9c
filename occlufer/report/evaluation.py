"""The report's part on an evaluation: how well a model tells expressions, by what covers faces."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from occlufer.errors import MissingError, UsageError
from occlufer.page import Cell, paragraph, table, wide_picture
from occlufer.report.training import confusions

METRICS_NAME, CONFUSION_NAME = "metrics.json", "confusion.png"
COLUMNS = ("slice", "samples", "groups", "accuracy", "95 % from", "to")


def evaluation(folder: Path) -> str:
    """Return the figures that `occlufer evaluate` has left in a folder, and its confusion matrix.

    Raises MissingError if there are none, UsageError for a file that holds something else.
    """
    path = folder / METRICS_NAME
    if not path.is_file():
        raise MissingError(f"{path}: no such file, expected what `occlufer evaluate` writes")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        data = found["data"]
        lead = (
            f"{found['model']} on {found['samples']} samples of {data['config']}, {data['split']}; "
            f"faces not found: {found['not_found']}, counted as errors. Intervals are over groups: "
            "subjects, and related pictures."
        )
        rows = [_row(name, one) for name, one in found["slices"].items()]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: found no figures of an evaluation ({error!r:.80})") from None
    picture = folder / CONFUSION_NAME
    matrix = wide_picture(picture, "confusion matrix") if picture.is_file() else ""
    return paragraph(lead) + table(COLUMNS, rows) + matrix + confusions(found)


def _row(name: str, one: dict[str, Any]) -> list[Cell]:
    ends = (one["accuracy"][end] for end in ("value", "low", "high"))
    shares = ("-" if end is None else f"{100 * end:.1f}" for end in ends)
    return [name, int(one["samples"]), int(one["groups"]), *shares]
