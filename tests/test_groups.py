"""Groups join what is related, and nothing else."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.groups import group_ids

COUNT = 9
PAIRS = st.lists(st.tuples(st.integers(0, COUNT - 1), st.integers(0, COUNT - 1)), max_size=10)
SUBJECTS = st.lists(st.none() | st.sampled_from(["ann", "bob"]), min_size=COUNT, max_size=COUNT)
IMAGES = [f"{i * 7919 % 1000:04d}" for i in range(COUNT)]


def reachable(pairs: list[tuple[int, int]], subjects: list[str | None], start: int) -> set[int]:
    """Return what hangs together with `start`, found by walking."""
    seen, queue = {start}, [start]
    while queue:
        i = queue.pop()
        near = {b for a, b in pairs if a == i} | {a for a, b in pairs if b == i}
        near |= {j for j in range(COUNT) if subjects[i] and subjects[j] == subjects[i]}
        queue += near - seen
        seen |= near
    return seen


@given(PAIRS, SUBJECTS)
def test_a_group_is_what_hangs_together(
    pairs: list[tuple[int, int]], subjects: list[str | None]
) -> None:
    groups = group_ids(IMAGES, pairs, subjects)
    for i in range(COUNT):
        together = {j for j in range(COUNT) if groups[j] == groups[i]}
        assert together == reachable(pairs, subjects, i)


@given(PAIRS, SUBJECTS, st.integers(0, 99))
def test_the_order_of_samples_and_pairs_changes_no_name(
    pairs: list[tuple[int, int]], subjects: list[str | None], seed: int
) -> None:
    order = random.Random(seed).sample(range(COUNT), COUNT)
    place = {old: new for new, old in enumerate(order)}
    moved = [(place[b], place[a]) for a, b in reversed(pairs)]
    turned = group_ids([IMAGES[i] for i in order], moved, [subjects[i] for i in order])
    groups = group_ids(IMAGES, pairs, subjects)
    assert turned == [groups[i] for i in order]


def test_a_name_tells_nothing_of_subject_or_picture() -> None:
    (name, _) = group_ids(["abc", "def"], [], ["ann", "ann"])
    assert "ann" not in name
    assert "abc" not in name
    assert len(name) == 13


def test_no_samples_have_no_groups() -> None:
    assert group_ids([], [], []) == []


def test_a_long_chain_is_one_group() -> None:
    count = 20_000
    images = [f"{i:06d}" for i in range(count)]
    groups = group_ids(images, [(i, i + 1) for i in range(count - 1)], [None] * count)
    assert len(set(groups)) == 1
