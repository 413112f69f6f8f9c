"""The command `occlufer fetch`: fetches the web photographs that the config asks for."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.printing import show

SUMMARY = "Fetch the web photographs that the config asks for"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("--config", type=Path, help='whose sources of kind "web" (as for build)')
    command.add_argument("--source", help="only the source of this name")
    command.add_argument(
        "--retry", choices=("failed",), help="try once more what failed or is gone"
    )
    command.add_argument("--json", action="store_true", help="end with one JSON object on stdout")


def run(arguments: argparse.Namespace) -> None:
    """Fetch, and print what came of it."""
    from occlufer.config_file import config_at

    fetch = import_module("occlufer.builders.web.collect").fetch
    config = config_at(arguments.config)
    tombstones = import_module("occlufer.builders.tombstones").read_tombstones(config.takedown)
    retry = arguments.retry == "failed"
    found = fetch(config.sources, arguments.source, retry, tombstones)
    show(arguments.json, found, "\n".join(_text(name, c) for name, c in found.items()))


def _text(name: str, counts: dict[str, Any]) -> str:
    lines = [f"{name}: {counts['fetched']} photographs in {counts['path']}"]
    for state in ("skipped", "failed"):
        lines += [f"  {n:7d} {state}: {reason}" for reason, n in sorted(counts[state].items())]
    if counts["planned"]:
        lines.append(f"  {counts['planned']:7d} not yet fetched: run the same command again")
    if counts["failed"]:
        lines.append("  `occlufer fetch --retry failed` tries the failed ones once more")
    return "\n".join(lines)
