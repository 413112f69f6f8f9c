"""Pillow's Lanczos resize of grey pictures, pixel for pixel, several times as fast.

Perceptual hashes spend their time here. Pillow computes in whole numbers: the weights are rounded
to 22 binary places, each of the two passes to 8 bits, so that the same sums give the same pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..compiled import compiled

Grey = NDArray[np.uint8]
Weights = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]

LANCZOS = Image.Resampling.LANCZOS
WEIGHT_BITS = 22

# Which pass comes first decides the rounding. Until Pillow 13 it was always the one along rows;
# since then a picture that loses far more height than width is first made lower.
ORDERS: dict[str, Callable[[int, int, int, int], bool]] = {
    "rows first": lambda width, height, to_width, to_height: False,
    "columns first if much higher": lambda width, height, to_width, to_height: (
        height > to_height and height - to_height > 2 * (width - to_width)
    ),
}
# (width, height) -> (width, height) on which the orders above differ, or would be found wrong.
PROBES = (
    *(((97, 333), (32, 32)), ((24, 33), (32, 32)), ((24, 40), (9, 8)), ((50, 65), (64, 64))),
    *(((333, 97), (32, 32)), ((50, 90), (9, 8)), ((100, 100), (64, 64)), ((20, 16), (64, 64))),
)


def resize(grey: Grey, width: int, height: int) -> Grey:
    """Return `Image.fromarray(grey).resize((width, height), LANCZOS)` as uint8 (height, width).

    `grey` is uint8 (H, W).
    """
    return resize_to(grey, [(width, height)])[0]


def resize_to(grey: Grey, sizes: Sequence[tuple[int, int]]) -> list[Grey]:
    """Return `resize` to each (width, height), sharing what they have in common."""
    order = pillow_order()
    if order is None:
        image = Image.fromarray(grey)
        return [np.asarray(image.resize(size, LANCZOS)) for size in sizes]
    return _resized(np.ascontiguousarray(grey), sizes, order)


@lru_cache(maxsize=1)
def pillow_order() -> str | None:
    """Return which of ORDERS the Pillow at hand keeps; None if neither: then it does the work."""
    for order in ORDERS:
        if all(_same_as_pillow(size, to_size, order) for size, to_size in PROBES):
            return order
    return None


def _same_as_pillow(size: tuple[int, int], to_size: tuple[int, int], order: str) -> bool:
    # Black and white noise: every rounding and every clipping is met.
    noise = np.random.default_rng(0).integers(0, 2, size[::-1], dtype=np.uint8) * np.uint8(255)
    wanted = np.asarray(Image.fromarray(noise).resize(to_size, LANCZOS))
    return np.array_equal(_resized(noise, [to_size], order)[0], wanted)


def _resized(grey: Grey, sizes: Sequence[tuple[int, int]], order: str) -> list[Grey]:
    height, width = grey.shape
    turned: Grey | None = None
    resized = []
    for to_width, to_height in sizes:
        along, down = _weights(width, to_width), _weights(height, to_height)
        if ORDERS[order](width, height, to_width, to_height):
            resized.append(_turned(_pass(_turned(_pass(grey, *down)), *along)))
            continue
        if turned is None:
            turned = _turned(grey)
        resized.append(_pass(_turned(_pass(turned, *along)), *down))
    return resized


@lru_cache(maxsize=512)  # some 24 bytes a pixel of the side: of large photographs 50 MB in all
def _weights(size: int, to_size: int) -> Weights:
    """Return first source pixel (n,), how many (n,), and their weights (n, most) per target."""
    scale = size / to_size
    support = 3.0 * max(scale, 1.0)
    first = np.zeros(to_size, dtype=np.int64)
    count = np.zeros(to_size, dtype=np.int64)
    weights = np.zeros((to_size, int(np.ceil(support)) * 2 + 1), dtype=np.int32)
    _fill_weights(size, scale, support, first, count, weights)
    return first, count, weights


@compiled
def _fill_weights(size: Any, scale: Any, support: Any, first: Any, count: Any, weights: Any) -> Any:
    shrink = 1.0 / max(scale, 1.0)
    exact = np.empty(weights.shape[1])
    for x in range(first.size):
        centre = (x + 0.5) * scale
        low = max(int(centre - support + 0.5), 0)
        high = min(int(centre + support + 0.5), size)
        total = 0.0
        for i in range(high - low):
            exact[i] = _lanczos((i + low - centre + 0.5) * shrink)
            total += exact[i]
        for i in range(high - low):
            weight = exact[i] / total * (1 << WEIGHT_BITS)
            weights[x, i] = int(weight - 0.5 if weight < 0 else weight + 0.5)
        first[x] = low
        count[x] = high - low


@compiled
def _lanczos(x: Any) -> Any:
    if x < -3.0 or x >= 3.0:
        return 0.0
    return _sinc(x) * _sinc(x / 3)


@compiled
def _sinc(x: Any) -> Any:
    if x == 0.0:
        return 1.0
    x *= np.pi
    return np.sin(x) / x


@compiled
def _pass(lines: Any, first: Any, count: Any, weights: Any) -> Any:
    """Return uint8 (n, m): each line the weighted sum of some of `lines`, uint8 (size, m).

    Whole lines are added, for then the compiler adds many pixels at once.
    """
    length = lines.shape[1]
    out = np.empty((first.size, length), dtype=np.uint8)
    total = np.empty(length, dtype=np.int32)
    for x in range(first.size):
        total[:] = 1 << (WEIGHT_BITS - 1)
        for i in range(count[x]):
            line, weight = lines[first[x] + i], weights[x, i]
            for y in range(length):
                total[y] += np.int32(line[y]) * weight
        for y in range(length):
            out[x, y] = min(max(total[y] >> WEIGHT_BITS, 0), 255)
    return out


def _turned(grey: Grey) -> Grey:
    """Return the transposed picture, its rows in memory one after the other."""
    height, width = grey.shape
    below, beside = -height % 8, -width % 8
    if below or beside:
        padded = np.zeros((height + below, width + beside), dtype=np.uint8)
        padded[:height, :width] = grey
        grey = padded
    out = np.empty(grey.shape[::-1], dtype=np.uint8)
    _turn(grey.view(np.uint64), out.view(np.uint64))
    return np.ascontiguousarray(out[:width, :height])


@compiled
def _turn(words: Any, out: Any) -> None:
    """Transpose a picture in blocks of 8x8 pixels, a row of which is one word."""
    for y in range(0, words.shape[0], 8):
        for x in range(words.shape[1]):
            a, b, c, d = words[y, x], words[y + 1, x], words[y + 2, x], words[y + 3, x]
            e, f, g, h = words[y + 4, x], words[y + 5, x], words[y + 6, x], words[y + 7, x]
            mask, shift = np.uint64(0x00000000FFFFFFFF), np.uint64(32)
            a, e = _swap(a, e, mask, shift)
            b, f = _swap(b, f, mask, shift)
            c, g = _swap(c, g, mask, shift)
            d, h = _swap(d, h, mask, shift)
            mask, shift = np.uint64(0x0000FFFF0000FFFF), np.uint64(16)
            a, c = _swap(a, c, mask, shift)
            b, d = _swap(b, d, mask, shift)
            e, g = _swap(e, g, mask, shift)
            f, h = _swap(f, h, mask, shift)
            mask, shift = np.uint64(0x00FF00FF00FF00FF), np.uint64(8)
            a, b = _swap(a, b, mask, shift)
            c, d = _swap(c, d, mask, shift)
            e, f = _swap(e, f, mask, shift)
            g, h = _swap(g, h, mask, shift)
            for i, word in enumerate((a, b, c, d, e, f, g, h)):
                out[8 * x + i, y // 8] = word


@compiled
def _swap(upper: Any, lower: Any, mask: Any, shift: Any) -> Any:
    """Return two rows, the right half of each pair of blocks above for the left half below."""
    changed = ((upper >> shift) ^ lower) & mask
    return upper ^ (changed << shift), lower ^ changed
