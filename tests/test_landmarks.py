"""The mean face follows five points, or a box, exactly."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer.builders.landmarks import (
    five_points,
    landmarks_from_box,
    landmarks_from_points,
)
from occlufer.builders.synthetic import MEAN_FACE68

Points = NDArray[np.float64]
NUMBERS = st.floats(-40, 40)


def mapped(points: Points, angle: float, scale: float, shear: float, shift: Points) -> Points:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    squeeze = np.array([[1, shear], [0, 0.7]])
    moved: Points = scale * points @ (turn @ squeeze).T + shift
    return moved


@given(st.floats(-3, 3), st.floats(20, 300), st.floats(-0.5, 0.5), st.tuples(NUMBERS, NUMBERS))
def test_any_affine_map_of_the_mean_face_is_recovered(
    angle: float, scale: float, shear: float, shift: tuple[float, float]
) -> None:
    face = np.asarray(MEAN_FACE68, dtype=np.float64)
    expected = mapped(face, angle, scale, shear, np.array(shift))
    eyes = expected[36:42].mean(axis=0), expected[42:48].mean(axis=0)
    points5 = np.stack([*eyes, expected[30], expected[48], expected[54]])
    found = landmarks_from_points(points5)
    assert found.shape == (68, 2)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-3 * scale


def test_five_points_are_those_of_the_ibug_scheme() -> None:
    points = np.stack([np.arange(68.0), 100 - np.arange(68.0)], axis=1)
    assert five_points(points).tolist() == [
        [38.5, 61.5],
        [44.5, 55.5],
        [30, 70],
        [48, 52],
        [54, 46],
    ]


@given(NUMBERS, NUMBERS, st.floats(20, 300), st.floats(20, 300))
def test_a_face_that_was_not_found_lies_in_the_middle_of_its_box(
    left: float, top: float, width: float, height: float
) -> None:
    box = np.array([left, top, left + width, top + height])
    found = landmarks_from_box(box).astype(np.float64)
    assert (found >= box[:2] - 1e-3).all()
    assert (found <= box[2:] + 1e-3).all()
    face = np.asarray(MEAN_FACE68, np.float64)
    # Its extent is 0.8 of what fills the middle square.
    extent = 0.8 * (face.max(axis=0) - face.min(axis=0)) * min(width, height)
    assert np.allclose(found.max(axis=0) - found.min(axis=0), extent, rtol=1e-3)
    middle = (box[:2] + box[2:]) / 2 + 0.8 * (face.mean(axis=0) - 0.5) * min(width, height)
    assert np.allclose(found.mean(axis=0), middle, atol=1e-2)
