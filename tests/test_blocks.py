"""Block differences see what was changed in a picture, not how bright it was made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.duplicates.blocks import block_differences

Small = NDArray[np.float64]


def block_difference(a: Small, b: Small) -> float:
    (found,) = block_differences(a.astype(np.uint8)[None], b.astype(np.uint8)[None])
    return float(found)


def drawn(seed: int, low: int = 0, high: int = 255) -> Small:
    """Grey levels with structure at every size, whole numbers, between `low` and `high`."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (5, 5), dtype=np.uint8))
    picture = np.asarray(coarse.resize((32, 32), Image.Resampling.BICUBIC), dtype=np.float64)
    picture += rng.normal(0, 4, (32, 32))
    picture = (picture - picture.min()) / (picture.max() - picture.min())
    return np.asarray(np.round(low + picture * (high - low)))


def gamma(picture: Small, power: float) -> Small:
    return np.asarray(255 * (picture / 255) ** power)


# Of grey levels 70 to 180 these clip none, or nearly.
EDITS: dict[str, Callable[[Small], Small]] = {
    "brighter": lambda p: p + 40,
    "darker": lambda p: p - 40,
    "less-contrast": lambda p: p * 0.5 + 20,
    "more-contrast": lambda p: (p - 128) * 1.6 + 128,
    "gamma-0.6": lambda p: gamma(p, 0.6),
    "gamma-1.7": lambda p: gamma(p, 1.7),
    "everything-at-once": lambda p: gamma(p, 0.8) * 1.2 - 20,
}
# Of grey levels 30 to 225 these clip up to a third.
CLIPPING: dict[str, Callable[[Small], Small]] = {
    "brighter": lambda p: p + 60,
    "darker": lambda p: p - 60,
    "more-contrast": lambda p: (p - 128) * 1.6 + 128,
}


def as_a_file(picture: Small) -> Small:
    """Return the picture as a file holds it: whole numbers, clipped."""
    return np.asarray(np.round(picture.clip(0, 255)))


def block_means(picture: Small) -> list[float]:
    return [
        sum(float(picture[y + dy, x + dx]) for dy in range(8) for dx in range(8)) / 64
        for y in range(0, 32, 8)
        for x in range(0, 32, 8)
    ]


def with_block(picture: Small, row: int, column: int, change: int) -> Small:
    changed = picture.copy()
    changed[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] += change
    return as_a_file(changed)


def plain_difference(a: Small, b: Small) -> float:
    """Return the largest difference of two blocks as they are."""
    return max(abs(x - y) for x, y in zip(block_means(a), block_means(b), strict=True))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_brightness_contrast_and_gamma_make_almost_no_difference(
    edit: Callable[[Small], Small], seed: int
) -> None:
    picture = drawn(seed, 70, 180)
    copy = as_a_file(edit(picture))
    assert plain_difference(picture, copy) > 16  # it would be no duplicate without the fit
    assert block_difference(picture, copy) < 3  # a fifth of what a duplicate may have


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("edit", CLIPPING.values(), ids=CLIPPING)
def test_clipping_makes_little_difference(edit: Callable[[Small], Small], seed: int) -> None:
    picture = drawn(seed, 30, 225)
    copy = as_a_file(edit(picture))
    assert ((copy == 0) | (copy == 255)).mean() > 0.05
    assert plain_difference(picture, copy) > 30
    assert block_difference(picture, copy) < 9.6  # what any duplicate may have


def test_a_textured_picture_is_itself_and_no_other(
    textured: Callable[..., NDArray[np.uint8]],
) -> None:
    pictures = [
        np.asarray(Image.fromarray(textured(seed)).convert("L").resize((32, 32)), dtype=np.float64)
        for seed in range(6)
    ]
    for i, a in enumerate(pictures):
        for j, b in enumerate(pictures):
            difference = block_difference(a, b)
            assert difference < 1e-6 if i == j else difference > 16


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (3, 3)], ids=str)
@pytest.mark.parametrize("change", [-40, -20, 20, 40])
def test_the_difference_is_the_change_of_the_block(row: int, column: int, change: int) -> None:
    for seed in range(4):
        picture = drawn(seed, 40, 200)
        assert block_difference(picture, with_block(picture, row, column, change)) == pytest.approx(
            abs(change), abs=0.1
        )


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("change", [-40, 40])
def test_a_changed_block_shows_under_every_edit(
    change: int, edit: Callable[[Small], Small]
) -> None:
    picture = drawn(1, 40, 200)
    copy = as_a_file(edit(with_block(picture, 1, 2, change)))
    # It is seen in the grey levels of the picture that has the lesser contrast there.
    assert block_difference(picture, copy) > 0.4 * abs(change)
    assert block_difference(picture, as_a_file(edit(picture))) < 6


def test_a_pasted_mask_does_not_pull_the_fit() -> None:
    picture = drawn(9, 40, 200)
    masked = picture.copy()
    masked[24:, 4:28] = 120
    change = plain_difference(picture, masked)
    assert change > 30
    assert block_difference(picture, masked) == pytest.approx(change, rel=0.05)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("change", [-60, 60, 90])
def test_a_block_whose_grey_levels_are_its_own_shows_too(seed: int, change: int) -> None:
    picture = drawn(seed, 70, 150)
    assert block_difference(picture, with_block(picture, 0, 0, change)) > 16


# Plain pictures -----------------------------------------------------------------------------------


def test_plain_pictures_differ_by_their_grey_levels() -> None:
    a, b = np.full((32, 32), 80.0), np.full((32, 32), 130.0)
    assert block_difference(a, a) == 0
    assert block_difference(a, b) == 50


def test_a_plain_picture_differs_from_a_textured_one_by_its_farthest_block() -> None:
    picture, plain = drawn(10), np.full((32, 32), 128.0)
    expected = max(abs(mean - 128) for mean in block_means(picture))
    assert block_difference(picture, plain) == pytest.approx(expected)


def test_the_noise_of_a_camera_is_plain() -> None:
    noise = np.random.default_rng(1).normal(0, 1, (32, 32))
    assert block_difference(as_a_file(80 + noise), as_a_file(140 + noise.T)) == pytest.approx(
        60, abs=1
    )


# Properties ---------------------------------------------------------------------------------------

PICTURE = st.builds(drawn, st.integers(0, 999), st.integers(0, 120), st.integers(120, 255))


@settings(max_examples=60)
@given(PICTURE, PICTURE)
def test_it_is_the_same_both_ways(a: Small, b: Small) -> None:
    assert block_difference(a, b) == block_difference(b, a)


@settings(max_examples=60)
@given(PICTURE, PICTURE)
def test_it_lies_between_nothing_and_black_against_white(a: Small, b: Small) -> None:
    assert block_difference(a, a) == pytest.approx(0, abs=1e-6)
    assert 0 <= block_difference(a, b) <= 255


@settings(max_examples=60)
@given(PICTURE, PICTURE, st.integers(0, 7))
def test_turning_both_pictures_changes_nothing(a: Small, b: Small, turn: int) -> None:
    def turned(picture: Small) -> Small:
        picture = np.rot90(picture, turn % 4)
        return np.ascontiguousarray(picture[:, ::-1] if turn > 3 else picture)

    expected = block_difference(a, b)
    assert block_difference(turned(a), turned(b)) == pytest.approx(expected, abs=1e-6)


def test_many_pairs_are_as_each_alone() -> None:
    pictures = np.stack([drawn(seed).astype(np.uint8) for seed in range(300)])
    together = block_differences(pictures[:-1], pictures[1:])
    assert together == list(map(block_difference, pictures[:-1], pictures[1:]))
    assert block_differences(pictures[:0], pictures[:0]) == []
