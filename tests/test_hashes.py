"""Hashes are imagehash's, bit for bit, and those of views are those of what people see."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.fft import dctn

from occlufer.builders.hashes import find_hashes, grey_of, hash_images, look
from occlufer.builders.hashing.views import HASHED, POSITION
from occlufer.builders.pixels import BadImageError
from occlufer.images import ImageStore
from occlufer.record import Facts, Record
from occlufer.stages import ImageItem

Pixels = NDArray[np.uint8]
Texture = Callable[..., Pixels]

COLUMNS = ("phash64", "phash256", "dhash64")


def number(words: Any) -> int:
    """Return the words of a hash as one number, the first word highest."""
    return sum(int(word) << 64 * place for place, word in enumerate(np.atleast_1d(words)[::-1]))


def by_imagehash(image: Image.Image) -> dict[str, int]:
    hashes = (
        imagehash.phash(image),
        imagehash.phash(image, hash_size=16),
        imagehash.dhash(image),
    )
    return {name: int(str(found), 16) for name, found in zip(COLUMNS, hashes, strict=True)}


def found(table: Any, row: int = 0) -> dict[str, int]:
    return {name: number(getattr(table, name)[row]) for name in COLUMNS}


def saved(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


# Files that Pillow opens in all its modes ---------------------------------------------------------


def rgb(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels)


def palette(pixels: Pixels) -> Image.Image:
    return rgb(pixels).convert("P", palette=Image.Palette.ADAPTIVE, colors=64)


def see_through(pixels: Pixels) -> Image.Image:
    """A picture of which the left half is fully transparent."""
    image = rgb(pixels).convert("RGBA")
    alpha = np.full(pixels.shape[:2], 255, dtype=np.uint8)
    alpha[:, : pixels.shape[1] // 2] = 0
    image.putalpha(Image.fromarray(alpha))
    return image


def deep(pixels: Pixels) -> Pixels:
    """Grey levels of 16 bits, with digits below the eighth."""
    grey = np.asarray(rgb(pixels).convert("L"), dtype=np.uint16)
    return np.asarray(grey * 257 - np.minimum(grey, 99), dtype=np.uint16)


def turned_by_exif(image: Image.Image, orientation: int, kind: str = "JPEG") -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, kind, exif=exif)


FILES: dict[str, Callable[[Pixels], bytes]] = {
    "jpeg": lambda p: saved(rgb(p), "JPEG", quality=90),
    "jpeg-grey": lambda p: saved(rgb(p).convert("L"), "JPEG"),
    "jpeg-cmyk": lambda p: saved(rgb(p).convert("CMYK"), "JPEG"),
    "jpeg-turned": lambda p: turned_by_exif(rgb(p), 6),
    "jpeg-progressive": lambda p: saved(rgb(p), "JPEG", progressive=True, subsampling=2),
    "png": lambda p: saved(rgb(p)),
    "png-grey": lambda p: saved(rgb(p).convert("L")),
    "png-one-bit": lambda p: saved(rgb(p).convert("1")),
    "png-palette": lambda p: saved(palette(p)),
    "png-palette-see-through": lambda p: saved(palette(p), transparency=3),
    "png-rgb-see-through": lambda p: saved(rgb(p), transparency=tuple(p[0, 0].tolist())),
    "png-rgba": lambda p: saved(see_through(p)),
    "png-la": lambda p: saved(see_through(p).convert("LA")),
    "png-16-bit": lambda p: saved(Image.fromarray(deep(p))),
    "webp": lambda p: saved(rgb(p), "WEBP", quality=80),
    "webp-see-through": lambda p: saved(see_through(p), "WEBP", lossless=True),
    "webp-animated": lambda p: saved(
        rgb(p), "WEBP", save_all=True, append_images=[rgb(p[::-1])], duration=50
    ),
    "bmp": lambda p: saved(rgb(p), "BMP"),
    "bmp-palette": lambda p: saved(palette(p), "BMP"),
}


@pytest.mark.parametrize(("height", "width"), [(64, 64), (131, 97), (240, 320)], ids=str)
@pytest.mark.parametrize("kind", FILES)
def test_every_kind_of_file_is_hashed_as_imagehash_does(
    textured: Texture, kind: str, height: int, width: int
) -> None:
    data = FILES[kind](textured(height, height, width))
    assert found(hash_images([data], workers=1)) == by_imagehash(opened(data))


@pytest.mark.parametrize("kind", FILES)
def test_views_change_nothing_in_the_published_hashes(textured: Texture, kind: str) -> None:
    data = FILES[kind](textured(5, 90, 70))
    assert found(hash_images([data], workers=1, views=True)) == by_imagehash(opened(data))


SIZES = [(1, 1), (1, 9), (7, 1), (2, 2), (3, 5), (8, 9), (16, 16), (17, 31), (32, 32), (33, 32)]
TALL = [(16, 300), (300, 16), (97, 32), (600, 33), (1200, 40), (40, 1200), (333, 97), (129, 64)]


@pytest.mark.parametrize("size", [*SIZES, *TALL], ids=str)
def test_every_size_is_hashed_as_imagehash_does(textured: Texture, size: tuple[int, int]) -> None:
    smooth = rgb(textured(1, *size))
    noise = np.random.default_rng(2).integers(0, 2, size, dtype=np.uint8) * np.uint8(255)
    for image in (smooth, Image.fromarray(noise)):
        assert found(hash_images([image], workers=1)) == by_imagehash(image)
        assert found(hash_images([image], workers=1, views=True)) == by_imagehash(image)


@settings(max_examples=60)
@given(st.integers(1, 120), st.integers(1, 120), st.integers(0, 999), st.integers(1, 256))
def test_random_pictures_are_hashed_as_imagehash_does(
    height: int, width: int, seed: int, levels: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, levels, (height, width, 3), dtype=np.uint8)
    image = rgb(pixels)
    assert found(hash_images([image], workers=1)) == by_imagehash(image)


@pytest.mark.parametrize("size", [(32, 32), (50, 41)], ids=str)
def test_constant_pictures_are_hashed_as_imagehash_does(size: tuple[int, int]) -> None:
    # All waves but one are nothing but rounding: the transform must be imagehash's own.
    images = [Image.new("L", size, grey) for grey in range(0, 256, 3)]
    table = hash_images(images, workers=1)
    for row, image in enumerate(images):
        assert found(table, row) == by_imagehash(image)


def test_half_plain_pictures_are_hashed_as_imagehash_does() -> None:
    images = []
    for at in range(4, 64, 4):
        pixels = np.full((64, 64), 37, dtype=np.uint8)
        pixels[:, at:] = 201  # nothing changes from row to row: most waves are 0
        images += [Image.fromarray(pixels), Image.fromarray(pixels.T.copy())]
    table = hash_images(images, workers=1)
    for row, image in enumerate(images):
        assert found(table, row) == by_imagehash(image)


@pytest.mark.parametrize(
    ("folder", "step"), [("fer8", 7), ("masks_cfmd", 4)], ids=["fer8", "masks_cfmd"]
)
def test_real_pictures_are_hashed_as_imagehash_does(
    real_data: Path, folder: str, step: int
) -> None:
    everything = sorted(path for path in (real_data / folder).rglob("*") if path.is_file())
    paths = []
    for path in everything[::step]:
        with Image.open(path) as image:
            if min(image.size) >= 16:
                paths.append(path)
    assert len(paths) > 60
    table = hash_images(paths)
    for row, path in enumerate(paths):
        with Image.open(path) as image:
            assert found(table, row) == by_imagehash(image), path


# What is hashed -----------------------------------------------------------------------------------


def test_a_path_its_text_its_bytes_and_the_picture_are_hashed_alike(
    textured: Texture, tmp_path: Path
) -> None:
    path = tmp_path / "turned.jpg"
    data = turned_by_exif(rgb(textured(6, 90, 70)), 8)
    path.write_bytes(data)
    table = hash_images([path, str(path), data, Image.open(path)], workers=1, views=True)
    assert len(table) == 4
    for name in (*COLUMNS, "views64", "views256"):
        column = getattr(table, name)
        assert (column == column[0]).all()
    assert found(table) == by_imagehash(Image.open(path))


def test_a_given_picture_is_left_as_it_was(textured: Texture) -> None:
    image = see_through(textured(7))
    before = image.copy()
    hash_images([image, image], workers=1, views=True)
    assert (image.mode, image.tobytes()) == (before.mode, before.tobytes())


def test_hashes_come_in_the_order_of_the_pictures(textured: Texture) -> None:
    images = [rgb(textured(seed, 40 + seed, 50)) for seed in range(30)]
    for workers in (1, 2):
        table = hash_images((image for image in images), workers=workers, views=True)
        assert [found(table, row) for row in range(30)] == [by_imagehash(i) for i in images]


@pytest.mark.parametrize(("views", "count"), [(False, 0), (True, 37)])
def test_views_are_hashed_if_wanted(textured: Texture, views: bool, count: int) -> None:
    for pictures in ([], [rgb(textured(1)), rgb(textured(2))]):
        table = hash_images(pictures, workers=1, views=views)
        shapes = {name: column.shape for name, column in vars(table).items()}
        assert shapes == {
            "phash64": (len(pictures),),
            "phash256": (len(pictures), 4),
            "dhash64": (len(pictures),),
            "views64": (len(pictures), count),
            "views256": (len(pictures), count, 4),
        }
        assert {column.dtype for column in vars(table).values()} == {np.dtype(np.uint64)}


@pytest.mark.parametrize("views", [False, True], ids=["published", "views"])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty_file"),
        (b"no picture at all", "not_an_image"),
        (saved(Image.new("RGB", (40, 40)), "GIF"), "not_an_image"),
        (saved(Image.new("RGB", (15, 40))), "too_small"),
        (saved(Image.effect_noise((90, 90), 50), "JPEG")[:900], "undecodable"),
    ],
    ids=["nothing", "text", "gif", "tiny", "cut-off"],
)
def test_what_is_no_picture_is_refused(
    tmp_path: Path, data: bytes, reason: str, views: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    for picture in (data, path, str(path)):
        with pytest.raises(BadImageError) as caught:
            hash_images([picture], workers=1, views=views)
        assert caught.value.reject.reason == reason


def test_a_broken_exif_is_refused_where_it_matters(textured: Texture) -> None:
    image = rgb(textured(1, 40, 40))
    data = saved(image, exif=b"Exif\0\0no orientation")
    assert found(hash_images([data], workers=1)) == by_imagehash(image)
    with pytest.raises(BadImageError) as caught:
        hash_images([data], workers=1, views=True)
    assert caught.value.reject.reason == "undecodable"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        hash_images([tmp_path / "nowhere.png"], workers=1)


# Views --------------------------------------------------------------------------------------------


def same_views(data: bytes | Image.Image, expected: Image.Image) -> bool:
    table = hash_images([data, expected], workers=1, views=True)
    return all(np.array_equal(column[0], column[1]) for column in (table.views64, table.views256))


# What makes a stored picture upright, by its orientation; as EXIF 2.32, table 6, defines them.
UPRIGHT: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
    8: lambda p: np.rot90(p),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_views_are_those_of_the_upright_picture(
    textured: Texture, orientation: int, kind: str
) -> None:
    data = turned_by_exif(rgb(textured(8, 150, 120)), orientation, kind)
    stored = np.asarray(opened(data).convert("RGB"))
    expected = rgb(np.ascontiguousarray(UPRIGHT[orientation](stored)))
    assert same_views(data, expected)
    assert same_views(data, rgb(stored)) == (orientation == 1)


@pytest.mark.parametrize(
    "kind", ["png-rgba", "png-la", "webp-see-through", "png-palette-see-through"]
)
def test_views_are_those_of_the_picture_on_white(textured: Texture, kind: str) -> None:
    data = FILES[kind](textured(9, 150, 120))
    pixels = np.asarray(opened(data).convert("RGBA")).copy()
    assert set(np.unique(pixels[..., 3])) == {0, 255}
    hidden = rgb(np.ascontiguousarray(pixels[..., :3]))
    pixels[pixels[..., 3] == 0] = 255
    assert same_views(data, rgb(np.ascontiguousarray(pixels[..., :3])))
    assert not same_views(data, hidden)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_one_see_through_colour_is_white_in_the_views(textured: Texture, mode: str) -> None:
    pixels = textured(10, 150, 120)
    pixels[:, 60:] = 20
    image = rgb(pixels).convert(mode)
    data = saved(image, transparency=20 if mode == "L" else (20, 20, 20))
    grey = np.asarray(image.convert("RGB")).copy()
    grey[(grey == 20).all(axis=2)] = 255
    assert same_views(data, rgb(grey))
    assert not same_views(data, image)


def test_views_of_16_bits_are_those_of_the_scaled_picture(textured: Texture) -> None:
    levels = deep(textured(11, 150, 120))
    scaled = Image.fromarray((levels // 257).astype(np.uint8))
    assert same_views(saved(Image.fromarray(levels)), scaled)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg-grey", "jpeg-cmyk", "png", "png-palette", "bmp"])
def test_the_view_of_a_plain_picture_itself_is_its_published_hash(
    textured: Texture, kind: str
) -> None:
    table = hash_images([FILES[kind](textured(12, 150, 120))], workers=1, views=True)
    assert number(table.views64[0, POSITION["itself"]]) == number(table.phash64[0])
    assert number(table.views256[0, POSITION["itself"]]) == number(table.phash256[0])


@pytest.mark.parametrize("size", [(64, 64), (150, 120), (400, 500)], ids=str)
def test_the_mirror_is_hashed_as_imagehash_hashes_the_mirrored_picture(
    textured: Texture, size: tuple[int, int]
) -> None:
    image = rgb(textured(13, *size))
    table = hash_images([image], workers=1, views=True)
    expected = by_imagehash(ImageOps.mirror(image))
    assert number(table.views64[0, POSITION["mirror"]]) == expected["phash64"]
    assert number(table.views256[0, POSITION["mirror"]]) == expected["phash256"]
    # So two pictures mirrored to each other see each other with not one bit between.
    other = hash_images([ImageOps.mirror(image)], workers=1, views=True)
    for name in ("views64", "views256"):
        ours, theirs = getattr(table, name)[0], getattr(other, name)[0]
        assert number(ours[POSITION["mirror"]]) == number(theirs[POSITION["itself"]])
        assert number(ours[POSITION["itself"]]) == number(theirs[POSITION["mirror"]])


def waves_above_median(grey: Image.Image, side: int) -> int:
    """Return phash of a picture by scipy's transform in double precision, as a number."""
    picture = np.asarray(grey.resize((64, 64), Image.Resampling.LANCZOS), dtype=np.float64)
    waves = dctn(picture, type=2)[:side, :side]
    bits = (waves > np.median(waves)).ravel()
    return int("".join("01"[bit] for bit in bits.astype(int)), 2)


@pytest.mark.parametrize("size", [(90, 70), (150, 200), (448, 320)], ids=str)
def test_every_view_has_the_waves_of_its_cut_of_the_small_picture(
    textured: Texture, size: tuple[int, int]
) -> None:
    image = rgb(textured(14, *size)).convert("L")
    table = hash_images([image], workers=1, views=True)
    shrink = min(112 / min(size), 1)
    height, width = (round(side * shrink) for side in size)
    base = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    for name, view in HASHED.items():
        if name in ("itself", "mirror"):
            continue
        seen = Image.fromarray(np.ascontiguousarray(view.of(base)))
        row = POSITION[name]
        # Waves beside the median may fall on its other side in single precision.
        for words, side in ((table.views64[0, row], 8), (table.views256[0, row], 16)):
            differing = number(words) ^ waves_above_median(seen, side)
            assert bin(differing).count("1") <= 2, name


@pytest.mark.parametrize("kind", ["jpeg-turned", "png-rgba", "png-16-bit", "jpeg"])
def test_the_grey_picture_is_what_the_views_are_of(textured: Texture, kind: str) -> None:
    data = FILES[kind](textured(19, 100, 130))
    grey = grey_of(data)
    assert grey.dtype == np.uint8
    assert grey.shape == ((130, 100) if kind == "jpeg-turned" else (100, 130))
    assert same_views(data, Image.fromarray(grey))


# The stage ----------------------------------------------------------------------------------------


def test_the_stage_gives_the_same_hashes_in_hex(textured: Texture, tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    image = store.put(saved(rgb(textured(15, 200, 160))))
    owner = Record("s/1", "s", "1", Facts(), image)
    result = find_hashes(ImageItem(image, owner, {"faces": {"crop": image}}, store))
    table = hash_images([store.get(image)], workers=1, views=True)
    assert result.image == image
    assert result.reject is None
    digits = {"phash64": 16, "phash256": 64, "dhash64": 16, "views64": 592, "views256": 2368}
    assert set(result.value) == {*digits, "sketch", "size_bytes"}
    assert result.value["sketch"] == look(store.get(image)).sketch.to_json()
    assert result.value["size_bytes"] == len(store.get(image))
    for name, count in digits.items():
        assert result.value[name] == f"{number(getattr(table, name)[0].ravel()):0{count}x}"
    assert result.value["phash64"] == str(imagehash.phash(rgb(textured(15, 200, 160))))


# How large a picture is ---------------------------------------------------------------------------


def test_a_look_tells_the_pixels_and_the_bytes_of_the_file(
    textured: Texture, tmp_path: Path
) -> None:
    data = turned_by_exif(rgb(textured(17, 60, 40)), 6)
    path = tmp_path / "file.jpg"
    path.write_bytes(data)
    for picture in (data, path, str(path)):
        seen = look(picture)
        assert (seen.pixels, seen.size_bytes) == (2400, len(data))
    # A picture without a file has no bytes of one.
    seen = look(opened(data))
    assert (seen.pixels, seen.size_bytes) == (2400, 0)


def test_of_two_copies_of_one_size_the_less_compressed_has_more_bytes(textured: Texture) -> None:
    image = rgb(textured(18))
    sizes = [look(saved(image, "JPEG", quality=q)).size_bytes for q in (95, 70, 30)]
    assert sizes == sorted(set(sizes), reverse=True)
