"""What a place shows: whether it is covered comes first, then by what."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from occlufer.face_parser import FIRST_TYPE, PARSED_CLASSES, likeliest
from occlufer.schema import FACE_PARTS

SKIN = FACE_PARTS.index("skin")
COUNT = len(PARSED_CLASSES)


def place(**shares: float) -> Any:
    """Return the probabilities (17, 1, 1) of a place, by the names of classes."""
    found = np.zeros((COUNT, 1, 1), np.float32)
    for name, share in shares.items():
        found[PARSED_CLASSES.index(name)] = share
    return found


def test_several_occluders_together_outweigh_a_part() -> None:
    shown = likeliest(place(skin=0.4, mask=0.35, hand=0.25))
    assert PARSED_CLASSES[int(shown[0, 0])] == "mask"
    shown = likeliest(place(skin=0.3, nose=0.25, mask=0.45))
    assert int(shown[0, 0]) == SKIN


@given(st.lists(st.integers(0, 9), min_size=COUNT, max_size=COUNT), st.integers(0, 3))
def test_a_place_shows_the_likeliest_of_its_side(values: list[int], where: int) -> None:
    classes = np.zeros((COUNT, 2, 2), np.float32)
    classes.reshape(COUNT, 4)[:, where] = values
    shown = likeliest(classes)
    found = int(shown.reshape(-1)[where])
    parts, types = values[:FIRST_TYPE], values[FIRST_TYPE:]
    side = types if sum(types) > sum(parts) else parts
    assert values[found] == max(side)
    assert (found >= FIRST_TYPE) == (side is types)
