"""Growth: by which power of the size a time grows."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Mapping

# Below it, what a stage does once, whatever the size, weighs as much as what it does per image.
LEAST_S = 0.5


def sizes_asked(quick: tuple[int, ...], full: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes that the command line names, all of them with --full, else the quick."""
    named = tuple(sorted({int(word) for word in sys.argv[1:] if word.isdigit()}))
    return named or (full if "--full" in sys.argv[1:] else quick)


def exponents(
    seconds: Mapping[int, Mapping[str, float]], least_s: float = LEAST_S
) -> dict[str, float | None]:
    """Return {stage: the exponent by which its seconds grow} of {size: {stage: seconds}}.

    By least squares over the logarithms of size and seconds. Of each stage only the sizes from the
    first on at which it takes `least_s`; None where fewer than two are left.
    """
    sizes = sorted(seconds)
    names = dict.fromkeys(name for size in sizes for name in seconds[size])
    return {
        name: exponent(
            {size: seconds[size][name] for size in sizes if name in seconds[size]}, least_s
        )
        for name in names
    }


def exponent(seconds: Mapping[int, float], least_s: float) -> float | None:
    """Return the exponent of one stage, None if fewer than two sizes take long enough."""
    first = min((size for size, took in seconds.items() if took >= least_s > 0), default=None)
    if least_s > 0 and first is None:
        return None
    points = [(s, t) for s, t in sorted(seconds.items()) if t > 0 and s >= (first or 0)]
    if len(points) < 2:
        return None
    sizes, times = ([math.log(value) for value in column] for column in zip(*points, strict=True))
    return round(statistics.linear_regression(sizes, times).slope, 3)
