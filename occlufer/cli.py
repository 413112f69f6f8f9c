"""The command line: parses, runs a command, says in a line what went wrong. Nothing heavy here."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import io
import logging
import os
import sqlite3
import sys
import warnings
from typing import NoReturn, Protocol

from occlufer.commands import (
    annotate,
    baseline_train,
    build,
    completion,
    dedup,
    diff,
    doctor,
    evaluate,
    fetch,
    init,
    inspect,
    leaks,
    plan,
    predict,
    publish,
    rebuild,
    report,
    sources,
    takedown,
    verify,
    weights,
)
from occlufer.errors import GO_ON, KEPT, OccluferError
from occlufer.progress import LogLines
from occlufer.terminal import PlainLines, plain
from occlufer.version import __version__

EXIT_CODES = """exit status:
  0    done
  1    this machine or a service gave up: disk full, catalog damaged, too many requests
  2    the command line or the config says what cannot be done
  3    a source, a weight or a package is missing; the message says how to get it
  4    a check says no: labels due, a quota short, a leak, a fault; the message says which
  130  interrupted; the same command goes on where it stopped
"""


def run() -> NoReturn:
    """Be the program `occlufer`."""
    status: list[int] = []
    atexit.register(_leave, status)  # before anybody else, so that it comes last
    status.append(main())
    sys.exit(status[0])


def _leave(status: list[int]) -> None:
    """End the process at once, if the command has ended.

    Threads of Arrow, PyTorch and others may still let go of something of Python's. While Python
    before 3.14 shuts down it ends whoever asks for its lock, which C++ answers with an abort: a
    build that had succeeded would now and then say it had not.
    """
    if status:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status[0])


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status; errors are one line on stderr."""
    arguments = command_line().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # paths may be no UTF-8
    logging.basicConfig(level=logging.INFO, handlers=[_log_handler()])
    # Pillow warns of what is odd in a file, builders/pixels.py judges it.
    warnings.filterwarnings("ignore", module="PIL")
    for chatty in ("datasets", "matplotlib", "numba", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        arguments.function(arguments)
        sys.stdout.flush()  # here, where what goes wrong is told
    except OccluferError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail(f"interrupted; {getattr(arguments, 'going_on', GO_ON)}", 130)
    except BrokenPipeError:  # the reader of a pipe has gone: nobody is left to tell
        _let_go()
        return 1
    except OSError as error:
        _let_go()
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}; {KEPT}", 1)
    except MemoryError:
        return _fail(f"out of memory, fewer --workers need less of it; {KEPT}", 1)
    except sqlite3.Error as error:
        return _fail(f"the workspace's catalog: {error}; {KEPT}", 1)
    return 0


def _let_go() -> None:
    """Let what is not yet printed go nowhere, if it cannot be: Python would try again, and fail."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _log_handler() -> logging.Handler:
    handler = LogLines(sys.stderr)
    handler.setFormatter(PlainLines("%(message)s"))
    return handler


def _fail(message: str, status: int) -> int:
    print(f"occlufer: {plain(' '.join(message.split()))}", file=sys.stderr)
    return status


def command_line() -> argparse.ArgumentParser:
    """Return the whole command line, nothing heavy imported; docs/commands.md is made of it."""
    parser = argparse.ArgumentParser(
        prog="occlufer",
        description="Make, label, publish and load Occlu-FER; train its baseline ORSANet.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"occlufer {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        command = commands.add_parser(name, help=module.SUMMARY, description=f"{module.SUMMARY}.")
        module.add(command)
        command.set_defaults(function=module.run)
    return parser


class Command(Protocol):
    """What every module of commands/ has."""

    SUMMARY: str

    def add(self, command: argparse.ArgumentParser) -> None:
        """Add the command's arguments."""

    def run(self, arguments: argparse.Namespace) -> None:
        """Do it."""


COMMANDS: dict[str, Command] = {
    "init": init,
    "fetch": fetch,
    "build": build,
    "sources": sources,
    "dedup": dedup,
    "leaks": leaks,
    "annotate": annotate,
    "inspect": inspect,
    "publish": publish,
    "plan": plan,
    "weights": weights,
    "verify": verify,
    "diff": diff,
    "rebuild": rebuild,
    "takedown": takedown,
    "doctor": doctor,
    "completion": completion,
    "report": report,
    "baseline-train": baseline_train,
    "predict": predict,
    "evaluate": evaluate,
}

if __name__ == "__main__":
    run()
