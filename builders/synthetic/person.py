"""A person before the camera: head, features and hair painted in their order."""

from __future__ import annotations

import numpy as np

from .action_units import activation, moved
from .anatomy import identity
from .canvas import Canvas, tint, under
from .creases import paint_creases
from .eyes import paint_sparkle
from .features import paint_features
from .hair import paint_hair, paint_hair_behind
from .head import paint_body, paint_ears, paint_skin
from .light import Light, relief, shades
from .pose import Head, Pose, framed, project, random_pose


def pose_person(
    subject: int, label: str, rng: np.random.Generator, pose: Pose | None = None
) -> Head:
    """Return the subject under an expression, framed as a portrait unless a pose is given."""
    who = identity(subject)
    muscles = activation(label, rng)
    points = moved(who.points, muscles)
    if pose is None:
        pose = framed(points, random_pose(rng), rng)
    return Head(who, muscles, pose, points, project(points, pose))


def paint_person(canvas: Canvas, head: Head, light: Light, rng: np.random.Generator) -> None:
    """Paint one person, from the hair behind to the hair in front."""
    paint_hair_behind(canvas, head, light, rng)
    paint_body(canvas, head, light, rng)
    paint_ears(canvas, head, light)
    skin = paint_skin(canvas, head, rng)
    paint_features(canvas, head, rng)
    paint_creases(canvas, head)
    height = relief(head)
    factor, shine = shades(height, head.pose.unit_px, light, head.who.shine, skin.window)
    tint(canvas, skin, factor)
    lights = under(canvas, skin.window)
    lights += shine * skin.alpha
    paint_sparkle(canvas, head, light.xy)
    paint_hair(canvas, head, light, rng)
