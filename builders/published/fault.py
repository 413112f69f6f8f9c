"""Faults: what does not fit in a published folder, said in one line each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SHOWN = 120


@dataclass(frozen=True)
class Fault:
    """One thing that is not as it should be."""

    where: str
    """The file, and in a shard the row, counted from 0."""
    what: str
    """Which of the checks found it."""
    found: str
    expected: str

    def line(self) -> str:
        """Return it in words."""
        return f"{self.where}: {self.what}: found {self.found}, expected {self.expected}"


def shown(value: Any) -> str:
    """Return a value as one line that is not too long, whatever somebody has put into it."""
    text = value if isinstance(value, str) and value.isprintable() and value else repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def first_line(error: BaseException) -> str:
    """Return what an error says, on one line."""
    return shown(" ".join(str(error).split()) or type(error).__name__)
