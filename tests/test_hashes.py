"""Hashes are imagehash's, bit for bit, in every view."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from occlufer.builders.hashes import VIEWS, find_hashes, small_grey
from occlufer.images import ImageStore
from occlufer.record import Facts, Record
from occlufer.stages import ImageItem

Pixels = NDArray[np.uint8]


def hashed(data: bytes, folder: Path) -> dict[str, Any]:
    store = ImageStore(folder)
    image = store.put(data)
    owner = Record("s/1", "s", "1", Facts(), image)
    item = ImageItem(image, owner, {"faces": {"crop": image}}, store)
    return dict(find_hashes(item).value)


def jpeg(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


@pytest.mark.parametrize("size", [(64, 64), (224, 224), (97, 131), (16, 300)])
def test_hashes_are_those_of_imagehash(
    textured: Callable[..., Pixels], tmp_path: Path, size: tuple[int, int]
) -> None:
    data = jpeg(textured(sum(size), *size))
    image = Image.open(io.BytesIO(data))
    found = hashed(data, tmp_path)
    assert found["phash64"]["itself"] == str(imagehash.phash(image))
    assert found["phash256"]["itself"] == str(imagehash.phash(image, hash_size=16))
    assert found["dhash64"] == str(imagehash.dhash(image))


def test_the_mirror_view_is_the_hash_of_the_mirrored_picture(
    textured: Callable[..., Pixels], encoded: Callable[..., bytes], tmp_path: Path
) -> None:
    pixels = textured(1)
    found = hashed(encoded(pixels), tmp_path)
    turned = ImageOps.mirror(Image.fromarray(pixels))
    assert found["phash64"]["mirror"] == str(imagehash.phash(turned))
    assert found["phash256"]["mirror"] == str(imagehash.phash(turned, hash_size=16))


@pytest.mark.parametrize(
    ("view", "box"),
    [
        ("centre", (8, 8, 92, 92)),
        ("top_left", (0, 0, 84, 84)),
        ("top_right", (16, 0, 100, 84)),
        ("bottom_left", (0, 16, 84, 100)),
        ("bottom_right", (16, 16, 100, 100)),
        ("without_top", (0, 8, 100, 100)),
        ("without_bottom", (0, 0, 100, 92)),
    ],
)
def test_a_cut_view_is_the_hash_of_the_cut_picture(
    textured: Callable[..., Pixels],
    encoded: Callable[..., bytes],
    tmp_path: Path,
    view: str,
    box: tuple[int, int, int, int],
) -> None:
    pixels = textured(2, 100, 100)
    left, top, right, bottom = box
    cut = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
    assert hashed(encoded(pixels), tmp_path)["phash64"][view] == str(imagehash.phash(cut))


def test_every_view_has_both_hashes(
    textured: Callable[..., Pixels], encoded: Callable[..., bytes], tmp_path: Path
) -> None:
    found = hashed(encoded(textured(3)), tmp_path)
    assert list(found["phash64"]) == list(found["phash256"]) == list(VIEWS)
    assert {len(text) for text in found["phash64"].values()} == {16}
    assert {len(text) for text in found["phash256"].values()} == {64}
    assert next(iter(VIEWS)) == "itself"


def test_the_small_picture_keeps_grey_levels() -> None:
    half = np.zeros((64, 64, 3), np.uint8)
    half[:, 32:] = 200
    small = small_grey(Image.fromarray(half))
    assert (small.dtype, small.shape) == (np.float32, (32, 32))
    assert (small[:, :12] == 0).all()
    assert (small[:, 20:] == 200).all()
