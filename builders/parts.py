"""Parts: what covers each region of a face and where its landmarks lie, as a parser sees them."""

from __future__ import annotations

from functools import partial
from typing import Any

from occlufer.config import BuildConfig, OcclusionConfig
from occlufer.face_parser import open_parser
from occlufer.record import Result
from occlufer.stages import ImageItem, ImageStage

from .covers import covers
from .landmarks import first_landmarks
from .parser.parse import ParsedFace, Parsers, parse_faces
from .pixels import Pixels, decode_rgb, rounded_px

VERSION = 2


def stage(config: BuildConfig) -> ImageStage:
    """Return the stage; raises MissingError or UsageError if its parser cannot be had."""
    function = partial(find_parts, parsers=open_parsers(config.occlusion))
    return ImageStage("parts", ("faces",), ("faces",), params(config), function)


def open_parsers(settings: OcclusionConfig) -> Parsers:
    """Return the built-in parser, and beside it the one that the config names."""
    built_in = open_parser("built_in", None)
    if settings.parser == "built_in":
        return Parsers(built_in, built_in)
    return Parsers(built_in, open_parser(settings.parser, settings.segface_weights))


def params(config: BuildConfig) -> dict[str, Any]:
    """Return everything that the results depend on beside the picture, as JSON has it."""
    parsers = open_parsers(config.occlusion)
    return {
        "version": VERSION,
        "parser": parsers.parts.name,
        "parser_weights": parsers.parts.weights_sha256,
        "landmark_weights": parsers.points.weights_sha256,
    }


def find_parts(item: ImageItem, parsers: Parsers) -> Result:
    """Return `landmarks` (68, in pixels of the crop), `covered` and `peaks` of `covers`."""
    faces = item.values["faces"]
    crop_rgb = decode_rgb(item.store.get(faces["crop"]))
    face = parse_one(crop_rgb, faces["points"], faces["box"], parsers)
    value = {"landmarks": rounded_px(face.landmarks68_px), **_rounded_shares(covers(face))}
    return Result(item.image, value)


def parse_one(image_rgb: Pixels, points5_px: Any, box_xyxy_px: Any, parsers: Parsers) -> ParsedFace:
    """Return the face with these five points; without any, the one in the middle of the box."""
    start = first_landmarks(points5_px, box_xyxy_px)
    (face,) = parse_faces(parsers, [image_rgb], [start])
    return face


def _rounded_shares(found: dict[str, Any]) -> dict[str, Any]:
    # Finer digits differ from processor to processor.
    return {
        "covered": {
            region: {kind: round(share, 4) for kind, share in shares.items()}
            for region, shares in found["covered"].items()
        },
        "peaks": {kind: round(value, 4) for kind, value in found["peaks"].items()},
    }
