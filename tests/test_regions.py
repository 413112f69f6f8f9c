"""Regions lie where a face has them, inside the frame, covered or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.builders.regions import region_masks, region_polygons
from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.schema import LANDMARK_MIRROR, LANDMARK_PARTS, REGIONS

FACE = np.asarray(MEAN_FACE68, np.float32) * 100 + 60  # in a picture of 220 x 220


def test_every_region_has_a_mask_of_the_picture_s_size() -> None:
    masks = region_masks(FACE, 220, 200)
    assert tuple(masks) == REGIONS
    for mask in masks.values():
        assert (mask.shape, mask.dtype) == ((220, 200), np.bool_)
        assert mask.any()


@pytest.mark.parametrize(
    ("region", "part"),
    [
        ("left_eye", "left_eye"),
        ("right_eye", "right_eye"),
        ("nose", "nose"),
        ("mouth", "inner_lips"),
    ],
)
def test_a_region_holds_the_middle_of_its_part_and_no_other_does(region: str, part: str) -> None:
    masks = region_masks(FACE, 220, 220)
    x, y = FACE[LANDMARK_PARTS[part]].mean(axis=0).round().astype(int)
    assert [name for name in REGIONS[1:] if masks[name][y, x]] == [region]
    assert masks["face"][y, x]


def test_regions_keep_the_order_of_a_face() -> None:
    def middle(name: str) -> tuple[float, float]:
        y, x = np.argwhere(region_masks(FACE, 220, 220)[name]).mean(axis=0)
        return x, y

    assert middle("left_eye")[0] < middle("nose")[0] < middle("right_eye")[0]
    assert middle("left_cheek")[0] < middle("mouth")[0] < middle("right_cheek")[0]
    heights = [middle(name)[1] for name in ("forehead", "left_eye", "nose", "mouth")]
    assert heights == sorted(heights)


def test_the_parts_of_a_face_lie_in_the_face() -> None:
    masks = region_masks(FACE, 220, 220)
    for name in REGIONS[1:]:
        inside = (masks[name] & masks["face"]).sum() / masks[name].sum()
        assert inside > 0.95, name


def test_a_mirrored_face_has_mirrored_regions() -> None:
    mirrored = (FACE * [-1, 1] + [219, 0])[list(LANDMARK_MIRROR)]
    masks, turned = region_masks(FACE, 220, 220), region_masks(mirrored, 220, 220)
    for name in REGIONS:
        twin = name.replace("left", "R").replace("right", "left").replace("R", "right")
        flipped = masks[name][:, ::-1]
        overlap = (flipped & turned[twin]).sum() / (flipped | turned[twin]).sum()
        assert overlap > 0.9, name


@settings(max_examples=40, deadline=None)
@given(st.floats(-3, 3), st.floats(5, 400), st.tuples(st.floats(-300, 300), st.floats(-300, 300)))
def test_a_face_outside_the_picture_is_cut_off(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (np.asarray(MEAN_FACE68) @ turn.T * scale + shift).astype(np.float32)
    masks = region_masks(points, 60, 80)
    assert all(mask.shape == (60, 80) for mask in masks.values())
    # A wider frame shows the same and more: what is cut off is only what lies outside.
    wider = region_masks(points + 50, 160, 180)
    for name in REGIONS:
        # Rounded corners and the clipping of edges may move an outline by a pixel.
        assert (wider[name][50:110, 50:130] != masks[name]).mean() < 0.03, name


def test_polygons_follow_shifts_and_sizes() -> None:
    plain, moved = region_polygons(FACE), region_polygons(FACE * 2 + [10, 20])
    for name in set(REGIONS) - {"nose", "mouth"}:  # a hull may begin elsewhere
        assert np.allclose(moved[name], plain[name] * 2 + [10, 20], atol=1e-2), name
