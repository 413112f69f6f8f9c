"""The command `occlufer weights`: says which models' weights are there, and pulls them."""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.printing import show
from occlufer.errors import MissingError, UsageError

SUMMARY = "Pull models' weights, once"

LIST = "Say which weights can be pulled, and which are there"
PULL = "Fetch weights once; only what has the pinned hash is kept"
VERIFY = "Read weights that you fetched yourself, tensor by tensor"


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
    verify = actions.add_parser("verify", help=VERIFY, description=f"{VERIFY}.")
    verify.add_argument("name", metavar="NAME", help="as `occlufer weights list` names it")
    for action in (listing, pull, verify):
        action.add_argument(
            "--weights-dir",
            type=Path,
            help="the folder (default: the config's weights_dir, else one in your data folder)",
        )
        action.add_argument("--config", type=Path, help="as for build")
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(going_on="nothing was kept, run the same command again")


def run(arguments: argparse.Namespace) -> None:
    """Do what the arguments ask for and print it."""
    folder = _folder(arguments)
    weights = import_module("occlufer.builders.weights")
    function = {"list": _list, "pull": _pull, "verify": _verify}[arguments.action]
    function(arguments, weights, folder)


def _folder(arguments: argparse.Namespace) -> Path | None:
    """Return the folder that is named, None where builds look if none is."""
    if arguments.weights_dir is not None:
        return Path(arguments.weights_dir).absolute()
    from occlufer.config_file import config_at

    return config_at(arguments.config).weights_dir


def _list(arguments: argparse.Namespace, weights: Any, folder: Path | None) -> None:
    found = weights.listed(folder)
    value = [_listed(one, weights.WEIGHTS[one.name]) for one in found]
    text = "\n".join(_listed_text(one) for one in value)
    others = _others(folder)
    value += others
    text = "\n".join([text, *(_other_text(one) for one in others)])
    show(arguments.json, value, text)
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


def _others(folder: Path | None) -> list[dict[str, Any]]:
    """Return the weights that a person has to fetch."""
    by_hand = import_module("occlufer.builders.weights_by_hand")
    found = []
    for name, one in by_hand.BY_HAND.items():
        path = by_hand.find_by_hand(name, folder)
        found.append(
            {
                "name": name,
                "state": "missing" if path is None else "there",
                "path": None if path is None else str(path),
                "purpose": one.purpose,
                "how": by_hand.how_to_get(name, folder),
            }
        )
    return found


def _other_text(one: dict[str, Any]) -> str:
    if one["path"] is None:
        return f"{one['name']}: {one['purpose']}\n  missing: {one['how']}"
    check = f"`occlufer weights verify {one['name']}` reads it"
    return f"{one['name']}: {one['purpose']}\n  there: {one['path']}; {check}"


def _verify(arguments: argparse.Namespace, weights: Any, folder: Path | None) -> None:
    by_hand = import_module("occlufer.builders.weights_by_hand")
    path, sha256 = by_hand.verified(arguments.name, folder)
    value = {"name": arguments.name, "path": str(path), "sha256": sha256}
    text = f"{path}: every tensor of {arguments.name} is there, sha256 {sha256}"
    show(arguments.json, value, text)


def _pull(arguments: argparse.Namespace, weights: Any, folder: Path | None) -> None:
    by_hand = import_module("occlufer.builders.weights_by_hand")
    if arguments.name in by_hand.BY_HAND:
        raise MissingError(f"{arguments.name}: {by_hand.how_to_get(arguments.name, folder)}")
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
