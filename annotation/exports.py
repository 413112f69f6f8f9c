"""What Label Studio leaves of an export: it keeps a copy of every answer that it hands out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .server.place import Place


@contextlib.contextmanager
def left_behind(workspace: Path | None, project: int) -> Iterator[None]:
    """Delete what the embedded server of `workspace` keeps of a project's exports in this block.

    Files that were there before are somebody else's, and stay. None means a server elsewhere, to
    whose files nobody but its owner gets.
    """
    before = _kept(workspace, project)
    try:
        yield
    finally:
        for path in _kept(workspace, project) - before:
            path.unlink(missing_ok=True)


def _kept(workspace: Path | None, project: int) -> set[Path]:
    if workspace is None:
        return set()
    folder = Place(workspace.resolve()).data / "export"
    return set(folder.glob(f"project-{project}-at-*.json"))
