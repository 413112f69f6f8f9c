"""Functions compiled by numba, kept compiled where there is a place to keep them."""

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.extending import intrinsic


def compiled(function: Any) -> Any:
    """Return the function compiled; it lets go of Python's lock, so threads can share the work."""
    # The error model of numpy: no check for division by zero inside loops.
    try:
        return njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # neither this folder nor a home folder can be written
        return njit(nogil=True, error_model="numpy")(function)


def _popcount(typing_context: Any, x: Any) -> Any:
    """Return how many bits of a uint64 are set: one instruction, for which numba has no name."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.int64(types.uint64), generate


popcount: Any = intrinsic(_popcount)
