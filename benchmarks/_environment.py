"""Environments of their own, for peers whose pins fight with ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "peers"
# The versions that were measured; what they need themselves is taken as it comes.
PINS = {"img2dataset": "img2dataset==1.47.0", "cleanvision": "cleanvision==0.3.7"}
INSTALL_S = 900
# A process's peak starts at that of the one that starts it: this one is small, and tells only of
# what it has started.
LAUNCHER = """
import pathlib, resource, subprocess, sys
status = subprocess.call(sys.argv[2:])
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
pathlib.Path(sys.argv[1]).write_text(str(peak))
sys.exit(status if status >= 0 else 128 - status)
"""


class MissingPeerError(Exception):
    """A peer that cannot be had here, and why."""


def python_of(peer: str) -> Path:
    """Return the interpreter of the environment of one of PINS, which is made once, in .cache.

    Raises MissingPeerError if pip cannot install it.
    """
    folder, pin = CACHE / peer, PINS[peer]
    python, done = folder / "bin" / "python", folder / "installed"
    if not (done.is_file() and done.read_text() == pin):
        venv.create(folder, clear=True, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", pin]
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S)
        except subprocess.TimeoutExpired:
            raise MissingPeerError(f"pip install {pin}: no end after {INSTALL_S} s") from None
        if run.returncode:
            last = next(reversed(run.stderr.split("\n")[:-1]), "no word")
            raise MissingPeerError(f"pip install {pin}: {last}")
        done.write_text(pin)
    return python


@dataclass(frozen=True)
class Ran:
    """What a command took."""

    wall_s: float
    peak_mb: float | None
    """Of its largest process; None if it was stopped."""
    status: int | None
    """None if it was stopped at its limit."""
    out: str
    err: str


def measured(
    command: Sequence[str | Path],
    folder: Path,
    limit_s: float = 3600,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run a command in a folder, with all it starts, for so long at most."""
    with ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(2))
        peak = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "peak"
        started = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(peak), *map(str, command)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        status: int | None
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            _stop(process)
        wall_s = time.monotonic() - started
        # Kilobytes on Linux, bytes on macOS.
        unit = 1024 if sys.platform == "linux" else 1_048_576
        peak_mb = int(peak.read_text()) / unit if status is not None else None
        return Ran(wall_s, peak_mb, status, *(_read(file) for file in (out, err)))


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a command and of all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
