"""The drawn face: from a plan to the picture and everything that is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import LABELS, OCCLUSION_TYPES, REGIONS

from ..regions import region_masks
from .canvas import new_canvas
from .light import random_light
from .occluders import OCCLUDERS
from .person import paint_person, pose_person
from .pose import face_box
from .scene import background, photographed

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class FacePlan:
    """What to draw. Everything else follows from the numbers, so equal plans give equal bytes."""

    label: str
    subject: int
    """Who: bones, skin, hair, brows, beard, age."""
    photo: int
    """Which photograph: intensity, pose, light, background, camera."""
    occlusion: tuple[str, ...] = ()
    """Types of OCCLUSION_TYPES, painted in this order."""

    def __post_init__(self) -> None:
        """Raise ValueError if a word or a number is not one that can be drawn."""
        if self.label not in LABELS:
            raise ValueError(f"label {self.label!r} is not one of {LABELS}")
        if self.subject < 0 or self.photo < 0:
            raise ValueError(f"subject {self.subject} and photo {self.photo} must not be negative")
        for kind in self.occlusion:
            if kind not in OCCLUSION_TYPES:
                raise ValueError(f"occlusion {kind!r} is not one of {OCCLUSION_TYPES}")


@dataclass(frozen=True)
class DrawnFace:
    """A picture of 224 x 224 pixels with its truth."""

    image_rgb: Picture
    landmarks68_px: Floats
    """(68, 2), x before y, covered points included."""
    part_map: Picture
    """Ids of FACE_PARTS as seen: hair of the subject is hair, whatever covers is occluder."""
    occluder_map: Picture
    """0 where nothing covers, else 1 + the index in OCCLUSION_TYPES of the topmost occluder."""
    box_xyxy_px: Floats
    """(4,): from ear to ear and from hairline to chin, as if nothing covered them."""
    visible: dict[str, float]
    """Share of each of REGIONS that no occluder covers; 1 where the frame cuts the region off."""
    occlusion_ratio: float
    """Share of the face that is covered."""


def draw_face(plan: FacePlan) -> DrawnFace:
    """Return the face of the plan; the same plan without occlusion gives the same face bare."""
    rng = np.random.default_rng([crc32(plan.label.encode()), plan.subject, plan.photo])
    head = pose_person(plan.subject, plan.label, rng)
    light = random_light(rng)
    canvas = new_canvas(background(rng) * light.colour[:, None, None])
    paint_person(canvas, head, light, rng)
    camera_seed = int(rng.integers(2**32))
    for kind in plan.occlusion:
        OCCLUDERS[kind](canvas, head, light, _occluder_rng(plan, kind))
    visible = visible_shares(canvas.occluders, head.px)
    return DrawnFace(
        image_rgb=photographed(canvas.rgb, np.random.default_rng(camera_seed)),
        landmarks68_px=head.px,
        part_map=canvas.parts,
        occluder_map=canvas.occluders,
        box_xyxy_px=face_box(head.points, head.pose),
        visible=visible,
        occlusion_ratio=1 - visible["face"],
    )


def visible_shares(occluder_map: Picture, landmarks68_px: Floats) -> dict[str, float]:
    """Return the share of every region that the map (H, W) leaves uncovered, in [0, 1]."""
    masks = region_masks(landmarks68_px, *occluder_map.shape)
    bare = occluder_map == 0
    return {
        name: float(np.count_nonzero(bare & masks[name]) / np.count_nonzero(masks[name]))
        if masks[name].any()
        else 1.0
        for name in REGIONS
    }


def _occluder_rng(plan: FacePlan, kind: str) -> np.random.Generator:
    word = crc32(f"{plan.label} under {kind}".encode())
    return np.random.default_rng([word, plan.subject, plan.photo])
