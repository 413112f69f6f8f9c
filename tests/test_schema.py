"""The words of the data, against the paper and the iBUG scheme."""

from __future__ import annotations

import numpy as np
import pytest

from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.schema import (
    LABEL_CODES,
    LABEL_SYNONYMS,
    LABELS,
    LANDMARK_MIRROR,
    LANDMARK_PARTS,
    TABLE_1,
)

# Written down from the iBUG figure: each point and its partner across the nose.
IBUG_PAIRS = [
    *((0, 16), (1, 15), (7, 9), (8, 8), (17, 26), (21, 22), (27, 27), (30, 30), (31, 35)),
    *((33, 33), (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46), (48, 54), (49, 53)),
    *((51, 51), (55, 59), (57, 57), (60, 64), (61, 63), (62, 62), (65, 67), (66, 66)),
]


def test_labels_stand_in_the_order_of_table_1() -> None:
    assert " ".join(LABEL_CODES) == "AN DI FE HA NE SA SU CO"
    assert [label[:2].upper() for label in LABELS] == list(LABEL_CODES)


def test_table_1_sums_to_the_paper_s_totals() -> None:
    assert {split: sum(counts) for split, counts in TABLE_1.items()} == {
        "train": 6838,
        "validation": 880,
    }
    assert dict(zip(LABEL_CODES, TABLE_1["validation"], strict=True))["DI"] == 69


def test_mirroring_landmarks_twice_changes_nothing() -> None:
    assert sorted(LANDMARK_MIRROR) == list(range(68))
    assert [LANDMARK_MIRROR[partner] for partner in LANDMARK_MIRROR] == list(range(68))


@pytest.mark.parametrize(("point", "partner"), IBUG_PAIRS)
def test_landmark_partners_are_those_of_the_ibug_figure(point: int, partner: int) -> None:
    assert LANDMARK_MIRROR[point] == partner
    assert LANDMARK_MIRROR[partner] == point


@pytest.mark.parametrize("part", LANDMARK_PARTS)
def test_mirroring_maps_left_parts_to_right_parts(part: str) -> None:
    twin = part.replace("left", "R").replace("right", "left").replace("R", "right")
    mirrored = {LANDMARK_MIRROR[i] for i in range(68)[LANDMARK_PARTS[part]]}
    assert mirrored == set(range(68)[LANDMARK_PARTS[twin]])


def test_the_parts_cover_every_landmark_once() -> None:
    points = [i for part in LANDMARK_PARTS.values() for i in range(68)[part]]
    assert sorted(points) == list(range(68))


def test_left_is_the_left_of_the_picture() -> None:
    face = np.asarray(MEAN_FACE68)
    for part in ("eye", "brow"):
        left, right = (face[LANDMARK_PARTS[f"{side}_{part}"]] for side in ("left", "right"))
        assert left[:, 0].max() < right[:, 0].min()


def test_the_mirrored_mean_face_lies_near_itself() -> None:
    face = np.asarray(MEAN_FACE68, dtype=np.float64)
    axis = face[27:31, 0].mean()
    mirrored = face[list(LANDMARK_MIRROR)] * [-1, 1] + [2 * axis, 0]
    width = face[16, 0] - face[0, 0]
    assert np.abs(mirrored - face).max() < 0.06 * width


def test_synonyms_are_words_in_lower_case_that_mean_labels() -> None:
    assert set(LABEL_SYNONYMS.values()) == set(LABELS)
    assert all(word == word.lower() for word in LABEL_SYNONYMS)
    assert not any(word.isdigit() for word in LABEL_SYNONYMS)


@pytest.mark.parametrize(
    ("word", "label"),
    [("angry", "anger"), ("ha", "happiness"), ("fearful", "fear"), ("co", "contempt")],
)
def test_usual_spellings_are_known(word: str, label: str) -> None:
    assert LABEL_SYNONYMS[word] == label
