"""The terms of a public set: who gives it, what may be done with it, whom to name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Terms:
    """What the owners of a set ask of those who use it."""

    title: str
    """How the set is called, e.g. "RAF-DB"."""
    licence: str
    """The terms in one line, as published beside every sample."""
    attribution: str
    """The paper to cite."""
    where: str
    """Where the set is obtained, as messages about a missing piece end."""
    must_accept: bool
    """Whether a build asks for the kind in `accept_terms`: somebody signs or applies for it."""
    rights: str = "index_only"
    """One of schema.RIGHTS."""
