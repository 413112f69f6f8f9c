"""The command `occlufer verify`: says what does not fit in a published folder."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.numbers import whole_number
from occlufer.commands.printing import show
from occlufer.errors import GateError
from occlufer.terminal import plain

SUMMARY = "Check a published folder: card, schema, lock, rows, pictures"

FAULTS_NAMED = 10


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument(
        "path",
        nargs="?",
        type=Path,
        default=Path("occlu_fer"),
        metavar="PATH",
        help="the published folder (default: occlu_fer); nothing in it changes",
    )
    command.add_argument("--workers", type=whole_number, default=0, help="pictures at a time")
    command.add_argument("--json", action="store_true", help="print one JSON object, every fault")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Verify the folder and print what is wrong; raises GateError if anything is."""
    verify = import_module("occlufer.builders.verify.verify").verify
    verdict = verify(arguments.path, arguments.workers)
    show(arguments.json, verdict.to_json(), _text(verdict))
    if verdict.faults:
        count = len(verdict.faults)
        raise GateError(f"{arguments.path}: {count} fault{'s' if count > 1 else ''}")


def _text(verdict: Any) -> str:
    lines = [fault.line() for fault in verdict.faults[:FAULTS_NAMED]]
    more = len(verdict.faults) - FAULTS_NAMED
    if more > 0:
        lines.append(f"and {more} more; --json names all")
    lines += [f"not checked: {sentence}" for sentence in verdict.unchecked]
    if not verdict.faults:
        lines.append(f"sound: {verdict.rows} rows, and card, schema and lock agree with them")
    return "\n".join(map(plain, lines))
