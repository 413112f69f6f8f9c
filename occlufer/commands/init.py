"""The command `occlufer init`: looks for dataset folders and writes a config for them."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path

from occlufer.terminal import plain

SUMMARY = "Look for dataset folders and write a config for them"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("folders", nargs="*", type=Path, help="dataset folders (default: in here)")
    command.add_argument("--config", type=Path, default=Path("occlufer.toml"), help="what to write")
    command.add_argument("--force", action="store_true", help="write over a config that is there")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Write the config and say what was found."""
    write_config = import_module("occlufer.builders.init").write_config
    found = write_config(arguments.folders, arguments.config, arguments.force)
    for path, what in found:
        print(plain(f"{path}: {what}"))
    print(f"wrote {arguments.config}; look through it, then run: occlufer build")
