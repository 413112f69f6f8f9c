"""The command `occlufer build`: makes the dataset, or says what it would be made of."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from occlufer.commands.printing import show
from occlufer.terminal import plain

SUMMARY = "Make the dataset: gather, measure, deduplicate, split, publish"
# Words of a source that are no class.
LOSSES_NAMED = 8


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument(
        "--config",
        type=Path,
        help="default: occlufer.toml if it is here, else the built-in synthetic set",
    )
    command.add_argument("--out", type=Path, help="the published folder (default: occlu_fer)")
    command.add_argument("--workspace", type=Path, help="catalog and images (default: .occlufer)")
    command.add_argument("--workers", type=int, help="images at a time (default: one a processor)")
    command.add_argument(
        "--engine",
        choices=("local", "dask"),
        help="who works at them: threads of this process, or processes (default: local)",
    )
    command.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask scheduler that runs already, e.g. tcp://head:8786",
    )
    command.add_argument(
        "--leaks",
        choices=("fail", "drop", "report"),
        help="what to do with training samples near test pictures (default: fail)",
    )
    command.add_argument("--json", action="store_true", help="end with one JSON object on stdout")
    command.add_argument(
        "--dry-run",
        action="store_true",
        help="only check config and sources, and say what is there",
    )


def run(arguments: argparse.Namespace) -> None:
    """Build, and print what was published; with --dry-run only look."""
    from occlufer.build import build, check
    from occlufer.config_file import config_at, with_overrides
    from occlufer.remembering import remember

    config = config_at(arguments.config)
    names = ("out", "workspace", "workers", "engine", "scheduler", "leaks")
    config = with_overrides(config, **{name: getattr(arguments, name) for name in names})
    if arguments.dry_run:
        listed = check(config)
        show(arguments.json, listed, "\n".join(f"{k}: {v} records" for k, v in listed.items()))
        return
    summary = build(config)
    remember(summary.out)  # also where there was nothing to do: it may have been stopped in this
    show(arguments.json, summary.to_json(), _text(summary))


def _text(summary: Any) -> str:
    lines = [f"{summary.files_read} records read"]
    lines += [f"  {count:7d} rejected: {reason}" for reason, count in summary.rejected.items()]
    lines += [f"  {summary.unlabelled:7d} unlabelled", f"  {summary.published:7d} published"]
    lines += [_losses_text(source, words) for source, words in summary.losses.items()]
    # Classes below each other: beside each other they would not fit into 80 columns.
    lines.append(f"{'':12}" + "".join(f"{split:>12}" for split in summary.splits))
    for name in next(iter(summary.splits.values())):
        counts = (f"{split[name]:12d}" for split in summary.splits.values())
        lines.append(f"{name:12}" + "".join(counts))
    lines.append(f"dataset: {summary.out}")
    lines.append(f"what was left out and why: {summary.rejected_list}")
    return "\n".join(lines)


def _losses_text(source: str, words: dict[str, int]) -> str:
    """Return one line about a source's labels that became no class, the commonest named."""
    order = sorted(words, key=lambda word: (-words[word], word))
    named = ", ".join(f"{' '.join(word.split())} {words[word]}" for word in order[:LOSSES_NAMED])
    more = f" and {len(order) - LOSSES_NAMED} others" if len(order) > LOSSES_NAMED else ""
    return plain(f"labels of {source} that are no class: {named}{more}")
