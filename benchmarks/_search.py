"""All pairs of near hashes: how fast they are found, beside faiss and imagededup."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from _anchors import Hashes, Indices, faiss_pairs, faiss_threads, imagededup_near, missing
from _bars import Bar, at_least, at_most
from _planted import planted_hashes
from _timing import Timed, median_wall_s, spread, spreads, timed
from numpy.typing import NDArray

from occlufer.builders.dedup import neighbours
from occlufer.builders.duplicates.edges import limits_of, near_edges
from occlufer.builders.hashing.hash_table import SHAPES, HashTable
from occlufer.config import DedupConfig

SMALL, LARGE, HUGE = 100_000, 1_000_000, 10_000_000
RADIUS, HUGE_RADIUS = 8, 4
SLICE = 20_000  # queries of LARGE that faiss answers; its time grows by the query
IMAGEDEDUP_SIZES = (2_000, 4_000)
TABLE_ROWS = 1_000_000
WARM_UP = 50_000  # enough that all of the search is compiled: fewer are compared all with all
REPEATS, LONG_REPEATS = 7, 3

HUGE_SEARCH = """
import json, resource, sys, time
from _planted import planted_hashes
from occlufer.builders.dedup import neighbours
count, radius, seed, warm_up = map(int, sys.argv[1:])
neighbours(planted_hashes(warm_up, radius, seed), radius)
hashes = planted_hashes(count, radius, seed)
wall, cpu = time.perf_counter(), time.process_time()
pairs = neighbours(hashes, radius)[0].size
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"wall_s": wall, "cpu_s": cpu, "pairs": pairs, "peak_gb": peak_kib * 1024 / 1e9}))
"""

Out = TypeVar("Out")


def runs_of(call: Callable[[], Out], repeats: int = LONG_REPEATS) -> list[Timed[Out]]:
    return [timed(call) for _ in range(repeats)]


# Of 10M, in a process of its own ------------------------------------------------------------------


def huge_search() -> tuple[list[Bar], dict[str, Any]]:
    """Return time and memory of the search among HUGE hashes.

    To be measured before this process grows: a child's peak starts at what its parent has.
    """
    runs = []
    for seed in range(LONG_REPEATS):
        arguments = [str(number) for number in (HUGE, HUGE_RADIUS, seed, WARM_UP)]
        found = subprocess.run(
            [sys.executable, "-c", HUGE_SEARCH, *arguments],
            cwd=sys.path[0],
            check=True,
            capture_output=True,
            text=True,
        )
        runs.append(json.loads(found.stdout))
    figures = {name: spread(run[name] for run in runs) for name in ("wall_s", "cpu_s", "peak_gb")}
    what = f"all pairs of {HUGE:,} hashes within {HUGE_RADIUS} bits"
    bars = [
        at_most(f"{what}, seconds", figures["wall_s"]["median"], 90),
        at_most(f"{what}, GB at the peak", figures["peak_gb"]["median"], 1.2),
    ]
    return bars, {"hashes": HUGE, "radius": HUGE_RADIUS, **figures, "pairs": runs[0]["pairs"]}


# Of 100k and 1M, beside the peers -----------------------------------------------------------------


def searches() -> tuple[list[Bar], dict[str, Any]]:
    """Return the times of the search among SMALL and LARGE hashes, and of its peers."""
    neighbours(planted_hashes(WARM_UP, RADIUS, 0), RADIUS)
    small, large = (planted_hashes(count, RADIUS, count) for count in (SMALL, LARGE))
    runs_small = runs_of(lambda: neighbours(small, RADIUS), REPEATS)
    runs_large = runs_of(lambda: neighbours(large, RADIUS), REPEATS)
    small_s, large_s = median_wall_s(runs_small), median_wall_s(runs_large)
    exponent = math.log(large_s / small_s, LARGE / SMALL)
    faiss = beside_faiss(small, runs_small, large, runs_large)
    imagededup = imagededup_scaled(small)
    what = f"all pairs within {RADIUS} bits"
    bars = [
        at_least(f"{what}, {SMALL:,} hashes: times as fast as faiss", faiss["small_ratio"], 10),
        at_least(f"{what}, {LARGE:,} hashes: times as fast as faiss", faiss["large_ratio"], 20),
        at_least(
            f"{what}, {SMALL:,} hashes: times as fast as imagededup",
            imagededup.get("scaled_wall_s", 0) / small_s,
            1000,
        ),
        at_most(f"{what}, exponent of growth {SMALL:,} to {LARGE:,}", exponent, 1.35),
    ]
    details = {
        "radius": RADIUS,
        f"{SMALL}": {**spreads(runs_small), "pairs": runs_small[0].result[0].size},
        f"{LARGE}": {**spreads(runs_large), "pairs": runs_large[0].result[0].size},
        "faiss": faiss,
        "imagededup": imagededup,
    }
    return bars, details


def beside_faiss(
    small: Hashes,
    runs_small: list[Timed[tuple[Indices, Indices, Indices]]],
    large: Hashes,
    runs_large: list[Timed[tuple[Indices, Indices, Indices]]],
) -> dict[str, Any]:
    """Return faiss's times, having checked that it finds the same pairs."""
    if reason := missing("faiss"):
        return {"small_ratio": 0.0, "large_ratio": 0.0, "missing": reason}
    faiss_small = runs_of(lambda: faiss_pairs(small, small, RADIUS))
    faiss_slice = runs_of(lambda: faiss_pairs(large, large[:SLICE], RADIUS))
    check_same_pairs(runs_small[0].result, faiss_small[0].result, SMALL)
    check_same_pairs(runs_large[0].result, faiss_slice[0].result, SLICE)
    scaled_s = median_wall_s(faiss_slice) * LARGE / SLICE
    return {
        "small_ratio": round(median_wall_s(faiss_small) / median_wall_s(runs_small), 2),
        "large_ratio": round(scaled_s / median_wall_s(runs_large), 2),
        "same_pairs": True,
        "threads": faiss_threads(),
        "how": "IndexBinaryFlat.range_search; it answers each pair from both ends",
        f"{SMALL}": spreads(faiss_small),
        f"{SLICE}_queries_of_{LARGE}": spreads(faiss_slice),
        f"{LARGE}_scaled_wall_s": round(scaled_s, 1),
        "scaled": f"the {SLICE} queries' time times {LARGE / SLICE:g}",
    }


def check_same_pairs(
    ours: tuple[Indices, Indices, Indices], theirs: tuple[Indices, Indices], queries: int
) -> None:
    """Assert that the same pairs were found of which one is among the first `queries` hashes."""
    i, j, _ = ours
    within = i < queries  # i < j
    query, other = theirs
    low, high = np.minimum(query, other), np.maximum(query, other)
    pairs = np.unique(np.stack([low, high], axis=1)[low < high], axis=0)
    assert np.array_equal(np.stack([i[within], j[within]], axis=1), pairs), "faiss finds others"


def imagededup_scaled(hashes: Hashes) -> dict[str, Any]:
    """Return imagededup's times on few hashes, and its time on all by the growth among the few."""
    if reason := missing("imagededup"):
        return {"missing": reason}
    few, more = IMAGEDEDUP_SIZES
    runs = {}
    for size in IMAGEDEDUP_SIZES:
        encodings = {f"{i}.jpg": f"{value:016x}" for i, value in enumerate(hashes[:size].tolist())}
        imagededup_near(dict(list(encodings.items())[:100]), RADIUS)
        runs[size] = runs_of(lambda known=encodings: imagededup_near(known, RADIUS))  # type: ignore[misc]
    few_s, more_s = median_wall_s(runs[few]), median_wall_s(runs[more])
    measured = math.log(more_s / few_s, more / few)
    # It compares all with all: what is measured above 2 is noise.
    exponent = min(measured, 2.0)
    return {
        **{f"{size}": spreads(runs[size]) for size in IMAGEDEDUP_SIZES},
        "measured_exponent": round(measured, 3),
        "scaled_wall_s": round(more_s * (hashes.size / more) ** exponent, 1),
        "scaled": f"from {more} to {hashes.size} hashes by the exponent {exponent:.3f}",
    }


# One picture more ---------------------------------------------------------------------------------


def one_more() -> dict[str, Any]:
    """Return the milliseconds of finding the edges of one new picture among TABLE_ROWS old ones."""
    rng = np.random.default_rng(0)

    def words(shape: tuple[int, ...]) -> NDArray[np.uint64]:
        return rng.integers(0, 2**64 - 1, (TABLE_ROWS + 1, *shape), dtype=np.uint64, endpoint=True)

    table = HashTable(**{name: words(shape) for name, shape in SHAPES.items()})
    among, new = np.arange(TABLE_ROWS + 1), np.zeros(TABLE_ROWS + 1, dtype=bool)
    new[-1] = True
    bits = limits_of(DedupConfig())
    near_edges(table.rows(slice(0, 1000)), bits, among[:1000], new[-1000:], among[:1000])
    runs = runs_of(lambda: near_edges(table, bits, among, new, among))
    return {
        "rows": TABLE_ROWS,
        "ms": spread(1000 * run.wall_s for run in runs),
        "cpu_ms": spread(1000 * run.cpu_s for run in runs),
        "edges": len(runs[0].result),
    }
