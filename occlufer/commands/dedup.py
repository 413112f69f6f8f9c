"""The command `occlufer dedup`: finds duplicates and related pictures in any folder."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.numbers import whole_number
from occlufer.commands.printing import show
from occlufer.terminal import plain

SUMMARY = "Find duplicates and related pictures in any folder"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("folder", type=Path, help="any folder of pictures; nothing in it changes")
    command.add_argument("--workers", type=whole_number, default=0, help="pictures at a time")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Print the duplicates and the related pictures."""
    from occlufer.config import DedupConfig

    find_in_folder = import_module("occlufer.builders.folder").find_in_folder
    found = find_in_folder(arguments.folder, DedupConfig(), arguments.workers).to_json()
    show(arguments.json, found, _text(found))


def _text(found: dict[str, Any]) -> str:
    lines = []
    for star in found["duplicates"]:
        lines.append(f"{plain(star['kept'])} is kept for")
        lines += [
            f"  {plain(row['path'])} ({row['view']}: {row['phash64_bits']} of 64 bits, "
            f"{row['phash256_bits']} of 256, {row['block_difference']} grey levels)"
            for row in star["dropped"]
        ]
    for group in found["related"]:
        lines += ["related, to be kept on one side of a split:"]
        lines += [f"  {plain(path)}" for path in group]
    lines += [
        plain(f"{r['path']} is left out: {r['reason']}: {r['detail']}") for r in found["rejected"]
    ]
    duplicates = sum(len(star["dropped"]) for star in found["duplicates"])
    lines.append(
        f"{found['files']} files: {duplicates} duplicates, {len(found['related'])} groups of "
        f"related pictures, {len(found['rejected'])} no pictures"
    )
    return "\n".join(lines)
