"""Resized pictures are Pillow's, pixel for pixel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.hashing import resample
from occlufer.builders.hashing.resample import ORDERS, PROBES, pillow_order, resize, resize_to

Grey = NDArray[np.uint8]
Size = tuple[int, int]

HASHED = [(32, 32), (64, 64), (9, 8)]


def by_pillow(grey: Grey, size: Size) -> Grey:
    image = Image.fromarray(np.ascontiguousarray(grey))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def noise(height: int, width: int, seed: int = 0) -> Grey:
    """Black and white: every rounding and every clipping is met."""
    drawn = np.random.default_rng(seed).integers(0, 2, (height, width), dtype=np.uint8)
    return drawn * np.uint8(255)


def greys(height: int, width: int, seed: int = 0) -> Grey:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def gradient(height: int, width: int, seed: int = 0) -> Grey:
    down, along = np.mgrid[:height, :width]
    return np.asarray((3 * down + 5 * along + seed) % 256, dtype=np.uint8)


def plain(height: int, width: int, seed: int = 0) -> Grey:
    return np.full((height, width), seed % 256, dtype=np.uint8)


def edge(height: int, width: int, seed: int = 0) -> Grey:
    """Half black, half white: Lanczos rings at the border and is clipped."""
    picture = np.zeros((height, width), dtype=np.uint8)
    picture[:, width // 2 :] = 255
    return picture


KINDS = {"noise": noise, "greys": greys, "gradient": gradient, "plain": plain, "edge": edge}
SIDE = st.integers(1, 300)
TARGET = st.sampled_from(HASHED) | st.tuples(st.integers(1, 80), st.integers(1, 80))


@settings(max_examples=200)
@given(st.sampled_from(sorted(KINDS)), SIDE, SIDE, TARGET, st.integers(0, 999))
@example("noise", 1, 1, (9, 8), 0)
@example("noise", 300, 1, (32, 32), 0)
@example("noise", 1, 300, (32, 32), 0)
@example("noise", 32, 32, (32, 32), 0)
@example("noise", 64, 200, (64, 64), 0)
@example("noise", 2000, 17, (9, 8), 0)
@example("noise", 900, 31, (32, 32), 0)
def test_every_size_is_resized_as_pillow_does(
    kind: str, height: int, width: int, to_size: Size, seed: int
) -> None:
    grey = KINDS[kind](height, width, seed)
    found = resize(grey, *to_size)
    assert (found.dtype, found.shape) == (np.uint8, to_size[::-1])
    assert np.array_equal(found, by_pillow(grey, to_size))


# What decides which pass comes first: (H, W) around twice as much height lost as width.
@settings(max_examples=100)
@given(st.integers(33, 90), st.integers(-2, 2), st.integers(0, 9))
def test_the_order_of_the_passes_is_pillow_s_at_its_border(
    width: int, beside: int, seed: int
) -> None:
    height = 32 + 2 * (width - 32) + beside
    grey = noise(height, width, seed)
    assert np.array_equal(resize(grey, 32, 32), by_pillow(grey, (32, 32)))


@pytest.mark.parametrize(("height", "width"), [(224, 224), (131, 97), (480, 112), (1200, 40)])
def test_a_picture_is_resized_as_pillow_does(
    textured: Callable[..., Grey], height: int, width: int
) -> None:
    grey = np.asarray(Image.fromarray(textured(1, height, width)).convert("L"))
    for size in [*HASHED, (width, height), (width - 1, height + 1), (200, 3)]:
        assert np.array_equal(resize(grey, *size), by_pillow(grey, size))


@given(st.sampled_from(sorted(KINDS)), SIDE, SIDE, st.lists(TARGET, max_size=5))
def test_several_sizes_at_once_are_each_size_alone(
    kind: str, height: int, width: int, sizes: list[Size]
) -> None:
    grey = KINDS[kind](height, width)
    together = resize_to(grey, sizes)
    assert len(together) == len(sizes)
    for found, size in zip(together, sizes, strict=True):
        assert np.array_equal(found, resize(grey, *size))
        assert np.array_equal(found, by_pillow(grey, size))


STRIDES: dict[str, Callable[[Grey], Grey]] = {
    "mirrored": lambda grey: grey[:, ::-1],
    "upside-down": lambda grey: grey[::-1],
    "cut": lambda grey: grey[3:-9, 5:-2],
    "every-third-column": lambda grey: grey[:, ::3],
    "transposed": lambda grey: grey.T,
    "fortran": np.asfortranarray,
}


@pytest.mark.parametrize("lay_out", STRIDES.values(), ids=STRIDES)
def test_the_layout_in_memory_changes_no_pixel(lay_out: Callable[[Grey], Grey]) -> None:
    grey = lay_out(noise(160, 88))
    assert not grey.flags.c_contiguous
    for size in HASHED:
        assert np.array_equal(resize(grey, *size), by_pillow(grey, size))


def test_rows_that_do_not_begin_at_a_word_are_read_right() -> None:
    memory = noise(1, 64 * 48 + 3)[0]
    grey = memory[3:].reshape(64, 48)  # 8 divides both sides: transposed without a copy
    assert grey.ctypes.data % 8
    assert np.array_equal(resize(grey, 9, 8), by_pillow(grey, (9, 8)))


def test_the_picture_itself_is_left_as_it_was() -> None:
    grey = noise(96, 64)
    grey.flags.writeable = False  # as Pillow's own pixels are
    before = grey.copy()
    resize_to(grey, [*HASHED, (64, 96)])
    assert np.array_equal(grey, before)


@settings(max_examples=50)
@given(st.sampled_from(sorted(KINDS)), SIDE, SIDE, TARGET)
def test_without_a_known_order_pillow_does_the_work(
    kind: str, height: int, width: int, to_size: Size
) -> None:
    grey = KINDS[kind](height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resample, "pillow_order", lambda: None)
        patch.setattr(resample, "_resized", None)  # nothing else could have done it
        assert np.array_equal(resize(grey, *to_size), by_pillow(grey, to_size))
        turned = grey.T
        assert np.array_equal(resize(turned, *to_size), by_pillow(turned, to_size))


def test_the_order_of_this_pillow_is_known() -> None:
    assert pillow_order() in ORDERS


@pytest.mark.parametrize("order", ORDERS)
def test_the_probes_tell_the_orders_apart(order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = pillow_order()
    monkeypatch.setattr(resample, "pillow_order", lambda: order)
    same = []
    for (width, height), to_size in PROBES:
        grey = noise(height, width)
        same.append(np.array_equal(resize(grey, *to_size), by_pillow(grey, to_size)))
    assert all(same) == (order == right)


def test_a_pillow_of_no_known_order_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = {name: ORDERS[name] for name in ORDERS if name != pillow_order()}
    monkeypatch.setattr(resample, "ORDERS", wrong)
    pillow_order.cache_clear()
    try:
        assert pillow_order() is None
        grey = noise(333, 97)
        assert np.array_equal(resize(grey, 32, 32), by_pillow(grey, (32, 32)))
    finally:
        pillow_order.cache_clear()
