"""How every benchmark prints what it measured, and judges it."""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """One figure and the bound that it has to keep."""

    what: str
    value: float
    bound: str
    """E.g. ">= 100" or "<= 0.3"."""
    holds: bool


def at_least(what: str, value: float, bound: float) -> Bar:
    """Return a bar that holds from `bound` upwards."""
    return Bar(what, round(value, 4), f">= {bound:g}", value >= bound)


def at_most(what: str, value: float, bound: float) -> Bar:
    """Return a bar that holds up to `bound`."""
    return Bar(what, round(value, 4), f"<= {bound:g}", value <= bound)


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def finish(name: str, bars: list[Bar], details: dict[str, Any]) -> None:
    """Print the figures, one JSON object with --json, and exit with 1 if a bar does not hold."""
    if "--json" in sys.argv[1:]:
        found = {"name": name, "machine": machine(), "bars": [asdict(bar) for bar in bars]}
        print(json.dumps({**found, "details": details}, indent=1))
    else:
        for bar in bars:
            print(f"{'ok  ' if bar.holds else 'MISS'} {bar.what}: {bar.value:g} ({bar.bound})")
    sys.exit(0 if all(bar.holds for bar in bars) else 1)
