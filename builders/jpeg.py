"""JPEG files, segment by segment."""

from __future__ import annotations

import struct
from collections.abc import Iterator

COMMENT, SCAN, END = 0xFE, 0xDA, 0xD9
RESTARTS = range(0xD0, 0xD8)
# Within a scan: a stuffed zero, and marks to take up the thread again.
INSIDE = (0x00, *RESTARTS)


def segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (mark, bytes) of every segment of the first picture, the start mark left out.

    A scan comes with its pixels, the end mark last. Raises IndexError or struct.error, at the
    place, for a file that is not built as the books say.
    """
    at = 2
    while True:
        if data[at] != 0xFF:
            raise IndexError(f"found no mark at byte {at}")
        kind = data[at + 1]
        if kind == 0xFF:  # filling between segments
            at += 1
            continue
        if kind in RESTARTS:  # out of place, and nothing belongs to it
            at += 2
            continue
        if kind == END:
            yield kind, data[at : at + 2]
            return
        length = struct.unpack_from(">H", data, at + 2)[0]
        if not 0xC0 <= kind <= COMMENT or length < 2:
            raise IndexError(f"found no segment at byte {at}")
        end = at + 2 + length
        if kind == SCAN:
            end = _scan_end(data, end)
        yield kind, data[at:end]
        at = end


def count_scans(data: bytes) -> int:
    """Return how often the first picture's pixels are gone over, or more in a damaged file."""
    try:
        return sum(kind == SCAN for kind, _ in segments(data))
    except (struct.error, IndexError):
        return data.count(bytes([0xFF, SCAN]))


def _scan_end(data: bytes, at: int) -> int:
    """Return where the mark after the scan's pixels lies.

    Raises IndexError if the file ends before: what is behind the pixels cannot be told from them.
    """
    while (at := data.find(b"\xff", at)) >= 0:
        if data[at + 1] not in INSIDE and data[at + 1] != 0xFF:
            return at
        at += 1 if data[at + 1] == 0xFF else 2
    raise IndexError("found no end mark")
