"""The user's groups: a CSV that says which records belong together, e.g. of one person."""

from __future__ import annotations

import csv
from pathlib import Path

from occlufer.errors import MissingError, UsageError

COLUMNS = ["record", "group"]


def read_groups(path: Path | None) -> dict[str, str]:
    """Return {record: group} of the file, {} without one.

    Raises MissingError if it is not there, UsageError for a line that says something else.
    """
    if path is None:
        return {}
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise MissingError(
            f"{path}: no such file; [dedup] groups names a CSV with the columns record,group"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    groups: dict[str, str] = {}
    reader = csv.reader(text.replace("\r\n", "\n").split("\n"))
    for row in reader:
        place = f"{path}, line {reader.line_num}"
        if reader.line_num == 1:
            if [cell.strip() for cell in row] != COLUMNS:
                raise UsageError(f"{place}: found {','.join(row)[:60]!r}, expected record,group")
            continue
        if not row:
            continue
        row = [cell.strip() for cell in row]
        if len(row) != len(COLUMNS) or not all(row):
            raise UsageError(f"{place}: found {','.join(row)[:60]!r}, expected record,group")
        record, group = row
        if groups.setdefault(record, group) != group:
            raise UsageError(
                f"{place}: found {record!r} in the group {group!r}, and before in "
                f"{groups[record]!r}; expected one group a record"
            )
    return groups
