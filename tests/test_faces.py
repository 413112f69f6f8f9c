"""Faces are cut out and their coordinates follow; a face that is not found stays."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.cut import CROP_PX, cut_out, cut_square
from occlufer.builders.detectors import YUNET_FILES, Detector, Face, open_detector
from occlufer.builders.faces import by_importance, faces_in, find_faces
from occlufer.builders.pixels import decode_rgb
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.errors import MissingError, UsageError
from occlufer.images import ImageStore
from occlufer.record import Facts, Record
from occlufer.stages import ImageItem

Pixels = NDArray[np.uint8]
POINTS = ((40.0, 40.0), (60.0, 40.0), (50.0, 52.0), (42.0, 63.0), (58.0, 63.0))


def face(box: tuple[float, float, float, float], score: float = 0.9) -> Face:
    x0, y0, x1, y1 = box
    shares = ((0.3, 0.35), (0.7, 0.35), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
    points = tuple((x0 + a * (x1 - x0), y0 + b * (y1 - y0)) for a, b in shares)
    return Face(box, points, score)


def found(
    store: ImageStore, data: bytes, faces: list[Face], content: str = "crop", margin: float = 0.25
) -> dict[str, Any]:
    image = store.put(data)
    owner = Record("s/1", "s", "1", Facts(content=content), image)
    item = ImageItem(image, owner, {}, store)
    result = find_faces(
        item, detector=Detector("fake", "", lambda pixels: faces), min_score=0.5, crop_margin=margin
    )
    assert result.reject is None
    return dict(result.value)


def test_a_crop_is_kept_as_it_is(
    tmp_path: Path, textured: Callable[..., Pixels], encoded: Callable[..., bytes]
) -> None:
    store, data = ImageStore(tmp_path), encoded(textured(1, 100, 120), "JPEG")
    main = face((30, 20, 80, 90))
    value = found(store, data, [main, face((0, 0, 12, 12)), face((90, 0, 99, 9), 0.4)])
    assert store.get(value["crop"]) == data
    assert (value["width"], value["height"], value["found"]) == (120, 100, True)
    assert value["box"] == [30, 20, 80, 90]
    assert value["others"] == [[0, 0, 12, 12]]  # the third is below min_score
    assert np.allclose(value["points"], main.points5_px, atol=0.01)


@pytest.mark.parametrize("content", ["crop", "photograph"])
def test_a_picture_without_a_face_is_kept(
    tmp_path: Path, textured: Callable[..., Pixels], encoded: Callable[..., bytes], content: str
) -> None:
    store, data = ImageStore(tmp_path), encoded(textured(2, 60, 80))
    value = found(store, data, [face((0, 0, 50, 50), 0.3)], content)
    assert (value["found"], value["score"], value["others"]) == (False, 0.0, [])
    assert value["box"] == [0, 0, 80, 60]
    assert store.get(value["crop"]) == data
    assert value["points"] == []


def marked(height: int, width: int, dots: list[tuple[float, float]]) -> Pixels:
    """Return a grey photograph with a white dot of seven pixels at each place."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    for x, y in dots:
        cv2.circle(pixels, (round(x), round(y)), 4, (255, 255, 255), -1)
    return pixels


@pytest.mark.parametrize(
    ("box", "margin"),
    [
        ((100, 80, 200, 220), 0.25),
        ((100, 80, 200, 220), 0.0),
        ((2, 3, 150, 120), 0.4),
        ((280, 210, 398, 297), 0.25),
        ((20.4, 30.7, 390.2, 280.1), 0.3),
    ],
    ids=["inside", "no-margin", "over-the-top-left", "over-the-bottom-right", "over-every-edge"],
)
def test_boxes_and_points_lie_where_the_crop_shows_them(
    tmp_path: Path,
    encoded: Callable[..., bytes],
    box: tuple[float, float, float, float],
    margin: float,
) -> None:
    main = face(box)
    store = ImageStore(tmp_path)
    data = encoded(marked(300, 400, list(main.points5_px)))
    value = found(store, data, [main], "photograph", margin)
    crop = decode_rgb(store.get(value["crop"]))
    assert crop.shape == (CROP_PX, CROP_PX, 3)
    assert (value["width"], value["height"]) == (CROP_PX, CROP_PX)
    # The dots, looked for in the crop, are where it is said to have the five points.
    count, _, _, centres = cv2.connectedComponentsWithStats((crop[..., 0] > 150).astype(np.uint8))
    assert count == 6
    x0, _, x1, _ = value["box"]
    scale = (x1 - x0) / (box[2] - box[0])
    for point in value["points"]:
        nearest = np.linalg.norm(centres[1:] - np.array(point), axis=1).min()
        assert nearest < 1.5 * max(scale, 1)
    # The face fills what the margin leaves of the longer side.
    share = max(value["box"][2] - value["box"][0], value["box"][3] - value["box"][1]) / CROP_PX
    assert share == pytest.approx(1 / (1 + 2 * margin), rel=0.03)


def test_what_lies_outside_the_photograph_is_black(
    tmp_path: Path, encoded: Callable[..., bytes]
) -> None:
    data = encoded(np.full((100, 100, 3), 200, np.uint8) - np.eye(100, dtype=np.uint8)[..., None])
    store = ImageStore(tmp_path)
    value = found(store, data, [face((0, 0, 60, 60))], "photograph")
    crop = decode_rgb(store.get(value["crop"]))
    assert (crop[0, 0] == 0).all()
    assert crop[CROP_PX // 2, CROP_PX // 2].min() >= 190
    assert value["box"][0] > 0


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_the_square_that_was_cut_cuts_the_same_crop_again(
    tmp_path: Path, textured: Callable[..., Pixels], orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(textured(5, 200, 300)).save(file, "PNG", exif=exif)
    store = ImageStore(tmp_path)
    # The face lies in the upright photograph, and over its edge.
    value = found(store, file.getvalue(), [face((-4.3, 20.5, 150.2, 190.9))], "photograph")
    again = cut_square(decode_rgb(file.getvalue()), tuple(value["cut"]))
    assert np.array_equal(again, decode_rgb(store.get(value["crop"])))
    x0, y0, x1, y1 = value["cut"]
    assert x0 < 0
    assert x1 - x0 == y1 - y0
    assert all(type(place) is int for place in value["cut"])  # JSON keeps them as they are


@pytest.mark.parametrize("faces", [[], [face((30, 20, 80, 90))]], ids=["no-face", "a-crop"])
def test_what_was_left_whole_has_no_square(
    tmp_path: Path, textured: Callable[..., Pixels], encoded: Callable[..., bytes], faces: Any
) -> None:
    content = "crop" if faces else "photograph"
    value = found(ImageStore(tmp_path), encoded(textured(6)), faces, content)
    assert value["cut"] == []


def test_the_crop_of_a_photograph_is_lossless(
    tmp_path: Path, textured: Callable[..., Pixels], encoded: Callable[..., bytes]
) -> None:
    store = ImageStore(tmp_path)
    value = found(store, encoded(textured(3, 300, 300)), [face((90, 90, 210, 210))], "photograph")
    assert Image.open(io.BytesIO(store.get(value["crop"]))).format == "PNG"


def test_a_whole_square_photograph_is_only_scaled(textured: Callable[..., Pixels]) -> None:
    pixels = textured(4, 448, 448)
    crop, shift, scale = cut_out(pixels, (0, 0, 448, 448), 0.0)
    assert (shift.tolist(), scale) == ([0, 0], 0.5)
    means = pixels.reshape(224, 2, 224, 2, 3).mean(axis=(1, 3))
    assert np.abs(crop - means).max() <= 1


BOXES = st.tuples(*[st.floats(0, 90)] * 2, *[st.floats(1, 60)] * 2).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(st.lists(BOXES, min_size=1, max_size=5), st.randoms())
def test_the_main_face_does_not_depend_on_the_detector_s_order(
    boxes: list[tuple[float, float, float, float]], draw: Any
) -> None:
    faces = [face(box, score=0.5 + i / 10) for i, box in enumerate(boxes)]
    shuffled = draw.sample(faces, len(faces))
    assert by_importance(shuffled, 150, 150)[0] == by_importance(faces, 150, 150)[0]


def test_the_main_face_is_large_and_central() -> None:
    small, large = face((70, 70, 80, 80)), face((50, 50, 100, 100))
    corner, centre = face((0, 0, 50, 50)), face((50, 50, 100, 100))
    assert by_importance([small, large], 150, 150)[0] is large
    assert by_importance([corner, centre], 150, 150)[0] is centre
    assert by_importance([], 150, 150) == []


def test_missing_weights_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        open_detector("yunet", tmp_path)
    for part in (str(tmp_path), *YUNET_FILES, "OpenCV Zoo", 'detector = "mtcnn"'):
        assert part in str(caught.value)
    with pytest.raises(MissingError, match=r"/occlufer/weights: .*`occlufer weights pull yunet`"):
        open_detector("yunet", None)


@pytest.mark.parametrize("name", ["auto", "yunet"])
def test_other_weights_under_the_name_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / YUNET_FILES[0]).write_bytes(b"other weights")
    with pytest.raises(UsageError, match=r"yunet_2023mar\.onnx: found sha256 [0-9a-f]{64}, exp"):
        open_detector(name, tmp_path)


def test_without_weights_the_detector_of_the_package_is_taken() -> None:
    assert open_detector("auto", None).name == "mtcnn"


def test_the_real_weights_are_taken_where_they_are_at_hand(real_data: Path) -> None:
    assert open_detector("auto", real_data / "weights").name == "yunet"
    assert open_detector("mtcnn", real_data / "weights").name == "mtcnn"


@pytest.mark.parametrize("detector", ["mtcnn", "yunet"])
def test_a_real_face_is_found_where_it_is(detector: str, request: pytest.FixtureRequest) -> None:
    real = request.getfixturevalue("real_data")
    opened = open_detector(detector, real / "weights")
    pixels = decode_rgb((real / "clean/astronaut.png").read_bytes())
    main = faces_in(pixels, opened.detect)[0]
    # Eileen Collins' face in the 512 x 512 picture, read off by eye.
    assert np.allclose(main.box_xyxy_px, (175, 70, 275, 195), atol=28)
    left, right, nose, *mouth = main.points5_px
    assert left[0] < nose[0] < right[0]
    assert all(y > nose[1] for _, y in mouth)
    half = pixels[::2, ::2]
    smaller = faces_in(np.ascontiguousarray(half), opened.detect)[0]
    assert np.allclose(np.array(smaller.box_xyxy_px) * 2, main.box_xyxy_px, atol=25)


def test_the_detector_of_the_package_finds_drawn_faces_where_they_are() -> None:
    detect = open_detector("mtcnn", None).detect
    hits = 0
    for subject in range(12):
        drawn = draw_face(FacePlan("neutral", subject, subject))
        for main in faces_in(drawn.image_rgb, detect)[:1]:
            nose = np.array(main.points5_px[2])
            hits += bool(np.linalg.norm(nose - drawn.landmarks68_px[30]) < 25)
    assert hits >= 6
