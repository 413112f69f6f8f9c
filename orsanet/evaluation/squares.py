"""Black squares: the artificial occlusion of the paper's Table 3."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .faces import Face

# In percent of the picture; the paper has the first three.
PERCENTS = (10, 20, 30, 40, 50)


def with_black_square(face: Face, rng: np.random.Generator, share: float) -> Any:
    """Return the picture with one black square over `share` of it, at a random place inside.

    As near to the share as whole pixels come; where no such square fits in, it is as long as it has
    to be. For one state of `rng` the places of different shares go together, so that what differs
    between them is the size alone.
    """
    from PIL import Image

    pixels = np.array(face[0])
    height, width = pixels.shape[:2]
    down, across = rng.random(2)
    tall, wide = _sides(height, width, share)
    top, left = round(down * (height - tall)), round(across * (width - wide))
    pixels[top : top + tall, left : left + wide] = 0
    return Image.fromarray(pixels)


def _sides(height: int, width: int, share: float) -> tuple[int, int]:
    """Return height and width of the square, or of what is nearest to one inside the picture."""
    area = share * height * width
    side = math.sqrt(area)
    tall = min(round(side), height, width)
    wide = round(area / max(tall, 1)) if tall < side - 0.5 else tall
    return (tall, wide) if width >= height else (wide, tall)
