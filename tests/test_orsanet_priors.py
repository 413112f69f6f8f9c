"""Built-in priors lie where the landmarks say, and mirror with the face."""

from __future__ import annotations

import numpy as np
import pytest

from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.orsanet.priors import (
    PART_NAMES,
    mirror_landmarks,
    mirror_part_maps,
    mirror_point_maps,
    part_maps,
    point_maps,
)

# The mean face in the middle of the picture, then moved and turned a little.
FACE = (MEAN_FACE68 * 0.5 + 0.25).astype(np.float32)
TURN = np.array([[0.95, 0.3], [-0.3, 0.95]], np.float32)
FACES = np.stack([FACE, (FACE - 0.5) @ TURN + 0.55]).astype(np.float32)


def test_part_maps_share_every_cell_out() -> None:
    maps = part_maps(FACES)
    assert maps.shape == (2, 11, 28, 28)
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("part", "points"),
    [
        ("left_eye", range(36, 42)),
        ("right_eye", range(42, 48)),
        ("left_brow", range(17, 22)),
        ("nose", range(27, 36)),
    ],
)
def test_a_part_has_its_weight_where_its_landmarks_are(part: str, points: range) -> None:
    shape = part_maps(FACES[:1], size=112)[0, PART_NAMES.index(part)]
    assert shape.max() > 0.9
    rows, columns = np.nonzero(shape > 0.5)
    centre = np.array([columns.mean(), rows.mean()]) / 112
    np.testing.assert_allclose(centre, FACE[list(points)].mean(axis=0), atol=0.06)


def test_a_square_gets_its_area() -> None:
    face = np.full((1, 68, 2), 0.5, np.float32)
    square = [[0.25, 0.25], [0.5, 0.25], [0.75, 0.25], [0.75, 0.75], [0.5, 0.75], [0.25, 0.75]]
    face[0, 36:42] = square
    eye = part_maps(face, size=56)[0, PART_NAMES.index("left_eye")]
    assert eye.mean() == pytest.approx(0.25, abs=0.01)


def test_point_maps_peak_in_the_cell_of_the_point() -> None:
    maps = point_maps(FACES)
    assert maps.shape == (2, 68, 7, 7)
    row, column = np.unravel_index(maps[0, 30].argmax(), (7, 7))
    assert (column, row) == tuple((FACE[30] * 7).astype(int))


def test_priors_of_a_mirrored_face_are_the_mirrored_priors() -> None:
    mirrored = mirror_landmarks(FACES)
    np.testing.assert_allclose(part_maps(mirrored), mirror_part_maps(part_maps(FACES)), atol=1e-4)
    np.testing.assert_allclose(
        point_maps(mirrored), mirror_point_maps(point_maps(FACES)), atol=1e-5
    )


def test_mirroring_twice_changes_nothing() -> None:
    maps = part_maps(FACES)
    np.testing.assert_array_equal(mirror_part_maps(mirror_part_maps(maps)), maps)


def test_no_faces_give_no_maps() -> None:
    assert part_maps(np.empty((0, 68, 2), np.float32)).shape == (0, 11, 28, 28)


def test_a_face_outside_the_picture_leaves_background() -> None:
    maps = part_maps(FACES[:1] + 3)
    np.testing.assert_allclose(maps[:, 0], 1)
