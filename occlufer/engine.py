"""The local engine: a function over many items, several at a time, results as they come."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Out = TypeVar("Out")


def worker_count(workers: int) -> int:
    """Return `workers`, or the number of processors this process may use if it is 0."""
    if workers:
        return workers
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def map_local(
    function: Callable[[Item], Out], items: Iterable[Item], workers: int
) -> Iterator[Out]:
    """Yield function(item) for every item, in the items' order, on `workers` threads.

    Decoding, hashing and networks release Python's lock, so threads do as well as processes and
    start at once. At most four items a worker are under way, so memory does not grow with the
    number of items. When the caller stops early, what is under way is finished and thrown away.
    """
    count = worker_count(workers)
    if count == 1:
        yield from map(function, items)
        return
    waiting = iter(items)
    with ThreadPoolExecutor(count) as pool:
        under_way: deque[Future[Out]] = deque(
            pool.submit(function, item) for item in islice(waiting, 4 * count)
        )
        try:
            while under_way:
                result = under_way.popleft().result()
                for item in islice(waiting, 1):
                    under_way.append(pool.submit(function, item))
                yield result
        finally:
            for future in under_way:
                future.cancel()
