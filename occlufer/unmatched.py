"""The lines of occlusion lists that add no sample to their subset: `unmatched.csv`."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from occlufer.errors import UsageError, one_line
from occlufer.replacing import replaced

UNMATCHED_NAME = "unmatched.csv"


@dataclass(frozen=True)
class Unmatched:
    """One line that matches nothing at hand."""

    list: str
    """One of the lists of the config, e.g. "raf_db_occlu"."""
    line: int
    name: str
    """Of the picture, as records have it; the whole line if it names none."""
    reason: str


def write_unmatched(rows: Iterable[Unmatched], folder: Path) -> None:
    """Write the rows as CSV into the workspace's folder."""
    with (
        replaced(folder / UNMATCHED_NAME) as part,
        part.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(Unmatched.__annotations__)
        writer.writerows(vars(row).values() for row in rows)


def read_unmatched(folder: Path) -> list[Unmatched]:
    """Return what `write_unmatched` wrote, nothing if it wrote nothing; raises UsageError.

    It is for people to open, and what their programs save may be something else.
    """
    path = folder / UNMATCHED_NAME
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                Unmatched(row["list"], int(row["line"]), row["name"], row["reason"])
                for row in csv.DictReader(file)
            ]
    except FileNotFoundError:
        return []
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise UsageError(
            f"{path}: found no list of ours ({one_line(error)}); delete it and build again"
        ) from None
