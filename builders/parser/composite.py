"""Composites: a face with something before it, and what every pixel of it shows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from occlufer.errors import UsageError
from occlufer.face_parser import FACE_CENTRE, FACE_SHARE, FIRST_TYPE, MAP_PX
from occlufer.schema import FACE_PARTS, LABELS, LANDMARK_MIRROR

from ..synthetic.canvas import SIZE_PX, Canvas, new_canvas
from ..synthetic.light import random_light
from ..synthetic.occluders import OCCLUDERS
from ..synthetic.outlines import floats
from ..synthetic.person import paint_person, pose_person
from ..synthetic.pose import Head
from ..synthetic.scene import background
from .camera import photographed
from .fitting import fit_head, skin_colour
from .mesh import PARTS, landmarks68, outline
from .network import INPUT_PX
from .pasted import PASTES, Donor, Palette
from .taught import HAIR_OR_BACKGROUND, UNKNOWN
from .teacher import PICTURES, TaughtFace

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
Labels = NDArray[np.uint8]

# What is so much darker than the cheeks, above the brows, may be a fringe.
FRINGE_LIGHT = 0.6
SKIN = FACE_PARTS.index("skin")
# How often what comes before a face; the rest are bare.
OCCLUDED_SHARE = 0.75
DRAWN_SHARE = 0.12
# (what, how often): painters of drawn things, and pastes of photographed ones.
_DRAWS = (("mask", 2), ("hand", 3), ("eyewear", 3), ("hair", 3), ("object", 2))
_PASTED = (
    *(("mask", 4), ("patch", 4), ("side", 3), ("scarf", 2)),
    *(("skin", 3), ("face", 2), ("bar", 1)),
)


@dataclass(frozen=True)
class Composite:
    """One picture to learn from."""

    image_rgb: Picture
    """(INPUT_PX, INPUT_PX, 3)"""
    classes: Labels
    """(MAP_PX, MAP_PX): numbers of PARSED_CLASSES, HAIR_OR_BACKGROUND, or UNKNOWN."""
    landmarks68: Floats
    """(68, 2), x before y, as shares of the picture, covered points included."""


@dataclass(frozen=True)
class Scene:
    """A canvas with a face on it."""

    canvas: Canvas
    head: Head


def compose(
    faces: Sequence[TaughtFace], palette: Palette, number: int, rng: np.random.Generator
) -> Composite:
    """Return a composite of the face `number`; now and then of a drawn face instead."""
    if rng.random() < DRAWN_SHARE:
        scene = drawn_scene(rng)
    else:
        scene = taught_scene(faces[number], random_frame(faces[number], rng), rng)
    if rng.random() < OCCLUDED_SHARE:
        cover_face(scene, palette, rng)
    return finished(scene, rng)


def cover_face(scene: Scene, palette: Palette, rng: np.random.Generator) -> None:
    """Lay one to three things over the face."""
    light = random_light(rng)
    for _ in range(int(rng.choice((1, 2, 3), p=(0.65, 0.27, 0.08)))):
        if rng.random() < 0.45:
            OCCLUDERS[_drawn_from(_DRAWS, rng)](scene.canvas, scene.head, light, rng)
        else:
            PASTES[_drawn_from(_PASTED, rng)](scene.canvas, scene.head, light, rng, palette)


def _drawn_from(odds: Sequence[tuple[str, int]], rng: np.random.Generator) -> str:
    names, weights = zip(*odds, strict=True)
    share = np.array(weights) / sum(weights)
    return str(rng.choice(names, p=share))


def finished(scene: Scene, rng: np.random.Generator | None) -> Composite:
    """Return the scene as the network meets it; with `rng` as a camera took it."""
    canvas = scene.canvas
    planes = np.clip(canvas.rgb, 0, 255).astype(np.uint8)
    image = cv2.resize(cv2.merge(list(planes)), (INPUT_PX,) * 2, interpolation=cv2.INTER_AREA)
    image = np.asarray(image, np.uint8)
    classes = canvas.parts.copy()
    covered = canvas.occluders > 0
    classes[covered] = canvas.occluders[covered] + np.uint8(FIRST_TYPE - 1)
    small = cv2.resize(classes, (MAP_PX, MAP_PX), interpolation=cv2.INTER_NEAREST_EXACT)
    return Composite(
        image if rng is None else photographed(image, rng),
        np.asarray(small, np.uint8),
        (scene.head.px / SIZE_PX).astype(np.float32),
    )


def drawn_scene(rng: np.random.Generator) -> Scene:
    """Return a drawn person; hair is told from background there."""
    head = pose_person(int(rng.integers(1 << 30)), str(rng.choice(LABELS)), rng)
    light = random_light(rng)
    canvas = new_canvas(background(rng) * light.colour[:, None, None])
    paint_person(canvas, head, light, rng)
    return Scene(canvas, head)


def taught_scene(face: TaughtFace, frame: Frame, rng: np.random.Generator) -> Scene:
    """Return a photographed face in its frame; `rng` chooses what lies beyond the picture."""
    image, mesh = warped(face, frame, rng)
    points = landmarks68(mesh)
    if frame.mirror:
        points = points[list(LANDMARK_MIRROR)]
    canvas = new_canvas(image.astype(np.float32).transpose(2, 0, 1).copy())
    canvas.parts[:] = _part_map(mesh, frame.mirror)
    skin = skin_colour(image, points)
    canvas.parts[_fringe(image, canvas.parts, points, skin)] = UNKNOWN
    hair = skin * np.float32(rng.uniform(0.1, 0.7))
    return Scene(canvas, fit_head(points, skin, hair))


@dataclass(frozen=True)
class Frame:
    """How a photograph is laid on the canvas."""

    matrix: Floats
    """(2, 3): from its pixels to the canvas's."""
    mirror: bool


def random_frame(face: TaughtFace, rng: np.random.Generator) -> Frame:
    """Return a frame as detectors and croppers give it: never quite centred, sized or upright."""
    scale = FACE_SHARE * np.exp(rng.normal(0, 0.14))
    return frame_of(
        face,
        share=float(np.clip(scale, 0.4, 0.95)),
        roll=float(np.clip(rng.normal(0, 0.17), -0.6, 0.6)),
        shift=tuple(rng.normal(0, 0.055, 2)),
        aspect=float(np.exp(rng.normal(0, 0.05))),
        mirror=bool(rng.random() < 0.5),
    )


def frame_of(
    face: TaughtFace,
    share: float = FACE_SHARE,
    roll: float = 0.0,
    shift: tuple[float, ...] = (0.0, 0.0),
    aspect: float = 1.0,
    mirror: bool = False,
) -> Frame:
    """Return the frame in which the face has this share of the height, turn and place.

    `roll` is in radians, `shift` (x, y) in shares of the canvas's side, and `aspect` is by how much
    the photograph is stretched in its width.
    """
    width, height = _size(face)
    points = landmarks68(face.mesh) * floats((width, height))
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low + high) / 2
    scale = share * SIZE_PX / max(float((high - low).max()), 1.0)
    cos, sin = np.cos(roll) * scale, np.sin(roll) * scale
    matrix = np.array([[cos * aspect, -sin, 0], [sin * aspect, cos, 0]])
    if mirror:
        matrix[:, 0] *= -1
    target = SIZE_PX * (np.array(FACE_CENTRE) + np.array(shift))
    matrix[:, 2] = target - matrix[:, :2] @ middle
    return Frame(matrix.astype(np.float32), mirror)


def warped(face: TaughtFace, frame: Frame, rng: np.random.Generator) -> tuple[Picture, Floats]:
    """Return the picture (H, W, 3) and the mesh (478, 2) in pixels, laid on the canvas."""
    image = decoded(face)
    matrix, mesh = frame.matrix, face.mesh * floats(image.shape[1::-1])
    moved = (mesh @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.6:  # shrink first, or the warp would skip pixels
        image = np.asarray(
            cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
        matrix = matrix.copy()
        matrix[:, :2] /= np.float32(scale)
    beyond = int(rng.integers(3))
    laid = cv2.warpAffine(
        image,
        matrix,
        (SIZE_PX, SIZE_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE if beyond == 0 else cv2.BORDER_CONSTANT,
        borderValue=(0, 0, 0) if beyond == 1 else tuple(rng.integers(0, 256, 3).tolist()),
    )
    return np.asarray(laid, np.uint8), moved


def donor_of(face: TaughtFace, rng: np.random.Generator) -> Donor:
    """Return a photograph to take pieces of."""
    image, mesh = warped(face, random_frame(face, rng), rng)
    points = landmarks68(mesh)
    return Donor(image, outline(mesh, "face"), skin_colour(image, points))


def decoded(face: TaughtFace) -> Picture:
    """Return the photograph's pixels (H, W, 3)."""
    image = cv2.imdecode(np.frombuffer(face.picture, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UsageError(f"{PICTURES}, {face.name}: found no picture that can be decoded")
    return np.asarray(image, np.uint8)[..., ::-1].copy()


def _size(face: TaughtFace) -> tuple[int, int]:
    """Return the photograph's width and height, without decoding it."""
    return Image.open(io.BytesIO(face.picture)).size


def _part_map(mesh: Floats, mirror: bool) -> Labels:
    """Return the parts (H, W) as the mesh outlines them; beyond the face HAIR_OR_BACKGROUND."""
    parts = np.full((SIZE_PX, SIZE_PX), HAIR_OR_BACKGROUND, np.uint8)
    _fill(parts, outline(mesh, "face"), SKIN)
    for name in PARTS:
        seen = _other_side(name) if mirror else name
        _fill(parts, outline(mesh, name), FACE_PARTS.index(seen))
    return parts


def _fringe(image: Picture, parts: Labels, points: Floats, skin: Floats) -> NDArray[np.bool_]:
    """Return where the face above the brows is much darker than its cheeks, (H, W)."""
    dark = image.mean(axis=2) < FRINGE_LIGHT * float(skin.mean())
    up = points[8] - points[27]
    rows, columns = np.mgrid[0:SIZE_PX, 0:SIZE_PX].astype(np.float32)
    ahead = (columns - points[17:27, 0].mean()) * up[0] + (rows - points[17:27, 1].mean()) * up[1]
    found = dark & (parts == SKIN) & (ahead < 0)
    return np.asarray(found, np.bool_)


def _other_side(name: str) -> str:
    swapped = {"left": "right", "right": "left"}
    side, _, rest = name.partition("_")
    return f"{swapped[side]}_{rest}" if side in swapped else name


def _fill(parts: Labels, points: Floats, number: int) -> None:
    fixed = np.round(points * 16).astype(np.int32)
    cv2.fillPoly(parts, [fixed], (number,), cv2.LINE_8, 4)
