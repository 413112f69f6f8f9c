"""Pose: from the points of a head in space to pixels of the frame."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .anatomy import EAR_X, HAIRLINE_Y, Identity
from .canvas import SIZE_PX
from .outlines import floats

Floats = NDArray[np.float32]

PERSPECTIVE = 0.07  # growth for each unit a point comes nearer


@dataclass(frozen=True)
class Pose:
    """Where the head is turned and where it lies in the frame."""

    rotation: Floats  # (3, 3)
    unit_px: float  # half a face width
    offset_px: Floats  # (2,): where the origin between the eyes falls


@dataclass(frozen=True)
class Head:
    """One head as it stands before the camera: who, with which muscles, and where."""

    who: Identity
    muscles: dict[str, float]
    pose: Pose
    points: Floats  # (68, 3), under the expression
    px: Floats  # (68, 2)

    def at(self, *points: tuple[float, float, float]) -> Floats:
        """Return pixels (n, 2) of points given in half face widths, x, y, z."""
        return project(np.array(points, np.float32), self.pose)

    def near(self, *places: tuple[int, float, float]) -> Floats:
        """Return pixels (n, 2) of landmarks shifted by (x, y) half face widths before the turn."""
        points = self.points[[place[0] for place in places]].copy()
        points[:, :2] += np.array([place[1:] for place in places], np.float32)
        return project(points, self.pose)


def random_pose(rng: np.random.Generator) -> Pose:
    """Return a turn of the head: roll within 12, yaw within 20, pitch within 12 degrees."""
    limits = np.radians((12, 20, 12))
    roll, yaw, pitch = np.clip(rng.normal(0, 0.5, 3), -1, 1) * limits
    turn = _rotation(float(roll), float(yaw), float(pitch))
    return Pose(turn, 1.0, np.zeros(2, np.float32))


def project(points: Floats, pose: Pose) -> Floats:
    """Return pixels (n, 2) of points (n, 3)."""
    turned = points @ pose.rotation.T
    near = 1 + PERSPECTIVE * turned[:, 2:]
    return np.asarray(turned[:, :2] * near * np.float32(pose.unit_px) + pose.offset_px, np.float32)


def face_box(points: Floats, pose: Pose) -> Floats:
    """Return the box (x0, y0, x1, y1) from hairline to chin and from ear to ear, in pixels."""
    rim = floats(
        (
            (0, HAIRLINE_Y, 0.25),
            (-EAR_X, 0, -0.55),
            (EAR_X, 0, -0.55),
            (-0.5, -1.0, 0.15),
            (0.5, -1.0, 0.15),
        )
    )
    px = project(np.concatenate([points, rim]), pose)
    return floats([*px.min(axis=0), *px.max(axis=0)])


def framed(points: Floats, pose: Pose, rng: np.random.Generator) -> Pose:
    """Return the pose scaled and moved so that the face box takes 50..85 % of the frame."""
    box = face_box(points, pose)
    extent = box[2:] - box[:2]
    share = rng.uniform(0.5, 0.85)
    scale = share * SIZE_PX / float(extent.max())
    slack = SIZE_PX - scale * extent
    # Heads sit a little high in a photograph, with the neck below them.
    place = np.clip(rng.normal((0.5, 0.5), (0.2, 0.16)), 0.08, 0.92)
    return replace(
        pose, unit_px=scale, offset_px=(slack * place - scale * box[:2]).astype(np.float32)
    )


def _rotation(roll: float, yaw: float, pitch: float) -> Floats:
    cos, sin = np.cos((roll, yaw, pitch)), np.sin((roll, yaw, pitch))
    about_z = np.array([[cos[0], -sin[0], 0], [sin[0], cos[0], 0], [0, 0, 1]])
    about_y = np.array([[cos[1], 0, sin[1]], [0, 1, 0], [-sin[1], 0, cos[1]]])
    about_x = np.array([[1, 0, 0], [0, cos[2], sin[2]], [0, -sin[2], cos[2]]])
    return np.asarray(about_z @ about_x @ about_y, np.float32)
