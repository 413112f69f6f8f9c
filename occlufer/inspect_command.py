"""The command `occlufer inspect`: says, and draws, what covers the faces of any picture."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from occlufer.errors import UsageError

PAGE = Path("inspect.html")


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="any pictures")
    command.add_argument("--config", type=Path, help="as for build: detector, parser, thresholds")
    command.add_argument("--out", type=Path, help=f"the page to draw (default: {PAGE})")
    command.add_argument(
        "--json", action="store_true", help="print a JSON line per picture; a page only for --out"
    )


def run(arguments: argparse.Namespace) -> None:
    """Inspect every picture; a bad one is told in its place."""
    from importlib import import_module

    from occlufer.config import config_at

    config = config_at(arguments.config)
    out = arguments.out or (None if arguments.json else PAGE)
    if out is not None:
        _begin(out, arguments.images)
    found = import_module("occlufer.builders.inspect").inspect_pictures(arguments.images, config)
    told = _told(found, arguments.json)
    if out is None:
        for _ in told:
            pass
        return
    text = import_module("occlufer.builders.inspect_page").inspection_page(told)
    # Paths may be no UTF-8.
    _part(out).write_text(text, encoding="utf-8", errors="backslashreplace")
    _part(out).replace(out)
    if not arguments.json:
        print(f"drawn: {out}")


def _begin(out: Path, images: list[Path]) -> None:
    """Raise if the page cannot be written: before the work, not after it."""
    if any(out.resolve() == image.resolve() for image in images):
        raise UsageError(f"--out {out}: is one of the pictures, expected another name")
    out.parent.mkdir(parents=True, exist_ok=True)
    _part(out).touch()


def _part(out: Path) -> Path:
    return out.with_name(f".{out.name}.part")


def _told(found: Any, as_json: bool) -> Iterator[Any]:
    """Yield every picture after it was printed."""
    for one in found:
        said = one.to_json()
        print(json.dumps(said) if as_json else _text(said), flush=True)
        yield one


def _text(said: dict[str, Any]) -> str:
    if "error" in said:
        return f"{said['path']}: {said['error']}"
    lines = []
    for number, face in enumerate(said["faces"], 1):
        types = ", ".join(
            f"{name} {sure:.2f}" for name, sure in face["types"].items() if sure > 0.1
        )
        name = (
            f"face {number}" if face["score"] else "no face found, the whole picture taken for one"
        )
        lines.append(
            f"{said['path']}: {name}: {face['occlusion_ratio']:.0%} covered"
            f"{' by ' + types if types else ''}"
        )
    return "\n".join(lines)
