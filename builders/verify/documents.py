"""Documents beside the shards: are they what the lock makes of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from occlufer.lock import LOCK_NAME, Lock
from occlufer.version import __version__

from ..published.fault import Fault, first_line
from ..publishing.documents import CARD_NAME, DOCUMENTS


def document_faults(folder: Path, lock: Lock) -> Iterator[Fault]:
    """Yield every document that is missing, or says something else than is made of the lock.

    The card may be written on, so only its header is checked, elsewhere; what another version of
    occlufer has written is not compared.
    """
    if lock.made_with.get("occlufer") != __version__:
        return
    for name in DOCUMENTS:
        if name != CARD_NAME:
            yield from _faults_of(folder, name, lock)


def _faults_of(folder: Path, name: str, lock: Lock) -> Iterator[Fault]:
    expected = "what is made of the lock"
    try:
        text = (folder / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        yield Fault(name, "document", "no such file", expected)
        return
    except (OSError, ValueError) as error:
        yield Fault(name, "document", first_line(error), expected)
        return
    try:
        made = DOCUMENTS[name](lock)
    except Exception as error:  # there may be anything in the lock
        found = f"nothing can be made of it: {first_line(error)}"
        yield Fault(LOCK_NAME, f"lock, for {name}", found, "what `occlufer build` writes")
        return
    if text != made:
        yield Fault(name, "document", _first_difference(text, made), expected)


def _first_difference(text: str, expected: str) -> str:
    lines = zip([*text.splitlines(), ""], expected.splitlines(), strict=False)
    number = next((n for n, (a, b) in enumerate(lines, start=1) if a != b), 1)
    return f"another text from line {number} on"
