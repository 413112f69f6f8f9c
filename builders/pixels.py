"""Bytes to pixels: decoding that says clearly what is wrong with a file."""

from __future__ import annotations

import io
import stat
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageOps, ImageStat, UnidentifiedImageError

from occlufer.record import Reject

from . import png
from .jpeg import SCAN, count_scans

Pixels = NDArray[np.uint8]

# Every format more is a decoder more that hostile files can reach.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
MAX_PIXELS = 64_000_000
MIN_SIDE_PX = 16
# Four bytes for each of them; only greys and colours of 16 bits, not squeezed, could need more.
MAX_BYTES = 4 * MAX_PIXELS
# Encoders make a dozen. Each goes over all pixels, so that some kB could take hours.
MAX_SCANS = 100
# Pillow undoes BMP's run lengths in Python, byte by byte.
MAX_RUN_PIXELS = 4_000_000
BMP_RUNS = (1, 2)
# By PNG's bits: what turns a level of grey into one of 8 bits.
LEVELS = {1: 255, 2: 85, 4: 17}
# Below this spread of grey levels a picture shows nothing: camera noise alone has more.
BLANK_SPREAD = 2.0
ORIENTATION = 0x0112  # the EXIF tag


class BadImageError(Exception):
    """The bytes are no usable picture; `reject` says why."""

    def __init__(self, reason: str, detail: str) -> None:
        """Take the reason to count by and the detail to read."""
        super().__init__(f"{reason}: {detail}")
        self.reject = Reject(reason, detail)


def read_bytes(path: Path) -> bytes:
    """Return a file's bytes; raises BadImageError for too many and for no file, and OSError."""
    status = path.stat()
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        # Whoever opens a pipe waits for ever.
        raise BadImageError("not_a_file", "found no regular file, expected a picture")
    if (size := status.st_size) > MAX_BYTES:
        raise BadImageError("too_many_bytes", f"found {size} bytes, expected <= {MAX_BYTES}")
    return path.read_bytes()


def decode_rgb(data: bytes) -> Pixels:
    """Return the picture as uint8 (H, W, 3), upright by its EXIF; raises BadImageError.

    Transparent pixels become white, 16-bit greys are scaled to 8, of an animation the first
    picture counts.
    """
    image = open_picture(data)
    try:
        return np.asarray(to_rgb(upright(image)))
    except MemoryError:
        raise  # the machine's fault, not the picture's
    except Exception as error:  # decoders raise many kinds: OSError, ValueError, SyntaxError
        raise BadImageError("undecodable", f"{image.format}: {_one_line(error)}") from None


def open_picture(data: bytes) -> Image.Image:
    """Return the picture as Pillow opens it, decoded; raises BadImageError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns where the checks here decide
        image = _open(data)
        try:
            image.load()
            if image.format == "PNG":
                _check_pixels(image, data)
        except MemoryError:
            raise
        except Exception as error:
            raise BadImageError("undecodable", f"{image.format}: {_one_line(error)}") from None
        return image


def upright(image: Image.Image) -> Image.Image:
    """Return the picture turned as its EXIF says."""
    # Without need for it a copy would be made.
    return image if image.getexif().get(ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)


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
    except MemoryError:
        raise
    except Exception as error:
        raise _unopened(data, error) from None
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise BadImageError("too_many_pixels", f"found {width}x{height}, expected <= {MAX_PIXELS}")
    if min(width, height) < MIN_SIDE_PX:
        raise BadImageError(
            "too_small", f"found {width}x{height}, expected sides >= {MIN_SIDE_PX} px"
        )
    if check := CHECKS.get(image.format or ""):
        check(image, data)
    return image


def _unopened(data: bytes, error: Exception) -> BadImageError:
    """Return why Pillow did not even open a file: damaged in its head, or none of FORMATS."""
    known = {name: Image.OPEN[name][1] for name in FORMATS}
    named = [name for name, accepts in known.items() if accepts and accepts(data[:16]) is True]
    if named:
        unsaid = isinstance(error, UnidentifiedImageError)
        why = "its head cannot be read" if unsaid else _one_line(error)
        return BadImageError("undecodable", f"{named[0]}: {why}")
    begin = data[:16].decode("ascii", "backslashreplace")
    return BadImageError(
        "not_an_image", f"begins with {begin!r}, expected one of {', '.join(FORMATS)}"
    )


def _check_jpeg(image: Image.Image, data: bytes) -> None:
    # Counting rightly is slow, and two bytes of any kind are soon found.
    if data.count(bytes([0xFF, SCAN])) > MAX_SCANS and (found := count_scans(data)) > MAX_SCANS:
        raise BadImageError("too_many_scans", f"found {found}, expected <= {MAX_SCANS}")


def _check_png(image: Image.Image, data: bytes) -> None:
    if image.mode == "P" and image.palette is None:
        raise BadImageError("undecodable", "PNG: found no palette before its pixels")
    clear, bits = image.info.get("transparency"), data[24]
    # Pillow brings pixels to 8 bits, and not the level or the colour that is transparent.
    if isinstance(clear, int) and image.mode == "L":
        image.info["transparency"] = clear * LEVELS.get(bits, 1)
    elif isinstance(clear, tuple) and bits == 16:
        image.info["transparency"] = tuple(level >> 8 for level in clear)


def _check_pixels(image: Image.Image, data: bytes) -> None:
    """Raise if a PNG that was decoded is damaged, or lacks pixels, which Pillow leaves black."""
    Image.open(io.BytesIO(data), formats=FORMATS).verify()
    width, height = image.size
    black = image.crop((0, height - 1, width, height)).getbbox() is None
    interlaced = data[28] == 1  # its last row is not stored last
    if (black or interlaced) and png.lacks_rows(data, width, height):
        raise ValueError("found fewer rows than its head says")


def _check_bmp(image: Image.Image, data: bytes) -> None:
    width, height = image.size
    if image.info.get("compression") in BMP_RUNS and width * height > MAX_RUN_PIXELS:
        raise BadImageError(
            "too_many_pixels",
            f"found {width}x{height} in run lengths, expected <= {MAX_RUN_PIXELS}",
        )


# What Pillow lets pass in a format's head, before anything is decoded. MPO is a JPEG.
CHECKS: dict[str, Callable[[Image.Image, bytes], None]] = {
    "JPEG": _check_jpeg,
    "MPO": _check_jpeg,
    "PNG": _check_png,
    "BMP": _check_bmp,
}


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture in RGB: on white where it is transparent, 16-bit greys scaled to 8."""
    if image.mode.startswith("I;16") or image.mode == "I":
        levels = np.asarray(image)
        grey = (levels.clip(0, 65535) // 257).astype(np.uint8)
        if isinstance(clear := image.info.get("transparency"), int):
            grey[levels == clear] = 255
        return Image.fromarray(grey).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
