"""The Dask engine: a build's work on the processes of this machine, or of many.

What each worker has to reach beside occlufer are the images of the workspace, on a disk that all
share or at an address, and SegFace's weights, if they are asked for. A worker that dies costs what
it was at, which another one does anew.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from occlufer.engine import Task, in_order, worker_count
from occlufer.errors import GO_ON, MissingError, OccluferError, UsageError, one_line
from occlufer.version import __version__

try:
    import dask

    # What its parts tell one another is none of a build's messages.
    dask.config.set({"logging.distributed": "error"})
    from distributed import CancelledError, Client, KilledWorker, LocalCluster, Security

    # Before Python 3.11 theirs is not the built-in one.
    from distributed import TimeoutError as NotYet
    from distributed.comm import CommClosedError
except ImportError as error:
    raise MissingError(
        f'engine = "dask": found no package {error.name}; pip install "occlufer[dask]"'
    ) from None

Item = TypeVar("Item")
Out = TypeVar("Out")

# So many items travel together: an item takes some 20 ms, a message 1 ms.
ITEMS_AT_ONCE = 16
# Under way for each thread of the workers: none waits while results are written.
TASKS_PER_THREAD = 3
CONNECT_S, WORKERS_S = 30, 60
# How often it is asked whether anybody is still at work, and how long nobody may be.
ASK_S, ALONE_S = 10, 60
SETTINGS = {
    # A picture that no worker survives ends the build after so many of them.
    "distributed.scheduler.allowed-failures": 3,
    # What a worker sees of its memory holds libraries too: let it work rather than wait.
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.scheduler.worker-ttl": None,
}


@dataclass(frozen=True)
class DaskEngine:
    """The workers that a scheduler has."""

    client: Any

    @property
    def remote(self) -> DaskEngine:
        """Itself: it holds values, and calls functions with them."""
        return self

    @property
    def at_once(self) -> int:
        """How many threads the workers have, at least one."""
        with _asking(self.client):
            threads: dict[str, int] = self.client.nthreads()
        return max(sum(threads.values()), 1)

    def map(self, function: Callable[[Item], Out], items: Iterable[Item]) -> Iterator[Out]:
        """Yield function(item) for every item, in the items' order; see `Engine.map`."""
        work = partial(self.submit, _chunk, self.hold(function))
        # Asked anew each time: workers come and go.
        for results, error in in_order(work, _chunks(items), self._most_tasks):
            yield from results
            if error is not None:
                raise error

    def _most_tasks(self) -> int:
        return TASKS_PER_THREAD * self.at_once

    def hold(self, value: Any) -> Any:
        """Return a handle of `value`: the scheduler keeps it, for workers that come later."""
        with warnings.catch_warnings():  # that it is large is known
            warnings.filterwarnings("ignore", "Sending large graph", UserWarning)
            with _asking(self.client):
                return self.client.submit(_itself, value, pure=False)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Task:
        """Call function(*arguments) on some worker."""
        with _asking(self.client):
            return _Call(self.client.submit(function, *arguments, pure=False))

    def everywhere(self, function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
        """Return {worker: what function(*arguments) returned or raised in it}."""
        with _asking(self.client):
            found: dict[str, Any] = self.client.run(function, *arguments, on_error="return")
            return found


@dataclass(frozen=True)
class _Call:
    """A call of which another process tells."""

    future: Any

    def result(self) -> Any:
        """Wait for what it returns, and raise OccluferError if nobody is left to work."""
        alone_s = 0.0
        while True:
            try:
                with _told():
                    return self.future.result(timeout=ASK_S)
            except NotYet:
                if self.future.status == "error":
                    raise  # the work's own
                with _asking(self.future.client):
                    alone_s = 0.0 if self.future.client.nthreads() else alone_s + ASK_S
                if alone_s >= ALONE_S:
                    raise OccluferError(
                        f"engine dask: no worker is left for {ALONE_S} s; start some, look into "
                        f"their logs; {GO_ON}"
                    ) from None

    def cancel(self) -> None:
        with contextlib.suppress(Exception):
            self.future.cancel()


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Say in a line that work killed its workers, or that the scheduler is gone."""
    try:
        yield
    except KilledWorker as error:
        raise OccluferError(
            f"engine dask: {error.allowed_failures + 1} workers died of one piece of work, as "
            f"they do for want of memory; give each more of it, or fewer threads; {GO_ON}"
        ) from None
    except (CommClosedError, CancelledError) as error:
        raise _gone(error) from None


@contextlib.contextmanager
def _asking(client: Any) -> Iterator[None]:
    """As `_told`, for what a client is asked: one that has lost its scheduler raises anything."""
    try:
        with _told():
            yield
    except OccluferError:
        raise
    except Exception as error:
        if client.status == "running":
            raise
        raise _gone(error) from None


def _gone(error: BaseException) -> OccluferError:
    return OccluferError(
        f"engine dask: the scheduler does not answer any more ({one_line(error)}); {GO_ON}"
    )


@contextlib.contextmanager
def opened(workers: int, scheduler: str) -> Iterator[DaskEngine]:
    """Yield an engine on the scheduler at this address, or on `workers` processes of its own."""
    with dask.config.set(SETTINGS), contextlib.ExitStack() as stack:
        if scheduler:
            client = stack.enter_context(_connected(scheduler))
        else:
            cluster = LocalCluster(
                n_workers=worker_count(workers),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit=0,
                silence_logs="ERROR",
                # Whoever else works on this machine may not send it work.
                security=Security.temporary(),
            )
            client = stack.enter_context(Client(stack.enter_context(cluster)))
        _check_versions(client)
        yield DaskEngine(client)


def _connected(scheduler: str) -> Any:
    client = _client(scheduler)
    if isinstance(client, OccluferError):
        # What is left of it takes a lock of distributed's when it is collected, which a client
        # that begins holds until its own thread runs: collected in that one it would wait for ever.
        gc.collect()
        raise client
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except NotYet:
        client.close()
        raise MissingError(
            f"scheduler = {scheduler!r}: found no worker there in {WORKERS_S} s; "
            f"`dask worker {scheduler}` starts one"
        ) from None
    return client


def _client(scheduler: str) -> Any:
    """Return a client of the scheduler at this address, or the error that says why there is none.

    Returned, for one that is raised holds on to the client that came to nothing.
    """
    try:
        return Client(scheduler, timeout=CONNECT_S)
    except (OSError, NotYet) as error:
        return MissingError(
            f"scheduler = {scheduler!r}: found none that answers ({one_line(error)}); "
            "`dask scheduler` starts one, and `dask worker ADDRESS` what works for it"
        )
    except (ValueError, TypeError) as error:  # TypeError: tls:// without a certificate
        return UsageError(
            f"scheduler = {scheduler!r}: {one_line(error)}; expected e.g. tcp://127.0.0.1:8786"
        )


def _check_versions(client: Any) -> None:
    """Raise UsageError if a worker runs another occlufer: its results would be others."""
    for worker, found in sorted(client.run(_version, on_error="return").items()):
        if found != __version__:
            raise UsageError(
                f"worker {worker}: found occlufer {found}, expected {__version__} as here"
            )


def _version() -> str:
    return __version__


def _itself(value: Any) -> Any:
    return value


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    waiting = iter(items)
    while chunk := list(itertools.islice(waiting, ITEMS_AT_ONCE)):
        yield chunk


def _chunk(
    function: Callable[[Item], Out], items: Sequence[Item]
) -> tuple[list[Out], Exception | None]:
    """Return what the function gives for the items, up to the first that it fails at."""
    results: list[Out] = []
    try:
        for item in items:
            results.append(function(item))
    except Exception as error:
        return results, error
    return results, None
