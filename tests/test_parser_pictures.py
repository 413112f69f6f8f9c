"""What the parser learns from: the teacher's faces, the mesh, composites."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.parser.composite import (
    Composite,
    compose,
    cover_face,
    decoded,
    donor_of,
    drawn_scene,
    finished,
    frame_of,
    taught_scene,
)
from occlufer.builders.parser.fitting import fit_head
from occlufer.builders.parser.mesh import FACE_OVAL, PARTS, landmarks68, outline
from occlufer.builders.parser.network import INPUT_PX
from occlufer.builders.parser.pasted import HELD_OUT_TEMPLATES, PASTES, Palette, read_templates
from occlufer.builders.parser.taught import HAIR_OR_BACKGROUND, UNKNOWN
from occlufer.builders.parser.teacher import TaughtFace, read_faces
from occlufer.builders.regions import region_masks
from occlufer.builders.synthetic.canvas import SIZE_PX
from occlufer.builders.synthetic.light import random_light
from occlufer.builders.synthetic.pose import project
from occlufer.errors import UsageError
from occlufer.face_parser import MAP_PX, PARSED_CLASSES
from occlufer.schema import LANDMARK_MIRROR, LANDMARK_PARTS, OCCLUSION_TYPES

Faces = tuple[list[TaughtFace], list[TaughtFace]]
FIRST_TYPE = PARSED_CLASSES.index(OCCLUSION_TYPES[0])


@pytest.fixture(scope="module")
def taught(real_data: Path) -> Faces:
    train, held_out = read_faces(real_data)
    return train, held_out


@pytest.fixture(scope="module")
def palette(real_data: Path, taught: Faces) -> Palette:
    faces, _ = taught
    return Palette(
        read_templates(real_data, held_out=False),
        lambda rng: donor_of(faces[int(rng.integers(len(faces)))], rng),
    )


def test_nobody_who_is_tested_on_is_trained_on(real_data: Path, taught: Faces) -> None:
    train, held_out = taught
    with (real_data / "MANIFEST.tsv").open(encoding="utf-8") as file:
        tested = {row["identity"] for row in csv.DictReader(file, delimiter="\t")} - {""}
    assert not tested & {face.identity for face in train}
    people = [{face.identity for face in faces if face.identity} for faces in taught]
    assert not people[0] & people[1]
    names = {face.name for face in train} & {face.name for face in held_out}
    assert not names
    assert len(train) > 3000
    assert len(held_out) > 500


def test_outlines_are_the_rings_that_the_teacher_names(real_data: Path) -> None:
    edges = json.loads((real_data / "mesh478_parts.json").read_text(encoding="utf-8"))
    assert _ring(FACE_OVAL) == {frozenset(edge) for edge in edges["face_oval"]}
    # The teacher names an eye by the person's side, we by the picture's.
    for ours, theirs in (("left_eye", "right_eye"), ("right_eye", "left_eye")):
        assert _ring(PARTS[ours]) == {frozenset(edge) for edge in edges[theirs]}
    lips = {frozenset(edge) for edge in edges["lips"]}
    assert _ring(PARTS["inner_mouth"]) <= lips
    outer = {edge for part in ("upper_lip", "lower_lip") for edge in _ring(PARTS[part])} & lips
    assert outer == lips


def _ring(points: tuple[int, ...]) -> set[frozenset[int]]:
    return {frozenset(pair) for pair in zip(points, (*points[1:], points[0]), strict=True)}


def test_landmarks_lie_on_the_parts_they_are_named_for(taught: Faces) -> None:
    for face in taught[0][:40]:
        mesh = face.mesh * 500
        points = landmarks68(mesh)
        for part, landmarks in (
            ("left_eye", LANDMARK_PARTS["left_eye"]),
            ("right_eye", LANDMARK_PARTS["right_eye"]),
            ("left_brow", LANDMARK_PARTS["left_brow"]),
            ("right_brow", LANDMARK_PARTS["right_brow"]),
        ):
            ring = outline(mesh, part)
            away = [
                cv2.pointPolygonTest(ring, tuple(map(float, p)), True) for p in points[landmarks]
            ]
            assert min(away) > -1.5, (face.name, part)
        assert points[0, 0] < points[8, 0] < points[16, 0]


def test_the_region_of_the_68_landmarks_is_the_teachers_face(taught: Faces) -> None:
    overlaps = []
    for face in taught[1][:100]:
        mesh = face.mesh * np.float32(200)
        ours = region_masks(landmarks68(mesh), 200, 200)["face"]
        theirs = np.zeros((200, 200), np.uint8)
        cv2.fillPoly(theirs, [np.round(outline(mesh, "face")).astype(np.int32)], 1)
        overlaps.append((ours & (theirs > 0)).sum() / (ours | (theirs > 0)).sum())
    assert np.mean(overlaps) > 0.85


def test_a_fitted_head_projects_onto_the_landmarks(taught: Faces) -> None:
    colour = np.zeros(3, np.float32)
    for face in taught[0][:40]:
        points = landmarks68(face.mesh) * np.float32(SIZE_PX)
        head = fit_head(points, colour, colour)
        assert np.abs(project(head.points, head.pose) - points).max() < 0.05
        assert np.linalg.det(head.pose.rotation) == pytest.approx(1, abs=1e-4)


def test_a_bare_face_shows_nothing_that_covers_it(taught: Faces) -> None:
    rng = np.random.default_rng(3)
    for face in taught[0][:20]:
        made = finished(taught_scene(face, frame_of(face), rng), None)
        assert set(np.unique(made.classes)) <= {*range(FIRST_TYPE), HAIR_OR_BACKGROUND, UNKNOWN}


@pytest.mark.parametrize("mirror", [False, True])
def test_left_stays_left_in_the_picture(taught: Faces, mirror: bool) -> None:
    rng = np.random.default_rng(4)
    for face in taught[0][:20]:
        made = finished(taught_scene(face, frame_of(face, mirror=mirror), rng), None)
        for side in ("left_eye", "right_eye"):
            rows, columns = np.nonzero(made.classes == PARSED_CLASSES.index(side))
            if len(rows) >= 4:
                seen = np.array([columns.mean(), rows.mean()]) / MAP_PX
                told = made.landmarks68[LANDMARK_PARTS[side]].mean(axis=0)
                assert np.linalg.norm(seen - told) < 0.03


def test_a_mirrored_composite_is_the_mirror_of_the_other(taught: Faces) -> None:
    face = taught[0][0]
    plain, mirrored = (
        finished(taught_scene(face, frame_of(face, mirror=m), np.random.default_rng(1)), None)
        for m in (False, True)
    )
    other = mirrored.landmarks68[list(LANDMARK_MIRROR)]
    assert np.abs(plain.landmarks68[:, 1] - other[:, 1]).max() < 0.01
    assert np.abs(plain.landmarks68[:, 0] + other[:, 0] - 1).max() < 0.01


@pytest.mark.parametrize("name", sorted(PASTES))
def test_every_paste_changes_the_picture_just_where_it_says(
    taught: Faces, palette: Palette, name: str
) -> None:
    changed = covered = outside = 0
    for number, face in enumerate(taught[0][:12]):
        rng = np.random.default_rng([7, number])
        scene = taught_scene(face, frame_of(face), rng)
        before = scene.canvas.rgb.copy()
        PASTES[name](scene.canvas, scene.head, random_light(rng), rng, palette)
        moved = np.abs(scene.canvas.rgb - before).max(axis=0) > 12
        marked = scene.canvas.occluders > 0
        near = cv2.dilate(marked.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
        changed += int((moved & marked).sum())
        covered += int(marked.sum())
        outside += int((moved & ~near).sum())
    assert covered > 500
    assert changed > 0.5 * covered
    assert outside < 0.02 * covered  # but for the shadow it casts


def test_the_same_number_gives_the_same_composite(taught: Faces, palette: Palette) -> None:
    one, again = (compose(taught[0], palette, 5, np.random.default_rng(11)) for _ in range(2))
    assert np.array_equal(one.image_rgb, again.image_rgb)
    assert np.array_equal(one.classes, again.classes)
    other = compose(taught[0], palette, 5, np.random.default_rng(12))
    assert not np.array_equal(one.image_rgb, other.image_rgb)


def test_composites_have_the_shapes_that_the_network_takes(taught: Faces, palette: Palette) -> None:
    seen: set[int] = set()
    for number in range(60):
        made: Composite = compose(taught[0], palette, number, np.random.default_rng(number))
        assert made.image_rgb.shape == (INPUT_PX, INPUT_PX, 3)
        assert made.classes.shape == (MAP_PX, MAP_PX)
        assert made.landmarks68.shape == (68, 2)
        assert made.landmarks68.dtype == np.float32
        assert int(made.classes.max()) <= UNKNOWN
        seen |= set(np.unique(made.classes).tolist())
    assert seen >= set(range(len(PARSED_CLASSES)))


def test_drawn_scenes_tell_hair_from_background(palette: Palette) -> None:
    rng = np.random.default_rng(0)
    scene = drawn_scene(rng)
    cover_face(scene, palette, rng)
    assert HAIR_OR_BACKGROUND not in np.unique(finished(scene, rng).classes)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (None, "found no picture"),
        (np.zeros((8, 8, 3), np.uint8), "found a picture without transparency"),
        (np.zeros((8, 8), np.uint8), "found a picture without transparency"),
        (np.zeros((8, 8, 4), np.uint8), "found a picture that is transparent all over"),
    ],
    ids=["text", "rgb", "grey", "clear"],
)
def test_a_file_that_is_no_template_is_named(
    tmp_path: Path, image: NDArray[np.uint8] | None, words: str
) -> None:
    path = tmp_path / "occluders_maskthe_face/cloth.png"
    path.parent.mkdir()
    if image is None:
        path.write_bytes(b"no picture")
    else:
        Image.fromarray(image).save(path)
    with pytest.raises(UsageError, match=rf"cloth\.png: {words}, expected"):
        read_templates(tmp_path, held_out=False)


def test_a_face_that_cannot_be_decoded_is_named() -> None:
    face = TaughtFace("1.jpg", "", b"no picture", np.zeros((478, 2), np.float32))
    with pytest.raises(UsageError, match=r"parser_faces\.zip, 1\.jpg: found no picture"):
        decoded(face)


def test_held_out_templates_are_not_trained_on(real_data: Path) -> None:
    train, held_out = (read_templates(real_data, held_out=h) for h in (False, True))
    assert len(held_out) == len(HELD_OUT_TEMPLATES)
    assert len(train) + len(held_out) == 21
    assert not {t.tobytes() for t in train} & {t.tobytes() for t in held_out}
