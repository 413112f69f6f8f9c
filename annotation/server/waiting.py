"""Waiting, told on the terminal: for a process, for a server, for another's lock."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from occlufer.errors import UsageError
from occlufer.workspace import held

POLL_S = 0.25


def ticks(limit_s: float, what: str) -> Iterator[float]:
    """Yield the seconds gone by, again and again until `limit_s`; a line on a terminal says so."""
    shown = sys.stderr.isatty()
    began = time.monotonic()
    try:
        while (gone_s := time.monotonic() - began) < limit_s:
            if shown:
                print(f"\r  {what}: {gone_s:.0f} s", end="", file=sys.stderr, flush=True)
            yield gone_s
            time.sleep(POLL_S)
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


@contextlib.contextmanager
def held_in_turn(path: Path, busy: str, limit_s: float) -> Iterator[None]:
    """Hold a lock on the file `path`, after those who hold it now.

    Raises UsageError with the message `busy`, in which {} is the process, after `limit_s`.
    """
    with contextlib.ExitStack() as stack:
        # Without an end of its own: where the clock jumps, it must not end without the lock.
        for gone_s in ticks(math.inf, "waiting for another process"):
            try:
                stack.enter_context(held(path, busy))
                break
            except UsageError:
                if gone_s >= limit_s:
                    raise
        yield
