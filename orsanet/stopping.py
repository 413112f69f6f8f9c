"""Being asked to stop: Ctrl-C or a scheduler's SIGTERM ends a run between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Request:
    """Whether somebody has asked; a second Ctrl-C does not wait."""

    def __init__(self) -> None:
        self.made = False

    def take(self, number: int, frame: FrameType | None) -> None:
        """Note the request, or stop at once at the second."""
        if self.made:
            raise KeyboardInterrupt
        self.made = True


@contextmanager
def stop_requests() -> Iterator[Request]:
    """Note signals that ask to stop, for as long as the context lasts."""
    request = Request()
    if threading.current_thread() is not threading.main_thread():  # Python allows it nowhere else
        yield request
        return
    former = {number: signal.signal(number, request.take) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
