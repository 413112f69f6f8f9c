"""The sample index as the stage dedup keeps it: by which rules, and what others ask of it."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from occlufer.config import DedupConfig
from occlufer.damage import is_damage
from occlufer.stages import fingerprint
from occlufer.workspace import Workspace

from .edges import limits_of
from .sample_index import SampleIndex, open_known

# Of the stage: what it computes otherwise, an index of before does not know.
VERSION = 7
FOLDER = "dedup"
# Changes of more samples than these, and than that share of them, are not followed one by one.
FEW_SAMPLES = 100
FEW_SHARE = 0.005

log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


def rules(workspace: Workspace, settings: DedupConfig) -> str:
    """Return what edges depend on, beside the samples: by others they are searched anew."""
    hashes = workspace.catalog.fingerprint("hashes")
    return fingerprint(VERSION, vars(limits_of(settings)), hashes)[:12]


def most_followed(index: SampleIndex) -> int:
    """Return of how many changes each is followed; beyond, all samples are worked through."""
    return max(FEW_SAMPLES, int(FEW_SHARE * index.hashes.count))


def ask_index(
    workspace: Workspace, settings: DedupConfig, ask: Callable[[SampleIndex], Answer | None]
) -> Answer | None:
    """Return what `ask` finds in the index that the stage, by these settings, has left.

    None if there is no such index, or it cannot be read: all had better be searched then.
    """
    mark = workspace.catalog.mark("dedup")
    if mark is None:
        return None
    try:
        folder, made_by = workspace.folder / FOLDER, rules(workspace, settings)
        with open_known(folder, made_by, mark.state) as index:
            return None if index is None else ask(index)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        log.warning("dedup: the index cannot be read: %s", error)
        return None
