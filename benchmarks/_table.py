"""The README's table of ratios, out of the newest figures in results.

`python benchmarks/_table.py`, or `make docs`, writes it between its two marks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
README = HERE.parent / "README.md"
BEGIN = "<!-- ratios: made by `make docs` out of benchmarks/results -->"
END = "<!-- end of ratios -->"


@dataclass(frozen=True)
class Ratio:
    """One row: what, beside which peer, and where its figure stands."""

    what: str
    peer: str
    benchmark: str
    bar: str
    """What the bar of the benchmark is called; "" for `details.wall_ratio`."""
    inverse: bool = False
    """Whether the bar says how many times as long, not as fast."""


RATIOS = (
    Ratio(
        "every near pair of 1 000 000 hashes",
        "faiss",
        "dedup",
        "all pairs within 8 bits, 1,000,000 hashes: times as fast as faiss",
    ),
    Ratio(
        "every near pair of 100 000 hashes",
        "imagededup",
        "dedup",
        "all pairs within 8 bits, 100,000 hashes: times as fast as imagededup",
    ),
    Ratio(
        "three hashes of a 224 px JPEG",
        "imagehash",
        "dedup",
        "three hashes of a 224 px JPEG: times as fast as imagehash, CPU seconds",
    ),
    Ratio("a split of 20 000 samples, by groups; ours is exact", "scikit-learn", "splits", ""),
    Ratio(
        "a step of ORSANet's training",
        "the released way",
        "training",
        "step: time of the released way to ours",
    ),
    Ratio(
        "reading JPEGs, from Parquet",
        "ImageFolder",
        "loading",
        "jpg: Parquet, in batches, times ImageFolder",
    ),
    Ratio(
        "the same from the cache of a training, priors too",
        "ImageFolder",
        "loading",
        "jpg: cache, with priors, times ImageFolder",
    ),
    Ratio(
        "fetching 10 000 answers",
        "Label Studio's own export",
        "labelling",
        "full pull of 10000 answers: times as long as the server's own export",
        inverse=True,
    ),
)


def main() -> None:
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")


def written(page: str) -> str:
    """Return the page with its table made anew."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{README.name}: found no table, expected {BEGIN} and {END}")
    return "\n".join([before + BEGIN, "", *table(), "", END + after])


def table() -> list[str]:
    """Return the lines of the table."""
    lines = ["| | beside | times as fast |", "| --- | --- | ---: |"]
    return lines + [f"| {r.what} | {r.peer} | {shown(value(r))} |" for r in RATIOS]


def value(ratio: Ratio) -> float:
    """Return how many times as fast, from the newest results of the benchmark."""
    path = max(RESULTS.glob(f"{ratio.benchmark}-*.json"))  # their names begin with the day
    figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    bars = {bar["what"]: float(bar["value"]) for bar in figures["bars"]}
    if ratio.bar and ratio.bar not in bars:
        raise SystemExit(f"{path.name}: found no bar {ratio.bar!r}, expected one of {[*bars]}")
    found = bars[ratio.bar] if ratio.bar else float(figures["details"]["wall_ratio"])
    return 1 / found if ratio.inverse else found


def shown(number: float) -> str:
    """Return a number with two digits that mean something, thousands apart."""
    digits = 2 if number < 2 else 1 if number < 100 else 0
    return f"{number:,.{digits}f}".replace(",", " ")


if __name__ == "__main__":
    main()
