"""What picture files say beside their pixels: places, names, devices. None of it is published."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from PIL import Image

from .pixels import decode_rgb, encode_png

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Text, time and EXIF; what is needed to show the picture (palette, transparency, colours) stays.
PNG_PERSONAL = (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf")
# JPEG segments: APP1 is EXIF and XMP, APP13 is IPTC, COM a comment.
JPEG_PERSONAL = (0xE1, 0xED, 0xFE)
JPEG_SCAN = 0xDA


def without_metadata(data: bytes) -> bytes:
    """Return the picture file without personal metadata, the very same bytes if it has none.

    JPEG and PNG lose segments only, their pixels' bytes stay. A picture that is turned by its EXIF,
    and other formats with metadata, become PNG: upright, the same pixels.
    """
    with Image.open(io.BytesIO(data)) as image:
        turned = image.getexif().get(0x0112, 1) != 1
        other = image.format not in ("JPEG", "PNG") and {"exif", "xmp"} & set(image.info)
        kind = image.format
    if turned or other:
        return encode_png(decode_rgb(data))
    try:
        if kind == "JPEG":
            return b"".join(_jpeg_kept(data))
        if kind == "PNG":
            return b"".join(_png_kept(data))
    except (struct.error, IndexError):  # it shows, but is not built as the books say
        return encode_png(decode_rgb(data))
    return data


def _jpeg_kept(data: bytes) -> Iterator[bytes]:
    """Yield the start mark, every segment that may stay, and the rest from the first scan on."""
    yield data[:2]
    at = 2
    while data[at + 1] != JPEG_SCAN:
        if data[at] != 0xFF:
            raise IndexError(f"found no mark at byte {at}")
        if data[at + 1] == 0xFF:  # filling between segments
            at += 1
            continue
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if data[at + 1] not in JPEG_PERSONAL:
            yield data[at:end]
        at = end
    yield data[at:]


def _png_kept(data: bytes) -> Iterator[bytes]:
    yield PNG_SIGNATURE
    at = len(PNG_SIGNATURE)
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if kind not in PNG_PERSONAL:
            yield data[at:end]
        at = end
        if kind == b"IEND":  # what hides behind the end is no part of the picture
            return
