"""The command `occlufer takedown`: takes pictures down for good, and says what is named."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.errors import GateError
from occlufer.terminal import plain

SUMMARY = "Take pictures down, so that no later build or rebuild has them"

RECORDS_NAMED = 20


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    adding = actions.add_parser("add", help="take pictures down: no later build has them")
    adding.add_argument(
        "what",
        nargs="+",
        metavar="WHAT",
        help="a picture's file, the sha256 of one or of a published crop, an address, or a record "
        "(SOURCE/SOURCE_ID); only hashes are kept of it",
    )
    adding.add_argument("--reason", default="", help="one word, kept here and never published")
    checking = actions.add_parser("check", help="say what a tombstone names, and why")
    checking.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="a published folder (status 4 if it holds any); default: the workspace",
    )
    for action in (adding, checking):
        action.add_argument("--config", type=Path, help="whose tombstones (default: as for build)")
        action.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(going_on="nothing was taken down")


def run(arguments: argparse.Namespace) -> None:
    """Add or check; raises GateError if a published folder holds what was taken down."""
    from occlufer.config_file import config_at

    config = config_at(arguments.config)
    told = _add(config, arguments) if arguments.action == "add" else _check(config, arguments)
    if arguments.json:
        print(json.dumps(told, sort_keys=True))
    else:
        lines = _added_text(told) if arguments.action == "add" else _checked_text(told)
        print("\n".join(map(plain, lines)))
    if arguments.action == "check" and arguments.data is not None and told["found"]:
        count = len(told["found"])
        raise GateError(f"{arguments.data}: found {count} rows that were taken down, expected none")


def _add(config: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    add = import_module("occlufer.builders.takedown_add").add
    added = [vars(one) for one in add(config, arguments.what, arguments.reason)]
    return {"file": str(config.takedown), "added": added}


def _check(config: Any, arguments: argparse.Namespace) -> dict[str, Any]:
    from occlufer.workspace import open_built

    checks = import_module("occlufer.builders.takedown_check")
    tombstones = import_module("occlufer.builders.takedown").tombstones_of(config)
    if arguments.data is not None:
        place, found = arguments.data, checks.check_folder(arguments.data, tombstones)
    else:
        with open_built(config.workspace) as workspace:
            place, found = config.workspace, checks.check_workspace(workspace, tombstones)
    return {
        "file": str(config.takedown),
        "tombstones": len(tombstones),
        "place": str(place),
        "found": [vars(one) for one in found],
    }


def _added_text(told: dict[str, Any]) -> list[str]:
    lines = [line for one in told["added"] for line in _one_added(one)]
    return [*lines, f"tombstones: {told['file']}; run: occlufer build"]


def _one_added(one: dict[str, Any]) -> list[str]:
    known = (
        f"known by {one['pictures']} looks, so copies of it are found"
        if one["pictures"]
        else "known by its exact bytes or address alone: changed copies are not found, give the "
        "picture itself for that"
    )
    state = "taken down" if one["new"] else "was taken down before"
    records = one["records"]
    lines = [f"{one['what']}: {state}; {known}; records of the workspace: {len(records)}"]
    lines += [f"  {record}" for record in records[:RECORDS_NAMED]]
    if len(records) > RECORDS_NAMED:
        lines.append(f"  and {len(records) - RECORDS_NAMED} more: --json names them all")
    return lines


def _checked_text(told: dict[str, Any]) -> list[str]:
    lines = []
    for one in told["found"]:
        of = ", ".join(word for word in (one["added"], one["reason"]) if word)
        lines.append(f"{one['where']}: {one['how']}" + (f" ({of})" if of else ""))
    return [*lines, f"{told['place']}: {len(told['found'])} are taken down"]
