"""Built-in priors lie where the landmarks say, and mirror with the face."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.parser.composite import drawn_scene, finished
from occlufer.builders.parser.network import INPUT_PX
from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.orsanet.mobilefacenet import read_mobilefacenet
from occlufer.orsanet.priors import (
    FACE_SQUARE,
    FOREHEAD,
    MAP_SIZE,
    PART_NAMES,
    both_ways,
    built_in_maps,
    mirror_landmarks,
    mobilefacenet_features,
    point_maps,
)
from occlufer.schema import LANDMARK_MIRROR

REAL_DATA = Path(
    os.environ.get("OCCLUFER_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")
)
MOBILEFACENET = REAL_DATA / "weights" / "mobilefacenet_from_openvino_fp16.pth"

# The mean face in the middle of the picture, then moved and turned a little.
FACE = (MEAN_FACE68 * 0.5 + 0.25).astype(np.float32)
TURN = np.array([[0.95, 0.3], [-0.3, 0.95]], np.float32)
FACES = np.stack([FACE, (FACE - 0.5) @ TURN + 0.55]).astype(np.float32)


def test_point_maps_peak_in_the_cell_of_the_point() -> None:
    maps = point_maps(FACES)
    assert maps.shape == (2, 68, 7, 7)
    row, column = np.unravel_index(maps[0, 30].argmax(), (7, 7))
    assert (column, row) == tuple((FACE[30] * 7).astype(int))


def test_a_mirrored_face_has_the_mirrored_points() -> None:
    found = point_maps(mirror_landmarks(FACES))
    expected = point_maps(FACES)[:, list(LANDMARK_MIRROR), :, ::-1]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_mirroring_twice_changes_nothing() -> None:
    np.testing.assert_allclose(mirror_landmarks(mirror_landmarks(FACES)), FACES, atol=1e-6)


def drawn_face() -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return a drawn face (112, 112, 3), cut as the cache cuts it, and its landmarks."""
    composite = finished(drawn_scene(np.random.default_rng(3)), None)
    points = composite.landmarks68 * INPUT_PX
    low, high = points.min(axis=0), points.max(axis=0)
    side = float((high - low).max()) * FACE_SQUARE
    left, top = (low + high) / 2 - side / 2 - (0, FOREHEAD * side)
    box = (left, top, left + side, top + side)
    cut = Image.fromarray(composite.image_rgb).transform((112, 112), Image.Transform.EXTENT, box)
    return np.asarray(cut), ((points - (left, top)) / side).astype(np.float32)


@pytest.mark.parametrize(
    ("part", "points"),
    [("left_eye", range(36, 42)), ("right_eye", range(42, 48)), ("nose", range(27, 36))],
)
def test_the_built_in_parsers_parts_lie_where_the_landmarks_are(part: str, points: range) -> None:
    picture, landmarks = drawn_face()
    maps = both_ways(built_in_maps(), picture[None], landmarks[None])[0]
    assert maps.shape == (2, 11, MAP_SIZE, MAP_SIZE)
    assert maps.min() >= 0
    assert maps.sum(axis=1).max() < 1 + 1e-4
    for way, places in enumerate((landmarks, mirror_landmarks(landmarks[None])[0])):
        shape = maps[way, PART_NAMES.index(part)]
        assert shape.max() > 0.3
        rows, columns = np.nonzero(shape > 0.5 * shape.max())
        centre = (np.array([columns.mean(), rows.mean()]) + 0.5) / MAP_SIZE
        np.testing.assert_allclose(centre, places[list(points)].mean(axis=0), atol=0.06)


@pytest.mark.skipif(not MOBILEFACENET.is_file(), reason=f"{MOBILEFACENET} is not there")
def test_mobilefacenet_sees_the_landmarks_of_a_face() -> None:
    picture, landmarks = drawn_face()
    prior = mobilefacenet_features(MOBILEFACENET, torch.device("cpu"))
    assert prior.compute(picture[None], landmarks[None]).shape == (1, 512, 7, 7)
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        found = read_mobilefacenet(MOBILEFACENET)(pixels)[0].numpy()
    eyes = np.linalg.norm(landmarks[36] - landmarks[45])
    assert np.linalg.norm(found - landmarks, axis=1).mean() / eyes < 0.15
