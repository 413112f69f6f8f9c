"""Perceptual hashes of every crop, as it is and in the views under which copies turn up."""

from __future__ import annotations

from collections.abc import Callable

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occlufer.config import BuildConfig
from occlufer.record import Result
from occlufer.stages import ImageItem, ImageStage

from .pixels import decode_rgb

VERSION = 1

# How much a view cuts off: what people trim from a picture, and detectors from a face.
CUT = 0.08


def _cut(
    left: float, top: float, right: float, bottom: float
) -> Callable[[Image.Image], Image.Image]:
    def view(image: Image.Image) -> Image.Image:
        width, height = image.size
        box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
        return image.crop(tuple(round(v) for v in box))  # type: ignore[arg-type]

    return view


def _turned(degrees: float) -> Callable[[Image.Image], Image.Image]:
    def view(image: Image.Image) -> Image.Image:
        # A turned picture has black corners: both the turn and the cut belong to the view.
        turned = image.rotate(degrees, resample=Image.Resampling.BILINEAR)
        return _cut(CUT / 2, CUT / 2, CUT / 2, CUT / 2)(turned)

    return view


# "itself" is what others are compared with; the others are what a copy of it may have become.
VIEWS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "itself": lambda image: image,
    "mirror": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "centre": _cut(CUT, CUT, CUT, CUT),
    "top_left": _cut(0, 0, 2 * CUT, 2 * CUT),
    "top_right": _cut(2 * CUT, 0, 0, 2 * CUT),
    "bottom_left": _cut(0, 2 * CUT, 2 * CUT, 0),
    "bottom_right": _cut(2 * CUT, 2 * CUT, 0, 0),
    "without_top": _cut(0, CUT, 0, 0),
    "without_bottom": _cut(0, 0, 0, CUT),
    "turned_left": _turned(4),
    "turned_right": _turned(-4),
}


def stage(config: BuildConfig) -> ImageStage:
    """Return the stage; it has no settings, for published hashes are facts others compare with."""
    return ImageStage("hashes", ("faces",), ("faces",), {"version": VERSION}, find_hashes)


def find_hashes(item: ImageItem) -> Result:
    """Return `phash64`, `phash256` {view: hex} and `dhash64`, as imagehash computes them."""
    image = Image.fromarray(decode_rgb(item.store.get(item.values["faces"]["crop"])))
    grey = image.convert("L")  # what imagehash does first, done once for all views
    views = {name: view(grey) for name, view in VIEWS.items()}
    value = {
        "phash64": {name: str(imagehash.phash(view)) for name, view in views.items()},
        "phash256": {
            name: str(imagehash.phash(view, hash_size=16)) for name, view in views.items()
        },
        "dhash64": str(imagehash.dhash(grey)),
    }
    return Result(item.image, value)


def small_grey(image: Image.Image) -> NDArray[np.float32]:
    """Return the picture as float32 (32, 32) grey levels, what two views are compared on."""
    small = image.convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    return np.asarray(small, dtype=np.float32)
