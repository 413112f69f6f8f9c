"""What covers which region, from class maps that are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer.builders.covers import DOUBT_POWER, PEAK_SHARE, covers
from occlufer.builders.parser.parse import ParsedFace
from occlufer.builders.regions import region_polygons, region_weights
from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.face_parser import MAP_PX, PARSED_CLASSES
from occlufer.schema import FACE_PARTS, OCCLUSION_TYPES, REGIONS

UPRIGHT = np.eye(2, 3, dtype=np.float32)
EVERYWHERE = np.ones((MAP_PX, MAP_PX), np.bool_)
POINTS = (MEAN_FACE68 * 0.6 + 0.2).astype(np.float32)
SKIN = FACE_PARTS.index("skin")
FIRST_TYPE = len(PARSED_CLASSES) - len(OCCLUSION_TYPES)
Floats = NDArray[np.float32]


def parsed(classes: Floats) -> ParsedFace:
    return ParsedFace(POINTS, classes, UPRIGHT, EVERYWHERE)


def all_skin() -> Floats:
    classes = np.zeros((len(PARSED_CLASSES), MAP_PX, MAP_PX), np.float32)
    classes[SKIN] = 1
    return classes


def covered_by(kind: str, where: NDArray[np.bool_]) -> Floats:
    classes = all_skin()
    classes[SKIN][where] = 0
    classes[FIRST_TYPE + OCCLUSION_TYPES.index(kind)][where] = 1
    return classes


def test_a_bare_face_is_covered_nowhere() -> None:
    found = covers(parsed(all_skin()))
    assert tuple(found["covered"]) == REGIONS
    assert all(share == 0 for row in found["covered"].values() for share in row.values())
    assert set(found["peaks"].values()) == {0.0}


@pytest.mark.parametrize("kind", OCCLUSION_TYPES)
@pytest.mark.parametrize("region", [name for name in REGIONS if name != "face"])
def test_what_covers_one_region_counts_there(region: str, kind: str) -> None:
    weights = dict(zip(REGIONS, region_weights(POINTS, MAP_PX), strict=True))
    found = covers(parsed(covered_by(kind, weights[region] > 0)))
    assert found["covered"][region][kind] == pytest.approx(1, abs=1e-5)
    assert sum(found["covered"][region].values()) == pytest.approx(1, abs=1e-5)
    cells = weights["face"] * (weights[region] > 0)
    expected = cells.sum() / weights["face"].sum()
    assert found["covered"]["face"][kind] == pytest.approx(expected, abs=1e-4)
    assert found["peaks"][kind] == pytest.approx(min(1.0, expected / PEAK_SHARE), abs=0.25)


def test_background_and_hair_inside_the_outline_cover_nothing() -> None:
    weights = dict(zip(REGIONS, region_weights(POINTS, MAP_PX), strict=True))
    classes = covered_by("mask", weights["mouth"] > 0)
    before = covers(parsed(classes))["covered"]
    top = weights["forehead"] > 0
    for name in ("background", "hair"):
        changed = classes.copy()
        changed[:, top] = 0
        changed[FACE_PARTS.index(name)][top] = 1
        assert covers(parsed(changed))["covered"] == before


def test_what_lies_beyond_the_picture_is_not_counted() -> None:
    weights = dict(zip(REGIONS, region_weights(POINTS, MAP_PX), strict=True))
    classes = covered_by("object", weights["forehead"] > 0)
    inside = weights["forehead"] == 0
    cut = ParsedFace(POINTS, classes, UPRIGHT, inside)
    found = covers(cut)
    assert found["covered"]["face"]["object"] == 0
    assert found["peaks"]["object"] == 0
    half = classes.copy()
    half[:, :, : MAP_PX // 2] = 0
    half[FIRST_TYPE, :, : MAP_PX // 2] = 1  # a mask on the left half
    seen = covers(ParsedFace(POINTS, half, UPRIGHT, inside))["covered"]["face"]["mask"]
    left = weights["face"] * inside
    assert seen == pytest.approx(left[:, : MAP_PX // 2].sum() / left.sum(), abs=1e-5)


def test_cells_belong_to_regions_as_much_as_they_lie_in_them() -> None:
    fine = MAP_PX * 16
    polygons = region_polygons(POINTS * np.float32(fine))
    for name, weights in zip(REGIONS, region_weights(POINTS, MAP_PX), strict=True):
        canvas = np.zeros((fine, fine), np.uint8)
        cv2.fillPoly(canvas, [np.round(polygons[name]).astype(np.int32)], 1)
        expected = canvas.reshape(MAP_PX, 16, MAP_PX, 16).mean(axis=(1, 3))
        assert np.abs(weights - expected).max() < 0.3
        assert weights.sum() == pytest.approx(expected.sum(), rel=0.1)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_shares_are_what_the_sums_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (len(PARSED_CLASSES), MAP_PX, MAP_PX))
    classes = (np.exp(logits) / np.exp(logits).sum(axis=0)).astype(np.float32)
    found = covers(parsed(classes))["covered"]
    for region, weights in zip(REGIONS, region_weights(POINTS, MAP_PX), strict=True):
        by_type = dict.fromkeys(OCCLUSION_TYPES, 0.0)
        for row, column in np.argwhere(weights > 0):
            place = classes[FIRST_TYPE:, row, column]
            covered = float(place.sum()) ** DOUBT_POWER
            for number, kind in enumerate(OCCLUSION_TYPES):
                share = float(place[number] / place.sum())
                by_type[kind] += float(weights[row, column]) * share * covered
        for kind, summed in by_type.items():
            assert found[region][kind] == pytest.approx(summed / weights.sum(), abs=1e-4)


def test_a_face_out_of_the_picture_has_an_answer_too() -> None:
    far = ParsedFace(POINTS + np.float32(9), all_skin(), UPRIGHT, EVERYWHERE)
    found = covers(far)
    assert all(0 <= v <= 1 for row in found["covered"].values() for v in row.values())
