"""What covers a face raises its ratio and lowers the region that it covers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from occlufer.builders.occlusion import (
    extraneous_overlap,
    find_occlusion,
    to_frame,
    type_confidences,
)
from occlufer.builders.pixels import encode_png
from occlufer.builders.regions import region_masks
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.images import ImageStore
from occlufer.record import Facts, Record
from occlufer.schema import LANDMARK_PARTS, OCCLUSION_TYPES, REGIONS
from occlufer.stages import ImageItem
from occlufer.workspace import Workspace

BLUE = (10, 30, 230)


def measured(
    store: ImageStore, pixels: NDArray[np.uint8], landmarks: Any, others: Any = ()
) -> dict[str, Any]:
    image = store.put(encode_png(np.ascontiguousarray(pixels)))
    height, width = pixels.shape[:2]
    faces = {
        "crop": image,
        "landmarks": np.asarray(landmarks, np.float64).tolist(),
        "box": [0, 0, width, height],
        "others": [list(other) for other in others],
    }
    item = ImageItem(image, Record("s/1", "s", "1", Facts(), image), {"faces": faces}, store)
    return dict(find_occlusion(item, type_threshold=0.5).value)


PLANS = [("neutral", 1, 1), ("happiness", 5, 2), ("sadness", 9, 3), ("surprise", 13, 4)]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan[0]}-{plan[1]}")
def test_a_blue_rectangle_over_the_mouth_is_seen(
    workspace: Workspace, plan: tuple[str, int, int]
) -> None:
    face = draw_face(FacePlan(*plan))
    bare = measured(workspace.images, face.image_rgb, face.landmarks68_px)
    x0, y0 = np.floor(face.landmarks68_px[LANDMARK_PARTS["outer_lips"]].min(axis=0)).astype(int)
    x1, y1 = np.ceil(face.landmarks68_px[LANDMARK_PARTS["outer_lips"]].max(axis=0)).astype(int)
    pixels = face.image_rgb.copy()
    pixels[y0 - 6 : y1 + 6, x0 - 6 : x1 + 6] = BLUE
    covered = measured(workspace.images, pixels, face.landmarks68_px)
    assert covered["ratio"] > bare["ratio"]
    assert covered["visible"]["mouth"] < 0.2
    assert covered["visible"]["mouth"] < bare["visible"]["mouth"] - 0.5
    for region in ("left_eye", "right_eye", "forehead"):
        assert covered["visible"][region] == pytest.approx(bare["visible"][region], abs=0.25)


@pytest.mark.parametrize("region", ["left_eye", "right_eye", "left_cheek", "forehead", "nose"])
def test_a_covered_region_is_the_least_visible(workspace: Workspace, region: str) -> None:
    face = draw_face(FacePlan("neutral", 5, 2))
    mask = region_masks(face.landmarks68_px, *face.image_rgb.shape[:2])[region]
    pixels = face.image_rgb.copy()
    pixels[mask] = BLUE
    visible = measured(workspace.images, pixels, face.landmarks68_px)["visible"]
    assert visible[region] < 0.35
    assert min(visible, key=lambda name: visible[name]) == region


def test_every_figure_is_a_share(workspace: Workspace) -> None:
    for number, kind in enumerate((None, *OCCLUSION_TYPES)):
        face = draw_face(FacePlan("fear", number, number, (kind,) if kind else ()))
        value = measured(workspace.images, face.image_rgb, face.landmarks68_px)
        assert tuple(value["visible"]) == REGIONS
        assert tuple(value["confidences"]) == OCCLUSION_TYPES
        shares = [value["ratio"], *value["visible"].values(), *value["confidences"].values()]
        assert all(0 <= share <= 1 for share in shares)
        assert value["ratio"] == pytest.approx(1 - value["visible"]["face"], abs=1e-3)
        above = [name for name, share in value["confidences"].items() if share >= 0.5]
        assert value["types"] == above


def test_drawn_masks_cover_more_than_bare_faces(workspace: Workspace) -> None:
    ratios: dict[str, list[float]] = {"bare": [], "mask": []}
    for subject in range(6):
        for name, occlusion in (("bare", ()), ("mask", ("mask",))):
            face = draw_face(FacePlan("neutral", subject, 7, occlusion))
            value = measured(workspace.images, face.image_rgb, face.landmarks68_px)
            ratios[name].append(value["ratio"])
    assert np.mean(ratios["mask"]) > np.mean(ratios["bare"]) + 0.2


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((32, 32, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (16, 300, 3)).astype(np.uint8),
        np.full((700, 700, 3), 255, np.uint8),
    ],
    ids=["black", "noise", "white"],
)
def test_a_picture_without_a_face_has_an_answer_too(
    workspace: Workspace, pixels: NDArray[np.uint8]
) -> None:
    points = np.random.default_rng(1).uniform(0, pixels.shape[0], (68, 2))
    value = measured(workspace.images, pixels, points)
    assert 0 <= value["ratio"] <= 1


def test_the_frame_shows_the_face_upright_whatever_its_size(workspace: Workspace) -> None:
    face = draw_face(FacePlan("neutral", 2, 2))
    frame = to_frame(face.image_rgb, face.landmarks68_px).astype(int)
    large = np.repeat(np.repeat(face.image_rgb, 4, axis=0), 4, axis=1)
    again = to_frame(large, face.landmarks68_px * 4 + 1.5).astype(int)
    assert np.abs(frame - again).mean() < 6
    turned = np.ascontiguousarray(np.rot90(face.image_rgb))  # a quarter, against the clock
    points = np.stack([face.landmarks68_px[:, 1], 223 - face.landmarks68_px[:, 0]], axis=1)
    assert np.abs(frame - to_frame(turned, points).astype(int)).mean() < 6


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], 0.0),
        ([[200, 200, 300, 300]], 0.0),
        ([[50, 0, 150, 100]], 0.5),
        ([[90, 90, 200, 200], [0, 0, 50, 50]], 0.25),
        ([[-10, -10, 110, 110]], 1.0),
    ],
    ids=["none", "apart", "half", "the-larger-of-two", "all"],
)
def test_overlap_is_the_share_of_the_box_that_another_covers(
    others: list[list[float]], expected: float
) -> None:
    assert extraneous_overlap([0, 0, 100, 100], others) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("covered", "kind"),
    [
        (("mouth", "nose", "left_cheek", "right_cheek"), "mask"),
        (("left_eye", "right_eye"), "eyewear"),
        (("forehead",), "hair"),
    ],
)
def test_where_the_cover_lies_tells_its_type(covered: tuple[str, ...], kind: str) -> None:
    visible = {region: 0.0 if region in covered else 1.0 for region in REGIONS}
    confidences = type_confidences(visible, 0.0)
    assert max(confidences, key=lambda name: confidences[name]) == kind
    assert confidences[kind] >= 0.5


def test_a_bare_face_has_no_type() -> None:
    assert set(type_confidences(dict.fromkeys(REGIONS, 1.0), 0.0).values()) == {0.0}
