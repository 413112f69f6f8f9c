"""Bytes of picture files, built piece by piece, so that each piece can be wrong."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
SOF0, SOF1, SOF2, SOF3, SOF9, DHT, DNL, EOI = 0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xC4, 0xDC, 0xD9
SOI, SOS, DQT, DRI, APP0, APP1, APP2, ADOBE = 0xD8, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE
PNG = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def saved(image: Image.Image | Pixels, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(file, kind, **options)
    return file.getvalue()


# JPEG ---------------------------------------------------------------------------------------------


def jpeg(pixels: Pixels, **options: Any) -> bytes:
    """The best that JPEG does: whoever reads it rightly is a few grey levels off."""
    return saved(pixels, "JPEG", **{"quality": 95, "subsampling": 0, **options})


def segment(mark: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body


def segments(data: bytes) -> list[tuple[int, int, int]]:
    """(mark, begin, end) of every segment up to the first scan, whose pixels are left out."""
    at = 2
    found: list[tuple[int, int, int]] = []
    while not found or found[-1][0] != SOS:
        end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
        found.append((data[at + 1], at, end))
        at = end
    return found


def place(data: bytes, mark: int) -> tuple[int, int]:
    """Begin and end of the first segment with this mark."""
    return next((begin, end) for found, begin, end in segments(data) if found == mark)


def cut_in(data: bytes, mark: int) -> bytes:
    begin, end = place(data, mark)
    return data[: (begin + 4 + end) // 2]


def without(data: bytes, mark: int) -> bytes:
    for found, begin, end in reversed(segments(data)):
        data = data[:begin] + data[end:] if found == mark else data
    return data


def with_after_soi(data: bytes, *pieces: bytes) -> bytes:
    return data[:2] + b"".join(pieces) + data[2:]


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def with_frame(data: bytes, at: int, new: bytes, mark: int = SOF0) -> bytes:
    """Other bytes in the frame's segment: 4 is its precision, 5 its height, 7 its width."""
    return patched(data, place(data, mark)[0] + at, new)


def with_profile(data: bytes, profile: bytes) -> bytes:
    """A colour profile in as many segments as it takes."""
    pieces = [profile[i : i + 65000] for i in range(0, len(profile), 65000)]
    head = b"ICC_PROFILE\0"
    told = min(len(pieces), 255)
    return with_after_soi(
        data, *(segment(APP2, head + bytes([i + 1, told]) + p) for i, p in enumerate(pieces))
    )


def ycck(pixels: Pixels) -> bytes:
    """CMYK as Adobe writes it: inverted, the colours as YCbCr, black apart."""
    cmyk = np.full((*pixels.shape[:2], 4), 0, np.uint8)
    cmyk[..., :3] = 255 - np.asarray(Image.fromarray(255 - pixels).convert("YCbCr"))
    data = saved(Image.fromarray(cmyk, "CMYK"), "JPEG", quality=95, subsampling=0)
    return patched(data, place(data, ADOBE)[1] - 1, b"\2")


def scans(width: int, height: int, count: int) -> bytes:
    """A grey progressive JPEG that goes over all its pixels again and again."""
    frame = struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"
    one_code = bytes([1, *[0] * 15])
    head = segment(DQT, b"\0" + b"\1" * 64) + segment(SOF2, frame)
    head += segment(DHT, b"\0" + one_code + b"\0") + segment(DHT, b"\x10" + one_code + b"\xe0")
    first, again = b"\1\1\0\0\0\0", b"\1\1\0\1\x3f\0"
    return b"\xff\xd8" + head + segment(SOS, first) + segment(SOS, again) * count + b"\xff\xd9"


# EXIF ---------------------------------------------------------------------------------------------

ORIENTATION, EXIF_POINTER = 0x0112, 0x8769


def exif(
    *entries: tuple[int, int, int, bytes], following: int = 0, thumbnail: bytes = b""
) -> bytes:
    """EXIF, little-endian, of one folder at byte 8, of (tag, type, count, 4 bytes)."""
    rows = b"".join(struct.pack("<HHI4s", *entry) for entry in entries)
    folder = struct.pack("<H", len(entries)) + rows + struct.pack("<I", following)
    if thumbnail:
        at = 8 + len(folder)
        here = struct.pack("<H", 2)
        here += struct.pack("<HHII", 0x0201, 4, 1, at + 30) + struct.pack(
            "<HHII", 0x0202, 4, 1, len(thumbnail)
        )
        folder = folder[:-4] + struct.pack("<I", at) + here + bytes(4) + thumbnail
    return b"Exif\0\0II*\0\x08\0\0\0" + folder


def turned(value: int, **options: Any) -> bytes:
    return exif((ORIENTATION, 3, 1, struct.pack("<HH", value, 0)), **options)


# What a camera stores for each orientation, from the Exif standard: where row and column 0 lie.
STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: p.transpose(1, 0, 2)[::-1],
    7: lambda p: p.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda p: p.transpose(1, 0, 2)[:, ::-1],
}


def stored(pixels: Pixels, orientation: int) -> Pixels:
    return np.ascontiguousarray(STORED[orientation](pixels))


# PNG ----------------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def ihdr(width: int, height: int, depth: int = 8, colour: int = RGB, lace: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, lace))


def rows(values: NDArray[Any], depth: int = 8) -> bytes:
    """PNG's rows, unfiltered, of (H, W) or (H, W, channels); below 8 bits packed."""
    flat = values.reshape(len(values), -1)
    if depth == 16:
        packed = [row.astype(">u2").tobytes() for row in flat]
    elif depth == 8:
        packed = [row.astype(np.uint8).tobytes() for row in flat]
    else:
        bits = (flat[..., None] >> np.arange(depth - 1, -1, -1)) & 1
        packed = [np.packbits(row.reshape(-1).astype(np.uint8)).tobytes() for row in bits]
    return b"".join(b"\0" + row for row in packed)


def png(
    values: NDArray[Any],
    depth: int = 8,
    colour: int = RGB,
    before: bytes = b"",
    after: bytes = b"",
    level: int = 6,
) -> bytes:
    """A PNG of these values, with further chunks before and after its pixels."""
    height, width = values.shape[:2]
    idat = chunk(b"IDAT", zlib.compress(rows(values, depth), level))
    return PNG + ihdr(width, height, depth, colour) + before + idat + after + chunk(b"IEND", b"")


def chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """(kind, begin, end) of every chunk."""
    at, found = len(PNG), []
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        found.append((kind, at, at + 12 + length))
        at += 12 + length
    return found


def chunk_place(data: bytes, kind: bytes) -> tuple[int, int]:
    return next((begin, end) for found, begin, end in chunks(data) if found == kind)


def cut_in_chunk(data: bytes, kind: bytes) -> bytes:
    begin, end = chunk_place(data, kind)
    return data[: (begin + 8 + end - 4) // 2 if end - begin > 12 else begin + 8]


def with_bad_crc(data: bytes, kind: bytes) -> bytes:
    end = chunk_place(data, kind)[1]
    return patched(data, end - 1, bytes([data[end - 1] ^ 255]))


def reordered(data: bytes, *order: bytes) -> bytes:
    """The chunks of these kinds, in this order; the same kind may come twice, or not at all."""
    places = (chunk_place(data, kind) for kind in order)
    return PNG + b"".join(data[begin:end] for begin, end in places)


def split_idat(data: bytes, *at: int, between: bytes = b"") -> bytes:
    """The pixels in several chunks, parted at these places of their stream."""
    begin, end = chunk_place(data, b"IDAT")
    body = data[begin + 8 : end - 4]
    edges = [0, *(i % len(body) for i in at), len(body)]
    pieces = [chunk(b"IDAT", body[a:b]) for a, b in pairwise(edges)]
    return data[:begin] + between.join(pieces) + data[end:]


@cache  # it takes a second
def zeros(mebibytes: int) -> bytes:
    """A bomb: a thousandth of what it becomes."""
    squeeze = zlib.compressobj(9)
    pieces = (squeeze.compress(bytes(1 << 20)) for _ in range(mebibytes))
    return b"".join(pieces) + squeeze.flush()


# BMP ----------------------------------------------------------------------------------------------


def bmp(
    width: int,
    height: int,
    body: bytes,
    bits: int = 24,
    method: int = 0,
    palette: bytes = b"",
    offset: int | None = None,
    colours: int | None = None,
) -> bytes:
    """A BMP with the usual head of 40 bytes."""
    begin = 54 + len(palette) if offset is None else offset
    known = len(palette) // 4 if colours is None else colours
    head = struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, bits, method, len(body), 0, 0, known, 0
    )
    return (
        b"BM"
        + struct.pack("<IHHI", 54 + len(palette) + len(body), 0, 0, begin)
        + head
        + (palette + body)
    )


def bmp_rows(values: NDArray[Any]) -> bytes:
    """BMP's rows from the bottom, each filled up to four bytes."""
    flat = [row.tobytes() for row in values.reshape(len(values), -1)[::-1]]
    return b"".join(row + bytes(-len(row) % 4) for row in flat)


def greys() -> bytes:
    return b"".join(bytes([i, i, i, 0]) for i in range(256))


def rle8(grey: Pixels) -> bytes:
    """Every pixel a run of its own."""
    lines = [b"".join(bytes([1, value]) for value in row) + b"\0\0" for row in grey[::-1].tolist()]
    return b"".join(lines) + b"\0\1"


# WebP ---------------------------------------------------------------------------------------------


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def webp(*pieces: bytes) -> bytes:
    return riff(b"RIFF", b"WEBP" + b"".join(pieces))


def canvas(width: int, height: int, flags: int = 0) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return riff(b"VP8X", bytes([flags, 0, 0, 0]) + sides)
