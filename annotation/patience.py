"""Patience: what a server fails to do now, it may do in a moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from .studio import StudioError

T = TypeVar("T")

log = logging.getLogger(__name__)

WAITS_S = (1.0, 4.0, 10.0)
TOO_MANY_REQUESTS = 429


def patiently(ask: Callable[[], T]) -> T:
    """Return the answer to a question that may be asked again, asked a few times if need be.

    Raises StudioError if the server fails each time, or says that it never will do it.
    """
    for wait_s in WAITS_S:
        try:
            return ask()
        except StudioError as error:
            if not may_pass(error):
                raise
            log.info("%s; asking again in %g s", error, wait_s)
            time.sleep(wait_s)
    try:
        return ask()
    except StudioError as error:
        if not may_pass(error):
            raise
        tries = len(WAITS_S) + 1
        message = f"{error}; tried {tries} times, run the same command later to go on"
        raise StudioError(message, error.status) from None


def may_pass(error: StudioError) -> bool:
    """Return whether the server may do later what it has failed to do: it was lost, or ill."""
    return error.status is None or error.status >= 500 or error.status == TOO_MANY_REQUESTS
