"""How a parser is given a face, and how what it says comes back to the picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer.builders.parser.frames import (
    cells_inside,
    cut_frame,
    frame_of_points,
    from_frame,
    to_frame,
)
from occlufer.builders.parser.parse import Parsers, parse_faces
from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.face_parser import FACE_CENTRE, FACE_SHARE, MAP_PX, PARSED_CLASSES, FaceParser
from occlufer.schema import LANDMARK_PARTS

Floats = NDArray[np.float32]
SIDE_PX = 128
turns = st.floats(-3, 3)


@given(turns, st.floats(5, 400), st.floats(-200, 200), st.floats(-200, 200))
def test_a_face_stands_upright_and_centred_in_its_frame(
    turn: float, size: float, x: float, y: float
) -> None:
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, sin], [-sin, cos]])
    points = ((MEAN_FACE68 - 0.5) @ rotation * size + np.array([x, y])).astype(np.float32)
    frame = frame_of_points(points)
    framed = points @ frame[:, :2].T + frame[:, 2]
    left, right = (framed[LANDMARK_PARTS[name]].mean(axis=0) for name in ("left_eye", "right_eye"))
    assert abs(left[1] - right[1]) < 1e-2
    assert left[0] < right[0]
    low, high = framed.min(axis=0), framed.max(axis=0)
    assert max(high - low) == pytest.approx(FACE_SHARE, abs=1e-2)
    assert np.allclose((low + high) / 2, FACE_CENTRE, atol=1e-2)
    assert np.allclose(from_frame(framed.astype(np.float32), frame), points, atol=0.02 * size)
    assert np.allclose(to_frame(points, frame), framed, atol=1e-3)


def _brightest(faces_rgb: NDArray[np.uint8]) -> tuple[Floats, Floats | None]:
    """Answer each picture with the centre of its light, 68 times."""
    light = faces_rgb.mean(axis=3)
    cells = (np.arange(SIDE_PX) + 0.5) / SIDE_PX
    total = light.sum(axis=(1, 2))
    x, y = light.sum(axis=1) @ cells / total, light.sum(axis=2) @ cells / total
    points = np.repeat(np.stack([x, y], axis=1)[:, None], 68, axis=1).astype(np.float32)
    classes = np.zeros((len(faces_rgb), len(PARSED_CLASSES), MAP_PX, MAP_PX), np.float32)
    return classes, points


ECHO = FaceParser("echo", "", SIDE_PX, _brightest)


@pytest.mark.parametrize("size", [(60, 60), (128, 128), (224, 224), (900, 900), (3000, 2000)])
def test_a_spot_of_the_picture_is_found_where_it_is(size: tuple[int, int]) -> None:
    width, height = size
    side = min(size)
    corner = np.array([(width - side) / 2, (height - side) / 2], np.float32)
    for x, y in ((0.45, 0.5), (0.5, 0.62), (0.55, 0.4)):
        image = np.zeros((height, width, 3), np.uint8)
        half = max(1, side // 100)
        column, row = int(corner[0] + x * side), int(corner[1] + y * side)
        image[row - half : row + half + 1, column - half : column + half + 1] = 255
        start = MEAN_FACE68 * np.float32(side) + corner
        (found,) = parse_faces(Parsers(ECHO, ECHO), [image], [start])
        wanted = np.array([column + 0.5, row + 0.5])
        assert np.abs(found.landmarks68_px[0] - wanted).max() < 0.15 + 0.001 * side


def test_a_frame_beyond_the_picture_is_black() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    far = np.array([[0.01, 0, -5], [0, 0.01, -5]], np.float32)  # shows (500, 500) to (600, 600)
    assert cut_frame(image, far, SIDE_PX).max() == 0


def test_the_cells_that_lie_in_the_picture_are_known() -> None:
    image = np.zeros((30, 40, 3), np.uint8)
    # Shows x from -20 to 60 and y from -15 to 45 of the picture.
    frame = np.array([[1 / 80, 0, 0.25], [0, 1 / 60, 0.25]], np.float32)
    expected = np.zeros((8, 8), np.bool_)
    expected[2:6, 2:6] = True
    assert np.array_equal(cells_inside(frame, image, 8), expected)


def test_a_face_that_lies_otherwise_than_was_thought_is_looked_at_again() -> None:
    looks = []
    turned = frame_of_points(_turned(1.0))

    def points(faces_rgb: NDArray[np.uint8]) -> tuple[Floats, Floats | None]:
        """Find the face of the picture, which is turned by one radian, wherever the frame is."""
        looks.append(len(faces_rgb))
        classes, _ = _brightest(faces_rgb)
        seen = MEAN_UPRIGHT if len(looks) > 1 else to_frame(_turned(1.0), frame_of_points(START))
        return classes, np.repeat(seen[None], len(faces_rgb), axis=0)

    parser = FaceParser("p", "", SIDE_PX, points)
    image = np.full((300, 300, 3), 90, np.uint8)
    (face,) = parse_faces(Parsers(parser, parser), [image], [START])
    assert looks == [1, 1]
    assert np.allclose(face.frame, turned, atol=1e-4)


START = (MEAN_FACE68 * 150 + 75).astype(np.float32)


def _turned(turn: float) -> Floats:
    cos, sin = np.cos(turn), np.sin(turn)
    turned = (START - 150) @ np.array([[cos, sin], [-sin, cos]]) + 150
    return np.asarray(turned, np.float32)


MEAN_UPRIGHT = to_frame(START, frame_of_points(START))


def test_a_cut_of_a_large_picture_is_that_of_the_whole(
    textured: Callable[..., NDArray[np.uint8]],
) -> None:
    image = textured(5, 1200, 1600)
    points = (MEAN_FACE68 - 0.5) * 300 + np.array([700, 500])
    frame = frame_of_points(points.astype(np.float32))
    cut = cut_frame(image, frame, SIDE_PX)
    # The same face, cut out of the photograph by hand before.
    moved = frame_of_points((points - np.array([300, 100])).astype(np.float32))
    again = cut_frame(np.ascontiguousarray(image[100:900, 300:1100]), moved, SIDE_PX)
    assert np.abs(cut.astype(int) - again.astype(int)).mean() < 1.5


def test_another_parser_is_given_the_frame_of_the_landmarks_that_were_found() -> None:
    seen = []

    def parts(faces_rgb: NDArray[np.uint8]) -> tuple[Floats, Floats | None]:
        seen.append(faces_rgb.shape)
        classes = np.zeros((len(faces_rgb), len(PARSED_CLASSES), MAP_PX, MAP_PX), np.float32)
        classes[:, 0] = 1
        return classes, None

    def points(faces_rgb: NDArray[np.uint8]) -> tuple[Floats, Floats | None]:
        classes, _ = _brightest(faces_rgb)
        return classes, np.repeat((MEAN_FACE68 * 0.5 + 0.2)[None], len(faces_rgb), axis=0)

    both = Parsers(FaceParser("p", "", SIDE_PX, points), FaceParser("s", "", 224, parts))
    image = np.full((300, 300, 3), 90, np.uint8)
    (face,) = parse_faces(both, [image], [MEAN_FACE68 * np.float32(300)])
    assert seen == [(1, 224, 224, 3)]
    # No face where one should be: something is before it.
    inside = face.classes[PARSED_CLASSES.index("object")] == 1
    assert 0.1 < inside.mean() < 0.5
    assert (face.classes[0][~inside] == 1).all()
    assert np.allclose(face.frame, frame_of_points(face.landmarks68_px))
