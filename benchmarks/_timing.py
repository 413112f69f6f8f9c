"""How long something takes: wall and CPU seconds, several times, with their spread."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

Out = TypeVar("Out")
Spread = dict[str, float]


@dataclass(frozen=True)
class Timed(Generic[Out]):
    """What a call gave back, and how long it took."""

    result: Out
    wall_s: float
    cpu_s: float
    """Of all threads, and of the processes that the call started and waited for."""


def timed(call: Callable[[], Out]) -> Timed[Out]:
    """Call, and return what came of it."""
    wall, cpu = time.perf_counter(), cpu_seconds()
    result = call()
    return Timed(result, time.perf_counter() - wall, cpu_seconds() - cpu)


def cpu_seconds() -> float:
    """Return the CPU seconds of this process so far, and of those that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def spread(values: Iterable[float]) -> Spread:
    """Return the least, the median and the greatest of some values."""
    known = sorted(values)
    figures = {"min": known[0], "median": statistics.median(known), "max": known[-1]}
    return {name: float(f"{value:.4g}") for name, value in figures.items()}


def spreads(runs: Iterable[Timed[Out]]) -> dict[str, Spread]:
    """Return the spread of the wall and of the CPU seconds of some runs."""
    known = list(runs)
    return {
        "wall_s": spread(run.wall_s for run in known),
        "cpu_s": spread(run.cpu_s for run in known),
    }


def median_wall_s(runs: Iterable[Timed[Out]]) -> float:
    return statistics.median(run.wall_s for run in runs)
