"""What is kept of every host: when it may be asked again, and what its own files say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

KEEP_S = 24 * 3600.0  # RFC 9309, 2.4: a robots.txt is not to be kept longer
KEEP_FAILED_S = 600.0


class Hosts:
    """When each host may be asked; threads share it."""

    def __init__(
        self,
        interval_s: float,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the least time between the begins of two requests to a host."""
        self.sleep = sleep
        self._interval_s = interval_s
        self._clock = clock
        self._lock = threading.Lock()
        self._intervals_s: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._held_until: dict[str, float] = {}

    def slow_down(self, host: str, interval_s: float) -> None:
        """Let at least so much time pass between two requests to the host from now on."""
        with self._lock:
            self._intervals_s[host] = max(interval_s, self._intervals_s.get(host, 0.0))

    def hold(self, host: str, seconds: float) -> None:
        """Let nobody ask the host for so long, threads that are waiting included."""
        with self._lock:
            until = self._clock() + seconds
            self._held_until[host] = max(until, self._held_until.get(host, until))

    def wait(self, host: str) -> None:
        """Sleep until it is the caller's turn at the host."""
        while True:
            with self._lock:
                now = self._clock()
                ready = self._ready(host, now)
                if ready <= now:
                    self._last[host] = now
                    return
            self.sleep(ready - now)

    def _ready(self, host: str, now: float) -> float:
        interval_s = max(self._interval_s, self._intervals_s.get(host, 0.0))
        after_last = self._last[host] + interval_s if host in self._last else now
        return max(after_last, self._held_until.get(host, now))


class PerSite(Generic[T]):
    """What was read once at every site, until it is too old; threads share it."""

    def __init__(
        self,
        read: Callable[[str], T],
        has_failed: Callable[[T], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what reads at a site, and what says that a value is not to be kept for long."""
        self._read = read
        self._has_failed = has_failed
        self._clock = clock
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._kept: dict[str, tuple[float, T]] = {}

    def at(self, site: str) -> T:
        """Return what was read at the site; one thread reads, others wait for it."""
        with self._lock:
            lock = self._locks.setdefault(site, threading.Lock())
        with lock:
            until, value = self._kept.get(site, (0.0, None))
            if value is None or self._clock() >= until:
                value = self._read(site)
                keep_s = KEEP_FAILED_S if self._has_failed(value) else KEEP_S
                self._kept[site] = (self._clock() + keep_s, value)
            return value
