"""Every kind of source by its name in the config."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from occlufer.errors import UsageError

from . import (
    affectnet,
    caer_s,
    expw,
    fer2013,
    ferplus,
    huggingface,
    image_folder,
    occlu_fer,
    raf_db,
    sfew,
    synthetic,
    table,
    web,
)
from .entry import Entry
from .terms import Terms


class Adapter(Protocol):
    """What a module of this folder offers."""

    Settings: type[Any]
    """A frozen dataclass, read from the `[[sources]]` table; `Settings(path)` must do."""

    @property
    def TERMS(self) -> Terms | None:  # noqa: N802, a constant of the module
        """None where the user states the terms."""

    def detect(self, path: Path) -> str | None:
        """Return what was recognised at `path`, whole or in part, else None."""

    def entries(self, settings: Any, name: str) -> Iterator[Entry]:
        """Yield every thing the source lists, in a fixed order, without reading it.

        Raises MissingError if a piece is not there, saying which and where it is obtained, and
        UsageError if the layout is another one.
        """


# In the order in which a folder is tried: what has marks of its own before what many look like.
ADAPTERS: dict[str, Adapter] = {
    "occlu_fer": occlu_fer,  # first: its pictures are of other sets and may be called as there
    "affectnet": affectnet,
    "raf_db": raf_db,
    "expw": expw,
    "ferplus": ferplus,
    "fer2013": fer2013,
    "sfew": sfew,
    "caer_s": caer_s,
    "huggingface": huggingface,
    "table": table,
    "web": web,
    "image_folder": image_folder,
    "synthetic": synthetic,
}


def adapter_of(kind: str, source: str) -> Adapter:
    """Return the adapter; raises UsageError, naming the source, for a kind there is none of."""
    if kind not in ADAPTERS:
        raise UsageError(
            f"source {source}: found kind = {kind!r}, expected one of {', '.join(ADAPTERS)}"
        )
    return ADAPTERS[kind]


def recognised(path: Path) -> tuple[str, str] | None:
    """Return (kind, what was recognised) of the first adapter that knows the layout."""
    if not path.exists():
        return None
    for kind, adapter in ADAPTERS.items():
        what = adapter.detect(path)
        if what is not None:
            return kind, what
    return None
