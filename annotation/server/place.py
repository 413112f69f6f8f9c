"""Where a workspace keeps its labelling server, and the word that a start leaves of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from .private import write_private
from .process import Process


@dataclass(frozen=True)
class Place:
    """Where a workspace keeps its server."""

    workspace: Path

    @property
    def folder(self) -> Path:
        """What is the server's, closed to others."""
        return self.workspace / "label_studio"

    @property
    def environment(self) -> Path:
        """Where the server is installed, unless a variable names another environment."""
        return self.folder / "venv"

    @property
    def data(self) -> Path:
        """Users, projects and answers."""
        return self.folder / "data"

    @property
    def files(self) -> Path:
        """What it may serve: `push` makes a link to the images in here.

        The server refuses to hand out its document root itself; and it must not be the workspace,
        of which every rater could serve himself the rest, this folder too.
        """
        return self.folder / "files"

    @property
    def log(self) -> Path:
        """What the server said since its last start."""
        return self.folder / "server.log"

    @property
    def credentials(self) -> Path:
        """The secrets."""
        return self.folder / "credentials.json"

    @property
    def run(self) -> Path:
        """Which process serves, and at which port."""
        return self.folder / "server.json"

    @property
    def port(self) -> Path:
        """At which port it served last; kept when it stops, raters have bookmarks."""
        return self.folder / "port"

    @property
    def lock(self) -> Path:
        """Held while the server is started or stopped."""
        return self.folder / "lock"


@dataclass(frozen=True)
class Run:
    """A server process, as a start has left word of it."""

    process: Process
    port: int
    checked: bool = False
    """Whether it was seen to be the one that listens at the port."""


def kept_run(place: Place) -> Run | None:
    """Return the process that the last start has left, if it still runs."""
    try:
        table = json.loads(place.run.read_text(encoding="utf-8"))
        process = Process(int(table["pid"]), str(table["began"]))
        run = Run(process, int(table["port"]), bool(table["checked"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return run if run.process.alive else None


def kept_port(place: Place) -> int | None:
    """Return the port at which the server was last seen, if it was."""
    try:
        port = int(place.port.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return port if 0 < port < 1 << 16 else None


def keep_run(place: Place, run: Run) -> None:
    """Leave word of the server process, for the next command."""
    table = {"pid": run.process.pid, "began": run.process.began}
    write_private(place.run, json.dumps(table | {"port": run.port, "checked": run.checked}) + "\n")
    if run.checked:
        write_private(place.port, f"{run.port}\n")
