"""Growth: seconds of every stage and peak memory of whole builds of drawn faces, as these grow.

Every build is a process of its own; its log says what each stage took. `--full` goes on to 100 000
images, which takes hours on two cores; `python benchmarks/growth.py 200 400` takes sizes of yours.
With `--keep FOLDER` every size is written there as soon as it is measured, and is not measured
again: a run that is stopped goes on with the next size.

The exponent is the slope of log(seconds) over log(images) by least squares. Of each stage it takes
the sizes from the first on at which the stage takes half a second: below, what is done once,
whatever the size, weighs as much as what is done for every image. What is done once flatters the
exponent above that, too, so that of the two largest sizes stands beside it.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from _bars import Bar, at_most, finish, machine
from _environment import measured
from _growth import exponents, sizes_asked

SIZES = (1_000, 3_000, 10_000)
FULL_SIZES = (*SIZES, 30_000, 100_000)
# What is compiled once in an installation would pass for what the smallest build takes.
FIRST = 50
MOST_EXPONENT = 1.15
MOST_MB = 1_500
LINE = re.compile(r"^(\w+) +(\d+) in ([\d.]+) s$", re.MULTILINE)

Figures = dict[str, Any]


def main() -> None:
    keep = kept_in()
    with tempfile.TemporaryDirectory(prefix="occlufer-growth-") as folder:
        built(FIRST, Path(folder))
        found = {size: known(size, Path(folder), keep) for size in sizes_asked(SIZES, FULL_SIZES)}
    seconds = {size: figures["seconds"] for size, figures in found.items()}
    fitted = exponents(seconds)
    largest = dict(sorted(seconds.items())[-2:])
    details = {
        "exponents": fitted,
        "exponents_of_the_two_largest": exponents(largest),
        "rule": "least squares over log(images), log(seconds), from the first size of .5 s on",
        "sizes": {str(size): figures for size, figures in found.items()},
    }
    finish("growth", bars_of(found, fitted), details)


def bars_of(found: dict[int, Figures], fitted: dict[str, float | None]) -> list[Bar]:
    """Return the peak of the largest build, and every exponent that there is."""
    most = max(found)
    bars = [
        at_most(f"MB at the peak of a build of {most:,} images", found[most]["peak_mb"], MOST_MB)
    ]
    return bars + [
        at_most(f"{stage}, exponent of growth up to {most:,} images", value, MOST_EXPONENT)
        for stage, value in fitted.items()
        if value is not None
    ]


def kept_in() -> Path | None:
    """Return the file of --keep FOLDER, if it is given."""
    words = sys.argv[1:]
    if "--keep" not in words:
        return None
    after = words[words.index("--keep") + 1 :]
    if not after:
        raise SystemExit("--keep: expected a folder behind it")
    return Path(after[0]) / "growth.json"


def known(size: int, folder: Path, keep: Path | None) -> Figures:
    """Return the figures of a size, measured now if they are not kept; raises if of elsewhere."""
    kept: dict[str, Any] = {"machine": machine(), "sizes": {}}
    if keep is not None and keep.is_file():
        kept = json.loads(keep.read_text())
        if kept["machine"] != machine():
            raise SystemExit(
                f"{keep}: found figures of {kept['machine']}, expected those of {machine()}; "
                "give another folder"
            )
    sizes: dict[str, Figures] = kept["sizes"]
    if str(size) not in sizes:
        sizes[str(size)] = built(size, folder)
        if keep is not None:
            keep.parent.mkdir(parents=True, exist_ok=True)
            part = keep.with_suffix(".part")
            part.write_text(json.dumps(kept, indent=1) + "\n")
            part.replace(keep)
    return sizes[str(size)]


def built(size: int, folder: Path) -> Figures:
    """Build so many drawn faces, and return what it took."""
    print(f"a build of {size:,} images", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        config = f'[[sources]]\nkind = "synthetic"\ncount = {size}\n'
        (Path(place) / "occlufer.toml").write_text(config)
        ran = measured(
            [sys.executable, "-m", "occlufer.cli", "build", "--json"], Path(place), 86_400
        )
        if ran.status != 0:
            raise SystemExit(f"the build of {size} images ended with {ran.status}:\n{ran.err}")
    seconds = {stage: float(took) for stage, _, took in LINE.findall(ran.err)}
    summary = json.loads(ran.out)
    return {
        "date": date.today().isoformat(),
        "published": summary["published"],
        "wall_s": round(ran.wall_s, 1),
        "images_per_s": round(size / ran.wall_s, 2),
        "peak_mb": round(ran.peak_mb or 0),
        "seconds": seconds,
        "share_of_stages": {
            stage: round(took / sum(seconds.values()), 3) for stage, took in seconds.items()
        },
    }


if __name__ == "__main__":
    main()
