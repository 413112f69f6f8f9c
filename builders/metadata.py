"""What picture files say beside their pixels: places, names, devices. None of it is published."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from PIL import Image

from . import png
from .jpeg import segments
from .pixels import FORMATS, ORIENTATION, decode_rgb, encode_png

# What is needed to show the picture: size, pixels, palette, transparency, resolution, colours.
# Text, time, EXIF, further pictures and what programs have made up of their own go.
PNG_NEEDED = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"bKGD", b"pHYs", b"hIST", b"sBIT")
PNG_COLOURS = (b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"cICP", b"mDCV", b"cLLI")
WEBP_NEEDED = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ICCP")
# JPEG's application segments that are needed to show the picture, by how they begin. The others
# hold EXIF, XMP, IPTC, second pictures, makers' notes.
JFIF, ICC, ADOBE = 0xE0, 0xE2, 0xEE
JPEG_NEEDED = {JFIF: b"JFIF\0", ICC: b"ICC_PROFILE\0", ADOBE: b"Adobe"}
JFIF_BYTES, ADOBE_BYTES = 14, 12  # behind them room for a thumbnail, or for anything
# Who reads any other picture by `convert("RGB")`, as training code does, sees hidden colours where
# it is transparent, and 16-bit greys all white.
PLAIN = ("RGB", "L", "1", "P", "CMYK")


def without_metadata(data: bytes) -> bytes:
    """Return the picture file without personal metadata, the very same bytes if it has none.

    JPEG and PNG lose segments only, their pixels' bytes stay; of several pictures in a file the
    first one does. A picture that is turned by its EXIF, a file that is not built as the books say,
    and other formats with metadata, become PNG: upright, the same pixels. So does what is shown
    rightly only by those who look twice, see PLAIN.
    """
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        turned = image.getexif().get(ORIENTATION, 1) != 1
        plain = image.mode in PLAIN and "transparency" not in image.info
        kind = image.format or ""
    try:
        if plain and not turned and kind in KEPT:
            return b"".join(KEPT[kind](data))
    except (struct.error, IndexError):  # it shows nevertheless
        pass
    return encode_png(decode_rgb(data))


def _jpeg_kept(data: bytes) -> Iterator[bytes]:
    """Yield the start mark, every segment that may stay, the scans and the end mark.

    What hides behind the end is no part of the picture.
    """
    yield data[:2]
    yield from (_segment(kind, segment) for kind, segment in segments(data))


def _segment(kind: int, segment: bytes) -> bytes:
    """Return what may stay of a segment, its mark and length included."""
    if kind >= 0xF0:  # comments, and what nobody has given a meaning
        return b""
    if not 0xE0 <= kind <= 0xEF:
        return segment
    body = segment[4:]
    if kind not in JPEG_NEEDED or not body.startswith(JPEG_NEEDED[kind]):
        return b""
    if kind == ICC:
        return segment
    whole = JFIF_BYTES if kind == JFIF else ADOBE_BYTES
    if len(body) < whole:  # too short to say anything
        return b""
    body = body[:12] + b"\0\0" if kind == JFIF else body[:whole]  # a thumbnail of 0 x 0
    return segment[:2] + struct.pack(">H", len(body) + 2) + body


def _png_kept(data: bytes) -> Iterator[bytes]:
    """Yield the signature and every chunk that may stay."""
    yield png.SIGNATURE
    for kind, begin, end in png.chunks(data):
        if kind in PNG_NEEDED or kind in PNG_COLOURS:
            yield data[begin:end]


def _webp_kept(data: bytes) -> Iterator[bytes]:
    """Yield the whole file; raises IndexError if it has any part that may not stay."""
    at, end = 12, 8 + struct.unpack_from("<I", data, 4)[0]
    while at < end:
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind not in WEBP_NEEDED:
            raise IndexError(f"found {kind!r}")
        at += 8 + length + length % 2
    if not at == end == len(data):
        raise IndexError("found bytes behind the end")
    yield data


def _bmp_kept(data: bytes) -> Iterator[bytes]:
    """Yield the whole file; raises IndexError if there is more in it than it says."""
    if struct.unpack_from("<I", data, 2)[0] != len(data):
        raise IndexError("found bytes behind the end")
    yield data


# MPO is a JPEG with further pictures behind its end.
KEPT = {
    "JPEG": _jpeg_kept,
    "MPO": _jpeg_kept,
    "PNG": _png_kept,
    "WEBP": _webp_kept,
    "BMP": _bmp_kept,
}
