"""The local engine gives results in the items' order, whatever the number of workers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.engine import map_local, worker_count


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 6))
def test_results_come_in_the_items_order(delays: list[int], workers: int) -> None:
    def slow(item: tuple[int, int]) -> int:
        time.sleep(item[1] / 5000)
        return item[0] * 7

    results = list(map_local(slow, enumerate(delays), workers))
    assert results == [7 * i for i in range(len(delays))]


def test_memory_does_not_grow_with_the_number_of_items() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for i in range(1000):
            taken += 1
            yield i

    results = map_local(lambda x: x, items(), 3)
    for done in range(1, 6):
        next(results)
        assert taken <= 4 * 3 + done
    results.close()  # type: ignore[attr-defined]
    assert taken < 30


@pytest.mark.parametrize("workers", [1, 4])
def test_an_error_comes_after_the_results_before_it(workers: int) -> None:
    def work(item: int) -> int:
        if item == 9:
            raise OSError("ninth")
        return item

    seen: list[int] = []
    with pytest.raises(OSError, match="ninth"):
        seen.extend(map_local(work, range(50), workers))
    assert seen == list(range(9))


def test_several_workers_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10)
    assert sorted(map_local(lambda i: both.wait() * 0 + i, range(2), 2)) == [0, 1]


def test_zero_workers_means_one_per_usable_processor() -> None:
    assert worker_count(0) == len(os.sched_getaffinity(0))
    assert worker_count(5) == 5
