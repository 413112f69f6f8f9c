"""`make bench`: every benchmark, one after the other, its figures kept, and one table of all bars.

`--full` takes the long sizes too, which is a day's work on two cores; names of benchmarks take only
these. A benchmark that misses a bar, or fails, does not keep the others from running.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

from _bars import machine

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
# {benchmark: (what it is called with here, and with --full)}; the shortest ones first.
SCRIPTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sizes": ((), ()),
    "splits": ((), ()),
    "build": ((), ()),
    "aggregation": ((), ()),
    "publishing": ((), ()),
    "auditing": ((), ()),
    "faces": ((), ()),
    "labelling": ((), ()),
    "training": ((), ()),
    "loading": ((), ()),
    "gather": (("30000",), ()),
    "catalog": ((), ("--full",)),
    "incremental": (("10000", "100000"), ()),
    "growth": ((), ("--full",)),
    "fetching": ((), ()),
    "dedup": ((), ()),
}
# Run by hand: `python benchmarks/NAME.py --json`.
LEFT_OUT = {
    "fer2013": "trains for 35 minutes, and needs FER2013's archive in OCCLUFER_REAL_DATA",
    "dareloss": "an experiment on a loss, with no bar; it trains for as long as it is told to",
    "doubt": "chooses a constant of the package, see builders/covers.py; it has no bar",
    "same_people": "makes a table of the package, and needs dlib, which is no peer",
}
BESIDE_A_PEER = "times as fast"
Found = dict[str, Any]


def main() -> None:
    full = "--full" in sys.argv[1:]
    named = [word for word in sys.argv[1:] if not word.startswith("-")]
    if unknown := {*named} - SCRIPTS.keys():
        raise SystemExit(f"no such benchmark: {', '.join(unknown)}; expected {', '.join(SCRIPTS)}")
    found = {name: run(name, SCRIPTS[name][full]) for name in named or SCRIPTS}
    text = summary(found)
    (RESULTS / f"summary-{suffix()}.md").write_text(text)
    print(text)
    sys.exit(0 if all(holds(one) for one in found.values()) else 1)


def suffix() -> str:
    return f"{date.today().isoformat()}-{machine()['cores']}-cores"


def run(name: str, arguments: Iterable[str]) -> Found:
    """Run a benchmark, keep its figures beside those of before, and return them."""
    print(f"{name} ...", end=" ", file=sys.stderr, flush=True)
    started = time.monotonic()
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    minutes = round((time.monotonic() - started) / 60, 1)
    print(f"{minutes} minutes", file=sys.stderr)
    try:
        figures: Found = json.loads(done.stdout)
    except ValueError:
        last = next(iter(done.stderr.strip().splitlines()[-1:]), "no word")
        return {"bars": [], "minutes": minutes, "failed": f"status {done.returncode}: {last}"}
    figures["minutes"] = minutes
    text = json.dumps(figures, indent=1) + "\n"
    (RESULTS / f"{name}-{suffix()}.json").write_text(text)
    return figures


def holds(one: Found) -> bool:
    return "failed" not in one and all(bar["holds"] for bar in one["bars"])


def summary(found: dict[str, Found]) -> str:
    """Return every bar as Markdown: those beside a peer first, then the others."""
    on = ", ".join(f"{value}" for value in machine().values())
    minutes = sum(one["minutes"] for one in found.values())
    bars = [(name, bar) for name, one in found.items() for bar in one["bars"]]
    beside = [pair for pair in bars if BESIDE_A_PEER in pair[1]["what"]]
    lines = [
        f"# Benchmarks of {date.today().isoformat()}",
        "",
        f"On {on} (cores in the second place); {minutes:.0f} minutes in all.",
        "",
        "## Beside peers, in the same run",
        "",
        *table(beside),
        "",
        "## Bars of our own",
        "",
        *table(pair for pair in bars if pair not in beside),
        "",
        "## Minutes",
        "",
        "| benchmark | minutes | |",
        "| --- | ---: | --- |",
        *(f"| {n} | {one['minutes']} | {one.get('failed', '')} |" for n, one in found.items()),
        *(f"| {name} | not run | {why} |" for name, why in LEFT_OUT.items()),
    ]
    return "\n".join(lines) + "\n"


def table(bars: Iterable[tuple[str, Found]]) -> Iterator[str]:
    """Yield the lines of a table of bars."""
    yield from ("| benchmark | what | found | bar | |", "| --- | --- | ---: | --- | --- |")
    for name, bar in bars:
        kept = "" if bar["holds"] else "missed"
        yield f"| {name} | {bar['what']} | {bar['value']:g} | {bar['bound']} | {kept} |"


if __name__ == "__main__":
    main()
