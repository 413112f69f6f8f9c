"""Quotas are met to the sample, groups never cross, and what cannot be is told by class and split.

Small cases are checked against every way there is; strata by counting them again.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.builders.split import assign_splits
from occlufer.builders.splitting.shortage import ShortageError, ShortCell
from occlufer.errors import GateError, UsageError
from occlufer.schema import LABELS, SPLITS, TABLE_1, TABLE_1_QUOTAS

Table = dict[str, list[str]]
STRATA = ("occlusion", "severity", "source")
# Samples of two classes in a few groups, and what is wanted of them.
SMALL = st.lists(
    st.tuples(st.sampled_from(["anger", "fear"]), st.sampled_from("abcdefg")), max_size=14
)
WANTED = st.fixed_dictionaries(
    {
        split: st.fixed_dictionaries({c: st.integers(0, 5) for c in ("anger", "fear")})
        for split in SPLITS
    }
)


def table(rows: Iterable[tuple[str, str]]) -> Table:
    """A table without strata of (class, group)."""
    rows = list(rows)
    return {
        "sample": [f"s{i}" for i in range(len(rows))],
        "class": [row[0] for row in rows],
        "group": [row[1] for row in rows],
    }


def plain(
    rows: Iterable[tuple[str, str]], quotas: Mapping[str, Mapping[str, int]], **more: object
) -> list[str | None]:
    return list(assign_splits(table(rows), quotas, strata=(), **more))


def least_missing(rows: list[tuple[str, str]], quotas: Mapping[str, Mapping[str, int]]) -> int:
    """The fewest samples missing, of all ways to give each group a side."""
    groups = sorted({group for _, group in rows})
    best = 10**9
    for size in range(len(groups) + 1):
        for validating in itertools.combinations(groups, size):
            there = Counter((SPLITS[group in validating], label) for label, group in rows)
            short = [
                max(wanted - there[split, label], 0)
                for split, counts in quotas.items()
                for label, wanted in counts.items()
            ]
            best = min(best, sum(short))
    return best


def crossing(columns: Table, splits: list[str | None]) -> list[str]:
    sides: dict[str, set[str]] = {}
    for group, split in zip(columns["group"], splits, strict=True):
        if split is not None:
            sides.setdefault(group, set()).add(split)
    return [group for group, found in sides.items() if len(found) > 1]


def got(columns: Table, splits: list[str | None]) -> dict[str, dict[str, int]]:
    counts = Counter(zip(splits, columns["class"], strict=True))
    classes = sorted(set(columns["class"]))
    return {split: {label: counts[split, label] for label in classes} for split in SPLITS}


@settings(max_examples=60, deadline=None)
@given(SMALL, WANTED, st.integers(0, 3))
def test_quotas_are_met_exactly_or_the_fewest_samples_are_missing(
    rows: list[tuple[str, str]], quotas: dict[str, dict[str, int]], seed: int
) -> None:
    missing = least_missing(rows, quotas)
    if missing:
        with pytest.raises(GateError) as error:
            plain(rows, quotas, seed=seed)
        cells = str(error.value).split("falls short of ")[1].split(";")[0].split(", ")
        assert sum(int(cell.split(" by ")[1].split()[0]) for cell in cells) == missing
        return
    splits = plain(rows, quotas, seed=seed)
    assert not crossing(table(rows), splits)
    counts = Counter(zip(splits, (label for label, _ in rows), strict=True))
    for split, wanted in quotas.items():
        assert all(counts[split, label] == number for label, number in wanted.items())


@settings(max_examples=30, deadline=None)
@given(SMALL, st.sets(st.sampled_from("abcdefg")), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_and_some_groups_never_train(
    rows: list[tuple[str, str]], validating: set[str], draw: random.Random
) -> None:
    columns = table(rows)
    free = Counter(label for label, group in rows if group not in validating)
    fixed = Counter(label for label, group in rows if group in validating)
    quotas = {"train": {c: free[c] for c in LABELS}, "validation": {c: fixed[c] for c in LABELS}}
    first = assign_splits(columns, quotas, 3, (), validating)
    order = list(range(len(rows)))
    draw.shuffle(order)
    shuffled = {name: [values[i] for i in order] for name, values in columns.items()}
    again = assign_splits(shuffled, quotas, 3, (), validating)
    assert [first[i] for i in order] == list(again)
    assert first == [SPLITS[group in validating] for group in columns["group"]]


def candidates(count: int, seed: int, shares: tuple[float, float] = (0.3, 0.06)) -> Table:
    """So many samples: a share in pairs, a share in groups of up to 60, all others alone."""
    draw = random.Random(seed)
    weights = [sum(pair) for pair in zip(*TABLE_1.values(), strict=True)]
    sizes: list[int] = []
    for share, span in zip(shares, ((2, 2), (5, 60)), strict=True):
        before = sum(sizes)
        while sum(sizes) < before + share * count:
            sizes.append(draw.randint(*span))
    sizes += [1] * (count - sum(sizes))
    rows: list[tuple[str, ...]] = []
    for number, size in enumerate(sizes):
        source = draw.choices(("raf_db", "affectnet", "ferplus", "expw"), (5, 4, 2, 1))[0]
        for _ in range(size):
            kind = draw.choices(("none", "mask", "hand", "eyewear", "hand+mask"), (5, 4, 3, 3, 1))
            severity = str(draw.choice((0, 10, 20, 30, 40)))
            label = draw.choices(LABELS, weights)[0]
            rows.append((f"s{len(rows)}", label, f"g{number}", kind[0], severity, source))
    return {
        name: [row[i] for row in rows]
        for i, name in enumerate(("sample", "class", "group", *STRATA))
    }


def worst_share(columns: Table, splits: list[str | None]) -> float:
    """By how many samples a stratum of a class is away from its share, at worst."""
    of_class = Counter(columns["class"])
    worst = 0.0
    for name in STRATA:
        there = Counter(zip(columns["class"], columns[name], strict=True))
        for split in SPLITS:
            chosen = [i for i, found in enumerate(splits) if found == split]
            taken = Counter(columns["class"][i] for i in chosen)
            some = Counter((columns["class"][i], columns[name][i]) for i in chosen)
            for (label, value), number in there.items():
                share = taken[label] * number / of_class[label]
                worst = max(worst, abs(some[label, value] - share))
    return worst


SMALL_QUOTAS = {
    "train": {label: count // 12 for label, count in TABLE_1_QUOTAS["train"].items()},
    "validation": {label: count // 12 for label, count in TABLE_1_QUOTAS["validation"].items()},
}


def test_every_stratum_of_every_class_has_its_share_in_both_splits() -> None:
    columns = candidates(1500, 0)
    splits = list(assign_splits(pd.DataFrame(columns), SMALL_QUOTAS))
    assert got(columns, splits) == {s: dict(sorted(SMALL_QUOTAS[s].items())) for s in SPLITS}
    assert not crossing(columns, splits)
    assert worst_share(columns, splits) <= 1.0 + 1e-9
    # Without strata the same quotas are met, and the shares are as the draw has them.
    drawn = list(assign_splits(columns, SMALL_QUOTAS, strata=()))
    assert got(columns, drawn) == got(columns, splits)
    assert worst_share(columns, drawn) > 2


def test_another_seed_takes_other_samples_in_the_same_numbers() -> None:
    columns = candidates(1100, 1)
    first, again, other = (assign_splits(columns, SMALL_QUOTAS, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert got(columns, list(first)) == got(columns, list(other))


@pytest.mark.slow
def test_twenty_thousand_candidates_meet_table_1_in_any_order() -> None:
    columns = candidates(20_000, 2)
    splits = list(assign_splits(columns))
    assert got(columns, splits) == {s: dict(sorted(TABLE_1_QUOTAS[s].items())) for s in SPLITS}
    assert not crossing(columns, splits)
    assert worst_share(columns, splits) <= 1.0 + 1e-9
    order = random.Random(3).sample(range(20_000), 20_000)
    shuffled = {name: [values[i] for i in order] for name, values in columns.items()}
    assert list(assign_splits(shuffled)) == [splits[i] for i in order]


QUOTAS = {"train": {"anger": 4, "fear": 2}, "validation": {"anger": 2, "fear": 1}}


def test_too_few_samples_are_named_by_class_and_split() -> None:
    rows = [("anger", f"a{i}") for i in range(5)] + [("fear", f"f{i}") for i in range(9)]
    with pytest.raises(ShortageError) as error:
        plain(rows, QUOTAS)
    assert error.value.cells == [ShortCell("anger", "train", 1)]
    assert str(error.value) == (
        "split: the quota cannot be met, it falls short of anger in train by 1; anger: found 5 "
        "samples, expected 4 to train and 2 to validate; what would help: more labelled samples of "
        "these classes, or lower counts in [split.train] and [split.validation]"
    )


def test_groups_that_are_too_large_to_divide_are_told_from_too_few_samples() -> None:
    rows = [("anger", "one")] * 5 + [("anger", "alone")] + [("fear", f"f{i}") for i in range(9)]
    with pytest.raises(GateError) as error:
        plain(rows, QUOTAS)
    assert (
        "falls short of anger in validation by 1; anger: found 6 samples, enough for 4 and 2, "
        in str(error.value)
    )
    assert "groups that cannot be divided so (the largest has 5)" in str(error.value)
    assert "samples of other subjects and photographs" in str(error.value)


def test_samples_like_a_test_set_are_told_from_too_few_samples() -> None:
    rows = [("anger", f"a{i}") for i in range(6)] + [("fear", f"f{i}") for i in range(9)]
    with pytest.raises(GateError) as error:
        plain(rows, QUOTAS, validating={"a0", "a1", "a2"})
    assert (
        "anger in train by 1; anger: found 3 samples that may train, expected 4: 3 more are in "
        "groups with a test sample"
    ) in str(error.value)


def test_a_quota_whose_samples_are_all_there_but_in_pairs_says_so() -> None:
    rows = [("fear", f"pair{i // 2}") for i in range(10)]
    with pytest.raises(GateError, match=r"fear in train by 1;.*enough for 7 and 3"):
        plain(rows, {"train": {"fear": 7}, "validation": {"fear": 3}})
    splits = plain(rows, {"train": {"fear": 5}, "validation": {"fear": 3}})
    assert Counter(splits) == {"train": 5, "validation": 3, None: 2}


@pytest.mark.parametrize(
    ("columns", "quotas", "message"),
    [
        (
            {"sample": ["a"], "class": ["fear"]},
            QUOTAS,
            "found the columns sample, class, expected ",
        ),
        (
            table([("joy", "a")]),
            QUOTAS,
            "row 0: found the class 'joy', expected one of anger, fear",
        ),
        ({**table([("fear", "a")] * 2), "sample": ["a", "a"]}, QUOTAS, "the sample a twice"),
        ({**table([("fear", "a")]), "sample": []}, QUOTAS, "found columns of the lengths"),
        (table([]), {"train": {}}, "quotas: found train, expected train and validation"),
        (table([]), {**QUOTAS, "train": {"fear": -1}}, "quotas, train, fear: found -1"),
        (table([]), {**QUOTAS, "train": {"fear": math.nan}}, "quotas, train, fear: found nan"),
        (table([]), {**QUOTAS, "train": {"fear": math.inf}}, "quotas, train, fear: found inf"),
        (table([]), {**QUOTAS, "train": {"fear": 1.5}}, "quotas, train, fear: found 1.5"),
    ],
    ids=["column", "class", "twice", "length", "split", "count", "NaN", "infinite", "not whole"],
)
def test_a_table_that_cannot_be_split_says_why(
    columns: Table, quotas: dict[str, dict[str, float]], message: str
) -> None:
    with pytest.raises(UsageError) as error:
        assign_splits(columns, quotas, strata=())
    assert message in str(error.value)


def test_table_1_is_the_paper_s() -> None:
    assert {split: sum(counts.values()) for split, counts in TABLE_1_QUOTAS.items()} == {
        "train": 6838,
        "validation": 880,
    }
    assert (TABLE_1_QUOTAS["train"]["contempt"], TABLE_1_QUOTAS["validation"]["anger"]) == (380, 86)
