"""A sketch shows what the picture and each of its views would, as far as duplicates go."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.duplicates.blocks import block_differences
from occlufer.builders.hashes import grey_of, look
from occlufer.builders.hashing.sketches import Sketch, seen_as, sketch_of
from occlufer.builders.hashing.views import HASHED, ITSELF, MIRROR, POSITION, small

Grey = NDArray[np.uint8]


def noise(seed: int, aspect: float) -> Sketch:
    return Sketch(np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8), aspect)


SKETCH = st.builds(noise, st.integers(0, 999), st.floats(0.3, 3))


def view_itself(grey: Grey, name: str) -> Grey:
    """Return the view as Pillow draws it of the picture, in the size of a sketch."""
    view = Image.fromarray(HASHED[name].of(small(grey)))
    return np.asarray(view.resize((32, 32), Image.Resampling.LANCZOS))


@pytest.mark.parametrize("size", [(200, 400), (300, 224), (40, 40), (3, 7), (1, 1)], ids=str)
def test_a_sketch_is_the_small_picture_as_pillow_resizes_it(size: tuple[int, int]) -> None:
    grey = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
    expected = Image.fromarray(small(grey)).resize((32, 32), Image.Resampling.LANCZOS)
    found = sketch_of(grey)
    assert np.array_equal(found.levels, np.asarray(expected))
    assert found.aspect == size[0] / size[1]


def test_one_look_gives_the_sketch_of_the_upright_picture(
    textured: Callable[..., NDArray[np.uint8]], tmp_path: Path
) -> None:
    image = Image.fromarray(textured(3))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    image.save(tmp_path / "turned.png", exif=exif)
    upright = np.asarray(image.transpose(Image.Transpose.ROTATE_270).convert("L"))
    found, expected = look(tmp_path / "turned.png").sketch, sketch_of(upright)
    assert np.array_equal(found.levels, expected.levels)
    assert found.aspect == expected.aspect


@given(SKETCH)
def test_json_gives_back_the_sketch(sketch: Sketch) -> None:
    found = Sketch.from_json(json.loads(json.dumps(sketch.to_json())))
    assert np.array_equal(found.levels, sketch.levels)
    assert found.aspect == sketch.aspect


@given(SKETCH)
def test_the_picture_itself_and_its_mirror_image_are_exact(sketch: Sketch) -> None:
    assert np.array_equal(seen_as([sketch], [POSITION[ITSELF]])[0], sketch.levels)
    assert np.array_equal(seen_as([sketch], [POSITION[MIRROR]])[0], sketch.levels[:, ::-1])


@given(SKETCH, st.sampled_from(sorted(HASHED)))
def test_a_view_of_the_mirror_image_is_that_of_the_mirrored_sketch(
    sketch: Sketch, name: str
) -> None:
    other = f"{name} of the {MIRROR}"
    if other in HASHED:
        mirrored = Sketch(np.ascontiguousarray(sketch.levels[:, ::-1]), sketch.aspect)
        views = seen_as([sketch, mirrored], [POSITION[other], POSITION[name]]).astype(int)
        assert abs(views[0] - views[1]).max() <= 1  # halves are rounded up


def test_a_turned_view_is_black_in_its_corners_and_nowhere_else() -> None:
    white = Sketch(np.full((32, 32), 255, dtype=np.uint8), 1.0)
    for name, view in HASHED.items():
        seen = seen_as([white], [POSITION[name]])[0]
        corners = [seen[i, j] for i in (0, -1) for j in (0, -1)]
        if view.turn_degrees and not view.left:
            assert corners == [0, 0, 0, 0], name
            assert (seen[8:24, 8:24] == 255).all(), name
        elif not view.turn_degrees:
            assert (seen == 255).all(), name


@pytest.mark.parametrize("name", sorted(HASHED))
def test_views_of_real_faces_are_drawn_as_the_faces_would_be(real_data: Path, name: str) -> None:
    paths = sorted((real_data / "fer8").rglob("*.jpg"))[::6]
    assert len(paths) > 30
    # Of tiny pictures the views themselves are cut at whole pixels, as wide as those of a sketch.
    greys = [grey for grey in map(grey_of, paths) if min(grey.shape) >= 48]
    drawn = seen_as([sketch_of(grey) for grey in greys], [POSITION[name]] * len(greys))
    views = np.stack([view_itself(grey, name) for grey in greys])
    # Less than a duplicate may differ by at all, and mostly a fraction of that.
    differences = sorted(block_differences(drawn, views))
    assert differences[len(differences) // 2] < 2.7
    assert differences[-1] < 11
    # Strangers differ by as much as they would.
    by_pictures = np.array(block_differences(views[:-1], views[1:]))
    by_sketches = np.array(block_differences(drawn[:-1], drawn[1:]))
    assert (by_sketches[by_pictures > 32] > 16).all()
