"""A process that outlives the one that started it, known again by its number and its start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from occlufer.errors import OccluferError

from .private import open_private

PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A process that was started; another one that got its number later is not it."""

    pid: int
    began: str
    """What `beginning` said of it."""

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return beginning(self.pid) == self.began

    def end(self, grace_s: float = 10) -> None:
        """End it: asked to at first, forced to after `grace_s`; back when it is gone.

        Raises OccluferError if the kernel does not end it either.
        """
        for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 30.0)):
            if not self.alive:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            until = time.monotonic() + wait_s
            while self.alive and time.monotonic() < until:
                time.sleep(0.05)
        if self.alive:
            raise OccluferError(f"process {self.pid} does not end, though it was killed")


def launch(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Start a command that goes on when we end; what it says goes into the new file `log`."""
    output = open_private(log)
    try:
        child = subprocess.Popen(
            command,
            env=environment,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # no Ctrl-C and no closed terminal reaches it
            umask=0o077,
        )
    finally:
        os.close(output)
    began = beginning(child.pid, reap=False) or ""
    child.returncode = 0  # else Python complains that it was not waited for
    return Process(child.pid, began)


def beginning(pid: int, reap: bool = True) -> str | None:
    """Return when the process began, in the kernel's words; None if it does not run.

    With `reap`, a child of ours that has ended is let go: until then it keeps its number.
    """
    if reap:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return _by_proc(pid) if (PROC / "self" / "stat").exists() else _by_ps(pid)


def _by_proc(pid: int) -> str | None:
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        boot = (PROC / "sys" / "kernel" / "random" / "boot_id").read_text(encoding="ascii").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name may hold spaces and brackets; what follows it are numbers.
    state, *numbers = text.rpartition(")")[2].split()
    ticks_since_boot = numbers[18]
    return None if state in "ZX" else f"{boot} {ticks_since_boot}"


def _by_ps(pid: int) -> str | None:
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    state, _, began = done.stdout.strip().partition(" ")
    return None if not began or state.startswith("Z") else " ".join(began.split())
