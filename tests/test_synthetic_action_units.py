from __future__ import annotations

import numpy as np
import pytest

from occlufer.builders.synthetic.action_units import (
    EXPRESSIONS,
    activation,
    mirrored,
    moved,
    strength,
)
from occlufer.builders.synthetic.anatomy import MEAN_FACE, identity
from occlufer.schema import LABELS, LANDMARK_MIRROR


def test_every_label_has_a_recipe() -> None:
    assert set(EXPRESSIONS) == set(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_the_mirrored_activation_gives_the_mirrored_face(label: str) -> None:
    muscles = activation(label, np.random.default_rng(5))
    face, other = moved(MEAN_FACE, muscles), moved(MEAN_FACE, mirrored(muscles))
    flipped = other[list(LANDMARK_MIRROR)] * np.array((-1, 1, 1), np.float32)
    np.testing.assert_allclose(flipped, face, atol=1e-5)


@pytest.mark.parametrize("label", LABELS)
def test_lids_and_lips_never_cross(label: str) -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        y = moved(identity(seed).points, activation(label, rng))[:, 1]
        for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46), (51, 62), (62, 66), (66, 57)):
            assert y[upper] < y[lower]


def mouth_height(label: str) -> float:
    points = moved(MEAN_FACE, EXPRESSIONS[label])
    return float(points[66, 1] - points[62, 1])


def test_corners_rise_in_joy_fall_in_grief_and_differ_in_contempt() -> None:
    rise = {
        label: MEAN_FACE[[48, 54], 1] - moved(MEAN_FACE, units)[[48, 54], 1]
        for label, units in EXPRESSIONS.items()
    }
    assert (rise["happiness"] > 0.1).all()
    assert (rise["sadness"] < -0.1).all()
    assert abs(rise["contempt"][0] - rise["contempt"][1]) > 0.1
    assert (rise["neutral"] == 0).all()


def test_only_surprise_drops_the_jaw_wide_open() -> None:
    heights = {label: mouth_height(label) for label in LABELS}
    assert max(heights, key=lambda label: heights[label]) == "surprise"
    assert heights["surprise"] > 1.5 * heights["fear"]


def test_brows_fall_in_anger_and_rise_in_surprise() -> None:
    lift = {
        label: float((MEAN_FACE[17:27, 1] - moved(MEAN_FACE, units)[17:27, 1]).mean())
        for label, units in EXPRESSIONS.items()
    }
    assert min(lift, key=lambda label: lift[label]) == "anger"
    assert max(lift, key=lambda label: lift[label]) == "surprise"


def test_one_side_of_contempt_is_chosen_by_the_photo() -> None:
    sides = {
        strength(activation("contempt", np.random.default_rng(seed)), "AU14", "L") > 0.4
        for seed in range(20)
    }
    assert sides == {True, False}


def test_one_subject_keeps_one_face() -> None:
    assert (identity(3).points == identity(3).points).all()
    assert (identity(3).points != identity(4).points).any()
