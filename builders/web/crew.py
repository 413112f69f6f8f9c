"""A crew of threads that works through photographs: many hosts at a time, each one by one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

# Hosts at a time. Each waits for its network most of the time.
CREW = 16


def work(hosts: dict[str, list[str]], do: Callable[[str], None]) -> Iterator[str]:
    """Yield the addresses of {host: addresses} as `do` has been called for each.

    One thread at a time is at a host. What `do` raises is raised here. When the caller stops early
    nothing new is begun, and nothing is waited for.
    """
    waiting: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
    for urls in sorted(hosts.values(), key=len, reverse=True):  # the longest takes the longest
        waiting.put(urls)
    done: queue.SimpleQueue[str | BaseException] = queue.SimpleQueue()
    stop = threading.Event()
    for _ in range(min(CREW, len(hosts))):
        # Daemons: Ctrl-C must not wait for a host that is slow to answer.
        threading.Thread(target=_member, args=(waiting, do, done, stop), daemon=True).start()
    try:
        for _ in range(sum(map(len, hosts.values()))):
            result = done.get()
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        stop.set()


def _member(
    waiting: queue.SimpleQueue[list[str]],
    do: Callable[[str], None],
    done: queue.SimpleQueue[str | BaseException],
    stop: threading.Event,
) -> None:
    try:
        while True:
            for url in waiting.get_nowait():
                if stop.is_set():
                    return
                do(url)
                done.put(url)
    except queue.Empty:
        return
    except BaseException as error:  # raised again where the caller waits
        done.put(error)
