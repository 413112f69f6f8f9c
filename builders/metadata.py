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
# JPEG's application segments that are needed to show the picture, by how they begin. The others
# hold EXIF, XMP, IPTC, second pictures, makers' notes; 0xFE is a comment.
JPEG_NEEDED = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
JPEG_COMMENT, JPEG_SCAN, JPEG_END = 0xFE, 0xDA, 0xD9
# Within a scan: a stuffed zero, and marks to take up the thread again.
JPEG_INSIDE = (0x00, *range(0xD0, 0xD8))


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
    """Yield the start mark, every segment that may stay, the scans and the end mark."""
    yield data[:2]
    at = 2
    while at < len(data):  # some files lack the end mark
        if data[at] != 0xFF:
            raise IndexError(f"found no mark at byte {at}")
        kind = data[at + 1]
        if kind == 0xFF:  # filling between segments
            at += 1
            continue
        if kind == JPEG_END:  # what hides behind the end is no part of the picture
            yield data[at : at + 2]
            return
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        if kind == JPEG_SCAN:
            end = _scan_end(data, end)
        if not _is_personal(kind, data[at + 4 : end]):
            yield data[at:end]
        at = end


def _is_personal(kind: int, body: bytes) -> bool:
    if 0xE0 <= kind <= 0xEF:
        return not (kind in JPEG_NEEDED and body.startswith(JPEG_NEEDED[kind]))
    return kind == JPEG_COMMENT


def _scan_end(data: bytes, at: int) -> int:
    """Return where the mark after the scan's pixels lies; the end if it is cut off there."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] not in JPEG_INSIDE and data[at + 1] != 0xFF:
            return at
        at += 1 if data[at + 1] == 0xFF else 2
    return len(data)


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
