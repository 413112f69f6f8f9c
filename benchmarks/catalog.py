"""A million records: what the catalog's queries and the stages on all samples cost as it grows.

The samples are made up: random hashes, one in 50 a near copy, and one picture that all share. Every
stage runs in a process of its own, so that its peak of memory is its own too. Without --full the
largest catalog has 100 000 samples; `python benchmarks/catalog.py 1000 5000` takes sizes of yours.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _bars import Bar, at_most, finish
from _growth import exponents, sizes_asked

SIZES, FULL_SIZES = (10_000, 100_000), (10_000, 100_000, 1_000_000)
STAGES = ("takedown", "rights", "dedup", "labels", "split", "leaks", "lists")
MOST_EXPONENT = 1.15
# Of what is asked of some images: more would mean that all are gone through.
MOST_QUERY_EXPONENT = 0.3

MAKE = """
import sys
from pathlib import Path
from _samples import make
make(Path(sys.argv[1]), int(sys.argv[2]), 0, {})
"""
STAGE = """
import importlib, json, resource, sys, time
from pathlib import Path
from occlufer.config import BuildConfig, SourceConfig
from occlufer.pipeline import STAGE_MODULES
from occlufer.stages import run_stage
from occlufer.workspace import open_workspace
folder, name = Path(sys.argv[1]), sys.argv[2]
source = SourceConfig("synthetic", "made", {"count": 1})
config = BuildConfig(sources=(source,), out=folder.with_name("out"), workspace=folder)
stage = importlib.import_module(STAGE_MODULES[name]).stage(config)
with open_workspace(folder) as workspace:
    started = time.perf_counter()
    count = run_stage(stage, workspace)
    seconds = time.perf_counter() - started
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"samples": count, "seconds": seconds, "peak_mb": peak_mb}))
"""
QUERIES = """
import json, sys, time
from pathlib import Path
from occlufer.pipeline import stages_before
from occlufer.workspace import open_workspace
with open_workspace(Path(sys.argv[1])) as workspace:
    catalog = workspace.catalog
    images = catalog.images_passing(("hashes",))
    some = images[:: max(1, len(images) // 500)][:500]
    before = stages_before("dedup")
    queries = {
        "the owner of an image, 500 times": lambda: [catalog.owner(image) for image in some],
        "a result of an image, 500 times": lambda: [catalog.value("hashes", i) for i in some],
        "results of 500 images": lambda: list(catalog.values("hashes", some)),
        "the records of 500 images": lambda: catalog.holders_of(some),
        "which of 500 images pass": lambda: catalog.passing_among(some, before),
        "which of 500 images lack a result": lambda: catalog.images_missing("x", before, some),
    }
    found = {}
    for name, query in queries.items():
        query()  # its pages are in memory then
        found[name] = []
        for _ in range(5):
            started = time.perf_counter()
            query()
            found[name].append(time.perf_counter() - started)
print(json.dumps(found))
"""


def main() -> None:
    sizes = sizes_asked(SIZES, FULL_SIZES)
    known = {size: measured(size) for size in sizes}
    stages = exponents({size: found["seconds"] for size, found in known.items()})
    queries = {size: found["queries_s"] for size, found in known.items()}
    asked = exponents(queries, least_s=0)
    details = {
        "samples": "made up: random hashes, one in 50 a near copy; all share one picture",
        "exponents": stages,
        "query_exponents": asked,
        "sizes": {str(size): found for size, found in known.items()},
    }
    finish("catalog", bars_of(stages, asked, sizes), details)


def bars_of(
    stages: dict[str, float | None], queries: dict[str, float | None], sizes: tuple[int, ...]
) -> list[Bar]:
    """Return a bar of every exponent that there is."""
    span = f"{sizes[0]:,} to {sizes[-1]:,}"
    bounds = ((stages, MOST_EXPONENT), (queries, MOST_QUERY_EXPONENT))
    return [
        at_most(f"{name}, exponent of growth {span}", value, bound)
        for exponents_of, bound in bounds
        for name, value in exponents_of.items()
        if value is not None
    ]


def measured(size: int) -> dict[str, Any]:
    """Return seconds and peaks of the stages, and seconds of queries, in a catalog of a size."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = str(Path(folder) / "workspace")
        child(MAKE, workspace, str(size))
        stages = {name: json.loads(child(STAGE, workspace, name)) for name in STAGES}
        queries: dict[str, list[float]] = json.loads(child(QUERIES, workspace))
        megabytes = (Path(workspace) / "catalog.sqlite").stat().st_size / 1e6
    return {
        "seconds": {name: round(found["seconds"], 3) for name, found in stages.items()},
        "peak_mb": {name: round(found["peak_mb"]) for name, found in stages.items()},
        "queries_s": {name: statistics.median(runs) for name, runs in queries.items()},
        "catalog_mb": round(megabytes),
    }


def child(program: str, *arguments: str) -> str:
    """Return what a process prints that runs a program beside these files."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=sys.path[0], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


if __name__ == "__main__":
    main()
