"""A face parser: what of a face every place of a picture shows, whichever network says so."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import FACE_PARTS, OCCLUSION_TYPES

# LaPa's eleven parts, then what covers them by its type; together the types are "occluder".
PARSED_CLASSES = (*FACE_PARTS[:-1], *OCCLUSION_TYPES)
# The number of the first occluder among them.
FIRST_TYPE = len(PARSED_CLASSES) - len(OCCLUSION_TYPES)
# Side of the class maps.
MAP_PX = 64
# How an upright face lies in the picture that a parser is given: its 68 points' longer side as a
# share of the picture, and their middle.
FACE_SHARE = 0.62
FACE_CENTRE = (0.5, 0.55)


@dataclass(frozen=True)
class FaceParser:
    """A parser's name, its weights' hash, and the function; safe to call from several threads."""

    name: str
    weights_sha256: str
    input_px: int
    """Side of the square pictures that it takes."""
    parse: Callable[[NDArray[np.uint8]], tuple[NDArray[np.float32], NDArray[np.float32] | None]]
    """Faces, uint8 (B, input_px, input_px, 3) in RGB, to probabilities (B, 17, MAP_PX, MAP_PX) of
    PARSED_CLASSES that sum to one at every place, and to landmarks (B, 68, 2), x before y, as
    shares of the picture, covered ones included; None where the network knows no landmarks. Such a
    one knows no masks and hands either: there it may say background."""
    weights: Path | None = None
    """The file it was opened with, None for its own."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to another process by name: there it is opened, once."""
        return open_parser, (self.name, self.weights)


def likeliest(classes: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return which of PARSED_CLASSES every place shows, (H, W), by probabilities (17, H, W).

    First whether it is covered, for what is a mask, or a scarf, or a hand is surely an occluder
    even where bare skin is likelier than each of them.
    """
    parts, types = classes[:FIRST_TYPE], classes[FIRST_TYPE:]
    covered = types.sum(axis=0) > parts.sum(axis=0)
    shown = np.where(covered, FIRST_TYPE + types.argmax(axis=0), parts.argmax(axis=0))
    return shown.astype(np.uint8)


# Who opens which parser. Named, not imported: the core knows no part, and torch loads slowly.
PARSERS = {
    "built_in": ("occlufer.builders.parser.built_in", "open_built_in"),
    "segface": ("occlufer.orsanet.segface_parser", "open_segface"),
}


@cache
def open_parser(name: str, weights: Path | None) -> FaceParser:
    """Return the parser called `name`, with these weights, or its own where there are none.

    It is opened once in a process. Raises MissingError or UsageError if the weights are not there
    or are another network's.
    """
    module, function = PARSERS[name]
    opened = getattr(importlib.import_module(module), function)
    parser: FaceParser = opened() if weights is None else opened(weights)
    return replace(parser, weights=weights)
