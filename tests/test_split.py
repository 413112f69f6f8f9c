"""The split keeps groups whole and comes as near to the wanted shares as can be."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.builders.split import assign_splits
from occlufer.schema import LABELS

SAMPLES = st.lists(
    st.tuples(st.sampled_from(LABELS[:3]), st.sampled_from("abcdefgh")), min_size=1, max_size=30
)


def distance(samples: list[tuple[str, str]], chosen: set[str], share: float) -> float:
    """Return by how many samples the classes miss their wanted counts."""
    wanted = Counter(label for label, _ in samples)
    got = Counter(label for label, group in samples if group in chosen)
    return sum(abs(got[label] - wished(n, share)) for label, n in wanted.items())


def wished(count: int, share: float) -> int:
    """Return how many of a class shall validate: halves rounded up, one at least of two or more."""
    return max(math.floor(count * share + 0.5), 1 if count > 1 and share > 0 else 0)


def split(samples: list[tuple[str, str]], share: float, seed: int = 0) -> list[str]:
    labels, groups = [label for label, _ in samples], [group for _, group in samples]
    return list(assign_splits(labels, groups, share, seed))


def validating(samples: list[tuple[str, str]], splits: list[str]) -> set[str]:
    return {g for (_, g), s in zip(samples, splits, strict=True) if s == "validation"}


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.floats(0, 1), st.integers(0, 5))
def test_split_keeps_each_group_on_one_side(
    samples: list[tuple[str, str]], share: float, seed: int
) -> None:
    splits = split(samples, share, seed)
    assert len(splits) == len(samples)
    sides = {(group, side) for (_, group), side in zip(samples, splits, strict=True)}
    assert len(sides) == len({group for _, group in samples})
    assert set(splits) <= {"train", "validation"}


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.sampled_from([0.0, 880 / 7718, 0.25, 0.5, 0.8, 1.0]))
def test_no_other_choice_of_groups_comes_nearer_to_the_wanted_counts(
    samples: list[tuple[str, str]], share: float
) -> None:
    groups = sorted({group for _, group in samples})
    best = min(
        distance(samples, set(chosen), share)
        for size in range(len(groups) + 1)
        for chosen in itertools.combinations(groups, size)
    )
    chosen = validating(samples, split(samples, share))
    assert distance(samples, chosen, share) == pytest.approx(best)


@settings(max_examples=30, deadline=None)
@given(SAMPLES, st.integers(0, 99))
def test_the_order_of_samples_changes_nothing(samples: list[tuple[str, str]], seed: int) -> None:
    shuffled = random.Random(seed).sample(samples, len(samples))
    chosen = validating(samples, split(samples, 0.3, seed))
    assert validating(shuffled, split(shuffled, 0.3, seed)) == chosen


def singles(count: int) -> list[tuple[str, str]]:
    return [(LABELS[i % 8], f"g{i}") for i in range(count)]


def test_another_seed_draws_other_groups_in_the_same_numbers() -> None:
    samples = singles(400)
    first, again, other = (split(samples, 0.25, seed) for seed in (0, 0, 1))
    assert first == again != other
    for splits in (first, other):
        counts = Counter(
            label for (label, _), s in zip(samples, splits, strict=True) if s == "validation"
        )
        assert counts == dict.fromkeys(LABELS, 13)  # 50 a class, 12.5 rounded up


def test_table_1_s_share_of_table_1_s_counts_is_near_table_1() -> None:
    totals = (755, 602, 1063, 1263, 1258, 1087, 1273, 417)
    samples = [
        (label, f"{label}{i}")
        for label, total in zip(LABELS, totals, strict=True)
        for i in range(total)
    ]
    splits = split(samples, 880 / 7718)
    assert abs(splits.count("validation") - 880) <= 4


def test_one_giant_group_stays_whole() -> None:
    samples = [(LABELS[i % 8], "all") for i in range(500)]
    assert set(split(samples, 0.1)) == {"train"}
    assert set(split(samples, 0.9)) == {"validation"}


def test_a_giant_group_does_not_keep_the_rest_from_their_share() -> None:
    samples = [("anger", "giant")] * 80 + [("anger", f"g{i}") for i in range(20)]
    splits = split(samples, 0.1)
    assert splits.count("validation") == 10
    assert set(splits[:80]) == {"train"}


def test_a_rare_class_is_seen_on_both_sides() -> None:
    samples = [("anger", f"g{i}") for i in range(40)] + [("fear", "x"), ("fear", "y")]
    assert sorted(split(samples, 0.1)[40:]) == ["train", "validation"]


def test_nothing_is_split_into_nothing() -> None:
    assert split([], 0.1) == []


def test_many_groups_of_mixed_sizes_are_split_in_a_moment() -> None:
    draw = random.Random(0)
    samples = [(draw.choice(LABELS), f"g{draw.randrange(1500)}") for _ in range(8000)]
    chosen = validating(samples, split(samples, 880 / 7718))
    assert distance(samples, chosen, 880 / 7718) <= 8


@settings(max_examples=40, deadline=None)
@given(SAMPLES, st.sets(st.sampled_from("abcdefgh")), st.floats(0, 1))
def test_groups_of_a_test_set_validate_and_the_others_make_up_the_share(
    samples: list[tuple[str, str]], tested: set[str], share: float
) -> None:
    labels, groups = [label for label, _ in samples], [group for _, group in samples]
    splits = list(assign_splits(labels, groups, share, 0, tested))
    chosen = validating(samples, splits)
    assert tested & set(groups) <= chosen
    free = sorted(set(groups) - tested)
    best = min(
        short_or_over(samples, tested | set(others), share, tested)
        for size in range(len(free) + 1)
        for others in itertools.combinations(free, size)
    )
    assert short_or_over(samples, chosen, share, tested) == pytest.approx(best)


def short_or_over(
    samples: list[tuple[str, str]], chosen: set[str], share: float, tested: set[str]
) -> float:
    """Return by how many samples classes miss their counts, beyond what is tested in any case."""
    total = Counter(label for label, _ in samples)
    fixed = Counter(label for label, group in samples if group in tested)
    got = Counter(label for label, group in samples if group in chosen)
    return sum(abs(got[k] - max(wished(n, share), fixed[k])) for k, n in total.items())
