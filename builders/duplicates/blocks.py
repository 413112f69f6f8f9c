"""How far two sketches differ, block by block, whatever their brightness and contrast.

Compiled, and in whole numbers of 32 bits, which the compiler adds many at a time, so every result
is cast: strangers whose hashes are near by chance are as many as the square of all pictures, and
nothing but this tells them apart.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from occlufer.engine import worker_count

from ..compiled import compiled
from ..hashing.resample import Grey

BLOCKS = 4
"""Along a side."""
# Below this spread of grey levels there is nothing to fit a brightness to.
PLAIN_SPREAD = 2.0
# The share of pixels that decide the fit: a pasted mask must not pull it.
DECIDING = 0.75
ROUNDS = 3
# Grey levels so near to black or white may have been clipped.
CLIPPED = 4
# Curves that editors draw. All rise everywhere: one that may bend at will would take a white mask,
# whose grey levels nothing else has, for a matter of brightness.
GAMMAS = (1.0, 0.6, 1.7)
# Grey levels on average: a fit so good needs no other curve.
GOOD_FIT = 0.5
# So many pairs are worth a thread.
FEW = 64
# Differences are counted in such parts of a grey level,
STEPS = 16
# and a fit's curves in such: sums of squares of 32x32 of them fit into 32 bits.
CURVE_STEPS = 4 * 255
CURVES = np.array(
    [np.round((np.arange(256) / 255) ** gamma * CURVE_STEPS) for gamma in GAMMAS], dtype=np.int64
)


def block_differences(a: Grey, b: Grey) -> list[float]:
    """Return the largest mean grey-level difference of any block of two sketches, for n pairs.

    Both are uint8 (n, 32, 32); a block has 8x8 pixels. One picture is first fitted to the other in
    brightness, contrast and gamma, and clipped to 0..255; the worst quarter of the pixels does not
    count in the fit. Either may be the one that was edited: the fit that leaves least of the other
    three quarters is taken.
    """
    threads = min(worker_count(0), len(a) // FEW)
    if threads < 2:
        return [float(value) for value in _differences(a, b, CURVES)]
    with ThreadPoolExecutor(threads) as pool:
        parts = zip(np.array_split(a, threads), np.array_split(b, threads), strict=True)
        found = pool.map(lambda part: _differences(*part, CURVES), parts)
        return [float(value) for part in found for value in part]


@compiled
def _differences(a: Any, b: Any, curves: Any) -> Any:
    found = np.empty(len(a))
    for pair in range(len(a)):
        found[pair] = _difference(a[pair], b[pair], curves)
    return found


@compiled
def _difference(a_levels: Any, b_levels: Any, curves: Any) -> Any:
    side, size = a_levels.shape[0], a_levels.size
    a, b = np.empty(size, np.int32), np.empty(size, np.int32)
    a[:], b[:] = a_levels.ravel(), b_levels.ravel()
    left, best_left = np.empty(size, np.int32), np.empty(size, np.int32)
    best_left[:] = STEPS * (a - b)
    if min(_variance(a), _variance(b)) < PLAIN_SPREAD**2:
        return _largest_block(best_left, side)
    usable_a, usable_b = _usable(a), _usable(b)
    curved = np.empty(size, np.int32)
    best = np.inf
    for number in range(curves.shape[0]):
        curve = curves[number]
        for a_is_fitted in (True, False):
            picture, target = (a, b) if a_is_fitted else (b, a)
            for p in range(size):
                curved[p] = curve[picture[p]]
            mean = _fit(curved, target, usable_b if a_is_fitted else usable_a, left)
            if mean < best:
                best = mean
                best_left, left = left, best_left
        if best <= GOOD_FIT:
            break
    return _largest_block(best_left, side)


@compiled
def _fit(x: Any, y: Any, usable: Any, left: Any) -> Any:
    """Write to `left` what is left of `y` when `x` is fitted to it; return its mean.

    The mean is that of the pixels that decide, without their signs, in grey levels.
    """
    deciding = usable.copy()
    enough = int(DECIDING * (usable.sum() - 1)) + 1
    mean = 0.0
    for _ in range(ROUNDS):
        slope, start = _line(x, y, deciding)
        slope_steps, start_steps = np.float32(STEPS * slope), np.float32(STEPS * start + 0.5)
        for p in range(y.size):
            level = np.float32(start_steps + np.float32(slope_steps * np.float32(x[p])))
            level = min(max(level, np.float32(0.0)), np.float32(255 * STEPS))
            left[p] = np.int32(STEPS * y[p]) - np.int32(level)
        most = _least(left, usable, enough)
        total, deciders = np.int32(0), np.int32(0)
        for p in range(y.size):
            decides = np.int32(usable[p] & (abs(left[p]) <= most))
            deciding[p] = decides
            deciders = np.int32(deciders + decides)
            total = np.int32(total + np.int32(decides * abs(left[p])))
        mean = float(total / deciders) / STEPS
    return mean


@compiled
def _least(left: Any, usable: Any, enough: Any) -> Any:
    """Return the least difference that so many usable pixels do not exceed."""
    low, high = np.int32(0), np.int32(256 * STEPS)
    while low < high:
        middle = np.int32((low + high) // 2)
        within = np.int32(0)
        for p in range(left.size):
            within = np.int32(within + np.int32(usable[p] & (abs(left[p]) <= middle)))
        if within < enough:
            low = np.int32(middle + 1)
        else:
            high = middle
    return low


@compiled
def _line(x: Any, y: Any, deciding: Any) -> Any:
    """Return slope and start of the line through the deciding pixels by least squares; it rises."""
    count = total_x = total_y = total_xx = total_xy = np.int32(0)
    for p in range(y.size):
        at, level = np.int32(deciding[p] * x[p]), np.int32(deciding[p] * y[p])
        count = np.int32(count + deciding[p])
        total_x = np.int32(total_x + at)
        total_y = np.int32(total_y + level)
        total_xx = np.int32(total_xx + np.int32(at * x[p]))
        total_xy = np.int32(total_xy + np.int32(at * y[p]))
    n, sum_x, sum_y = np.int64(count), np.int64(total_x), np.int64(total_y)
    sum_xx, sum_xy = np.int64(total_xx), np.int64(total_xy)
    spread, together = n * sum_xx - sum_x * sum_x, n * sum_xy - sum_x * sum_y
    slope = together / spread if together > 0 and spread > 0 else 0.0
    return slope, (sum_y - slope * sum_x) / n


@compiled
def _usable(levels: Any) -> Any:
    """Return 1 for each pixel that a fit may look at.

    Clipped pixels of the target say only that they are bright, or dark: they do not decide if there
    are enough others.
    """
    usable = np.empty(levels.size, np.int32)
    for p in range(levels.size):
        usable[p] = (levels[p] > CLIPPED) & (levels[p] < 255 - CLIPPED)
    if usable.sum() <= (1 - DECIDING) * levels.size:
        usable[:] = 1
    return usable


@compiled
def _variance(levels: Any) -> Any:
    total = squares = np.int64(0)
    for p in range(levels.size):
        level = np.int64(levels[p])
        total += level
        squares += level * level
    return (squares - total * total / levels.size) / levels.size


@compiled
def _largest_block(left: Any, side: Any) -> Any:
    """Return the largest mean of a block, without its sign, in grey levels."""
    width = side // BLOCKS
    most = 0
    for top in range(0, width * BLOCKS, width):
        for start in range(0, width * BLOCKS, width):
            total = 0
            for i in range(top, top + width):
                for j in range(start, start + width):
                    total += left[i * side + j]
            most = max(most, abs(total))
    return most / (STEPS * width * width)
