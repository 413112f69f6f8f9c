"""Aggregation: how often votes come to what is true, beside crowd-kit, and how sure it says it is.

With --glad crowd-kit's GLAD is measured too; it takes a minute for each world of 8 000 items.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
from _bars import Bar, at_least, at_most, finish
from _crowd import crowd_kit, missing, versions
from _timing import spreads, timed
from _votes import GOLD, HARD_SHARE, RATERS, VOTES, WORLDS, World, world
from numpy.typing import NDArray

from occlufer.annotation.aggregation.aggregation import Aggregation, aggregate
from occlufer.annotation.aggregation.calibration import TEMPERATURES, calibration_error, tempered

SEEDS, HARD_SEEDS = 10, 4
SMALL, LARGE = 500, 8000
OTHER_SEEDS = 1  # MACE and GLAD are slow, and far behind
SURE = 0.9
Figures = dict[str, float]


def main() -> None:
    absent = missing()
    found = {size: {kind: measured(kind, size) for kind in WORLDS} for size in (SMALL, LARGE)}
    details = {
        "votes": f"{VOTES} on each item, by {RATERS} raters, simulated",
        "seeds": {"worlds": SEEDS, "hard worlds": HARD_SEEDS, "MACE and GLAD": OTHER_SEEDS},
        "spread": "mean and standard deviation over the seeds, in percent; T has no unit",
        "gold": f"{GOLD} items with a known answer, which are not counted",
        "hard": f"on {HARD_SHARE:.0%} of the items many raters err alike; no model here knows it",
        "crowd_kit": absent or versions(),
        "items": {str(size): worlds for size, worlds in found.items()},
    }
    bars = [bar for kind in WORLDS for bar in bars_of(kind, found[SMALL][kind], found[LARGE][kind])]
    finish("aggregation", bars, details)


def bars_of(kind: str, small: dict[str, Any], large: dict[str, Any]) -> list[Bar]:
    """Return the bars of one world; without crowd-kit those beside it fail."""
    seconds = large["seconds"]["wall_s"]["median"]
    bars = [
        at_least(f"{kind}, {LARGE:,} items: points above crowd-kit", ahead(large), -0.3),
        at_least(f"{kind}, {SMALL:,} items: points above crowd-kit", ahead(small), 1.5),
        at_most(f"{kind}, {LARGE:,} items: seconds, calibration and all", seconds, 2),
    ]
    if kind != "plain":
        over = large["right"]["ours"]["mean"] - large["right"]["majority"]["mean"]
        bars.append(at_least(f"{kind}, {LARGE:,} items: points above majority", over, 8))
    return bars


def ahead(figures: dict[str, Any]) -> float:
    right = figures["right"]
    peer = right.get("crowd-kit DawidSkene")
    return float("-inf") if peer is None else right["ours"]["mean"] - peer["mean"]


def measured(kind: str, size: int) -> dict[str, Any]:
    """Return the figures of one world, over the seeds."""
    worlds = [world(kind, size, seed) for seed in range(SEEDS)]
    hard = [world(kind, size, seed, hard=True) for seed in range(HARD_SEEDS)]
    runs = [timed(partial(aggregate, made.ballots)) for made in worlds]
    ours = [run.result for run in runs]
    return {
        "right": over_seeds(map(right, worlds, ours, range(SEEDS))),
        "seconds": spreads(runs),
        "iterations": statistics.median(found.iterations for found in ours),
        "reliability": over_seeds(map(reliability, worlds, ours)),
        "reliability_hard": over_seeds(reliability(made, aggregate(made.ballots)) for made in hard),
        "reliability_hard_gold": over_seeds(
            reliability(made, aggregate(made.ballots, gold=made.gold()), GOLD) for made in hard
        ),
    }


def right(made: World, ours: Aggregation, seed: int) -> Figures:
    """Return the share of items on which each method is right, in percent."""
    answers: dict[str, NDArray[np.int64]] = {
        "majority": made.ballots.counts().argmax(axis=1),
        "ours": ours.posterior.argmax(axis=1),
    }
    if missing() is None:
        others = ["MACE"] + ["GLAD"] * ("--glad" in sys.argv[1:])
        for method in ["DawidSkene"] + others * (seed < OTHER_SEEDS):
            answers[f"crowd-kit {method}"] = crowd_kit(method, made.ballots)
    return {name: 100 * float((found == made.truth).mean()) for name, found in answers.items()}


def reliability(made: World, ours: Aggregation, skip: int = 0) -> Figures:
    """Return how far sureness is from being right, without the first `skip` items, in percent.

    Before calibration, after it, and by the T that the truth itself would have chosen.
    """
    assert ours.fit is not None
    truth, before = made.truth[skip:], ours.fit.posterior[:, skip:]
    after = ours.posterior.T[:, skip:]
    place = truth, np.arange(len(truth))
    lost = [-np.log(tempered(before, T)[place] + 1e-300).sum() for T in TEMPERATURES]
    best = float(TEMPERATURES[int(np.argmin(lost))])
    return {
        "error_before": 100 * calibration_error(before, truth),
        "error_after": 100 * calibration_error(after, truth),
        "error_at_best_T": 100 * calibration_error(tempered(before, best), truth),
        f"right_above_{SURE}_before": 100 * right_above(before, truth),
        f"right_above_{SURE}_after": 100 * right_above(after, truth),
        f"share_above_{SURE}_after": 100 * float((after.max(axis=0) > SURE).mean()),
        "T": ours.temperature,
        "best_T": best,
    }


def right_above(posterior: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    sure = posterior.max(axis=0) > SURE
    return float((posterior.argmax(axis=0) == truth)[sure].mean())


def over_seeds(rows: Iterable[Figures]) -> dict[str, Figures]:
    """Return the mean and the standard deviation of each figure over the seeds that have it."""
    known = list(rows)
    columns = {name: [row[name] for row in known if name in row] for name in known[0]}
    return {
        name: {"mean": round(float(np.mean(values)), 3), "sd": round(float(np.std(values)), 3)}
        for name, values in columns.items()
    }


if __name__ == "__main__":
    main()
