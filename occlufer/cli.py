"""The command line: parses, calls one library function, prints. Nothing heavy is imported here."""

from __future__ import annotations

import argparse
import io
import json
import logging
import sqlite3
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from occlufer import (
    annotate_command,
    diff_command,
    doctor_command,
    evaluate_command,
    inspect_command,
    plan_command,
    predict_command,
    publish_command,
    rebuild_command,
    takedown_command,
    train_command,
    verify_command,
    weights_command,
)
from occlufer.errors import KEPT, MissingError, OccluferError
from occlufer.progress import LogLines
from occlufer.terminal import PlainLines, plain
from occlufer.version import __version__

EXIT_CODES = """exit status:
  0    done
  1    this machine or a service gave up: disk full, catalog damaged, too many requests
  2    the command line or the config says what cannot be done
  3    a source, a weight or a package is missing; the message says how to get it
  4    a gate failed
  130  interrupted; the same command goes on where it stopped
"""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit status; errors are one line on stderr."""
    arguments = command_line().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # paths may be no UTF-8
    logging.basicConfig(level=logging.INFO, handlers=[_log_handler()])
    # Pillow warns of what is odd in a file, builders/pixels.py judges it.
    warnings.filterwarnings("ignore", module="PIL")
    for chatty in ("datasets", "matplotlib", "numba", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        arguments.function(arguments)
    except OccluferError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        kept = getattr(arguments, "going_on", GOING_ON.get(arguments.command, GO_ON))
        return _fail(f"interrupted; {kept}", 130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has gone: nobody is left to tell
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}; {KEPT}", 1)
    except MemoryError:
        return _fail(f"out of memory, fewer --workers need less of it; {KEPT}", 1)
    except sqlite3.Error as error:
        return _fail(f"the workspace's catalog: {error}; {KEPT}", 1)
    return 0


GO_ON = "what is done is kept, run the same command to go on"
GOING_ON = {
    "dedup": "nothing was written",
    "leaks": "nothing was registered",
    "plan": "nothing was written",
    "sources": "nothing was written",
}


def _log_handler() -> logging.Handler:
    handler = LogLines(sys.stderr)
    handler.setFormatter(PlainLines("%(message)s"))
    return handler


def _fail(message: str, status: int) -> int:
    print(f"occlufer: {plain(' '.join(message.split()))}", file=sys.stderr)
    return status


def command_line() -> argparse.ArgumentParser:
    """Return the whole command line, nothing heavy imported; docs/commands.md is made of it."""
    parser = argparse.ArgumentParser(
        prog="occlufer",
        description="Make, label, publish and load Occlu-FER; train its baseline ORSANet.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"occlufer {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (summary, add, function) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary}.")
        add(command)
        command.set_defaults(function=function)
    return parser


# init --------------------------------------------------------------------------------------------


def _add_init(command: argparse.ArgumentParser) -> None:
    command.add_argument("folders", nargs="*", type=Path, help="dataset folders (default: in here)")
    command.add_argument("--config", type=Path, default=Path("occlufer.toml"), help="what to write")
    command.add_argument("--force", action="store_true", help="write over a config that is there")


def _init(arguments: argparse.Namespace) -> None:
    from importlib import import_module

    write_config = import_module("occlufer.builders.init").write_config
    found = write_config(arguments.folders, arguments.config, arguments.force)
    for path, what in found:
        print(plain(f"{path}: {what}"))
    print(f"wrote {arguments.config}; look through it, then run: occlufer build")


# fetch -------------------------------------------------------------------------------------------


def _add_fetch(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, help='whose sources of kind "web" (as for build)')
    command.add_argument("--source", help="only the source of this name")
    command.add_argument(
        "--retry", choices=("failed",), help="try once more what failed or is gone"
    )
    command.add_argument("--json", action="store_true", help="end with one JSON object on stdout")


def _fetch(arguments: argparse.Namespace) -> None:
    from importlib import import_module

    fetch = import_module("occlufer.builders.web.collect").fetch
    config = _config(arguments.config)
    tombstones = import_module("occlufer.builders.tombstones").read_tombstones(config.takedown)
    retry = arguments.retry == "failed"
    found = fetch(config.sources, arguments.source, retry, tombstones)
    _print(arguments.json, found, "\n".join(_fetch_text(name, c) for name, c in found.items()))


def _fetch_text(name: str, counts: dict[str, Any]) -> str:
    lines = [f"{name}: {counts['fetched']} photographs in {counts['path']}"]
    for state in ("skipped", "failed"):
        lines += [f"  {n:7d} {state}: {reason}" for reason, n in sorted(counts[state].items())]
    if counts["planned"]:
        lines.append(f"  {counts['planned']:7d} not yet fetched: run the same command again")
    if counts["failed"]:
        lines.append("  `occlufer fetch --retry failed` tries the failed ones once more")
    return "\n".join(lines)


# build -------------------------------------------------------------------------------------------


def _add_build(command: argparse.ArgumentParser) -> None:
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


def _config(path: Path | None) -> Any:
    """Return the config at `path`, or what holds where none is given."""
    from occlufer.config import config_at

    return config_at(path)


def _build(arguments: argparse.Namespace) -> None:
    from occlufer.build import build, check
    from occlufer.config import with_overrides
    from occlufer.remembering import remember

    config = _config(arguments.config)
    names = ("out", "workspace", "workers", "engine", "scheduler", "leaks")
    config = with_overrides(config, **{name: getattr(arguments, name) for name in names})
    if arguments.dry_run:
        listed = check(config)
        _print(arguments.json, listed, "\n".join(f"{k}: {v} records" for k, v in listed.items()))
        return
    summary = build(config)
    if summary.worked_on["publish"]:
        remember(summary.out)
    _print(arguments.json, summary.to_json(), _build_text(summary))


LOSSES_NAMED = 8


def _build_text(summary: Any) -> str:
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


# sources -----------------------------------------------------------------------------------------


def _add_sources(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    detect = actions.add_parser(
        "detect", help="say what a folder or file holds, and what is missing"
    )
    detect.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="nothing in it changes")
    listing = actions.add_parser("list", help="name every kind of source and its terms")
    for action in (detect, listing):
        action.add_argument("--json", action="store_true", help="print one JSON object")


def _sources(arguments: argparse.Namespace) -> None:
    from importlib import import_module

    detection = import_module("occlufer.builders.detection")
    if arguments.action == "list":
        kinds = detection.kinds()
        _print(arguments.json, kinds, "\n".join(_kind_text(kind) for kind in kinds))
        return
    found = [detection.find(path).to_json() for path in arguments.paths]
    _print(arguments.json, found, "\n".join(_found_text(one) for one in found))
    unknown = [one["path"] for one in found if not one["kind"]]
    if unknown:
        raise MissingError(f"{', '.join(unknown)}: found no source that is known there")


def _kind_text(kind: dict[str, Any]) -> str:
    terms = kind["terms"]
    if terms is None:
        return f"{kind['kind']}: the terms are for you to state"
    asked = "; asked for in accept_terms" if terms["must_accept"] else ""
    return f"{kind['kind']}: {terms['title']}; {terms['licence']}; {terms['where']}{asked}"


def _found_text(found: dict[str, Any]) -> str:
    kind = f"{found['kind']}: " if found["kind"] else ""
    lines = [f"{found['path']}: {kind}{found['what']}; {found['records']} records"]
    for split, counts in found["splits"].items():
        told = ", ".join(f"{word} {count}" for word, count in sorted(counts.items()))
        lines.append(f"  {split}: {sum(counts.values())}: {told}")
    if found["table_1"] is not None:
        faults = found["table_1"] or ["all 16 counts as published"]
        lines += [f"  Table 1: {fault}" for fault in faults]
    lines += [f"  left out: {reason}: {n}" for reason, n in sorted(found["rejected"].items())]
    lines += [f"    {fault}" for fault in found["faults"]]
    if found["missing"]:
        lines.append(f"  to mend: {found['missing']}")
    if found["terms"]:
        lines.append(f"  terms: {found['terms']['licence']}; {found['terms']['where']}")
    return "\n".join(map(plain, lines))


# dedup -------------------------------------------------------------------------------------------


def _add_dedup(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help="any folder of pictures; nothing in it changes")
    command.add_argument("--workers", type=_count, default=0, help="pictures at a time")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _dedup(arguments: argparse.Namespace) -> None:
    from importlib import import_module

    from occlufer.config import DedupConfig

    find_in_folder = import_module("occlufer.builders.folder").find_in_folder
    found = find_in_folder(arguments.folder, DedupConfig(), arguments.workers).to_json()
    _print(arguments.json, found, _dedup_text(found))


def _dedup_text(found: dict[str, Any]) -> str:
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


# leaks -------------------------------------------------------------------------------------------


def _add_leaks(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    register = actions.add_parser("register", help="keep the hashes of a test set")
    register.add_argument("name", help="what to call it")
    register.add_argument("path", type=Path, help="its folder, FER2013, or a table of hashes")
    register.add_argument("--workers", type=_count, default=0, help="pictures at a time")
    listing = actions.add_parser("list", help="name the test sets that are registered")
    forget = actions.add_parser("forget", help="delete the hashes of a test set")
    forget.add_argument("name", help="what it is called")
    for action in (register, listing, forget):
        action.add_argument("--config", type=Path, help="whose workspace (default: as for build)")
        action.add_argument("--workspace", type=Path, help="of the builds that are meant")


def _leaks(arguments: argparse.Namespace) -> None:
    from importlib import import_module

    leaks = import_module("occlufer.builders.leaks")
    workspace = arguments.workspace or _config(arguments.config).workspace
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


# report ------------------------------------------------------------------------------------------


def _add_report(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, help="as for build")
    command.add_argument("--workspace", type=Path, help="of the build")
    command.add_argument("--run", type=Path, help="the folder of a training run, if any")
    command.add_argument("--evaluation", type=Path, help="what `evaluate` has written, if anything")
    command.add_argument("--out", type=Path, default=Path("report.html"), help="what to write")


def _report(arguments: argparse.Namespace) -> None:
    from occlufer.report import write_report

    config = _config(arguments.config)
    workspace = arguments.workspace or config.workspace
    write_report(workspace, arguments.run, arguments.out, config, arguments.evaluation)
    print(f"report: {arguments.out}")


# completion --------------------------------------------------------------------------------------


def _add_completion(command: argparse.ArgumentParser) -> None:
    command.add_argument("shell", choices=("bash", "zsh", "fish"), help="which one is to complete")


def _completion(arguments: argparse.Namespace) -> None:
    from occlufer.completion import script

    print(script(command_line(), arguments.shell), end="")


def _count(text: str) -> int:
    """Return the number; argparse says what is wrong with any other text."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 0 on")
    return int(text)


def _print(as_json: bool, value: Any, text: str) -> None:
    print(json.dumps(value, sort_keys=True) if as_json else text)


Command = tuple[
    str, Callable[[argparse.ArgumentParser], None], Callable[[argparse.Namespace], None]
]
COMMANDS: dict[str, Command] = {
    "init": ("Look for dataset folders and write a config for them", _add_init, _init),
    "fetch": ("Fetch the web photographs that the config asks for", _add_fetch, _fetch),
    "build": ("Make the dataset: gather, measure, deduplicate, split, publish", _add_build, _build),
    "sources": ("Say what dataset folders hold, and what is missing", _add_sources, _sources),
    "dedup": ("Find duplicates and related pictures in any folder", _add_dedup, _dedup),
    "leaks": ("Register test sets that no training sample may be near", _add_leaks, _leaks),
    "annotate": ("Have people label on Label Studio", annotate_command.add, annotate_command.run),
    "inspect": (
        "See what covers the faces of any picture",
        inspect_command.add,
        inspect_command.run,
    ),
    "publish": (
        "Upload what of the dataset may be passed on, gated and private",
        publish_command.add,
        publish_command.run,
    ),
    "plan": (
        "Say what falls short of the quotas, before anybody labels",
        plan_command.add,
        plan_command.run,
    ),
    "weights": ("Pull models' weights, once", weights_command.add, weights_command.run),
    "verify": (
        "Check a published folder: card, schema, lock, rows, pictures",
        verify_command.add,
        verify_command.run,
    ),
    "diff": (
        "Say what has changed between two published folders",
        diff_command.add,
        diff_command.run,
    ),
    "rebuild": (
        "Make a published dataset again, out of its index and your copies of its sources",
        rebuild_command.add,
        rebuild_command.run,
    ),
    "takedown": (
        "Take pictures down, so that no later build or rebuild has them",
        takedown_command.add,
        takedown_command.run,
    ),
    "doctor": (
        "Say what of this machine is found, and what is missing",
        doctor_command.add,
        doctor_command.run,
    ),
    "completion": (
        "Write the script by which a shell completes these commands",
        _add_completion,
        _completion,
    ),
    "report": ("Write one HTML page about a build and a training run", _add_report, _report),
    "baseline-train": (
        "Train ORSANet, the reference baseline",
        train_command.add,
        train_command.run,
    ),
    "predict": (
        "Say which expression the trained baseline sees on faces, and draw what speaks for it",
        predict_command.add,
        predict_command.run,
    ),
    "evaluate": (
        "Say how well a model tells expressions, by what covers the face",
        evaluate_command.add,
        evaluate_command.run,
    ),
}

if __name__ == "__main__":
    sys.exit(main())
