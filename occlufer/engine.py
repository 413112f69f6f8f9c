"""Engines: who works at a function over many items, several at a time; results as they come."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")
Out = TypeVar("Out")


class Task(Protocol):
    """A call that somebody works at."""

    def result(self) -> Any:
        """Wait for what it returns, or raise what it raises."""

    def cancel(self) -> Any:
        """Let it be, if it has not begun."""


class Remote(Protocol):
    """Processes beside this one: what goes there has to be picklable."""

    @property
    def at_once(self) -> int:
        """How many calls run at the same time."""

    def hold(self, value: Any) -> Any:
        """Return a handle of `value`, for `submit`: it travels to each of them once."""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Task:
        """Call function(*arguments) there; arguments that are handles come as what they hold."""

    def everywhere(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Return {process: what function(*arguments) returned or raised in it}."""


class Engine(Protocol):
    """Where the work of a build is done. By whichever, a build has the same bytes."""

    @property
    def remote(self) -> Remote | None:
        """The processes that take calls beside `map`; None where there is this one alone."""

    def map(self, function: Callable[[Item], Out], items: Iterable[Item]) -> Iterator[Out]:
        """Yield function(item) for every item, in the items' order.

        What came before an error is yielded first. Memory does not grow with the number of items.
        """


@dataclass(frozen=True)
class LocalEngine:
    """Threads of this process."""

    workers: int = 0
    """How many; 0 means one per processor."""
    remote: None = None

    def map(self, function: Callable[[Item], Out], items: Iterable[Item]) -> Iterator[Out]:
        """Do as `Engine.map` says."""
        return map_local(function, items, self.workers)


# By name, for they need packages that not everybody has.
ENGINES = {"dask": "occlufer.dask_engine"}


@contextlib.contextmanager
def open_engine(name: str, workers: int, scheduler: str) -> Iterator[Engine]:
    """Yield the engine called `name`, ended with the block.

    `workers` is the number of threads, or of processes; `scheduler` is the address of one that
    runs already, "" for none. Raises MissingError if the engine needs a package or a scheduler
    that is not there.
    """
    if name == "local":
        yield LocalEngine(workers)
        return
    with importlib.import_module(ENGINES[name]).opened(workers, scheduler) as engine:
        yield engine


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
    with ThreadPoolExecutor(count) as pool:

        def submit(item: Item) -> Future[Out]:
            return pool.submit(function, item)

        yield from in_order(submit, items, lambda: 4 * count)


def in_order(
    submit: Callable[[Item], Task], items: Iterable[Item], most: Callable[[], int]
) -> Iterator[Any]:
    """Yield the result of submit(item) for every item in order, at most most() under way."""
    waiting = iter(items)
    under_way: deque[Task] = deque()
    try:
        while True:
            for item in islice(waiting, max(most() - len(under_way), 0)):
                under_way.append(submit(item))
            if not under_way:
                return
            yield under_way.popleft().result()
    finally:
        for task in under_way:
            task.cancel()
