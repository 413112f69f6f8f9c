"""Sizes of modules and functions, of this repository and of the code that the style guide names.

Lines by the syntax tree: a module as long as its file, a function from its `def` to its last line,
inner functions and methods too. Peers are taken as wheels from PyPI, by pip, into .cache; nothing
of theirs is run. `python benchmarks/sizes.py` prints a table, `--json` the figures.
"""

from __future__ import annotations

import ast
import math
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from _bars import Bar, at_most, finish

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "anchors"
OURS = ("occlufer", "builders", "annotation", "orsanet")
# karpathy/nanoGPT is on no index.
ANCHORS = (
    *("segment-anything==1.0", "datatrove==0.10.1", "cleanvision==0.3.7", "sqlite-utils==4.2.1"),
    *("svcs==26.2.0", "labelme==6.3.1", "litgpt==0.5.13"),
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
INSTALL_S = 300
# As the rules of the house have it: beyond, there has to be a reason.
LONGEST_FUNCTION, LONGEST_MODULE = 50, 400
Row = dict[str, Any]


def main() -> None:
    found: dict[str, Row] = {}
    for folder in OURS:
        paths = sorted((ROOT / folder).rglob("*.py"))
        found[folder] = row(path.read_text(encoding="utf-8") for path in paths)
    for pin in ANCHORS:
        found[pin.replace("==", " ")] = row(texts_of_wheel(pin))
    if "--json" not in sys.argv[1:]:
        print("\n".join(table(found)))
    finish("sizes", bars_of(found), found)


def bars_of(found: dict[str, Row]) -> list[Bar]:
    """Return the bars of our own packages: nine of ten are as short as the house has it."""
    bars = []
    for folder in OURS:
        bars += [
            at_most(f"lines, {folder}'s functions, p90", found[folder]["functions"]["p90"], 25),
            at_most(f"lines, {folder}'s modules, p90", found[folder]["modules"]["p90"], 250),
        ]
    return bars


def row(texts: Iterable[str]) -> Row:
    """Return how long the modules and functions in these texts are."""
    modules, functions = [], []
    for text in texts:
        modules.append(len(text.splitlines()))
        functions += function_lines(text)
    over = sum(lines > LONGEST_FUNCTION for lines in functions)
    long = sum(lines > LONGEST_MODULE for lines in modules)
    return {
        "modules": {**spread(modules), f"over {LONGEST_MODULE}": long},
        "functions": {**spread(functions), f"over {LONGEST_FUNCTION}": over},
    }


def function_lines(text: str) -> list[int]:
    """Return the lines of every function, its docstring among them, its decorators not."""
    nodes = (node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS))
    return [(node.end_lineno or node.lineno) - node.lineno + 1 for node in nodes]


def spread(lines: list[int]) -> dict[str, float]:
    """Return number, median, 90th percentile (the nearest rank) and maximum."""
    ordered = sorted(lines)
    p90 = ordered[math.ceil(0.9 * len(ordered)) - 1]
    return {
        "count": len(ordered),
        "median": statistics.median(ordered),
        "p90": p90,
        "max": ordered[-1],
    }


def texts_of_wheel(pin: str) -> list[str]:
    """Return the modules of a release, tests aside, fetched once."""
    folder = CACHE / pin
    if not list(folder.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", str(folder), pin]
        subprocess.run(command, check=True, timeout=INSTALL_S)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        names = [name for name in file.namelist() if is_code(name)]
        return [file.read(name).decode() for name in names]


def is_code(name: str) -> bool:
    """Return whether a file of a wheel is a module of the package, and no test."""
    return name.endswith(".py") and not {"tests", "test"} & {*name.split("/")[:-1]}


def table(found: dict[str, Row]) -> list[str]:
    """Return the figures as Markdown: median, p90 and maximum in lines, and how many are longer."""
    head = "| | modules | median | p90 | max | > 400 | functions | median | p90 | max | > 50 |"
    lines = [head, "| --- |" + " ---: |" * 10]
    for name, one in found.items():
        cells = [*one["modules"].values(), *one["functions"].values()]
        lines.append(f"| {name} | {' | '.join(f'{cell:g}' for cell in cells)} |")
    return lines


if __name__ == "__main__":
    main()
