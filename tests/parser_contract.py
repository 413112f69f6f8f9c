"""What every face parser keeps to: the contract of `occlufer.face_parser`, for any of them."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from occlufer.face_parser import MAP_PX, PARSED_CLASSES, FaceParser

THREADS = 8
CLOSE = 1e-4


def check_parser(parser: FaceParser) -> None:
    """Raise AssertionError where the parser breaks its contract."""
    assert parser.name
    assert re.fullmatch("[0-9a-f]{64}", parser.weights_sha256)
    faces = three_faces(parser.input_px)
    before = faces.copy()
    together = parser.parse(faces)
    check_shapes(together, 3)
    assert np.array_equal(faces, before), "the pictures were changed"
    assert not np.allclose(together[0][0], together[0][1], atol=CLOSE), "it does not look at them"
    check_same(parser.parse(faces), together, 0)
    with ThreadPoolExecutor(THREADS) as pool:
        turns = [number % 3 for number in range(THREADS)]
        alone = list(pool.map(lambda turn: parser.parse(faces[turn : turn + 1]), turns))
    for turn, found in zip(turns, alone, strict=True):
        check_shapes(found, 1)
        check_same(found, part_of(together, turn), CLOSE)


Parsed = tuple[NDArray[np.float32], NDArray[np.float32] | None]


def check_shapes(parsed: Parsed, count: int) -> None:
    maps, landmarks = parsed
    assert maps.shape == (count, len(PARSED_CLASSES), MAP_PX, MAP_PX)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    np.testing.assert_allclose(maps.sum(axis=1, dtype=np.float64), 1, atol=CLOSE)
    if landmarks is not None:
        assert landmarks.shape == (count, 68, 2)
        assert landmarks.dtype == np.float32
        assert np.isfinite(landmarks).all()


def check_same(found: Parsed, expected: Parsed, tolerance: float) -> None:
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=tolerance)
    assert (found[1] is None) == (expected[1] is None)
    if found[1] is not None and expected[1] is not None:
        np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=tolerance)


def part_of(parsed: Parsed, number: int) -> Parsed:
    maps, landmarks = parsed
    return maps[number : number + 1], None if landmarks is None else landmarks[number : number + 1]


def three_faces(side_px: int) -> NDArray[np.uint8]:
    """Return (3, side, side, 3): coarse noise, a ramp of light, and a disc on a ground."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side_px, :side_px] / side_px
    noise = rng.integers(0, 256, (8, 8, 3))[(y * 8).astype(int), (x * 8).astype(int)]
    ramp = np.stack([255 * x, 255 * y, 255 * (x + y) / 2], axis=-1)
    disc = np.where(((x - 0.5) ** 2 + (y - 0.55) ** 2 < 0.1)[..., None], (220, 170, 140), 40)
    return np.stack([noise, ramp, disc]).astype(np.uint8)
