"""The command `occlufer sources`: says what dataset folders hold, and names the kinds."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.printing import show
from occlufer.errors import MissingError
from occlufer.terminal import plain

SUMMARY = "Say what dataset folders hold, and what is missing"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    detect = actions.add_parser(
        "detect", help="say what a folder or file holds, and what is missing"
    )
    detect.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="nothing in it changes")
    listing = actions.add_parser("list", help="name every kind of source and its terms")
    for action in (detect, listing):
        action.add_argument("--json", action="store_true", help="print one JSON list")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Print what was found, or what is known; raises MissingError where nothing is known."""
    detection = import_module("occlufer.builders.detection")
    if arguments.action == "list":
        kinds = detection.kinds()
        show(arguments.json, kinds, "\n".join(_kind_text(kind) for kind in kinds))
        return
    found = [detection.find(path).to_json() for path in arguments.paths]
    show(arguments.json, found, "\n".join(_found_text(one) for one in found))
    unknown = [one["path"] for one in found if not one["kind"]]
    if unknown:
        raise MissingError(f"{', '.join(unknown)}: found no source that is known there")


def _kind_text(kind: dict[str, Any]) -> str:
    terms = kind["terms"]
    if terms is None:
        return f"{kind['kind']}: the terms are for you to state"
    asked = "; asked for in accept_terms" if terms["must_accept"] else ""
    return f"{kind['kind']}: {terms['title']}; {terms['licence']}; {terms['where']}{asked}"


def _found_text(found: dict[str, Any]) -> str:
    kind = f"{found['kind']}: " if found["kind"] else ""
    lines = [f"{found['path']}: {kind}{found['what']}; {found['records']} records"]
    for split, counts in found["splits"].items():
        told = ", ".join(f"{word} {count}" for word, count in sorted(counts.items()))
        lines.append(f"  {split}: {sum(counts.values())}: {told}")
    if found["table_1"] is not None:
        faults = found["table_1"] or ["all 16 counts as published"]
        lines += [f"  Table 1: {fault}" for fault in faults]
    lines += [f"  left out: {reason}: {n}" for reason, n in sorted(found["rejected"].items())]
    lines += [f"    {fault}" for fault in found["faults"]]
    if found["missing"]:
        lines.append(f"  to mend: {found['missing']}")
    if found["terms"]:
        lines.append(f"  terms: {found['terms']['licence']}; {found['terms']['where']}")
    return "\n".join(map(plain, lines))
