"""PNG files: whether their pixels are all there, of which decoders say nothing."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# By the kind of colour, the byte at 25; bits of a value stand in the byte before.
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PIECE_BYTES = 1 << 20


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, begin, end) of every chunk; raises struct.error where one is cut off."""
    at, kind = len(SIGNATURE), b""
    while kind != b"IEND":  # what hides behind the end is no part of the picture
        length, kind = struct.unpack_from(">I4s", data, at)
        yield kind, at, at + 12 + length
        at += 12 + length


def lacks_rows(data: bytes, width: int, height: int) -> bool:
    """Return whether fewer pixels are stored than a sound file's head says.

    Raises zlib.error for damaged ones. No more is unfolded than is needed to know.
    """
    row_bytes = 1 + -(-width * data[24] * CHANNELS[data[25]] // 8)
    needed, inflate = height * row_bytes, zlib.decompressobj()
    for kind, begin, end in chunks(data):
        rest = data[begin + 8 : end - 4] if kind == b"IDAT" else b""
        while rest and needed > 0:
            needed -= len(inflate.decompress(rest, PIECE_BYTES))
            rest = inflate.unconsumed_tail
    return needed > 0
