"""Perceptual hashes: those of imagehash, bit for bit, and those of the views a copy is known by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occlufer.config import BuildConfig
from occlufer.engine import map_local
from occlufer.record import Result
from occlufer.stages import ImageItem, ImageStage

from .compiled import compiled
from .hashing.hash_table import VERSION, Hashes, HashTable, in_hex, table_of
from .hashing.resample import Grey, resize, resize_to
from .hashing.sketches import SIDE_PX, Sketch, sketch_of
from .hashing.views import HASHED, ITSELF, MIRROR, small
from .pixels import ORIENTATION, BadImageError, open_picture, read_bytes, to_rgb, upright

Picture = bytes | Path | str | Image.Image

VIEW_PX = 64


def stage(config: BuildConfig) -> ImageStage:
    """Return the stage; it has no settings, for published hashes are facts others compare with."""
    params = {"version": VERSION, "sketch": SIDE_PX}
    return ImageStage("hashes", ("faces",), ("faces",), params, find_hashes)


def find_hashes(item: ImageItem) -> Result:
    """Return the columns of HashTable in hex, its `sketch`, and `size_bytes`."""
    seen = look(item.store.get(item.values["faces"]["crop"]))
    hashes = {name: in_hex(words) for name, words in seen.hashes.items()}
    sketch = seen.sketch.to_json()
    return Result(item.image, {**hashes, "sketch": sketch, "size_bytes": seen.size_bytes})


def hash_images(pictures: Iterable[Picture], workers: int = 0, views: bool = False) -> HashTable:
    """Return the hashes of pictures, given as paths, bytes of files, or Pillow images.

    The three published hashes are those that imagehash gives for the picture as Pillow opens it;
    `views` adds those of the upright picture's views and parts. Each is decoded once. Raises
    BadImageError for what is no picture, OSError for what cannot be read.
    """

    def one(picture: Picture) -> dict[str, Hashes]:
        with _opened(picture, _bytes(picture)) as image:
            grey = _grey(image)
            if not views:
                return _published(grey)
            seen = _seen(image, grey)
            return _hashes(grey, seen, small(seen))

    return table_of(map_local(one, pictures, workers), views)


@dataclass(frozen=True)
class Look:
    """What one look at a picture tells."""

    hashes: dict[str, Hashes]
    """{column of HashTable: words}."""
    sketch: Sketch
    pixels: int
    size_bytes: int
    """Of its file: of two pictures of one size the larger file was compressed less; 0 without."""
    sha256: str
    """Of its file, or of its pixels where there is none."""


def look(picture: Picture) -> Look:
    """Return the hashes of one picture, those of its views included, its sketch and its size."""
    data = _bytes(picture)
    with _opened(picture, data) as image:
        grey = _grey(image)
        seen = _seen(image, grey)
        base = small(seen)
        hashes, sketch = _hashes(grey, seen, base), sketch_of(base)
        sha256 = hashlib.sha256(data or _pixels_of(image)).hexdigest()
        return Look(hashes, sketch, image.width * image.height, len(data), sha256)


def _pixels_of(image: Image.Image) -> bytes:
    """Return bytes that tell a picture without a file from any other: its palette counts."""
    palette = bytes(image.getpalette() or ())
    return f"{image.mode} {image.size}\n".encode() + palette + image.tobytes()


def grey_of(picture: Picture) -> Grey:
    """Return the upright picture in grey, uint8 (H, W)."""
    with _opened(picture, _bytes(picture)) as image:
        return _seen(image, _grey(image))


# From a picture to its hashes ---------------------------------------------------------------------


def _bytes(picture: Picture) -> bytes:
    if isinstance(picture, Image.Image):
        return b""
    return picture if isinstance(picture, bytes) else read_bytes(Path(picture))


def _opened(picture: Picture, data: bytes) -> Image.Image:
    return picture.copy() if isinstance(picture, Image.Image) else open_picture(data)


def _grey(image: Image.Image) -> Grey:
    """Return the picture in grey as imagehash makes it, uint8 (H, W)."""
    return np.asarray(image.convert("L"))


def _seen(image: Image.Image, grey: Grey) -> Grey:
    """Return the picture in grey as people see it: upright, on white where it is transparent."""
    plain = image.mode in ("L", "RGB") and "transparency" not in image.info
    try:
        if plain and image.getexif().get(ORIENTATION, 1) == 1:
            return grey
        return _grey(to_rgb(upright(image)))
    except Exception as error:  # EXIF may be anything
        detail = f"{image.format}: {' '.join(str(error).split())}"
        raise BadImageError("undecodable", detail) from None


def _hashes(grey: Grey, seen: Grey, base: Grey) -> dict[str, Hashes]:
    """Return {field of HashTable: words} of one picture.

    `grey` is it as it is stored, `seen` as people see it, `base` the small picture of that.
    """
    published = _published(grey)
    itself = published if seen is grey else _published(seen)
    return {**published, **_of_views(seen, base, itself)}


def _published(grey: Grey) -> dict[str, Hashes]:
    picture64, picture256, columns = resize_to(grey, [(32, 32), (64, 64), (9, 8)])
    return {
        "phash64": _phash(picture64),
        "phash256": _phash(picture256),
        "dhash64": _words(columns[:, 1:] > columns[:, :-1]),
    }


def _phash(picture: Grey) -> Hashes:
    """Return imagehash's phash of a picture that is four times as wide as the hash."""
    size = len(picture) // 4
    bits, gap = _above_median(_low_waves(picture, COSINES[size]))
    if gap < DECISIVE_GAP:
        # Plain pictures: the last digit decides on which side a wave is, so it has to be the same.
        from scipy.fftpack import dct

        bits, _ = _above_median(dct(dct(picture, axis=0)[:size], axis=1)[:, :size])
    return _words(bits)


def _of_views(grey: Grey, base: Grey, itself: Mapping[str, Hashes]) -> dict[str, Hashes]:
    """Return the hashes of everything in HASHED.

    Those of the picture itself are its published ones, and its mirror image is hashed like it. The
    others are taken from `base`, the small picture, both hashes of a view from the same waves.
    """
    exact = {ITSELF: itself, MIRROR: _published(HASHED[MIRROR].of(grey))}
    views64, views256 = [], []
    for name, view in HASHED.items():
        if name in exact:
            views64.append(exact[name]["phash64"])
            views256.append(exact[name]["phash256"])
        else:
            waves = _low_waves(resize(view.of(base), VIEW_PX, VIEW_PX), COSINES[16])
            views64.append(_words(_above_median(waves[:8, :8])[0]))
            views256.append(_words(_above_median(waves)[0]))
    return {"views64": np.concatenate(views64), "views256": np.stack(views256)}


def _cosines(size: int) -> NDArray[np.float64]:
    """Return the lowest `size` waves of the DCT-II, (size, 4 * size)."""
    width = 4 * size
    return np.asarray(np.cos(np.pi / width * np.outer(np.arange(size), np.arange(width) + 0.5)))


COSINES = {size: _cosines(size) for size in (8, 16)}
# Waves are sums of up to 4096 grey levels; two ways of adding doubles differ by less than 1e-9.
DECISIVE_GAP = 1e-6


@compiled
def _low_waves(picture: Any, cosines: Any) -> Any:
    size, width = cosines.shape
    columns = np.zeros((size, width), dtype=cosines.dtype)
    for i in range(size):
        for y in range(width):
            cosine = cosines[i, y]
            for x in range(width):
                columns[i, x] += cosine * picture[y, x]
    turned = np.ascontiguousarray(cosines.T)
    waves = np.zeros((size, size), dtype=cosines.dtype)
    for i in range(size):
        for x in range(width):
            column = columns[i, x]
            for j in range(size):
                waves[i, j] += column * turned[x, j]
    return waves


@compiled
def _above_median(waves: Any) -> Any:
    """Return which waves are above the median, and how far it is from the nearest of them."""
    ordered = np.sort(waves.copy().ravel())
    middle = ordered.size // 2
    median = (ordered[middle - 1] + ordered[middle]) / 2
    return waves > median, median - ordered[middle - 1]


def _words(bits: NDArray[np.bool_]) -> Hashes:
    """Return bits, in rows from the top, as uint64 (bits / 64,)."""
    return np.packbits(bits).view(">u8").astype(np.uint64)
