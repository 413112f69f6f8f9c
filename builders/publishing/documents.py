"""The texts beside the shards: each is made from the lock and from nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from occlufer.lock import Lock

from .card import card_text
from .citation import citation_text
from .croissant import croissant_text
from .datasheet import datasheet_text

CARD_NAME = "README.md"
DOCUMENTS: dict[str, Callable[[Lock], str]] = {
    CARD_NAME: card_text,
    "DATASHEET.md": datasheet_text,
    "CITATION.cff": citation_text,
    "croissant.json": croissant_text,
}
"""{file of the published folder: its text, the same for the same lock}"""


def write_documents(folder: Path, lock: Lock) -> None:
    """Write every document of this lock into the folder."""
    lock = Lock.from_text(lock.to_text())  # as whoever reads it back has it, its keys sorted
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text(lock), encoding="utf-8", newline="\n")
