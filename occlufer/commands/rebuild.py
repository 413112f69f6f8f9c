"""The command `occlufer rebuild`: a dataset again, out of its index and one's own copies."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from occlufer.errors import MissingError
from occlufer.terminal import plain

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
        command.add_argument(option, type=Path, metavar="PATH", help=f"your copy of the {kind} set")
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
    command.add_argument("--workers", type=int, default=0, help="pictures at a time")
    command.add_argument("--json", action="store_true", help="end with one JSON object on stdout")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Rebuild and print the coverage; raises MissingError if no picture was found."""
    from importlib import import_module

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
        remember(coverage.out)
    print(json.dumps(coverage.to_json(), sort_keys=True) if arguments.json else _text(coverage))
    if coverage.out is None:
        raise MissingError(f"{arguments.recipe}: found no picture of it, so nothing was written")


def _own_tombstones() -> Path | None:
    """Return the file of the config that is here, None if nothing was taken down."""
    from occlufer.config import config_at

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
    kinds = (f"{_number(one.exact)} exact", f"{_number(one.recompressed)} from recompressed copies")
    told = ", ".join(kinds) if one.recompressed else kinds[0]
    return f"{_number(one.rebuilt)} of {_number(one.wanted)} {name} rebuilt ({told})"


def _missing_text(missing: dict[str, dict[str, int]]) -> list[str]:
    """Return the table of what is missing, a line for every source and reason."""
    rows = [
        (source, reason, _number(count))
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


def _number(count: int) -> str:
    """Return the number with a space between thousands."""
    return f"{count:,}".replace(",", " ")
