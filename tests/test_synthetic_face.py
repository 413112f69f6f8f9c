from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from occlufer.builders.regions import region_masks
from occlufer.builders.synthetic import (
    MEAN_FACE68,
    DrawnFace,
    FacePlan,
    draw_face,
    encode_jpeg,
)
from occlufer.schema import (
    FACE_PARTS,
    LABELS,
    LANDMARK_MIRROR,
    LANDMARK_PARTS,
    OCCLUSION_TYPES,
    REGIONS,
)

OCCLUDER = FACE_PARTS.index("occluder")

plans = st.builds(
    FacePlan,
    label=st.sampled_from(LABELS),
    subject=st.integers(0, 2**31),
    photo=st.integers(0, 2**31),
    occlusion=st.lists(st.sampled_from(OCCLUSION_TYPES), max_size=3, unique=True).map(tuple),
)


def same(one: DrawnFace, other: DrawnFace) -> bool:
    names = ("image_rgb", "part_map", "occluder_map", "landmarks68_px", "box_xyxy_px")
    arrays = [np.array_equal(getattr(one, name), getattr(other, name)) for name in names]
    return all(arrays) and one.visible == other.visible


@settings(max_examples=40, deadline=None)
@given(plans)
def test_every_plan_gives_a_picture_with_its_truth(plan: FacePlan) -> None:
    face = draw_face(plan)
    assert face.image_rgb.shape == (224, 224, 3)
    for array in (face.image_rgb, face.part_map, face.occluder_map):
        assert array.dtype == np.uint8
    assert face.part_map.shape == face.occluder_map.shape == (224, 224)
    assert face.part_map.max() < len(FACE_PARTS)
    assert face.landmarks68_px.shape == (68, 2)
    assert face.landmarks68_px.dtype == face.box_xyxy_px.dtype == np.float32
    x0, y0, x1, y1 = face.box_xyxy_px
    assert 0.49 * 224 <= max(x1 - x0, y1 - y0) <= 0.86 * 224
    assert min(x0, y0) >= -1
    assert max(x1, y1) <= 225
    assert (face.landmarks68_px >= (x0 - 1, y0 - 1)).all()
    assert (face.landmarks68_px <= (x1 + 1, y1 + 1)).all()
    assert set(face.visible) == set(REGIONS)
    assert all(0 <= share <= 1 for share in face.visible.values())
    drawn = {OCCLUSION_TYPES[i - 1] for i in np.unique(face.occluder_map) if i}
    assert drawn <= set(plan.occlusion)


@settings(max_examples=25, deadline=None)
@given(plans)
def test_maps_and_shares_tell_the_same(plan: FacePlan) -> None:
    face = draw_face(plan)
    assert ((face.part_map == OCCLUDER) == (face.occluder_map > 0)).all()
    for name, mask in region_masks(face.landmarks68_px, 224, 224).items():
        expected = (face.occluder_map[mask] == 0).mean() if mask.any() else 1.0
        assert face.visible[name] == pytest.approx(expected)
    assert face.occlusion_ratio == pytest.approx(1 - face.visible["face"])


@pytest.mark.parametrize("occlusion", [(), ("mask", "eyewear")], ids=["bare", "covered"])
def test_the_same_plan_gives_the_same_bytes(occlusion: tuple[str, ...]) -> None:
    plan = FacePlan("fear", 11, 12, occlusion)
    assert same(draw_face(plan), draw_face(plan))


def test_threads_draw_what_one_thread_draws() -> None:
    wanted = [FacePlan(LABELS[i % 8], i, i, (OCCLUSION_TYPES[i % 6],)) for i in range(16)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(draw_face, wanted))
    assert all(same(draw_face(plan), face) for plan, face in zip(wanted, together, strict=True))


@pytest.mark.parametrize(
    "other",
    [FacePlan("sadness", 1, 2), FacePlan("anger", 2, 2), FacePlan("anger", 1, 3)],
    ids=["label", "subject", "photo"],
)
def test_each_field_of_the_plan_changes_the_picture(other: FacePlan) -> None:
    one, two = draw_face(FacePlan("anger", 1, 2)), draw_face(other)
    assert np.abs(one.image_rgb.astype(int) - two.image_rgb).mean() > 5


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("kind", OCCLUSION_TYPES)
def test_every_occluder_covers_part_of_the_face(label: str, kind: str) -> None:
    for photo in range(3):
        face = draw_face(FacePlan(label, 40 + photo, photo, (kind,)))
        assert set(np.unique(face.occluder_map)) == {0, 1 + OCCLUSION_TYPES.index(kind)}
        assert face.occlusion_ratio > 0.02


@pytest.mark.parametrize(
    ("kind", "region"),
    [("mask", "mouth"), ("eyewear", "left_eye"), ("eyewear", "right_eye")],
)
def test_worn_occluders_cover_their_region(kind: str, region: str) -> None:
    shares = [draw_face(FacePlan("neutral", i, i, (kind,))).visible[region] for i in range(20)]
    assert max(shares) < 0.75
    assert np.mean(shares) < 0.4


def test_a_bare_face_is_all_visible() -> None:
    face = draw_face(FacePlan("happiness", 5, 6))
    assert set(face.visible.values()) == {1.0}
    assert face.occlusion_ratio == 0
    assert not face.occluder_map.any()


@pytest.mark.parametrize("kind", OCCLUSION_TYPES)
def test_an_occluder_leaves_the_face_beneath_and_the_rest_of_the_picture(kind: str) -> None:
    bare, covered = (draw_face(FacePlan("disgust", 7, 8, o)) for o in ((), (kind,)))
    assert (bare.landmarks68_px == covered.landmarks68_px).all()
    assert (bare.box_xyxy_px == covered.box_xyxy_px).all()
    untouched = covered.occluder_map == 0
    assert (bare.part_map[untouched] == covered.part_map[untouched]).all()
    # Shadows, blur and JPEG blocks reach a little further than the occluder itself.
    away = cv2.distanceTransform(untouched.astype(np.uint8), cv2.DIST_L2, 3) > 40
    difference = np.abs(bare.image_rgb.astype(int) - covered.image_rgb).max(axis=2)
    assert (difference[away] == 0).all()
    assert difference[~untouched].mean() > 5


def test_the_later_occluder_lies_on_top() -> None:
    both = draw_face(FacePlan("neutral", 3, 4, ("eyewear", "mask")))
    glasses = draw_face(FacePlan("neutral", 3, 4, ("eyewear",)))
    mask = draw_face(FacePlan("neutral", 3, 4, ("mask",)))
    mask_id = 1 + OCCLUSION_TYPES.index("mask")
    assert ((both.occluder_map == mask_id) == (mask.occluder_map == mask_id)).all()
    assert ((both.occluder_map > 0) == ((mask.occluder_map > 0) | (glasses.occluder_map > 0))).all()


@pytest.mark.parametrize("label", LABELS)
def test_landmarks_lie_on_their_parts(label: str) -> None:
    hits, places = 0, 0
    for photo in range(6):
        face = draw_face(FacePlan(label, 70 + photo, photo))
        p = face.landmarks68_px
        for part, points in (
            ("left_eye", p[LANDMARK_PARTS["left_eye"]]),
            ("right_eye", p[LANDMARK_PARTS["right_eye"]]),
            ("left_brow", p[19:20]),
            ("right_brow", p[24:25]),
            ("nose", p[28:31]),
            ("upper_lip", (p[[51]] + p[[62]]) / 2),
            ("lower_lip", (p[[57]] + p[[66]]) / 2),
        ):
            x, y = np.round(points.mean(axis=0)).astype(int)
            around = face.part_map[y - 1 : y + 2, x - 1 : x + 2]
            hits += FACE_PARTS.index(part) in around
            places += 1
    assert hits == places


def test_face_skin_fills_the_face_region() -> None:
    face = draw_face(FacePlan("neutral", 9, 9))
    inside = region_masks(face.landmarks68_px, 224, 224)["face"]
    assert (face.part_map[inside] != FACE_PARTS.index("background")).mean() > 0.97


def test_the_mean_face_is_symmetric_and_fills_its_box() -> None:
    assert MEAN_FACE68.shape == (68, 2)
    assert MEAN_FACE68.dtype == np.float32
    mirrored = MEAN_FACE68[list(LANDMARK_MIRROR)] * (-1, 1) + (1, 0)
    np.testing.assert_allclose(mirrored, MEAN_FACE68, atol=1e-6)
    assert MEAN_FACE68.min() >= 0
    assert MEAN_FACE68.max() == pytest.approx(1)


def test_encode_jpeg_gives_the_same_file_again() -> None:
    image = draw_face(FacePlan("surprise", 1, 1)).image_rgb
    fine, coarse = encode_jpeg(image, 95), encode_jpeg(image, 40)
    assert fine == encode_jpeg(image, 95)
    assert len(coarse) < len(fine)
    decoded = np.asarray(Image.open(io.BytesIO(fine)))
    assert np.abs(decoded.astype(int) - image).mean() < 6


@pytest.mark.parametrize(
    ("label", "subject", "occlusion", "message"),
    [
        ("joy", 0, (), "label 'joy' is not one of"),
        ("fear", -1, (), "subject -1 and photo 0 must not be negative"),
        ("fear", 0, ("hat",), "occlusion 'hat' is not one of"),
    ],
    ids=["label", "subject", "occlusion"],
)
def test_a_plan_refuses_what_cannot_be_drawn(
    label: str, subject: int, occlusion: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        FacePlan(label, subject, 0, occlusion)
