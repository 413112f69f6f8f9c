"""The user's groups: a CSV that says which records belong together, e.g. of one person."""

from __future__ import annotations

from pathlib import Path

from occlufer.csv_file import csv_rows
from occlufer.errors import UsageError

COLUMNS = ("record", "group")
NAMED_BY = "[dedup] groups names a CSV with the columns record,group"


def read_groups(path: Path | None) -> dict[str, str]:
    """Return {record: group} of the file, {} without one.

    Raises MissingError if it is not there, UsageError for a line that says something else.
    """
    if path is None:
        return {}
    groups: dict[str, str] = {}
    for place, (record, group) in csv_rows(path, COLUMNS, NAMED_BY):
        if groups.setdefault(record, group) != group:
            raise UsageError(
                f"{place}: found {record!r} in the group {group!r}, and before in "
                f"{groups[record]!r}; expected one group a record"
            )
    return groups
