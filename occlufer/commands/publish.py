"""The command `occlufer publish`: uploads what of a published folder may be passed on."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.printing import show

SUMMARY = "Upload what of the dataset may be passed on, gated and private"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("--repo-id", required=True, metavar="ORG/NAME", help="on the Hub")
    command.add_argument("--data", type=Path, help="published folder (default: the config's out)")
    command.add_argument("--config", type=Path, help="as for build")
    command.add_argument("--public", action="store_true", help="let everybody see it, and ask")
    command.add_argument("--dry-run", action="store_true", help="make the copy, send nothing")
    command.add_argument("--json", action="store_true", help="end with one JSON object on stdout")


def run(arguments: argparse.Namespace) -> None:
    """Make the copy without pixels that must not be passed on, and upload it."""
    from occlufer.config_file import config_at

    config = config_at(arguments.config)
    told = import_module("occlufer.builders.hub").publish_folder(
        *(arguments.data or config.out, arguments.repo_id, arguments.public, arguments.dry_run),
        takedown=config.takedown,
    )
    show(arguments.json, told, _text(told))


def _text(told: dict[str, Any]) -> str:
    seen = "public" if told["public"] else "private"
    where = f"uploaded to {told['url']}, {seen} and gated" if told["url"] else _dry(told)
    return (
        f"version {told['version']}: {told['rows_with_pixels']} rows with pixels, "
        f"{told['rows_without_pixels']} without, for they must not be passed on\n"
        f"  {told['files']} files, {told['bytes']} bytes\n"
        f"  {where}"
    )


def _dry(told: dict[str, Any]) -> str:
    return f"nothing was sent; what would be lies in {told['folder']}"
