"""The whole build of the synthetic set: images/s, share of each stage, cost of a second run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _bars import at_least, at_most, finish

COUNT = 600
REPEATS = 5
IMPORTS = """
import importlib
from occlufer.pipeline import GATHER, STAGE_MODULES
for name in (GATHER, *STAGE_MODULES.values()):
    importlib.import_module(name)
"""


def main() -> None:
    draw_per_s = drawn_per_second()
    help_s = seconds(["-m", "occlufer.cli", "--help"])
    imports_s = seconds(["-c", IMPORTS])
    with tempfile.TemporaryDirectory() as folder:
        first_s, shares = first_build(Path(folder))
        second_s = seconds(["-m", "occlufer.cli", "build"], Path(folder))
    bars = [
        at_least("drawn images/s on one core, 224 px, JPEG included", draw_per_s, 100),
        at_most("seconds of occlufer --help", help_s, 0.3),
        at_most("seconds of a second run beyond its imports", second_s - imports_s, 3),
    ]
    details = {
        "images": COUNT,
        "build_images_per_s": round(COUNT / first_s, 1),
        "stage_seconds": shares,
        "second_run_s": round(second_s, 3),
        "imports_s": round(imports_s, 3),
        "second_run_over_first": round(second_s / first_s, 4),
    }
    finish("build", bars, details)


def drawn_per_second() -> float:
    import cv2

    from occlufer.builders.synthetic import FacePlan, draw_face, encode_jpeg
    from occlufer.schema import LABELS, OCCLUSION_TYPES

    cv2.setNumThreads(1)
    plans = [
        FacePlan(LABELS[i % 8], i, i, () if i % 3 == 0 else (OCCLUSION_TYPES[i % 6],))
        for i in range(200)
    ]
    encode_jpeg(draw_face(plans[0]).image_rgb, 85)
    rates = []
    for _ in range(3):
        started = time.process_time()
        for plan in plans:
            encode_jpeg(draw_face(plan).image_rgb, 85)
        rates.append(len(plans) / (time.process_time() - started))
    return statistics.median(rates)


def first_build(folder: Path) -> tuple[float, dict[str, float]]:
    (folder / "occlufer.toml").write_text(f'[[sources]]\nkind = "synthetic"\ncount = {COUNT}\n')
    started = time.perf_counter()
    run = subprocess.run(
        [sys.executable, "-m", "occlufer.cli", "build"],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    wall = time.perf_counter() - started
    rows = [line.split() for line in run.stderr.splitlines() if " in " in line]
    return wall, {row[0]: float(row[3]) for row in rows}


def seconds(arguments: list[str], folder: Path | None = None) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], cwd=folder, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
