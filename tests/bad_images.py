"""The bad images: files of every kind that goes wrong, and what is expected of each of them.

`python tests/bad_images.py FOLDER` writes them as a folder of class folders.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bad_bytes import (
    ADOBE,
    APP0,
    APP1,
    APP2,
    DHT,
    DNL,
    DQT,
    DRI,
    EXIF_POINTER,
    GREY,
    GREY_ALPHA,
    ORIENTATION,
    PALETTE,
    PNG,
    RGB,
    RGBA,
    SOF0,
    SOF1,
    SOF3,
    SOS,
    Pixels,
    bmp,
    bmp_rows,
    canvas,
    chunk,
    cut_in,
    cut_in_chunk,
    exif,
    greys,
    ihdr,
    jpeg,
    patched,
    place,
    png,
    reordered,
    riff,
    rle8,
    rows,
    saved,
    scans,
    segment,
    split_idat,
    stored,
    turned,
    webp,
    with_after_soi,
    with_bad_crc,
    with_frame,
    with_profile,
    without,
    ycck,
    zeros,
)
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

CLASSES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
WIDTH, HEIGHT = 56, 40
# How many grey levels JPEG may be off, on average: the texture's noise is half lost.
LOSSY = 6.0


@dataclass(frozen=True)
class Good:
    """A file that shows a picture, which is published."""

    write: Callable[[Pixels], bytes]
    shows: Callable[[Pixels], NDArray[Any]] = lambda pixels: pixels
    """What is to be seen in it, by the picture it was made of and no decoder."""
    off: float = 0.0
    """How far, in grey levels on average, the format lets it be off; 0: equal to the bit."""
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Bad:
    """A file that is left out."""

    write: Callable[[], bytes]
    reason: str


@dataclass(frozen=True)
class Odd:
    """What is no plain file of its own; it is written at a path."""

    write: Callable[[Path], object]
    reason: str | None
    """None: it is not listed."""


def texture(name: str, width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """A picture unlike that of any other name."""
    rng = np.random.default_rng(zlib.crc32(name.encode("utf-8", "surrogateescape")))
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    smooth = coarse.resize((width, height), Image.Resampling.BICUBIC)
    noise = rng.integers(-8, 9, (height, width, 3))
    return np.clip(np.asarray(smooth, np.int64) + noise, 0, 255).astype(np.uint8)


ANY, OTHER = texture("any"), texture("other")


# What is seen -------------------------------------------------------------------------------------


def grey(pixels: Pixels) -> Pixels:
    return pixels[..., 1]


def as_rgb(levels: NDArray[Any]) -> Pixels:
    return np.repeat(levels[..., None], 3, axis=2).astype(np.uint8)


def in_grey(pixels: Pixels) -> Pixels:
    return as_rgb(grey(pixels))


def index(pixels: Pixels, bits: int) -> Pixels:
    return np.asarray(grey(pixels) >> (8 - bits), np.uint8)


def in_levels(bits: int, clear: int | None = None) -> Callable[[Pixels], Pixels]:
    """Grey of so few bits, one of its levels transparent."""

    def shown(pixels: Pixels) -> Pixels:
        levels = index(pixels, bits).astype(np.int64)
        seen = levels * 255 // (2**bits - 1)
        return as_rgb(np.where(levels == clear, 255, seen) if clear is not None else seen)

    return shown


COLOURS = np.random.default_rng(7).integers(0, 256, (256, 3), dtype=np.uint8)


def in_colours(bits: int, alpha: bytes = b"") -> Callable[[Pixels], NDArray[Any]]:
    """Colours of a palette, the first of them transparent, on white."""
    opaque = np.full((256, 1), 255.0)
    opaque[: len(alpha), 0] = [*alpha]
    seen = (COLOURS * opaque + 255 * (255 - opaque)) / 255
    return lambda pixels: np.asarray(seen[index(pixels, bits)])


def palette(bits: int) -> bytes:
    return chunk(b"PLTE", COLOURS[: 2**bits].tobytes())


def alpha(pixels: Pixels) -> Pixels:
    """Clear on the left, opaque on the right, halfway in a strip between them."""
    mask = np.full(pixels.shape[:2], 255, np.uint8)
    mask[:, :20], mask[:, 20:30] = 0, 102
    return mask


def with_alpha(pixels: Pixels) -> Pixels:
    return np.dstack([pixels, alpha(pixels)])


def on_white(pixels: Pixels) -> NDArray[Any]:
    share = alpha(pixels)[..., None] / 255
    return np.asarray(pixels * share + 255 * (1 - share))


def sixteen(pixels: Pixels) -> NDArray[Any]:
    """16 bits that scale down to these 8, whatever the rest."""
    rest = np.random.default_rng(5).integers(0, 257, pixels.shape)
    return np.asarray(np.minimum(pixels.astype(np.int64) * 257 + rest, 65535))


def four_in_a_row(pixels: Pixels, left_out: int) -> Pixels:
    """32 bits a pixel as BMP has them: blue, green, red, and what is to be ignored."""
    return np.dstack([pixels[..., ::-1], np.full(pixels.shape[:2], left_out, np.uint8)])


def cmyk(pixels: Pixels) -> Image.Image:
    black = np.zeros((*pixels.shape[:2], 1), np.uint8)
    return Image.fromarray(np.dstack([255 - pixels, black]), "CMYK")


# Pieces -------------------------------------------------------------------------------------------


def dng(data: bytes) -> bytes:
    """The height said after the pixels, not before them."""
    zero = with_frame(data, 5, b"\0\0")
    return zero[:-2] + segment(DNL, struct.pack(">H", HEIGHT)) + zero[-2:]


def display_p3() -> bytes:
    """A profile as cameras write it: no sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = profile.find(b"XYZ ", 128 + 4 + 12 * profile[131])
    profile[at + 8 : at + 12] = struct.pack(">i", int(0.51512 * 65536))  # its red, as P3's
    return bytes(profile)


def grey_profile() -> bytes:
    profile = bytearray(display_p3())
    profile[16:20] = b"GRAY"
    return bytes(profile)


def full() -> bytes:
    """A JPEG with every segment that is usual."""
    return saved(ANY, "JPEG", exif=turned(1), icc_profile=display_p3(), quality=90)


def scan_begin(data: bytes) -> int:
    return place(data, SOS)[1]


def full_png() -> bytes:
    """A PNG with a palette, its transparency, and a word beside it."""
    clear, text = chunk(b"tRNS", b"\0\x80"), chunk(b"tEXt", b"Title\0a face")
    return png(index(ANY, 4), 4, PALETTE, palette(4) + clear + text)


def profile_chunk(squeezed: bytes) -> bytes:
    return chunk(b"iCCP", b"made up\0\0" + squeezed)


def animated(kind: str, pixels: Pixels) -> bytes:
    rest = [Image.fromarray(OTHER), Image.fromarray(ANY)]
    return saved(pixels, kind, save_all=True, append_images=rest, duration=40, lossless=True)


def text_chunks(pixels: Pixels) -> bytes:
    text = PngImagePlugin.PngInfo()
    for number in range(500):
        text.add_itxt(f"word {number}", "\u202e" * 50, zip=True)
    return saved(pixels, "PNG", pnginfo=text)


def rgb_565(pixels: Pixels) -> NDArray[Any]:
    r, g, b = (pixels[..., i].astype("<u2") for i in range(3))
    return np.asarray((r >> 3) << 10 | (g >> 3) << 5 | b >> 3, "<u2")


def zipped(data: bytes) -> bytes:
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("page.html", "<script>alert(1)</script>")
    return file.getvalue()


def picture_at(path: Path) -> None:
    path.write_bytes(png(texture(path.name)))


def folder_with(path: Path, name: str) -> None:
    path.mkdir()
    picture_at(path / name)


def link_to_a_folder_above(path: Path) -> None:
    path.symlink_to("..", target_is_directory=True)


def link_out(path: Path) -> None:
    outside = path.parents[2] / "outside.png"
    picture_at(outside)
    path.symlink_to(outside)


def sparse(path: Path) -> None:
    path.write_bytes(jpeg(ANY))
    os.truncate(path, 4 << 30)


def unreadable(path: Path) -> None:
    picture_at(path)
    path.chmod(0)


def locked(path: Path) -> None:
    folder_with(path, "a.png")
    path.chmod(0)


TEXT = b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
LOOP = (EXIF_POINTER, 4, 1, struct.pack("<I", 8))
NO_PICTURE, BROKEN = "not_an_image", "undecodable"
HUGE, SMALL, PLAIN = "too_many_pixels", "too_small", "blank"

# {file name: what it is and what is expected}. Every name begins with what it is of.
KINDS: dict[str, Good | Bad | Odd] = {
    # JPEG, cut off ------------------------------------------------------------------------------
    "jpeg-cut-after-one-byte.jpg": Bad(lambda: full()[:1], NO_PICTURE),
    "jpeg-cut-after-soi.jpg": Bad(lambda: full()[:2], NO_PICTURE),
    "jpeg-cut-in-app0.jpg": Bad(lambda: cut_in(full(), APP0), BROKEN),
    "jpeg-cut-in-exif.jpg": Bad(lambda: cut_in(full(), APP1), BROKEN),
    "jpeg-cut-in-profile.jpg": Bad(lambda: cut_in(full(), APP2), BROKEN),
    "jpeg-cut-in-dqt.jpg": Bad(lambda: cut_in(full(), DQT), BROKEN),
    "jpeg-cut-in-sof.jpg": Bad(lambda: cut_in(full(), SOF0), BROKEN),
    "jpeg-cut-in-dht.jpg": Bad(lambda: cut_in(full(), DHT), BROKEN),
    "jpeg-cut-in-sos.jpg": Bad(lambda: cut_in(full(), SOS), BROKEN),
    "jpeg-cut-before-its-pixels.jpg": Bad(lambda: full()[: scan_begin(full())], BROKEN),
    "jpeg-cut-in-mid-scan.jpg": Bad(
        lambda: full()[: (scan_begin(full()) + len(full())) // 2], BROKEN
    ),
    "jpeg-cut-in-a-later-scan.jpg": Bad(lambda: jpeg(ANY, progressive=True)[:-300], BROKEN),
    "jpeg-cut-before-eoi.jpg": Bad(lambda: full()[:-2], BROKEN),
    # JPEG, pieces that lack or lie --------------------------------------------------------------
    "jpeg-without-dqt.jpg": Bad(lambda: without(full(), DQT), BROKEN),
    "jpeg-without-sof.jpg": Bad(lambda: without(full(), SOF0), BROKEN),
    "jpeg-without-its-usual-tables.jpg": Good(lambda p: without(jpeg(p), DHT), off=LOSSY),
    "jpeg-without-app0.jpg": Good(lambda p: without(jpeg(p), APP0), off=LOSSY),
    "jpeg-two-frames.jpg": Bad(
        lambda: with_after_soi(full(), full()[slice(*place(full(), SOF0))]), BROKEN
    ),
    "jpeg-precision-12.jpg": Bad(lambda: with_frame(jpeg(ANY), 4, b"\x0c"), BROKEN),
    "jpeg-lossless-mark.jpg": Bad(lambda: with_frame(jpeg(ANY), 1, bytes([SOF3])), BROKEN),
    "jpeg-extended-mark.jpg": Good(lambda p: with_frame(jpeg(p), 1, bytes([SOF1])), off=LOSSY),
    "jpeg-height-0.jpg": Bad(lambda: with_frame(jpeg(ANY), 5, b"\0\0"), BROKEN),
    "jpeg-height-said-at-the-end.jpg": Bad(lambda: dng(jpeg(ANY)), BROKEN),
    "jpeg-width-0.jpg": Bad(lambda: with_frame(jpeg(ANY), 7, b"\0\0"), BROKEN),
    "jpeg-no-components.jpg": Bad(lambda: with_frame(jpeg(ANY), 9, b"\0"), BROKEN),
    "jpeg-two-components.jpg": Bad(lambda: with_frame(jpeg(ANY), 9, b"\2"), BROKEN),
    "jpeg-sampling-0.jpg": Bad(lambda: with_frame(jpeg(ANY), 11, b"\0"), BROKEN),
    "jpeg-says-65500x65500.jpg": Bad(lambda: with_frame(jpeg(ANY), 5, b"\xff\xdc" * 2), HUGE),
    "jpeg-says-8000x8000.jpg": Bad(lambda: with_frame(jpeg(ANY), 5, b"\x1f\x40" * 2), PLAIN),
    "jpeg-segment-of-length-0.jpg": Good(
        lambda p: with_after_soi(jpeg(p), b"\xff\xe5\0\0"), off=LOSSY
    ),
    "jpeg-a-thousand-scans.jpg": Bad(lambda: scans(4000, 4000, 1000), "too_many_scans"),
    "jpeg-a-hundred-thousand-scans.jpg": Bad(lambda: scans(8000, 8000, 100_000), "too_many_scans"),
    # JPEG, rare and right -----------------------------------------------------------------------
    "jpeg-progressive.jpg": Good(lambda p: jpeg(p, progressive=True), off=LOSSY),
    "jpeg-grey.jpg": Good(lambda p: jpeg(grey(p)), in_grey, LOSSY),
    "jpeg-restarts.jpg": Good(lambda p: jpeg(p, restart_marker_blocks=1), off=LOSSY),
    "jpeg-cmyk.jpg": Good(lambda p: saved(cmyk(p), "JPEG", quality=95), off=LOSSY),
    "jpeg-ycck.jpg": Good(ycck, off=LOSSY),
    "jpeg-rgb-components.jpg": Good(lambda p: jpeg(p, keep_rgb=True), off=LOSSY),
    "jpeg-filled-between-segments.jpg": Good(
        lambda p: with_after_soi(jpeg(p), b"\xff" * 200), off=LOSSY
    ),
    "jpeg-bytes-after-eoi.jpg": Good(lambda p: jpeg(p) + bytes(range(256)) * 40, off=LOSSY),
    "jpeg-second-jpeg-behind-it.jpg": Good(lambda p: jpeg(p) + jpeg(OTHER), off=LOSSY),
    "jpeg-and-zip.jpg": Good(lambda p: zipped(jpeg(p)), off=LOSSY),
    "jpeg-mpo.jpg": Good(lambda p: animated("MPO", p), off=LOSSY),
    "jpeg-mpo-without-its-second.jpg": Good(
        lambda p: animated("MPO", p)[: animated("MPO", p).find(b"\xff\xd9\xff\xd8") + 2], off=LOSSY
    ),
    "jpeg-adobe-too-short.jpg": Bad(
        lambda: with_after_soi(jpeg(ANY), segment(ADOBE, b"Adobe")), BROKEN
    ),
    "jpeg-restart-interval-without-restarts.jpg": Good(
        lambda p: with_after_soi(jpeg(p), segment(DRI, b"\0\0")), off=LOSSY
    ),
    # JPEG, EXIF and profiles --------------------------------------------------------------------
    "jpeg-turned-0.jpg": Good(lambda p: jpeg(p, exif=turned(0)), off=LOSSY),
    "jpeg-turned-1.jpg": Good(lambda p: jpeg(p, exif=turned(1)), off=LOSSY),
    "jpeg-turned-2.jpg": Good(lambda p: jpeg(stored(p, 2), exif=turned(2)), off=LOSSY),
    "jpeg-turned-3.jpg": Good(lambda p: jpeg(stored(p, 3), exif=turned(3)), off=LOSSY),
    "jpeg-turned-4.jpg": Good(lambda p: jpeg(stored(p, 4), exif=turned(4)), off=LOSSY),
    "jpeg-turned-5.jpg": Good(lambda p: jpeg(stored(p, 5), exif=turned(5)), off=LOSSY),
    "jpeg-turned-6.jpg": Good(lambda p: jpeg(stored(p, 6), exif=turned(6)), off=LOSSY),
    "jpeg-turned-7.jpg": Good(lambda p: jpeg(stored(p, 7), exif=turned(7)), off=LOSSY),
    "jpeg-turned-8.jpg": Good(lambda p: jpeg(stored(p, 8), exif=turned(8)), off=LOSSY),
    "jpeg-turned-9.jpg": Good(lambda p: jpeg(p, exif=turned(9)), off=LOSSY),
    "jpeg-turned-by-a-word.jpg": Good(
        lambda p: jpeg(p, exif=exif((ORIENTATION, 2, 2, b"6\0\0\0"))), off=LOSSY
    ),
    "jpeg-turned-by-two-numbers.jpg": Good(
        lambda p: jpeg(p, exif=exif((ORIENTATION, 3, 2, struct.pack("<HH", 1, 1)))), off=LOSSY
    ),
    "jpeg-turned-by-a-number-elsewhere.jpg": Good(
        lambda p: jpeg(p, exif=exif((ORIENTATION, 3, 9, b"\xff\xff\xff\x7f"))), off=LOSSY
    ),
    "jpeg-exif-that-follows-itself.jpg": Good(
        lambda p: jpeg(stored(p, 6), exif=turned(6, following=8)), off=LOSSY
    ),
    "jpeg-exif-within-itself.jpg": Good(
        lambda p: jpeg(stored(p, 6), exif=exif((ORIENTATION, 3, 1, b"\6\0\0\0"), LOOP)), off=LOSSY
    ),
    "jpeg-exif-that-says-65535-entries.jpg": Good(
        lambda p: jpeg(p, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff"), off=LOSSY
    ),
    "jpeg-exif-of-noise.jpg": Good(lambda p: jpeg(p, exif=b"Exif\0\0" + b"\xa5\5" * 99), off=LOSSY),
    "jpeg-exif-empty.jpg": Good(
        lambda p: with_after_soi(jpeg(p), segment(APP1, b"Exif\0\0")), off=LOSSY
    ),
    "jpeg-exif-thumbnail.jpg": Good(
        lambda p: jpeg(p, exif=turned(1, thumbnail=jpeg(OTHER[:32, :32]))), off=LOSSY
    ),
    "jpeg-profile-p3.jpg": Good(lambda p: jpeg(p, icc_profile=display_p3()), off=LOSSY),
    "jpeg-profile-grey.jpg": Good(lambda p: jpeg(p, icc_profile=grey_profile()), off=LOSSY),
    "jpeg-profile-noise.jpg": Good(lambda p: jpeg(p, icc_profile=b"\xa5\5\0" * 999), off=LOSSY),
    "jpeg-profile-of-10-mb.jpg": Good(
        lambda p: with_profile(jpeg(p), display_p3() + bytes(10_000_000)), off=LOSSY
    ),
    "jpeg-profile-without-its-second-half.jpg": Good(
        lambda p: with_after_soi(jpeg(p), segment(APP2, b"ICC_PROFILE\0\1\2" + bytes(900))),
        off=LOSSY,
    ),
    # PNG, cut off, damaged, out of order --------------------------------------------------------
    "png-cut-in-signature.png": Bad(lambda: full_png()[:6], NO_PICTURE),
    "png-cut-in-ihdr.png": Bad(lambda: cut_in_chunk(full_png(), b"IHDR"), BROKEN),
    "png-cut-in-plte.png": Bad(lambda: cut_in_chunk(full_png(), b"PLTE"), BROKEN),
    "png-cut-in-trns.png": Bad(lambda: cut_in_chunk(full_png(), b"tRNS"), BROKEN),
    "png-cut-in-text.png": Bad(lambda: cut_in_chunk(full_png(), b"tEXt"), BROKEN),
    "png-cut-in-idat.png": Bad(lambda: cut_in_chunk(full_png(), b"IDAT"), BROKEN),
    "png-cut-before-iend.png": Bad(lambda: png(ANY)[:-12], BROKEN),
    "png-cut-in-iend.png": Bad(lambda: png(ANY)[:-6], BROKEN),
    "png-bad-crc-of-ihdr.png": Bad(lambda: with_bad_crc(full_png(), b"IHDR"), BROKEN),
    "png-bad-crc-of-plte.png": Bad(lambda: with_bad_crc(full_png(), b"PLTE"), BROKEN),
    "png-bad-crc-of-text.png": Bad(lambda: with_bad_crc(full_png(), b"tEXt"), BROKEN),
    "png-bad-crc-of-iend.png": Good(lambda p: with_bad_crc(png(p), b"IEND")),
    "png-bad-pixels.png": Bad(lambda: patched(png(ANY, level=0), 900, b"bad"), BROKEN),
    "png-bad-pixels-with-their-sum-apart.png": Bad(
        lambda: patched(split_idat(png(ANY, level=0), -4), 900, b"bad"), BROKEN
    ),
    "png-palette-behind-its-pixels.png": Bad(
        lambda: reordered(full_png(), b"IHDR", b"IDAT", b"PLTE", b"IEND"), BROKEN
    ),
    "png-without-ihdr.png": Bad(lambda: reordered(full_png(), b"PLTE", b"IDAT", b"IEND"), BROKEN),
    "png-without-idat.png": Bad(lambda: reordered(full_png(), b"IHDR", b"PLTE", b"IEND"), BROKEN),
    "png-without-plte.png": Bad(lambda: reordered(full_png(), b"IHDR", b"IDAT", b"IEND"), BROKEN),
    "png-many-idats.png": Good(lambda p: split_idat(png(p), *range(1, 60))),
    "png-text-between-idats.png": Bad(
        lambda: split_idat(png(ANY), 50, between=chunk(b"tEXt", b"a\0b")), BROKEN
    ),
    "png-two-ihdrs.png": Bad(lambda: png(ANY, before=ihdr(WIDTH // 2, HEIGHT // 2)), BROKEN),
    "png-depth-3.png": Bad(lambda: PNG + ihdr(40, 40, 3) + png(ANY)[33:], BROKEN),
    "png-colour-5.png": Bad(lambda: PNG + ihdr(40, 40, 8, 5) + png(ANY)[33:], BROKEN),
    "png-filter-9.png": Bad(
        lambda: (
            PNG
            + ihdr(40, 40)
            + chunk(b"IDAT", zlib.compress((b"\x09" + bytes(range(120))) * 40))
            + chunk(b"IEND", b"")
        ),
        BROKEN,
    ),
    "png-too-few-rows.png": Bad(lambda: PNG + ihdr(WIDTH, 2 * HEIGHT) + png(ANY)[33:], BROKEN),
    "png-too-many-rows.png": Good(
        lambda p: PNG + ihdr(WIDTH, HEIGHT) + png(np.vstack([p, p]))[33:]
    ),
    "png-chunk-of-2-gb.png": Bad(
        lambda: png(ANY)[:33] + struct.pack(">I", 2**31 - 1) + b"tEXtrest", BROKEN
    ),
    "png-chunk-of-4-gb.png": Bad(
        lambda: png(ANY)[:33] + struct.pack(">I", 2**32 - 1) + b"tEXtrest", BROKEN
    ),
    "png-width-0.png": Bad(lambda: PNG + ihdr(0, 40) + png(ANY)[33:], BROKEN),
    # PNG, bombs ---------------------------------------------------------------------------------
    "png-says-2147483647x2147483647.png": Bad(
        lambda: PNG + ihdr(2**31 - 1, 2**31 - 1) + png(ANY)[33:], HUGE
    ),
    "png-says-20000x20000.png": Bad(lambda: PNG + ihdr(20000, 20000) + png(ANY)[33:], HUGE),
    "png-zeros-of-8000x8000.png": Bad(
        lambda: PNG + ihdr(8000, 8000) + chunk(b"IDAT", zeros(184)) + chunk(b"IEND", b""), PLAIN
    ),
    "png-zeros-of-8000x8000-in-16-bits.png": Bad(
        lambda: PNG + ihdr(8000, 8000, 16, GREY) + chunk(b"IDAT", zeros(123)) + chunk(b"IEND", b""),
        PLAIN,
    ),
    "png-zeros-of-8000x8000-with-alpha.png": Bad(
        lambda: PNG + ihdr(8000, 8000, 8, RGBA) + chunk(b"IDAT", zeros(245)) + chunk(b"IEND", b""),
        PLAIN,
    ),
    "png-bomb-behind-its-pixels.png": Good(
        lambda p: png(p)[:-12] + chunk(b"IDAT", zeros(200)) + chunk(b"IEND", b"")
    ),
    "png-bomb-in-text.png": Bad(
        lambda: png(ANY, before=chunk(b"zTXt", b"a\0\0" + zeros(200))), BROKEN
    ),
    "png-bomb-in-profile.png": Bad(lambda: png(ANY, before=profile_chunk(zeros(200))), BROKEN),
    # PNG, rare and right ------------------------------------------------------------------------
    "png-interlaced.png": Good(
        lambda p: PNG + ihdr(WIDTH, HEIGHT, lace=1) + chunk(b"IDAT", adam7(p)) + png(p)[-12:]
    ),
    "png-animated.png": Good(lambda p: animated("PNG", p)),
    "png-1-bit.png": Good(lambda p: png(index(p, 1), 1, GREY), in_levels(1)),
    "png-2-bits.png": Good(lambda p: png(index(p, 2), 2, GREY), in_levels(2)),
    "png-4-bits.png": Good(lambda p: png(index(p, 4), 4, GREY), in_levels(4)),
    "png-1-bit-with-clear-white.png": Good(
        lambda p: png(index(p, 1), 1, GREY, chunk(b"tRNS", b"\0\1")), in_levels(1)
    ),
    "png-2-bits-with-a-clear-level.png": Good(
        lambda p: png(index(p, 2), 2, GREY, chunk(b"tRNS", b"\0\1")), in_levels(2, 1)
    ),
    "png-4-bits-with-a-clear-level.png": Good(
        lambda p: png(index(p, 4), 4, GREY, chunk(b"tRNS", b"\0\7")), in_levels(4, 7)
    ),
    "png-8-bits-with-a-clear-level.png": Good(
        lambda p: png(index(p, 8), 8, GREY, chunk(b"tRNS", b"\0\x64")), in_levels(8, 100)
    ),
    "png-palette-of-1-bit.png": Good(
        lambda p: png(index(p, 1), 1, PALETTE, palette(1)), in_colours(1)
    ),
    "png-palette-of-2-bits.png": Good(
        lambda p: png(index(p, 2), 2, PALETTE, palette(2)), in_colours(2)
    ),
    "png-palette-of-4-bits.png": Good(
        lambda p: png(index(p, 4), 4, PALETTE, palette(4)), in_colours(4)
    ),
    "png-palette-of-8-bits.png": Good(
        lambda p: png(index(p, 8), 8, PALETTE, palette(8)), in_colours(8)
    ),
    "png-palette-half-clear.png": Good(
        lambda p: png(index(p, 4), 4, PALETTE, palette(4) + chunk(b"tRNS", b"\0\x80\xc0")),
        in_colours(4, b"\0\x80\xc0"),
        off=1.0,
    ),
    "png-transparency-longer-than-the-palette.png": Good(
        lambda p: png(index(p, 2), 2, PALETTE, palette(2) + chunk(b"tRNS", b"\0" + b"\xff" * 255)),
        in_colours(2, b"\0"),
    ),
    "png-grey-with-alpha.png": Good(
        lambda p: png(np.dstack([grey(p), alpha(p)]), 8, GREY_ALPHA),
        lambda p: on_white(in_grey(p)),
        off=1.0,
    ),
    "png-rgb-with-alpha.png": Good(lambda p: png(with_alpha(p), 8, RGBA), on_white, off=1.0),
    "png-rgb-with-a-clear-colour.png": Good(
        lambda p: png(p, before=chunk(b"tRNS", b"".join(struct.pack(">H", v) for v in p[0, 0]))),
        lambda p: np.where((p == p[0, 0]).all(axis=2, keepdims=True), 255, p),
    ),
    "png-16-bit-grey.png": Good(lambda p: png(sixteen(grey(p)), 16, GREY), in_grey, off=0.0),
    "png-16-bit-grey-with-a-clear-level.png": Good(
        lambda p: png(grey(p).astype(int) * 257, 16, GREY, chunk(b"tRNS", b"\x64\x64")),
        in_levels(8, 100),
    ),
    "png-16-bit-grey-with-alpha.png": Good(
        lambda p: png(np.dstack([grey(p), alpha(p)]).astype(int) * 257, 16, GREY_ALPHA),
        lambda p: on_white(in_grey(p)),
        off=1.0,
    ),
    "png-16-bit-rgb.png": Good(lambda p: png(sixteen(p), 16, RGB), off=1.0),
    "png-16-bit-rgb-with-a-clear-colour.png": Good(
        lambda p: png(
            p.astype(int) * 256 + 51,
            16,
            RGB,
            chunk(b"tRNS", b"".join(struct.pack(">H", int(v) * 256 + 51) for v in p[0, 0])),
        ),
        lambda p: np.where((p == p[0, 0]).all(axis=2, keepdims=True), 255, p),
    ),
    "png-16-bit-rgb-with-alpha.png": Good(
        lambda p: png(with_alpha(p).astype(int) * 257, 16, RGBA), on_white, off=1.0
    ),
    "png-turned-6.png": Good(lambda p: png(stored(p, 6), before=chunk(b"eXIf", turned(6)[6:]))),
    "png-turned-6-behind-its-pixels.png": Good(
        lambda p: png(stored(p, 6), after=chunk(b"eXIf", turned(6)[6:]))
    ),
    "png-profile-p3.png": Good(lambda p: png(p, before=profile_chunk(zlib.compress(display_p3())))),
    "png-profile-noise.png": Good(lambda p: png(p, before=profile_chunk(b"no zlib"))),
    "png-five-hundred-words.png": Good(text_chunks),
    "png-bytes-after-iend.png": Good(lambda p: png(p) + TEXT * 9),
    # Sizes --------------------------------------------------------------------------------------
    "size-1x1.png": Bad(lambda: png(ANY[:1, :1]), SMALL),
    "size-1x1.jpg": Bad(lambda: jpeg(ANY[:1, :1]), SMALL),
    "size-1x500.png": Bad(lambda: png(texture("thin", 1, 500)), SMALL),
    "size-65500x1.png": Bad(lambda: png(texture("line", 65500, 1)), SMALL),
    "size-65500x16.jpg": Good(jpeg, off=LOSSY, width=65500, height=16),
    "size-16x65500.jpg": Good(jpeg, off=LOSSY, width=16, height=65500),
    "size-65500x16.png": Good(png, width=65500, height=16),
    "size-20000x20.png": Good(png, width=20000, height=20),
    "size-16x16.png": Good(png, width=16, height=16),
    # BMP ----------------------------------------------------------------------------------------
    "bmp-from-the-top.bmp": Good(
        lambda p: bmp(WIDTH, -HEIGHT, bmp_rows(np.ascontiguousarray(p[::-1, :, ::-1])))
    ),
    "bmp-from-the-bottom.bmp": Good(
        lambda p: bmp(WIDTH, HEIGHT, bmp_rows(np.ascontiguousarray(p[:, :, ::-1])))
    ),
    "bmp-8-bits.bmp": Good(
        lambda p: bmp(WIDTH, HEIGHT, bmp_rows(grey(p).copy()), 8, palette=greys()), in_grey
    ),
    "bmp-rle.bmp": Good(lambda p: bmp(WIDTH, HEIGHT, rle8(grey(p)), 8, 1, greys()), in_grey),
    "bmp-15-bits.bmp": Good(
        lambda p: bmp(WIDTH, HEIGHT, bmp_rows(rgb_565(p)), 16),
        lambda p: (p >> 3).astype(int) * 255 // 31,
        off=1.0,
    ),
    "bmp-32-bits.bmp": Good(lambda p: bmp(WIDTH, HEIGHT, bmp_rows(four_in_a_row(p, 7)), 32)),
    "bmp-cut.bmp": Bad(lambda: bmp(WIDTH, HEIGHT, bmp_rows(ANY))[:-999], BROKEN),
    "bmp-cut-in-its-head.bmp": Bad(lambda: bmp(WIDTH, HEIGHT, b"")[:30], BROKEN),
    "bmp-pixels-at-4-gb.bmp": Bad(
        lambda: bmp(WIDTH, HEIGHT, bmp_rows(ANY), offset=2**32 - 1), BROKEN
    ),
    "bmp-says-30000x30000.bmp": Bad(lambda: bmp(30000, 30000, b""), HUGE),
    "bmp-rle-bomb.bmp": Bad(
        lambda: bmp(8000, 8000, (b"\1\7\0\0" + b"\0\2\0\xff") * 40, 8, 1, greys()), HUGE
    ),
    "bmp-rle-bomb-of-line-ends.bmp": Bad(
        lambda: bmp(4_000_000, 16, b"\1\7\0\0" * 16, 8, 1, greys()), HUGE
    ),
    "bmp-rle-cut.bmp": Bad(lambda: bmp(WIDTH, HEIGHT, rle8(grey(ANY))[:99], 8, 1, greys()), BROKEN),
    "bmp-of-jpeg.bmp": Bad(lambda: bmp(WIDTH, HEIGHT, jpeg(ANY), 0, 4), BROKEN),
    "bmp-7-bits.bmp": Bad(lambda: bmp(WIDTH, HEIGHT, bmp_rows(ANY), 7), BROKEN),
    "bmp-4-billion-colours.bmp": Bad(
        lambda: bmp(WIDTH, HEIGHT, bmp_rows(ANY), 8, colours=2**32 - 1), BROKEN
    ),
    "bmp-width-below-0.bmp": Bad(lambda: bmp(-WIDTH, HEIGHT, bmp_rows(ANY)), HUGE),
    # WebP ---------------------------------------------------------------------------------------
    "webp-lossless.webp": Good(lambda p: saved(p, "WEBP", lossless=True)),
    "webp-lossy.webp": Good(lambda p: saved(p, "WEBP", quality=95), off=LOSSY + 4),
    "webp-alpha.webp": Good(
        lambda p: saved(with_alpha(p), "WEBP", lossless=True, exact=True), on_white, off=1.0
    ),
    "webp-animated.webp": Good(lambda p: animated("WEBP", p)),
    "webp-turned-6.webp": Good(
        lambda p: saved(stored(p, 6), "WEBP", lossless=True, exif=turned(6))
    ),
    "webp-bytes-behind-its-end.webp": Good(lambda p: saved(p, "WEBP", lossless=True) + TEXT * 9),
    "webp-cut.webp": Bad(lambda: saved(ANY, "WEBP", lossless=True)[:-400], BROKEN),
    "webp-cut-in-its-head.webp": Bad(lambda: saved(ANY, "WEBP")[:22], BROKEN),
    "webp-of-nothing.webp": Bad(webp, NO_PICTURE),
    "webp-says-16384x16384.webp": Bad(
        lambda: webp(canvas(16384, 16384, 2), riff(b"ANIM", bytes(6))), HUGE
    ),
    "webp-animated-of-16383x16383.webp": Bad(
        lambda: patched(animated("WEBP", ANY), 24, (16382).to_bytes(3, "little") * 2), HUGE
    ),
    "webp-profile-of-4-gb.webp": Bad(
        lambda: webp(canvas(WIDTH, HEIGHT, 32), b"ICCP\xff\xff\xff\xffrest"), BROKEN
    ),
    # What is called otherwise than it is --------------------------------------------------------
    "called-jpg-is-png.jpg": Good(png),
    "called-png-is-jpeg.png": Good(jpeg, off=LOSSY),
    "called-webp-is-bmp.webp": Good(lambda p: saved(p, "BMP")),
    "called-txt-is-png.txt": Good(png),
    "called-nothing-is-png": Good(png),
    "called-jpg-is-html.jpg": Bad(lambda: TEXT, NO_PICTURE),
    "called-png-is-svg.png": Bad(lambda: SVG, NO_PICTURE),
    "called-jpg-is-empty.jpg": Bad(lambda: b"", "empty_file"),
    "called-jpg-is-zeros.jpg": Bad(lambda: bytes(100_000), NO_PICTURE),
    "called-jpg-is-spaces.jpg": Bad(lambda: b" \n" * 500, NO_PICTURE),
    "called-jpg-is-zip.jpg": Bad(lambda: zipped(b""), NO_PICTURE),
    "called-jpg-is-gif.jpg": Bad(lambda: saved(ANY, "GIF"), NO_PICTURE),
    # Formats that are none of ours --------------------------------------------------------------
    "other-animated.gif": Bad(lambda: animated("GIF", ANY), NO_PICTURE),
    "other-lab.tif": Bad(
        lambda: saved(Image.merge("LAB", Image.fromarray(ANY).split()), "TIFF"), NO_PICTURE
    ),
    "other-float.tif": Bad(
        lambda: saved(Image.fromarray(ANY[..., 0].astype(np.float32)), "TIFF"), NO_PICTURE
    ),
    "other-cmyk.tif": Bad(lambda: saved(cmyk(ANY), "TIFF"), NO_PICTURE),
    "other-icon.ico": Bad(lambda: saved(ANY, "ICO"), NO_PICTURE),
    "other-page.pdf": Bad(lambda: saved(ANY, "PDF"), NO_PICTURE),
    "other-script.eps": Bad(
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NO_PICTURE
    ),
    "other-Thumbs.db": Bad(lambda: b"\xd0\xcf\x11\xe0" * 90, NO_PICTURE),
    # Names --------------------------------------------------------------------------------------
    "name\nof two lines.png": Good(png),
    "name\r\nas in DOS.png": Good(png),
    "name\tparted.png": Good(png),
    "name \"quoted\" 'twice'.png": Good(png),
    "name,with,commas;too.png": Good(png),
    "name <script>alert(1)<script>.png": Good(png),
    "name \u202egnp.exe.png": Good(png),
    "name \x1b[31mred\x07.png": Good(png),
    "name %s %(x)d {0}.png": Good(png),
    "name\\x41 back\\slashed\\.png": Good(png),
    "name " + "o" * 245 + ".png": Good(png),
    "name " + "é" * 124 + ".p": Good(png),
    "name e\u0301 decomposed.png": Good(png),
    "name é composed.png": Good(png),
    "name \U0001f600.png": Good(png),
    "name of dots...": Good(png),
    "name in the end.png ": Good(png),
    " name in the beginning.png": Good(png),
    "-rf name.png": Good(png),
    "--help": Good(png),
    "=1+1 name.png": Good(png),
    "#name.png": Good(png),
    ".name.png": Good(png),
    os.fsdecode(b"name of no \xff\xfe UTF-8.png"): Good(png),
    os.fsdecode(b"name of half \xc3"): Good(png),
    # What is no plain file ----------------------------------------------------------------------
    "odd-loop.jpg": Odd(lambda path: path.symlink_to(path.name), "unreadable"),
    "odd-link-to-nothing.jpg": Odd(lambda path: path.symlink_to("gone.jpg"), "unreadable"),
    "odd-link-out.png": Odd(link_out, "outside_source"),
    "odd-link-to-a-device.jpg": Odd(lambda path: path.symlink_to("/dev/zero"), "outside_source"),
    "odd-link-upwards": Odd(link_to_a_folder_above, "not_a_file"),
    "odd-pipe.jpg": Odd(os.mkfifo, "not_a_file"),
    "odd-socket.jpg": Odd(lambda path: os.mknod(path, stat.S_IFSOCK | 0o600), "not_a_file"),
    "odd-folder.jpg": Odd(Path.mkdir, None),
    "odd-sparse-of-4-gb.jpg": Odd(sparse, "too_many_bytes"),
}
# Root may read everything.
if os.geteuid() != 0:
    KINDS |= {
        "odd-without-rights.png": Odd(unreadable, "unreadable"),
        "odd-folder-without-rights": Odd(locked, "unreadable"),
    }


def place_of(name: str) -> str:
    """Where a kind lies in the folder: its class has nothing to do with what it is."""
    number = zlib.crc32(name.encode("utf-8", "surrogateescape"))
    return f"{CLASSES[number % len(CLASSES)]}/{name}"


def write(folder: Path, kinds: Mapping[str, Good | Bad | Odd] = KINDS) -> None:
    """Write the files; `folder` is made, and must hold none of them."""
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
    for name, kind in kinds.items():
        path = folder / place_of(name)
        if isinstance(kind, Good):
            path.write_bytes(kind.write(texture(name, kind.width, kind.height)))
        elif isinstance(kind, Bad):
            path.write_bytes(kind.write())
        else:
            kind.write(path)


def adam7(pixels: Pixels) -> bytes:
    """PNG's interlaced rows: seven pictures, one within the other."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    thin = [pixels[y::dy, x::dx] for y, x, dy, dx in (*passes, (1, 0, 2, 1))]
    return zlib.compress(b"".join(rows(part) for part in thin))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
