"""Splits: seconds to choose Table 1 out of 20 000 candidates in groups, beside scikit-learn.

The peer, StratifiedGroupKFold, keeps groups whole too, and one fold of it validates. It meets no
quota: how many samples it is away from Table 1 stands beside the times. All turns are of one table,
ours and the peer's in turn, and the last of ours of its rows in another order.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from _bars import at_most, finish
from _timing import Timed, median_wall_s, spreads, timed
from sklearn.model_selection import StratifiedGroupKFold

from occlufer.builders.split import assign_splits
from occlufer.schema import LABELS, OCCLUSION_TYPES, SPLITS, TABLE_1, TABLE_1_QUOTAS

COUNT, REPEATS, SEED = 20_000, 3, 2
LIMIT_S = 10
FOLDS = round(sum(map(sum, TABLE_1.values())) / sum(TABLE_1["validation"]))
Table = dict[str, list[str]]
Splits = Sequence[str | None]


def main() -> None:
    table = candidates(COUNT, SEED)
    order = random.Random(SEED).sample(range(COUNT), COUNT)
    shuffled = {name: [values[i] for i in order] for name, values in table.items()}
    ours: list[Timed[list[str | None]]] = []
    theirs: list[Timed[list[str | None]]] = []
    for _ in range(REPEATS):
        ours.append(timed(lambda: assign_splits(table)))
        theirs.append(timed(lambda: peer(table)))
    splits = ours[0].result
    again = dict(zip(order, assign_splits(shuffled), strict=True))
    others = sum(run.result != splits for run in ours)
    others += splits != [again[row] for row in range(COUNT)]
    figures: dict[str, Any] = {
        "candidates": COUNT,
        "groups": len({*table["group"]}),
        "seconds": spreads(ours),
        "seconds_of_scikit_learn": spreads(theirs),
        "wall_ratio": median_wall_s(theirs) / median_wall_s(ours),
        "away_from_table_1_of_scikit_learn": away(table, theirs[0].result),
    }
    bars = [
        at_most("seconds for 20 000 candidates", median_wall_s(ours), LIMIT_S),
        at_most("samples away from Table 1", away(table, splits), 0),
        at_most("groups on both sides", crossing(table, splits), 0),
        at_most("turns with another answer, one in another order", others, 0),
    ]
    finish("splits", bars, figures)


def candidates(count: int, seed: int) -> Table:
    """Return so many: three in ten in pairs, one in sixteen in groups of up to 60, others alone."""
    draw = random.Random(seed)
    sizes: list[int] = []
    for share, span in ((0.3, (2, 2)), (0.06, (5, 60))):
        until = sum(sizes) + share * count
        while sum(sizes) < until:
            sizes.append(draw.randint(*span))
    sizes += [1] * (count - sum(sizes))
    weights = [sum(pair) for pair in zip(*TABLE_1.values(), strict=True)]
    table: Table = {
        name: [] for name in ("sample", "class", "group", "occlusion", "severity", "source")
    }
    for group, size in enumerate(sizes):
        source = draw.choice(("raf_db", "affectnet", "ferplus"))
        for _ in range(size):
            kind, severity = draw.choice(OCCLUSION_TYPES), draw.choice((0, 10, 20, 30, 40))
            label = draw.choices(LABELS, weights)[0]
            row = (f"s{len(table['sample'])}", label, f"g{group}", kind, str(severity), source)
            for values, value in zip(table.values(), row, strict=True):
                values.append(value)
    return table


def peer(table: Table) -> list[str | None]:
    """Return the splits of the first fold."""
    folds = StratifiedGroupKFold(n_splits=FOLDS, shuffle=True, random_state=SEED)
    labels = np.array([LABELS.index(name) for name in table["class"]])
    _, validating = next(folds.split(labels, labels, np.array(table["group"])))
    chosen = {*validating.tolist()}
    return ["validation" if row in chosen else "train" for row in range(len(labels))]


def away(table: Table, splits: Splits) -> int:
    """Return how many samples are too many or too few, over the classes of both splits."""
    there = Counter(zip(splits, table["class"], strict=True))
    return sum(
        abs(there[split, label] - wanted)
        for split, quotas in TABLE_1_QUOTAS.items()
        for label, wanted in quotas.items()
    )


def crossing(table: Table, splits: Splits) -> int:
    """Return how many groups have samples in both splits."""
    sides = {*zip(table["group"], splits, strict=True)}
    of_group = Counter(group for group, split in sides if split in SPLITS)
    return sum(number > 1 for number in of_group.values())


if __name__ == "__main__":
    main()
