"""The stage "parts": a build's crops before the parser, and what it says of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from occlufer.builders.inspect import open_inspector
from occlufer.builders.parser.built_in import WEIGHTS
from occlufer.builders.parts import find_parts, open_parsers, params
from occlufer.builders.pixels import encode_png
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.config import DEFAULT_CONFIG, BuildConfig, OcclusionConfig, SourceConfig
from occlufer.errors import MissingError, UsageError
from occlufer.images import ImageStore
from occlufer.record import Facts, Record
from occlufer.schema import LANDMARK_PARTS, OCCLUSION_TYPES, REGIONS
from occlufer.stages import ImageItem

Pixels = NDArray[np.uint8]
PARSERS = open_parsers(OcclusionConfig())


def parts_of(store: ImageStore, pixels: Pixels, points: Any = ()) -> dict[str, Any]:
    image = store.put(encode_png(np.ascontiguousarray(pixels)))
    height, width = pixels.shape[:2]
    faces = {"crop": image, "points": points, "box": [0, 0, width, height], "others": []}
    item = ImageItem(image, Record("s/1", "s", "1", Facts(), image), {"faces": faces}, store)
    result = find_parts(item, PARSERS)
    assert result.reject is None
    return dict(result.value)


def five(landmarks: NDArray[np.float32]) -> list[list[float]]:
    eyes = [landmarks[LANDMARK_PARTS[name]].mean(axis=0) for name in ("left_eye", "right_eye")]
    return [point.tolist() for point in (*eyes, landmarks[30], landmarks[48], landmarks[54])]


@pytest.mark.parametrize("kind", [None, *OCCLUSION_TYPES])
def test_every_figure_of_a_drawn_face_is_a_share(tmp_path: Path, kind: str | None) -> None:
    face = draw_face(FacePlan("fear", 3, 4, (kind,) if kind else ()))
    value = parts_of(ImageStore(tmp_path), face.image_rgb, five(face.landmarks68_px))
    assert tuple(value["covered"]) == REGIONS
    for shares in (*value["covered"].values(), value["peaks"]):
        assert tuple(shares) == OCCLUSION_TYPES
        assert all(0 <= share <= 1 for share in shares.values())
    assert np.asarray(value["landmarks"]).shape == (68, 2)


def test_drawn_masks_are_seen_and_named(tmp_path: Path) -> None:
    covered: dict[str, list[float]] = {"bare": [], "mask": []}
    for subject in range(6):
        for name, occlusion in (("bare", ()), ("mask", ("mask",))):
            face = draw_face(FacePlan("neutral", subject, 7, occlusion))
            value = parts_of(ImageStore(tmp_path), face.image_rgb, five(face.landmarks68_px))
            covered[name].append(value["covered"]["face"]["mask"])
    assert max(covered["bare"]) < 0.1
    assert min(covered["mask"]) > 0.15


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((32, 32, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (16, 300, 3)).astype(np.uint8),
        np.full((700, 700, 3), 255, np.uint8),
    ],
    ids=["black", "noise", "white"],
)
def test_a_picture_without_a_face_has_an_answer_too(tmp_path: Path, pixels: Pixels) -> None:
    value = parts_of(ImageStore(tmp_path), pixels)
    assert np.isfinite(value["landmarks"]).all()
    assert 0 <= sum(value["covered"]["face"].values()) <= 1.001


def test_landmarks_follow_the_face_through_the_picture(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    face = draw_face(FacePlan("neutral", 2, 2))
    here = np.array(parts_of(store, face.image_rgb, five(face.landmarks68_px))["landmarks"])
    wide = np.full((500, 500, 3), 127, np.uint8)
    wide[100:324, 200:424] = face.image_rgb
    there = face.landmarks68_px + np.array([200, 100], np.float32)
    moved = np.array(parts_of(store, wide, five(there))["landmarks"]) - (200, 100)
    assert np.linalg.norm(moved - here, axis=1).mean() < 3


def test_a_covered_half_lowers_what_is_visible_there(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    face = draw_face(FacePlan("neutral", 5, 2))
    points = five(face.landmarks68_px)
    bare = parts_of(store, face.image_rgb, points)["covered"]
    middle = round(float(face.landmarks68_px[30, 0]))
    pixels = face.image_rgb.copy()
    pixels[:, :middle] = (20, 60, 20)
    half = parts_of(store, pixels, points)["covered"]
    for region in ("left_eye", "left_cheek"):
        assert sum(half[region].values()) > sum(bare[region].values()) + 0.5
    for region in ("right_eye", "right_cheek"):
        assert sum(half[region].values()) < 0.3


def test_the_weights_hash_decides_what_has_to_be_parsed_anew() -> None:
    found = params(DEFAULT_CONFIG)
    expected = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert (found["parser"], found["parser_weights"]) == ("built_in", expected)


def with_segface(weights: Path) -> BuildConfig:
    occlusion = OcclusionConfig(parser="segface", segface_weights=weights)
    return BuildConfig((SourceConfig("synthetic", "s", {}),), occlusion=occlusion)


def test_a_parser_that_is_not_there_is_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"gone\.pt"):
        open_parsers(with_segface(tmp_path / "gone.pt").occlusion)
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(UsageError, match=r"text\.pt"):
        open_parsers(with_segface(tmp_path / "text.pt").occlusion)


@pytest.mark.slow
def test_a_checkpoint_of_segface_takes_the_place_of_the_built_in_parser(
    tmp_path: Path, encoded: Callable[..., bytes]
) -> None:
    torch = pytest.importorskip("torch")
    from occlufer.orsanet.segface import build_segface

    torch.manual_seed(0)
    torch.save({"state_dict_backbone": build_segface(19).state_dict()}, tmp_path / "segface.pt")
    face = draw_face(FacePlan("neutral", 3, 5))
    (tmp_path / "a.png").write_bytes(encoded(face.image_rgb))
    ours = open_inspector(DEFAULT_CONFIG).look(tmp_path / "a.png").faces[0]
    theirs = open_inspector(with_segface(tmp_path / "segface.pt")).look(tmp_path / "a.png").faces[0]
    assert np.array_equal(ours.parsed.landmarks68_px, theirs.parsed.landmarks68_px)
    assert not np.allclose(ours.parsed.classes, theirs.parsed.classes, atol=0.1)
    assert np.allclose(theirs.parsed.classes.sum(axis=0), 1, atol=1e-4)
