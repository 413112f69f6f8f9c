"""Faces: where the main face of a picture is, its five points, and the crop that is published."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from occlufer.config import BuildConfig
from occlufer.record import Result
from occlufer.stages import ImageItem, ImageStage

from .cut import cut_square, placement, square_around
from .detectors import Detect, Detector, Face, open_detector
from .metadata import without_metadata
from .pixels import Pixels, decode_rgb, encode_png, rounded_px
from .regions import Points

VERSION = 6
# How much a face at the very corner counts less than the same face in the centre.
CENTRALITY = 0.5


def stage(config: BuildConfig) -> ImageStage:
    """Return the stage; raises MissingError or UsageError if its detector cannot be had."""
    detector = open_detector(config.faces.detector, config.weights_dir)
    params = {
        "version": VERSION,
        "detector": detector.name,
        "weights": detector.weights_sha256,
        "min_score": config.faces.min_score,
        "crop_margin": config.faces.crop_margin,
    }
    function = partial(
        find_faces,
        detector=detector,
        min_score=config.faces.min_score,
        crop_margin=config.faces.crop_margin,
    )
    return ImageStage("faces", (), (), params, function)


def find_faces(item: ImageItem, detector: Detector, min_score: float, crop_margin: float) -> Result:
    """Return the faces of an image; a picture without one is kept, with `found` false.

    The value's coordinates are pixels of the crop, x before y: `crop` (sha256), `width`, `height`,
    `found`, `score`, `box`, `points` (of eyes, nose and mouth corners, none if no face was found),
    `others` (boxes of the other faces); but for `cut`, the square that was cut out, in pixels of
    the upright photograph, none where the picture was left whole.
    """
    data = item.store.get(item.image)
    image_rgb = decode_rgb(data)
    found = faces_in(image_rgb, detector.detect, min_score)
    main, others = (found[0] if found else None), found[1:]
    shift: Points = np.zeros(2, dtype=np.float32)
    scale = 1.0
    cut: list[int] = []
    if item.owner.facts.content == "photograph" and main is not None:
        square = square_around(main.box_xyxy_px, crop_margin)
        image_rgb, (shift, scale), cut = cut_square(image_rgb, square), placement(square), [*square]
        crop = item.store.put(encode_png(image_rgb))
    else:
        crop = item.store.put(without_metadata(data))
    value = _value(main, others, shift, scale, crop, image_rgb)
    return Result(item.image, {**value, "cut": cut})


def faces_in(image_rgb: Pixels, detect: Detect, min_score: float = 0.0) -> list[Face]:
    """Return the faces of a picture that score as much, the main face first."""
    height, width = image_rgb.shape[:2]
    faces = [face for face in detect(image_rgb) if face.score >= min_score]
    return by_importance(faces, width, height)


def by_importance(faces: list[Face], width: int, height: int) -> list[Face]:
    """Return the faces of a picture, the largest and most central one, the main face, first."""
    centre = np.array([width, height]) / 2

    def weight(face: Face) -> tuple[float, float]:
        box = np.array(face.box_xyxy_px)
        away = np.linalg.norm((box[:2] + box[2:]) / 2 - centre) / np.linalg.norm(centre)
        area = float(np.prod(np.maximum(box[2:] - box[:2], 0)))
        return area * (1 - CENTRALITY * min(float(away), 1.0)), face.score

    return sorted(faces, key=weight, reverse=True)


def _value(
    main: Face | None,
    others: list[Face],
    shift: Any,
    scale: float,
    crop: str,
    crop_rgb: Pixels,
) -> dict[str, Any]:
    height, width = crop_rgb.shape[:2]

    def to_crop(points: Any) -> Any:
        return (np.asarray(points, dtype=np.float32).reshape(-1, 2) - shift) * scale

    whole = np.array([0, 0, width, height], dtype=np.float32)
    return {
        "crop": crop,
        "width": width,
        "height": height,
        "found": main is not None,
        "score": 0.0 if main is None else round(main.score, 4),
        "box": rounded_px(whole if main is None else to_crop(main.box_xyxy_px).reshape(4)),
        "points": [] if main is None else rounded_px(to_crop(main.points5_px)),
        "others": [rounded_px(to_crop(face.box_xyxy_px).reshape(4)) for face in others],
    }
