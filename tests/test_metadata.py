"""What picture files say beside their pixels is not published."""

from __future__ import annotations

import io
import struct
from typing import Any
from zlib import crc32

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


def segment(kind: int, body: bytes) -> bytes:
    return bytes([0xFF, kind]) + struct.pack(">H", len(body) + 2) + body


def with_segment(kind: int, body: bytes, before: bytes = b"", data: bytes = b"") -> bytes:
    """A JPEG with one segment more, after the start mark."""
    data = data or saved(picture(), "JPEG")
    return data[:2] + before + segment(kind, body) + data[2:]


def mpo() -> bytes:
    return saved(picture(), "MPO", save_all=True, append_images=[picture().rotate(90)])


def jfif(rest: bytes) -> bytes:
    """A JPEG whose first segment goes on after its twelfth byte as `rest` says."""
    data = saved(picture(), "JPEG")
    return data[:2] + segment(0xE0, data[6:18] + rest) + data[20:]


def with_chunk(kind: bytes, body: bytes) -> bytes:
    """A PNG with one chunk more, before its pixels."""
    data = saved(picture(), "PNG")
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc32(kind + body))
    return data[:33] + chunk + data[33:]


def webp(chunk: bytes) -> bytes:
    """A WEBP with one chunk more, of which its head does not tell."""
    data = saved(picture(), "WEBP", lossless=True)
    size = (31).to_bytes(3, "little") + (23).to_bytes(3, "little")
    head = b"VP8X" + struct.pack("<I", 10) + bytes(4) + size
    body = SECRET.encode() + bytes(len(SECRET) % 2)
    inner = b"WEBP" + head + data[12:] + chunk + struct.pack("<I", len(SECRET)) + body
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def between_scans(piece: bytes) -> bytes:
    data = saved(picture(), "JPEG", progressive=True)
    at = data.rfind(b"\xff\xda")
    return data[:at] + piece + data[at:]


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
    "jpeg-between-scans": lambda: between_scans(segment(0xFE, SECRET.encode())),
    "jpeg-restarts": lambda: saved(
        picture(), "JPEG", restart_marker_blocks=1, comment=SECRET.encode()
    ),
    "jpeg-cmyk": lambda: saved(picture().convert("CMYK"), "JPEG", comment=SECRET.encode()),
    "jpeg-several-pictures": lambda: with_segment(0xFE, SECRET.encode(), data=mpo()),
    "jpeg-several-pictures-with-exif": lambda: saved(
        picture(), "MPO", save_all=True, append_images=[picture()], exif=exif()
    ),
    "jpeg-second-picture-with-a-comment": lambda: mpo()[:-2] + SECRET.encode() + b"\xff\xd9",
    "jpeg-first-thumbnail": lambda: jfif(b"\3\3" + (2 * SECRET).encode()[:27]),
    "jpeg-long-first-segment": lambda: jfif(b"\0\0" + SECRET.encode()),
    "jpeg-long-adobe": lambda: with_segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET.encode()),
    "jpeg-filled": lambda: with_segment(0xFE, SECRET.encode(), before=b"\xff\xff\xff"),
    "jpeg-restart-before-a-segment": lambda: with_segment(
        0xFE, SECRET.encode(), before=b"\xff\xd0"
    ),
    "jpeg-without-its-end": lambda: saved(picture(), "JPEG")[:-2] + SECRET.encode(),
    "png-private": lambda: with_chunk(b"caBX", SECRET.encode()),
    "webp-exif-untold": lambda: webp(b"EXIF"),
    "webp-private": lambda: webp(b"C2PA"),
    "webp-after-its-end": lambda: saved(picture(), "WEBP", lossless=True) + SECRET.encode(),
    "bmp-after-its-end": lambda: saved(picture(), "BMP") + SECRET.encode(),
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


@pytest.mark.parametrize("kind", ["MPO", "PNG", "WEBP"])
def test_of_several_pictures_the_first_stays(kind: str) -> None:
    data = saved(picture(), kind, save_all=True, append_images=[picture().rotate(90)], duration=10)
    clean = without_metadata(data)
    with Image.open(io.BytesIO(clean)) as image:
        assert getattr(image, "n_frames", 1) == 1
        assert image.format == {"MPO": "JPEG"}.get(kind, "PNG")
    assert np.array_equal(decode_rgb(clean), decode_rgb(data))


def test_a_colour_profile_stays() -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = saved(picture(), "JPEG", icc_profile=profile, exif=exif())
    with Image.open(io.BytesIO(without_metadata(data))) as image:
        assert image.info["icc_profile"] == profile
