"""Sketches: a picture as 32x32 grey levels, which is all that two pictures are compared on.

Every view of a picture is drawn from its sketch, so no picture is decoded twice.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from .resample import Grey, resize
from .views import HASHED, ITSELF, POSITION, View, small

SIDE_PX = 32
AS_IT_IS = POSITION[ITSELF]


@dataclass(frozen=True, eq=False, slots=True)
class Sketch:
    """A picture in small."""

    levels: Grey
    """uint8 (32, 32)."""
    aspect: float
    """The picture's height, of its width."""

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"levels": base64.b64encode(self.levels.tobytes()).decode(), "aspect": self.aspect}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Sketch:
        """Return the sketch that `to_json` wrote."""
        levels = np.frombuffer(base64.b64decode(value["levels"], validate=True), dtype=np.uint8)
        return Sketch(levels.reshape(SIDE_PX, SIDE_PX), value["aspect"])


def sketch_of(grey: Grey) -> Sketch:
    """Return the sketch of an upright picture, uint8 (H, W)."""
    base = small(grey)
    height, width = base.shape
    return Sketch(resize(base, SIDE_PX, SIDE_PX), height / width)


def seen_as(sketches: Sequence[Sketch], views: Sequence[int]) -> Grey:
    """Return of each sketch the view at a position in HASHED, uint8 (n, 32, 32).

    Between pixels it is linear, so it lacks some of the fine structure that the same view of the
    picture itself has; blocks of it hardly differ (tests/test_sketches.py).
    """
    seen = np.empty((len(sketches), SIDE_PX, SIDE_PX), dtype=np.uint8)
    for place, (sketch, view) in enumerate(zip(sketches, views, strict=True)):
        if view == AS_IT_IS:
            seen[place] = sketch.levels
        else:
            _draw(seen[place], sketch.levels, _place(view, sketch.aspect))
    return seen


@lru_cache(maxsize=4096)
def _place(position: int, aspect: float) -> NDArray[np.float64]:
    """Return (2, 3): times (row, column, 1) of a view's pixel, its row and column in a sketch."""
    view = HASHED[list(HASHED)[position]]
    share = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, SIDE_PX]]) / SIDE_PX  # of the middle of it
    cut = np.array(
        [
            [1 - view.top - view.bottom, 0, view.top - 0.5],
            [0, 1 - view.left - view.right, view.left - 0.5],
            [0, 0, 1],
        ]
    )
    pixel = np.array([[SIDE_PX, 0, -0.5], [0, SIDE_PX, -0.5], [0, 0, 1]])
    return np.asarray((pixel @ _mirror(view) @ _turn(view, aspect) @ cut @ share)[:2])


def _turn(view: View, aspect: float) -> NDArray[np.float64]:
    """Return (3, 3): from shares of the sides, seen from the middle, to such of the unturned."""
    angle = np.deg2rad(view.turn_degrees)
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, sine / aspect, 0.5], [-sine * aspect, cosine, 0.5], [0, 0, 1]])


def _mirror(view: View) -> NDArray[np.float64]:
    return np.array([[1, 0, 0], [0, -1 if view.mirror else 1, int(view.mirror)], [0, 0, 1]])


@compiled
def _draw(view: Any, levels: Any, place: Any) -> None:
    """Draw the view: where it looks beyond the picture, as turned ones do, it is black."""
    side = levels.shape[0]
    for i in range(side):
        for j in range(side):
            y = place[0, 0] * i + place[0, 1] * j + place[0, 2]
            x = place[1, 0] * i + place[1, 1] * j + place[1, 2]
            if min(x, y) < -0.5 or max(x, y) > side - 0.5:
                view[i, j] = 0
                continue
            y, x = min(max(y, 0.0), side - 1.0), min(max(x, 0.0), side - 1.0)
            top, left = min(int(y), side - 2), min(int(x), side - 2)
            down, along = y - top, x - left
            above = levels[top, left] * (1 - along) + levels[top, left + 1] * along
            below = levels[top + 1, left] * (1 - along) + levels[top + 1, left + 1] * along
            view[i, j] = int(above * (1 - down) + below * down + 0.5)
