"""The command `occlufer rebuild`: a dataset again, out of its index and one's own copies."""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.commands.numbers import whole_number
from occlufer.commands.printing import show
from occlufer.errors import MissingError
from occlufer.terminal import number, plain

SUMMARY = "Make a published dataset again, out of its index and your copies of its sources"

# The kinds of source that lie somewhere; those of builders/sources/adapters.py, without its weight.
KINDS = (
    *("occlu_fer", "affectnet", "raf_db", "expw", "ferplus", "fer2013", "sfew", "caer_s"),
    *("huggingface", "table", "web", "image_folder"),
)


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument(
        "recipe", type=Path, metavar="RECIPE", help="a published folder, or its index and lock"
    )
    for kind in KINDS:
        option = f"--{kind.replace('_', '-')}"
        # A text, for it may be an address.
        command.add_argument(option, metavar="PATH", help=f"your copy of the {kind} set")
    command.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="your copy of the source of this name; NAME.KEY=PATH for another path of its settings",
    )
    command.add_argument("--out", type=Path, help="what to write (default: the recipe's name)")
    command.add_argument(
        "--takedown",
        type=Path,
        metavar="FILE",
        help="your own tombstones (default: the config's, as for build)",
    )
    command.add_argument("--workers", type=whole_number, default=0, help="pictures at a time")
    command.add_argument("--json", action="store_true", help="end with one JSON object on stdout")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Rebuild and print the coverage; raises MissingError if no picture was found."""
    from occlufer.remembering import remember

    kinds = {kind: getattr(arguments, kind) for kind in KINDS if getattr(arguments, kind)}
    coverage = import_module("occlufer.builders.rebuild.rebuild").rebuild(
        arguments.recipe,
        kinds,
        arguments.source,
        out=arguments.out,
        takedown=arguments.takedown or _own_tombstones(),
        workers=arguments.workers,
    )
    if coverage.out is not None:
        arguments.going_on = f"{coverage.out} is written"
        remember(coverage.out)
    show(arguments.json, coverage.to_json(), _text(coverage))
    if coverage.out is None:
        raise MissingError(f"{arguments.recipe}: found no picture of it, so nothing was written")


def _own_tombstones() -> Path | None:
    """Return the file of the config that is here, None if nothing was taken down."""
    from occlufer.config_file import config_at

    path = config_at(None).takedown
    return path if path.exists() else None


def _text(coverage: Any) -> str:
    lines = [
        _split_text(split if config == "default" else config, one)
        for config, splits in coverage.splits.items()
        for split, one in splits.items()
    ]
    lines += _missing_text(coverage.missing)
    if coverage.out is not None:
        lines.append(f"dataset: {coverage.out}, version {coverage.version}")
    return "\n".join(map(plain, lines))


def _split_text(name: str, one: Any) -> str:
    kinds = (f"{number(one.exact)} exact", f"{number(one.recompressed)} from recompressed copies")
    told = ", ".join(kinds) if one.recompressed else kinds[0]
    return f"{number(one.rebuilt)} of {number(one.wanted)} {name} rebuilt ({told})"


def _missing_text(missing: dict[str, dict[str, int]]) -> list[str]:
    """Return the table of what is missing, a line for every source and reason."""
    rows = [
        (source, reason, number(count))
        for source, reasons in missing.items()
        for reason, count in reasons.items()
    ]
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    table = [
        f"  {source:{widths[0]}}  {reason:{widths[1]}}  {count:>{widths[2]}}"
        for source, reason, count in rows
    ]
    return ["missing, by source and reason; missing.csv names all but taken_down:", *table]
