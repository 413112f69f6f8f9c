"""The command `occlufer weights`: says which models' weights are there, and pulls them.

Like the rest of the command line it parses, calls one library function and prints.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.errors import UsageError

LIST = "Say which weights can be pulled, and which are there"
PULL = "Fetch weights once; only what has the pinned hash is kept"


def add(command: argparse.ArgumentParser) -> None:
    """Add the actions to the command."""
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help=LIST, description=f"{LIST}.")
    pull = actions.add_parser("pull", help=PULL, description=f"{PULL}.")
    pull.add_argument("name", metavar="NAME", help="as `occlufer weights list` names it")
    pull.add_argument(
        "--from",
        dest="source",
        default="",
        metavar="FILE_OR_URL",
        help="where to take it from, e.g. a file on a stick (default: where it is published)",
    )
    for action in (listing, pull):
        action.add_argument(
            "--weights-dir",
            type=Path,
            help="the folder (default: the config's weights_dir, else one in your data folder)",
        )
        action.add_argument("--config", type=Path, help="as for build")
        action.add_argument("--json", action="store_true", help="print one JSON object")
        action.set_defaults(going_on="nothing was kept, run the same command again")


def run(arguments: argparse.Namespace) -> None:
    """Do what the arguments ask for and print it."""
    folder = _folder(arguments)
    weights = import_module("occlufer.builders.weights")
    function = _pull if arguments.action == "pull" else _list
    function(arguments, weights, folder)


def _folder(arguments: argparse.Namespace) -> Path | None:
    """Return the folder that is named, None where builds look if none is."""
    if arguments.weights_dir is not None:
        return Path(arguments.weights_dir).absolute()
    from occlufer.config import config_at

    return config_at(arguments.config).weights_dir


def _list(arguments: argparse.Namespace, weights: Any, folder: Path | None) -> None:
    found = weights.listed(folder)
    value = [_listed(one, weights.WEIGHTS[one.name]) for one in found]
    text = "\n".join(_listed_text(one) for one in value)
    print(json.dumps(value, sort_keys=True) if arguments.json else text)
    wrong = [one for one in found if one.state == "wrong"]
    if wrong:
        raise UsageError("; ".join(f"{one.path}: {one.fault}" for one in wrong))


def _listed(one: Any, pinned: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "state": one.state,
        "path": None if one.path is None else str(one.path),
        "purpose": pinned.purpose,
        "licence": pinned.licence,
        "size_bytes": pinned.size_bytes,
        "sha256": pinned.sha256,
        "urls": list(pinned.urls),
    }


def _listed_text(one: dict[str, Any]) -> str:
    pinned = f"{one['size_bytes']} bytes, sha256 {one['sha256']}"
    lines = [f"{one['name']}: {one['purpose']}; {one['licence']}; {pinned}"]
    if one["path"] is None:
        lines.append("  missing, and there is no home folder to put it in: name a --weights-dir")
    elif one["state"] == "missing":
        lines.append(f"  missing: `occlufer weights pull {one['name']}` puts it at {one['path']}")
    else:
        lines.append(f"  {one['state']}: {one['path']}")
    return "\n".join(lines)


def _pull(arguments: argparse.Namespace, weights: Any, folder: Path | None) -> None:
    pulled = weights.pull(arguments.name, folder, arguments.source)
    pinned = weights.WEIGHTS[arguments.name]
    if arguments.json:
        value = {"name": arguments.name, "path": str(pulled.path), "sha256": pinned.sha256}
        print(json.dumps(value | {"source": pulled.source or None}, sort_keys=True))
        return
    if pulled.source:
        print(f"{arguments.name}: fetched from {pulled.source}, sha256 {pinned.sha256}")
    else:
        print(f"{arguments.name}: is there already, sha256 {pinned.sha256}; nothing was fetched")
    print(f"  {pulled.path}")
    if arguments.weights_dir is not None:
        path = json.dumps(str(folder), ensure_ascii=False)
        print(f"builds look there with weights_dir = {path} in their config")
    elif pulled.source:
        print("builds find it there from now on")
