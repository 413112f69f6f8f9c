"""What is decided from what a parser saw: ratio, severity, types."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.occlusion import (
    CERTAIN_SHARE,
    extraneous_overlap,
    occlusion,
    severity,
    type_confidences,
)
from occlufer.config import OcclusionConfig
from occlufer.schema import OCCLUSION_TYPES, REGIONS

SHARES = st.lists(
    st.floats(0, 1 / len(OCCLUSION_TYPES)),
    min_size=len(OCCLUSION_TYPES),
    max_size=len(OCCLUSION_TYPES),
)


def parts(face: dict[str, float], peaks: dict[str, float] | None = None) -> dict[str, Any]:
    shares = dict.fromkeys(OCCLUSION_TYPES, 0.0) | face
    sure = {name: float(share > 0) for name, share in shares.items()} | (peaks or {})
    return {"covered": dict.fromkeys(REGIONS, shares), "peaks": sure}


@given(SHARES, st.floats(0, 1), st.floats(0, 1))
def test_every_figure_is_a_share(shares: list[float], overlap: float, threshold: float) -> None:
    seen = parts(dict(zip(OCCLUSION_TYPES, shares, strict=True)))
    value = occlusion(seen, overlap, OcclusionConfig(type_threshold=threshold))
    assert tuple(value["visible"]) == REGIONS
    assert tuple(value["confidences"]) == OCCLUSION_TYPES
    assert all(0 <= v <= 1 for v in (*value["visible"].values(), *value["confidences"].values()))
    assert value["ratio"] == pytest.approx(min(1.0, sum(shares)), abs=2e-4)
    named = {n for n, sure in type_confidences(seen, overlap).items() if sure >= threshold}
    assert set(value["types"]) == named


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(0.0, 0), (0.0999, 0), (0.1, 10), (0.199, 10), (0.2, 20), (0.35, 30), (0.4, 40), (1.0, 40)],
)
def test_the_severity_is_the_lower_end_of_its_bin(ratio: float, expected: int) -> None:
    assert severity(ratio, (10, 20, 30, 40)) == expected
    assert severity(ratio, (40, 10, 30, 20)) == expected


def test_other_bins_can_be_set() -> None:
    told = occlusion(parts({"mask": 0.3}), 0.0, OcclusionConfig(severity_percent=(25, 50)))
    assert told["severity"] == 25
    assert (
        occlusion(parts({"mask": 0.3}), 0.0, OcclusionConfig(severity_percent=()))["severity"] == 0
    )


def test_a_speck_of_a_type_is_less_sure_than_a_patch_of_it() -> None:
    speck = type_confidences(parts({"hand": CERTAIN_SHARE / 10}), 0.0)["hand"]
    patch = type_confidences(parts({"hand": CERTAIN_SHARE}), 0.0)["hand"]
    assert 0 < speck < 0.2
    assert patch == 1


def test_a_large_thing_that_could_be_anything_is_not_sure() -> None:
    shares, peaks = {"object": 0.2, "mask": 0.2}, {"object": 0.5, "mask": 0.5}
    assert type_confidences(parts(shares, peaks), 0.0)["mask"] == 0.5


def test_another_face_s_box_tells_of_an_extraneous_face() -> None:
    bare = parts({})
    assert type_confidences(bare, 0.0)["extraneous_face"] == 0
    assert 0 < type_confidences(bare, 0.1)["extraneous_face"] < 1
    assert type_confidences(bare, 0.3)["extraneous_face"] == 1


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
