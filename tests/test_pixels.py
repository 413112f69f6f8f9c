"""Bytes become upright RGB pixels, or one clear reason why they do not."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.pixels import (
    MAX_PIXELS,
    MIN_SIDE_PX,
    BadImageError,
    decode_rgb,
    encode_png,
    spread,
)

Pixels = NDArray[np.uint8]
RED, WHITE = (255, 0, 0), (255, 255, 255)


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def reason(data: bytes) -> str:
    with pytest.raises(BadImageError) as caught:
        decode_rgb(data)
    assert caught.value.reject.detail
    assert "\n" not in str(caught.value)
    return str(caught.value.reject.reason)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_formats_come_back_bit_for_bit(
    kind: str, textured: Callable[..., Pixels], encoded: Callable[..., bytes]
) -> None:
    pixels = textured(1, 40, 56)
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(decode_rgb(encoded(pixels, kind, **options)), pixels)


def test_jpeg_comes_back_nearly(
    textured: Callable[..., Pixels], encoded: Callable[..., bytes]
) -> None:
    pixels = textured(2, 64, 64)
    decoded = decode_rgb(encoded(pixels, "JPEG", quality=95, subsampling=0))
    assert np.abs(decoded.astype(int) - pixels).mean() < 4


def test_png_of_ours_rebuilds_bit_for_bit(textured: Callable[..., Pixels]) -> None:
    pixels = textured(3, 32, 48)
    assert np.array_equal(decode_rgb(encode_png(pixels)), pixels)


def grey() -> Image.Image:
    return Image.new("L", (20, 20), 77)


def palette_with_transparency() -> Image.Image:
    image = Image.new("P", (20, 20), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (0, 0, 20, 10))
    image.info["transparency"] = 1
    return image


def half_transparent() -> Image.Image:
    return Image.new("RGBA", (20, 20), (255, 0, 0, 51))


@pytest.mark.parametrize(
    ("data", "top", "bottom"),
    [
        (saved(grey()), (77, 77, 77), (77, 77, 77)),
        (saved(Image.new("1", (20, 20), 1)), WHITE, WHITE),
        (saved(palette_with_transparency()), WHITE, RED),
        (saved(half_transparent()), (255, 204, 204), (255, 204, 204)),
        (saved(half_transparent(), "WEBP", lossless=True), (255, 204, 204), (255, 204, 204)),
        (saved(Image.new("LA", (20, 20), (9, 0))), WHITE, WHITE),
        (saved(Image.new("I;16", (20, 20), 257 * 93)), (93, 93, 93), (93, 93, 93)),
        (saved(Image.new("I;16", (20, 20), 65535)), WHITE, WHITE),
        (
            saved(
                Image.new("RGB", (20, 20), RED),
                "WEBP",
                lossless=True,
                save_all=True,
                append_images=[Image.new("RGB", (20, 20), "blue")],
            ),
            RED,
            RED,
        ),
        (
            saved(
                Image.new("RGB", (20, 20), RED),
                save_all=True,
                append_images=[Image.new("RGB", (20, 20), "blue")],
            ),
            RED,
            RED,
        ),
    ],
    ids=[
        *("grey", "bilevel", "palette-transparent", "rgba", "webp-rgba", "transparent-grey"),
        *("grey16", "grey16-white", "animated-webp", "animated-png"),
    ],
)
def test_every_mode_becomes_rgb(data: bytes, top: tuple[int, ...], bottom: tuple[int, ...]) -> None:
    pixels = decode_rgb(data)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (20, 20, 3))
    assert tuple(pixels[0, 0]) == top
    assert tuple(pixels[-1, -1]) == bottom


def test_cmyk_becomes_rgb() -> None:
    image = Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    pixels = decode_rgb(saved(image, "JPEG", quality=100))
    assert np.abs(pixels.astype(int) - RED).max() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_by_its_exif(orientation: int) -> None:
    upright = np.arange(24 * 36 * 3, dtype=np.int64).reshape(24, 36, 3) * 7 % 251
    # What a camera stores for each value, from the Exif standard: where row 0, column 0 lie.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored).astype(np.uint8))
    assert np.array_equal(decode_rgb(saved(image, exif=exif)), upright)


def huge_png(width: int, height: int) -> bytes:
    """A PNG that only says that it is huge."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize(("width", "height"), [(8001, 8000), (20_000, 20_000), (100_000, 100_000)])
def test_too_many_pixels_are_refused_before_they_are_decoded(width: int, height: int) -> None:
    assert width * height > MAX_PIXELS
    assert reason(huge_png(width, height)) == "too_many_pixels"


@pytest.mark.parametrize("size", [(MIN_SIDE_PX - 1, 90), (90, MIN_SIDE_PX - 1), (1, 1)])
def test_too_small_pictures_are_refused(size: tuple[int, int]) -> None:
    assert reason(saved(Image.new("RGB", size))) == "too_small"


def test_the_smallest_allowed_picture_is_taken() -> None:
    assert decode_rgb(saved(Image.new("RGB", (MIN_SIDE_PX, MIN_SIDE_PX)))).shape == (16, 16, 3)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "empty_file"),
        (b"this is text\n" * 9, "not_an_image"),
        (saved(Image.new("RGB", (32, 32)), "GIF"), "not_an_image"),
        (saved(Image.new("RGB", (32, 32)), "TIFF"), "not_an_image"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "undecodable"),
    ],
    ids=["zero-bytes", "text", "gif", "tiff", "jpeg-marker-only"],
)
def test_what_is_no_picture_is_said_so(data: bytes, expected: str) -> None:
    assert reason(data) == expected


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_jpeg_is_undecodable(
    share: float, textured: Callable[..., Pixels], encoded: Callable[..., bytes]
) -> None:
    data = encoded(textured(4), "JPEG")
    assert reason(data[: int(len(data) * share)]) == "undecodable"


def outcome(data: bytes) -> Pixels | BadImageError:
    try:
        pixels: Pixels = decode_rgb(data)
        return pixels
    except BadImageError as error:
        return error


@given(st.binary(max_size=200))
def test_garbage_is_refused_with_a_reason(data: bytes) -> None:
    assert isinstance(outcome(data), BadImageError)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP", "BMP"]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=12),
    st.integers(0, 10**6),
)
def test_damaged_files_give_pixels_or_a_reason_and_nothing_else(
    textured: Callable[..., Pixels],
    encoded: Callable[..., bytes],
    kind: str,
    damage: list[tuple[int, int]],
    cut: int,
) -> None:
    data = bytearray(encoded(textured(5, 24, 24), kind))
    for place, value in damage:
        data[place % len(data)] = value
    found = outcome(bytes(data[: max(1, cut % (2 * len(data)))]))
    assert isinstance(found, BadImageError) or found.shape[2] == 3


@given(st.integers(0, 255), st.integers(0, 255))
def test_spread_is_half_the_distance_of_two_equal_halves(low: int, high: int) -> None:
    pixels = np.full((16, 16, 3), low, np.uint8)
    pixels[:8] = high
    assert spread(pixels) == pytest.approx(abs(high - low) / 2)
