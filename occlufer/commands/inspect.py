"""The command `occlufer inspect`: says, and draws, what covers the faces of any picture."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.errors import UsageError
from occlufer.terminal import plain

SUMMARY = "See what covers the faces of any picture"

PAGE = Path("inspect.html")
# Types below this confidence are not worth a word.
TOLD_FROM = 0.1


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_pictures(command, PAGE)


def add_pictures(command: argparse.ArgumentParser, page: Path) -> None:
    """Add what every command has that looks at pictures and draws a page."""
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="any pictures")
    command.add_argument("--config", type=Path, help="as for build: detector, parser, thresholds")
    command.add_argument("--out", type=Path, help=f"the page to draw (default: {page})")
    command.add_argument(
        "--json", action="store_true", help="print a JSON line per picture; a page only for --out"
    )
    command.set_defaults(going_on="what was printed is all there is")


def run(arguments: argparse.Namespace) -> None:
    """Inspect every picture; a bad one is told in its place."""
    look(arguments, PAGE, lambda one: one.to_json())


def look(
    arguments: argparse.Namespace, page: Path, say: Callable[[Any], dict[str, Any]], **drawn: Any
) -> None:
    """Say what every picture shows, and draw a page of them; `drawn` goes to the page."""
    config = import_module("occlufer.config_file").config_at(arguments.config)
    out = arguments.out or (None if arguments.json else page)
    if out is not None:
        _begin(out, arguments.images)
    found = import_module("occlufer.builders.inspect").inspect_pictures(arguments.images, config)
    told = _told(found, say, arguments.json)
    if out is None:
        for _ in told:
            pass
        return
    text = import_module("occlufer.builders.inspect_page").inspection_page(told, **drawn)
    # Paths may be no UTF-8.
    _part(out).write_text(text, encoding="utf-8", errors="backslashreplace")
    _part(out).replace(out)
    if not arguments.json:
        print(f"drawn: {out}")


def _begin(out: Path, images: list[Path]) -> None:
    """Raise if the page cannot be written: before the work, not after it."""
    if out.is_dir():
        raise UsageError(f"--out {out}: found a folder, expected the name of a file")
    # realpath, for Path.resolve raises at links that go round.
    if os.path.realpath(out) in map(os.path.realpath, images):
        raise UsageError(f"--out {out}: is one of the pictures, expected another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    _part(out).touch()


def _part(out: Path) -> Path:
    return out.with_name(f".{out.name}.part")


def _told(found: Any, say: Callable[[Any], dict[str, Any]], as_json: bool) -> Iterator[Any]:
    """Yield every picture after it was printed."""
    for one in found:
        said = say(one)
        print(json.dumps(said) if as_json else _text(said), flush=True)
        yield one


def _text(said: dict[str, Any]) -> str:
    if "error" in said:
        return plain(f"{said['path']}: {said['error']}")
    lines = []
    for number, face in enumerate(said["faces"], 1):
        types = ", ".join(
            f"{name} {sure:.2f}" for name, sure in face["types"].items() if sure > TOLD_FROM
        )
        name = (
            f"face {number}" if face["score"] else "no face found, the whole picture taken for one"
        )
        line = f"{said['path']}: {name}: {face['occlusion_ratio']:.0%} covered"
        line += f" by {types}" if types else ""
        label, share = next(iter(face.get("expression", {}).items()), ("", 0.0))
        lines.append(f"{line}; {label} {share:.2f}" if label else line)
    return "\n".join(map(plain, lines))
