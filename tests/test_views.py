"""Views are what they are called: cuts, turns and mirror images, in an order that never changes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.hashing.views import HASHED, PARTS, POSITION, VIEWS, View, small

Grey = NDArray[np.uint8]

# Of a picture 200 wide and 100 high: (left, top, right, bottom), and whether it is mirrored first.
BOXES: dict[str, tuple[int, int, int, int]] = {
    "itself": (0, 0, 200, 100),
    "centre without 4%": (8, 4, 192, 96),
    "centre without 8%": (16, 8, 184, 92),
    "centre without 12%": (24, 12, 176, 88),
    "top left without 5%": (0, 0, 190, 95),
    "top right without 5%": (10, 0, 200, 95),
    "bottom left without 5%": (0, 5, 190, 100),
    "bottom right without 5%": (10, 5, 200, 100),
    "top left without 10%": (0, 0, 180, 90),
    "top right without 10%": (20, 0, 200, 90),
    "bottom left without 10%": (0, 10, 180, 100),
    "bottom right without 10%": (20, 10, 200, 100),
    "top left without 15%": (0, 0, 170, 85),
    "top right without 15%": (30, 0, 200, 85),
    "bottom left without 15%": (0, 15, 170, 100),
    "bottom right without 15%": (30, 15, 200, 100),
    "without 6% at the left": (12, 0, 200, 100),
    "without 6% at the top": (0, 6, 200, 100),
    "without 6% at the right": (0, 0, 188, 100),
    "without 6% at the bottom": (0, 0, 200, 94),
    "without 12% at the left": (24, 0, 200, 100),
    "without 12% at the top": (0, 12, 200, 100),
    "without 12% at the right": (0, 0, 176, 100),
    "without 12% at the bottom": (0, 0, 200, 88),
}
TURNS = {
    "turned left": (5, (0, 0, 200, 100)),
    "turned right": (-5, (0, 0, 200, 100)),
    "turned left and cut": (4, (8, 4, 192, 96)),
    "turned right and cut": (-4, (8, 4, 192, 96)),
}
PART_BOXES = {
    "upper part": (0, 0, 200, 45),
    "lower part": (0, 55, 200, 100),
    "left part": (0, 0, 90, 100),
    "right part": (110, 0, 200, 100),
}


@pytest.fixture(scope="session")
def picture() -> Grey:
    return np.random.default_rng(1).integers(0, 256, (100, 200), dtype=np.uint8)


def cut(grey: Grey, box: tuple[int, int, int, int]) -> Grey:
    left, top, right, bottom = box
    return grey[top:bottom, left:right]


def test_the_names_and_their_order_are_fixed() -> None:
    # Tables of hashes are read by position: another order needs another version of theirs.
    mirrored = [f"{name} of the mirror" for name in PART_BOXES]
    assert list(VIEWS) == [*BOXES, *TURNS]
    assert list(PARTS) == list(PART_BOXES)
    assert list(HASHED) == [*BOXES, *TURNS, "mirror", *PART_BOXES, *mirrored]
    assert next(iter(HASHED)) == "itself"
    assert [POSITION[name] for name in HASHED] == list(range(37))


def test_no_two_names_are_of_one_view() -> None:
    assert len(set(HASHED.values())) == len(HASHED)


@pytest.mark.parametrize("name", [*BOXES, *PART_BOXES])
def test_a_cut_is_the_rows_and_columns_it_names(picture: Grey, name: str) -> None:
    assert np.array_equal(HASHED[name].of(picture), cut(picture, {**BOXES, **PART_BOXES}[name]))


@pytest.mark.parametrize("name", PART_BOXES)
def test_a_part_of_the_mirror_is_a_part_of_the_mirrored_picture(picture: Grey, name: str) -> None:
    mirrored = picture[:, ::-1]
    found = HASHED[f"{name} of the mirror"].of(picture)
    assert np.array_equal(found, cut(mirrored, PART_BOXES[name]))


def test_the_mirror_is_the_mirrored_picture(picture: Grey) -> None:
    assert np.array_equal(HASHED["mirror"].of(picture), picture[:, ::-1])


@pytest.mark.parametrize("name", TURNS)
def test_a_turn_moves_each_spot_by_its_angle(name: str) -> None:
    degrees, box = TURNS[name]
    angle = math.radians(degrees)
    for x, y in ((60, 30), (150, 40), (120, 75)):
        spot = np.zeros((100, 200), dtype=np.uint8)
        spot[y - 2 : y + 3, x - 2 : x + 3] = 255
        view = HASHED[name].of(spot).astype(float)
        # Anti-clockwise around the middle of the pixels' centres, y pointing down.
        right, up = x - 99.5, 49.5 - y
        turned_x = 99.5 + right * math.cos(angle) - up * math.sin(angle) - box[0]
        turned_y = 49.5 - right * math.sin(angle) - up * math.cos(angle) - box[1]
        rows, columns = np.indices(view.shape)
        assert (view * columns).sum() / view.sum() == pytest.approx(turned_x, abs=0.1)
        assert (view * rows).sum() / view.sum() == pytest.approx(turned_y, abs=0.1)


@pytest.mark.parametrize("name", TURNS)
def test_a_turn_keeps_the_size_but_for_the_cut_and_leaves_black_corners(name: str) -> None:
    white = np.full((100, 200), 255, dtype=np.uint8)
    view = HASHED[name].of(white)
    assert view.shape == cut(white, TURNS[name][1]).shape
    lost = (view == 0).mean()
    assert 0 < lost < 0.1
    assert (view[30:-30, 30:-30] == 255).all()


@pytest.mark.parametrize(
    ("height", "width"), [(40, 40), (48, 64), (100, 200), (33, 97), (112, 150)], ids=str
)
def test_a_turn_is_pillow_s(textured: Callable[..., Grey], height: int, width: int) -> None:
    grey = textured(3, height, width)[..., 0]
    turned = np.asarray(Image.fromarray(grey).rotate(5, resample=Image.Resampling.BILINEAR))
    assert np.array_equal(HASHED["turned left"].of(grey), turned)


@given(
    *(st.sampled_from([0.0, 0.05, 0.1, 0.25]) for _ in range(4)),
    st.sampled_from([0.0, 5.0, -4.0]),
    st.integers(8, 60),
    st.integers(8, 60),
)
def test_a_mirrored_view_is_the_view_of_the_mirrored_picture(
    left: float, top: float, right: float, bottom: float, turn: float, height: int, width: int
) -> None:
    grey = np.random.default_rng(height).integers(0, 256, (height, width), dtype=np.uint8)
    view = View(left, top, right, bottom, turn)
    mirrored = View(left, top, right, bottom, turn, mirror=True)
    assert np.array_equal(mirrored.of(grey), view.of(np.ascontiguousarray(grey[:, ::-1])))


@given(st.integers(8, 200), st.integers(8, 200))
def test_every_view_holds_most_of_a_picture_and_every_part_nearly_half(
    height: int, width: int
) -> None:
    grey = np.zeros((height, width), dtype=np.uint8)
    for name, view in HASHED.items():
        rows, columns = view.of(grey).shape
        least = 0.45 if name.removesuffix(" of the mirror") in PARTS else 0.7
        # Each end is rounded to a pixel.
        assert rows + 1 >= least * height
        assert columns + 1 >= least * width
        assert rows <= height
        assert columns <= width


@pytest.mark.parametrize("shape", [(2, 2), (2, 300), (300, 2), (3, 2)], ids=str)
def test_no_view_of_a_tiny_picture_is_empty(shape: tuple[int, int]) -> None:
    grey = np.zeros(shape, dtype=np.uint8)
    assert [name for name, view in HASHED.items() if not view.of(grey).size] == []


# The small picture --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((224, 224), (112, 112)),
        ((448, 224), (224, 112)),
        ((224, 448), (112, 224)),
        ((300, 224), (150, 112)),
        ((113, 5000), (112, 4956)),
        ((640, 481), (149, 112)),
    ],
    ids=str,
)
def test_the_shorter_side_becomes_112_pixels(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    grey = np.random.default_rng(2).integers(0, 256, size, dtype=np.uint8)
    image = Image.fromarray(grey).resize(expected[::-1], Image.Resampling.LANCZOS)
    assert np.array_equal(small(grey), np.asarray(image))


@pytest.mark.parametrize("size", [(112, 112), (112, 900), (16, 16), (1, 1)], ids=str)
def test_a_picture_that_is_small_stays_as_it_is(size: tuple[int, int]) -> None:
    grey = np.random.default_rng(3).integers(0, 256, size, dtype=np.uint8)
    assert np.array_equal(small(grey), grey)
