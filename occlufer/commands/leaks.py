"""The command `occlufer leaks`: registers test sets that no training sample may be near."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from occlufer.commands.numbers import whole_number
from occlufer.terminal import plain

SUMMARY = "Register test sets that no training sample may be near"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    register = actions.add_parser("register", help="keep the hashes of a test set")
    register.add_argument("name", help="what to call it")
    register.add_argument("path", type=Path, help="its folder, FER2013, or a table of hashes")
    register.add_argument("--workers", type=whole_number, default=0, help="pictures at a time")
    listing = actions.add_parser("list", help="name the test sets that are registered")
    forget = actions.add_parser("forget", help="delete the hashes of a test set")
    forget.add_argument("name", help="what it is called")
    for action in (register, listing, forget):
        action.add_argument("--config", type=Path, help="whose workspace (default: as for build)")
        action.add_argument("--workspace", type=Path, help="of the builds that are meant")
    command.set_defaults(going_on="nothing was registered")


def run(arguments: argparse.Namespace) -> None:
    """Register, list or forget."""
    from occlufer.config_file import config_at

    leaks = import_module("occlufer.builders.leaks")
    workspace = arguments.workspace or config_at(arguments.config).workspace
    if arguments.action == "register":
        count, bad = leaks.register(workspace, arguments.name, arguments.path, arguments.workers)
        for line in bad:
            print(plain(f"left out: {line}"), file=sys.stderr)
        print(f"{arguments.name}: pictures registered in {workspace}: {count}")
    elif arguments.action == "forget":
        leaks.forget(workspace, arguments.name)
        print(f"{arguments.name}: forgotten in {workspace}")
    else:
        found = leaks.registered(workspace)
        for name, path in found.items():
            print(f"{name}: {path}")
        if not found:
            print("none is registered; sources know their own test sets", file=sys.stderr)
