"""Covered faces of which it is known what covers them: photographs the parser has never seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from occlufer.builders.parser.composite import (
    Scene,
    cover_face,
    donor_of,
    finished,
    frame_of,
    random_frame,
    taught_scene,
)
from occlufer.builders.parser.pasted import Donor, Palette, read_templates
from occlufer.builders.parser.teacher import TaughtFace, read_faces
from occlufer.builders.regions import region_weights
from occlufer.face_parser import FIRST_TYPE, MAP_PX, PARSED_CLASSES

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Covered:
    """One face as a parser gets it, and what is true of it."""

    image_rgb: NDArray[np.uint8]
    """(INPUT_PX, INPUT_PX, 3)"""
    occluder: Floats
    """(MAP_PX, MAP_PX): 1 where something is before the picture, else 0."""
    face: Floats
    """(MAP_PX, MAP_PX): how much of a cell belongs to the amodal face, in [0, 1]."""
    landmarks68: Floats
    """(68, 2), shares of the picture, by the teacher's mesh."""

    @property
    def ratio(self) -> float:
        """The share of the face that is covered."""
        return float((self.face * self.occluder).sum() / self.face.sum())


class HeldOut:
    """Held-out people, mask templates, and pictures to cut occluders from."""

    def __init__(self, folder: Path, held_out: bool = True) -> None:
        """Read them from the folder of real pictures, or those that are not `held_out`."""
        self.faces = read_faces(folder)[held_out]
        self.palette = Palette(read_templates(folder, held_out=held_out), self.donor)

    def donor(self, rng: np.random.Generator) -> Donor:
        """Return another held-out picture to cut from."""
        return donor_of(self.faces[int(rng.integers(len(self.faces)))], rng)

    def covered(self, per_face: int, seed: int) -> Iterator[Covered]:
        """Yield every face some times, each time under other occluders, jittered, undistorted."""
        for number, face in enumerate(self.faces * per_face):
            rng = np.random.default_rng([seed, number])
            scene = taught_scene(face, random_frame(face, rng), rng)
            cover_face(scene, self.palette, rng)
            yield _covered(scene)

    def bare(self, seed: int) -> Iterator[Covered]:
        """Yield every face once, with nothing before it."""
        for number, face in enumerate(self.faces):
            rng = np.random.default_rng([seed, number])
            yield _covered(taught_scene(face, random_frame(face, rng), rng))

    def growing(self, face: TaughtFace, ratios: tuple[float, ...], seed: int) -> list[Covered]:
        """Return a face under one occluder that covers these shares of it, one after the other.

        A piece of another picture that comes in from one side, or grows around a place.
        """
        rng = np.random.default_rng([seed, 7])
        whole = taught_scene(face, frame_of(face), rng)
        bare = _covered(whole)
        side = bare.image_rgb.shape[0]
        large = np.asarray(cv2.resize(bare.face, (side, side)), np.float32)
        distance = _distances(large, rng)
        texture = _texture(self.donor(rng).rgb, side, rng)
        order = np.argsort(distance.ravel())
        reached = np.cumsum(large.ravel()[order]) / large.sum()
        made = []
        for ratio in ratios:
            count = int(np.searchsorted(reached, ratio)) if ratio else 0
            over = np.zeros((side, side), np.float32)
            over.flat[order[:count]] = 1
            image = np.where(over[..., None] > 0, texture, bare.image_rgb).astype(np.uint8)
            small = _small(over)
            made.append(Covered(image, small, bare.face, bare.landmarks68))
        return made


def _texture(rgb: NDArray[np.uint8], side: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a piece of a picture, a sixth to a half of its side, enlarged: no face as a whole."""
    size = int(rng.integers(rgb.shape[0] // 6, rgb.shape[0] // 2))
    top, left = (int(rng.integers(0, rgb.shape[0] - size)) for _ in range(2))
    return np.asarray(cv2.resize(rgb[top : top + size, left : left + size], (side, side)), np.uint8)


def _small(mask: Floats) -> Floats:
    return np.asarray(cv2.resize(mask, (MAP_PX, MAP_PX), interpolation=cv2.INTER_AREA), np.float32)


def _distances(face: Floats, rng: np.random.Generator) -> Floats:
    """Return how late every pixel is covered: from one side on, or around a place on the face."""
    rows, columns = np.mgrid[0 : face.shape[0], 0 : face.shape[1]].astype(np.float32)
    if rng.random() < 0.5:
        turn = rng.uniform(0, 2 * np.pi)
        return np.asarray(rows * np.sin(turn) + columns * np.cos(turn), np.float32)
    places = np.argwhere(face > 0.9)
    y, x = places[int(rng.integers(len(places)))]
    return np.asarray(np.hypot(rows - y, columns - x), np.float32)


def _covered(scene: Scene) -> Covered:
    made = finished(scene, None)
    kinds = made.classes
    over = (kinds >= FIRST_TYPE) & (kinds < len(PARSED_CLASSES))
    face = region_weights(made.landmarks68, MAP_PX)[0]
    return Covered(made.image_rgb, over.astype(np.float32), face, made.landmarks68)
