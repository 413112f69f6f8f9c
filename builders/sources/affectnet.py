"""AffectNet: the tables of its first release, or the arrays of the later one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from occlufer.errors import MissingError

from . import affectnet_arrays, affectnet_tables
from .affectnet_labels import TERMS
from .entry import Entry
from .files import folders, source_folder

__all__ = ["TERMS", "Settings", "detect", "entries"]

GET = (
    "expected training.csv, validation.csv and Manually_Annotated_Images/, "
    f"or train_set/ and val_set/; {TERMS.where}"
)


@dataclass(frozen=True)
class Settings:
    """A `[[sources]]` table with kind = "affectnet"."""

    path: Path
    """The folder that holds training.csv or Manually_Annotated/, or train_set/ and val_set/."""
    automatic: bool = False
    """Whether to read the first release's pictures too whose labels a network gave."""


def detect(path: Path) -> str | None:
    """Return which pieces of which release were recognised, and which are not there, else None."""
    if not path.is_dir():
        return None
    releases = {
        "the first release": (affectnet_tables.pieces(path), affectnet_tables.WANTED),
        "the later release": (affectnet_arrays.pieces(path), affectnet_arrays.WANTED),
    }
    found = [_told(release, *pieces) for release, pieces in releases.items() if pieces[0]]
    return f"AffectNet, {'; '.join(found)}" if found else None


def _told(release: str, there: list[str], wanted: tuple[str, ...]) -> str:
    absent = [piece for piece in wanted if not any(path.endswith(piece) for path in there)]
    return f"{release}: {', '.join(there)}" + (f" (without {', '.join(absent)})" if absent else "")


def entries(settings: Settings, name: str) -> Iterator[Entry]:
    """Yield a row of the tables or a picture with its array at a time.

    Raises MissingError if a piece is not there, UsageError if the layout is another one.
    """
    root = source_folder(settings.path, GET)
    first, later = affectnet_tables.pieces(root), affectnet_arrays.pieces(root)
    if not first and not later:
        raise MissingError(f"{root}: found {', '.join(folders(root)) or 'no folder'}, {GET}")
    if first or settings.automatic:
        yield from affectnet_tables.rows(root, settings.automatic, name)
    if later:
        yield from affectnet_arrays.files(root, name)
