"""What picture files say beside their pixels is not published."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from occlufer.builders.metadata import without_metadata
from occlufer.builders.pixels import decode_rgb

SECRET = "Jane Doe Photographer"


def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def exif(orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[0x013B] = SECRET
    tags[0x0112] = orientation
    tags.get_ifd(0x8825)[1] = "N"
    return tags.tobytes()


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_text() -> PngImagePlugin.PngInfo:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", SECRET)
    text.add_itxt("Title", SECRET)
    return text


def with_segment(kind: int, body: bytes) -> bytes:
    """A JPEG with one segment more, after the start mark."""
    data = saved(picture(), "JPEG")
    segment = bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body
    return data[:2] + segment + data[2:]


FILES = {
    "jpeg-second-picture": lambda: with_segment(0xE2, b"MPF\0" + SECRET.encode()),
    "jpeg-thumbnail": lambda: with_segment(0xE0, b"JFXX\0" + SECRET.encode()),
    "jpeg-maker-note": lambda: with_segment(0xE5, SECRET.encode()),
    "jpeg-after-its-end": lambda: saved(picture(), "JPEG") + SECRET.encode(),
    "jpeg-progressive-after-its-end": lambda: (
        saved(picture(), "JPEG", progressive=True) + SECRET.encode()
    ),
    "jpeg-exif": lambda: saved(picture(), "JPEG", exif=exif()),
    "jpeg-turned": lambda: saved(picture(), "JPEG", exif=exif(6)),
    "jpeg-comment": lambda: saved(picture(), "JPEG", comment=SECRET.encode()),
    "jpeg-xmp": lambda: saved(picture(), "JPEG", xmp=f"<x>{SECRET}</x>".encode()),
    "jpeg-progressive": lambda: saved(picture(), "JPEG", exif=exif(), progressive=True),
    "png-text": lambda: saved(picture(), "PNG", pnginfo=png_text()),
    "png-exif": lambda: saved(picture(), "PNG", exif=exif()),
    "png-after-its-end": lambda: saved(picture(), "PNG") + SECRET.encode(),
    "webp-exif": lambda: saved(picture(), "WEBP", exif=exif(), lossless=True),
}


@pytest.mark.parametrize("name", FILES)
def test_names_and_places_are_taken_out_and_the_pixels_stay(name: str) -> None:
    data = FILES[name]()
    assert SECRET.encode() in data
    clean = without_metadata(data)
    assert SECRET.encode() not in clean
    with Image.open(io.BytesIO(clean)) as image:
        assert dict(image.getexif()) == {}
        assert not {"comment", "xmp", "exif", "Author", "Title"} & set(image.info)
    assert np.array_equal(decode_rgb(clean), decode_rgb(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_a_file_that_says_nothing_keeps_its_very_bytes(kind: str) -> None:
    data = saved(picture(), kind)
    assert without_metadata(data) == data


@pytest.mark.parametrize("mode", ["P", "L", "RGBA", "1", "I;16"])
def test_what_a_picture_needs_to_show_is_kept(mode: str) -> None:
    image = picture().convert("L").convert(mode) if mode == "I;16" else picture().convert(mode)
    options = {"transparency": 3} if mode == "P" else {}
    data = saved(image, "PNG", pnginfo=png_text(), **options)
    clean = without_metadata(data)
    assert SECRET.encode() not in clean
    assert np.array_equal(decode_rgb(clean), decode_rgb(data))


def test_a_colour_profile_stays() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = saved(picture(), "JPEG", icc_profile=profile, exif=exif())
    with Image.open(io.BytesIO(without_metadata(data))) as image:
        assert image.info["icc_profile"] == profile
