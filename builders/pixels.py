"""Bytes to pixels: decoding that says clearly what is wrong with a file."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps, ImageStat

from occlufer.record import Reject

Pixels = NDArray[np.uint8]

# Every format more is a decoder more that hostile files can reach.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
MAX_PIXELS = 64_000_000
MIN_SIDE_PX = 16
# Below this spread of grey levels a picture shows nothing: camera noise alone has more.
BLANK_SPREAD = 2.0


class BadImageError(Exception):
    """The bytes are no usable picture; `reject` says why."""

    def __init__(self, reason: str, detail: str) -> None:
        """Take the reason to count by and the detail to read."""
        super().__init__(f"{reason}: {detail}")
        self.reject = Reject(reason, detail)


def decode_rgb(data: bytes) -> Pixels:
    """Return the picture as uint8 (H, W, 3), upright by its EXIF; raises BadImageError.

    Transparent pixels become white, 16-bit greys are scaled to 8, of an animation the first
    picture counts.
    """
    image = open_picture(data)
    try:
        return np.asarray(to_rgb(upright(image)))
    except Exception as error:  # decoders raise many kinds: OSError, ValueError, SyntaxError
        raise BadImageError("undecodable", f"{image.format}: {_one_line(error)}") from None


def open_picture(data: bytes) -> Image.Image:
    """Return the picture as Pillow opens it, decoded; raises BadImageError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns where the checks here decide
        image = _open(data)
        try:
            image.load()
        except Exception as error:
            raise BadImageError("undecodable", f"{image.format}: {_one_line(error)}") from None
        return image


def upright(image: Image.Image) -> Image.Image:
    """Return the picture turned as its EXIF says."""
    return ImageOps.exif_transpose(image)


def encode_png(pixels: Pixels) -> bytes:
    """Return the picture, (H, W) or (H, W, 3), as PNG, so that crops rebuild bit for bit."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def spread(pixels: Pixels) -> float:
    """Return the standard deviation of the grey levels, in [0, 127.5]."""
    return float(ImageStat.Stat(Image.fromarray(pixels).convert("L")).stddev[0])


def rounded_px(values: ArrayLike) -> Any:
    """Return coordinates in pixels as lists, to a hundredth: finer digits differ by processor."""
    return np.round(np.asarray(values, dtype=np.float64), 2).tolist()


def _open(data: bytes) -> Image.Image:
    if not data:
        raise BadImageError("empty_file", "found 0 bytes, expected an image")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise BadImageError("too_many_pixels", _one_line(error)) from None
    except Exception:
        begin = data[:16].decode("ascii", "backslashreplace")
        raise BadImageError(
            "not_an_image", f"begins with {begin!r}, expected one of {', '.join(FORMATS)}"
        ) from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImageError("too_many_pixels", f"found {width}x{height}, expected <= {MAX_PIXELS}")
    if min(width, height) < MIN_SIDE_PX:
        raise BadImageError(
            "too_small", f"found {width}x{height}, expected sides >= {MIN_SIDE_PX} px"
        )
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture in RGB: on white where it is transparent, 16-bit greys scaled to 8."""
    if image.mode.startswith("I;16") or image.mode == "I":
        grey = np.asarray(image).astype(np.float64) / 257
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
