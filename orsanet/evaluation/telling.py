"""Telling: what a run's model says of one face of any picture, and which places speak for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from occlufer.schema import LABELS

from ..attention import attention
from ..data import face_square
from ..see import see_square
from .runs import asked_run


@dataclass(frozen=True)
class Told:
    """What was told of one face."""

    shares: dict[str, float]
    """{class: probability}, the likeliest first."""
    square_rgb: NDArray[np.uint8]
    """(S, S, 3): the face as the model has it."""
    attention: NDArray[np.float32]
    """(h, w) in [0, 1], over that square."""


Tell = Callable[[Any, NDArray[np.float32]], Told]
"""Takes a PIL picture and the 68 landmarks in its pixels, (68, 2)."""


def teller(folder: Path) -> Tell:
    """Return what tells faces by the best model of a run; raises as `asked_run` does."""
    run = asked_run(folder)
    side_px = run.cache.image_size_px

    def tell(picture: Any, landmarks68_px: NDArray[np.float32]) -> Told:
        square, points = face_square(picture.convert("RGB"), landmarks68_px, side_px)
        logits, maps = attention(run.model, *see_square(square, points))
        shares = torch.softmax(logits[0], dim=0).tolist()
        ordered = sorted(zip(LABELS, shares, strict=True), key=lambda pair: -pair[1])
        return Told(dict(ordered), square, maps[0].numpy())

    return tell
