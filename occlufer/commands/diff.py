"""The command `occlufer diff`: says what has changed from one version of a dataset to another."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.printing import show
from occlufer.terminal import plain

SUMMARY = "Say what has changed between two published folders"


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("a", type=Path, metavar="A", help="the published folder of one version")
    command.add_argument("b", type=Path, metavar="B", help="that of another, e.g. a later one")
    command.add_argument("--json", action="store_true", help="print one JSON object, every sha256")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Compare the two folders and print what is different."""
    found = import_module("occlufer.builders.versions").diff(arguments.a, arguments.b)
    show(arguments.json, found.to_json(), _text(found))


def _text(found: Any) -> str:
    lines = [f"{count:7d} {name}" for name, count in found.counts().items()]
    for name, title in (("relabelled", "labels"), ("moved", "splits")):
        lines += _counted(title, found.steps(name))
    lines += _counted("columns that say something else", found.columns_changed())
    for title, names in (("new", found.columns_added), ("gone", found.columns_removed)):
        if names:
            lines.append(f"columns that are {title}: {', '.join(names)}")
    return "\n".join(map(plain, lines))


def _counted(title: str, counts: dict[str, int]) -> list[str]:
    told = ", ".join(f"{name} {count}" for name, count in counts.items())
    return [f"{title}: {told}"] if told else []
