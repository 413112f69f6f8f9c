"""Occluders that are held: a hand, a cup, a phone, a book, a microphone, a ball, a sheet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from occlufer.schema import LANDMARK_MIRROR

from .canvas import Canvas, Stencil, cover, cut, emboss, lit, polygon, shadow, strokes, tint
from .light import Light
from .outlines import curve, ellipse, floats, tapered
from .pose import Head
from .texture import vivid, woven

Floats = NDArray[np.float32]
Placement = Callable[[Floats], Floats]  # from the thing's own units (n, 2) to pixels


def paint_hand(canvas: Canvas, head: Head, light: Light, rng: np.random.Generator) -> None:
    """Paint the subject's hand over mouth, cheek, eye or nose."""
    unit = head.pose.unit_px
    landmark, angles = _HAND_PLACES[int(rng.integers(len(_HAND_PLACES)))]
    flip = 1 if rng.random() < 0.5 else -1
    middle = head.px[landmark if flip > 0 else LANDMARK_MIRROR[landmark]]
    # A little towards the nose, so that a turned head does not leave the hand beside the face.
    target = middle + 0.15 * (head.px[30] - middle) + rng.normal(0, 0.08 * unit, 2)
    angle = flip * (rng.choice(angles) + rng.normal(0, 0.2))
    size = float(rng.uniform(0.8, 1.15)) * unit
    place = _placement(target, angle, size, flip)
    skin = head.who.skin * np.float32(rng.uniform(0.88, 1.02)) * light.colour
    arm = floats(((-0.27, 0.4), (0.27, 0.4), (0.34, 3.2), (-0.34, 3.2)))
    palm = floats(
        (
            (-0.4, -0.22),
            (-0.2, -0.3),
            (0.2, -0.3),
            (0.4, -0.2),
            (0.4, 0.25),
            (0.27, 0.6),
            (-0.27, 0.6),
            (-0.42, 0.2),
        )
    )
    pieces = [polygon(place(arm)), polygon(curve(place(palm), closed=True))]
    spread = float(rng.uniform(0.02, 0.16))
    bend = float(rng.uniform(-0.08, 0.08))
    for x, length in ((-0.31, 0.52), (-0.1, 0.68), (0.11, 0.72), (0.32, 0.6)):
        pieces.append(polygon(place(_finger(x, -0.2, spread * x / 0.3 + bend, length, 0.115))))
    pieces.append(polygon(place(_finger(-0.36, 0.3, -0.75 - spread, 0.6, 0.135))))
    for piece in pieces:
        shadow(canvas, piece, light.xy, 0.07 * size)
        shade = emboss(piece, light.xy, 0.06 * size) * emboss(piece, light.xy, 0.025 * size)
        redden = floats((0.8, 1, 1.05))[:, None, None]
        cover(canvas, piece, lit(skin, 1 + (shade - 1) * redden), "hand")
    for piece, x, length in zip(
        pieces[2:], (-0.31, -0.1, 0.11, 0.32), (0.52, 0.68, 0.72, 0.6), strict=False
    ):
        _detail(canvas, piece, place, (x, spread * x / 0.3 + bend, length), size)


# Where the palm lies, by landmark, and which way the fingers point (0 is up, positive turns right).
_HAND_PLACES: tuple[tuple[int, tuple[float, ...]], ...] = (
    (62, (0.9, 1.3, 0.5)),
    (66, (1.2, 0.3, 0.8)),
    (48, (0.2, 0.7)),
    (3, (0.0, 0.3)),
    (41, (0.2, 0.7)),
    (30, (0.6, 1.1)),
)


def _placement(target: Floats, angle: float, size: float, flip: int) -> Placement:
    """Return the map from the thing's units to pixels: turned, scaled, maybe mirrored."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, sin], [-sin, cos]], np.float32) * np.float32(size)
    mirror = floats((flip, 1))
    return lambda points: np.asarray((points * mirror) @ turn + target, np.float32)


def _finger(x: float, y: float, lean: float, length: float, radius: float) -> Floats:
    """Return the outline of a finger that starts at (x, y) and leans from straight up."""
    line = np.linspace(0, 1, 6, dtype=np.float32)[:, None]
    way = floats((np.sin(lean), -np.cos(lean)))
    across = floats((np.cos(lean), np.sin(lean)))
    width = floats((1.0, 1.03, 0.95, 0.97, 0.86, 0.8))[:, None] * np.float32(radius)
    spine = floats((x, y)) + line * way * np.float32(length)
    turn = np.linspace(-np.pi / 2, np.pi / 2, 7, dtype=np.float32)[1:-1, None]
    tip = spine[-1] + (np.cos(turn) * way - np.sin(turn) * across) * width[-1]
    return np.concatenate([spine + across * width, tip, (spine - across * width)[::-1]])


def _detail(
    canvas: Canvas,
    piece: Stencil,
    place: Placement,
    finger: tuple[float, float, float],
    size: float,
) -> None:
    """Draw the nail and the knuckle lines of one finger."""
    x, lean, length = finger
    way, across = (
        floats((np.sin(lean), -np.cos(lean))),
        floats((np.cos(lean), np.sin(lean))),
    )
    root = floats((x, -0.2))
    nail = root + way * np.float32(length + 0.01) + _NAIL @ np.stack([across, way])
    tint(canvas, cut(piece, place(nail.astype(np.float32)), 0.5), floats((1.12, 1.02, 1.04)))
    for share in (0.36, 0.68):
        middle = root + way * np.float32(length * share)
        knuckle = curve(
            np.stack([middle - across * 0.07, middle + way * 0.015, middle + across * 0.07])
        )
        tint(canvas, cut(piece, tapered(place(knuckle), 0.035 * size), 0.5), 0.78)


_NAIL = ellipse(np.zeros(2, np.float32), (0.06, 0.075))


def paint_object(canvas: Canvas, head: Head, light: Light, rng: np.random.Generator) -> None:
    """Paint a thing between the camera and the face."""
    unit = head.pose.unit_px
    names = tuple(_OBJECTS)
    name = names[int(rng.integers(len(names)))]
    landmark = int(rng.choice((66, 62, 30, 48, 54, 36, 45, 28)))
    target = head.px[landmark] + rng.normal(0, 0.15 * unit, 2)
    size = float(rng.uniform(0.75, 1.2)) * unit
    place = _placement(target, float(rng.normal(0, 0.3)), size, 1 if rng.random() < 0.5 else -1)
    for shape, colour in _OBJECTS[name](place, size, rng):
        shadow(canvas, shape, light.xy, 0.12 * size)
        shade = emboss(
            shape, light.xy, (0.2 if name in ("cup", "ball", "microphone") else 0.04) * size
        )
        cover(canvas, shape, lit(colour, shade) * light.colour[:, None, None], "object")


Pieces = list[tuple[Stencil, Floats]]


def _box(x0: float, y0: float, x1: float, y1: float) -> Floats:
    return floats(((x0, y0), (x1, y0), (x1, y1), (x0, y1)))


def _cup(place: Placement, size: float, rng: np.random.Generator) -> Pieces:
    colour = vivid(rng)
    body = polygon(place(floats(((-0.5, -0.5), (0.5, -0.5), (0.4, 0.75), (-0.4, 0.75)))))
    handle = curve(place(floats(((0.45, -0.3), (0.85, -0.2), (0.8, 0.3), (0.4, 0.45)))))
    brim = polygon(place(ellipse(floats((0, -0.5)), (0.5, 0.14))))
    tea = polygon(place(ellipse(floats((0, -0.48)), (0.44, 0.1))))
    return [
        (strokes([handle], 0.14 * size), colour * np.float32(0.9)),
        (body, woven(body, colour, rng)),
        (brim, colour * np.float32(1.1)),
        (tea, floats((70, 42, 26))),
    ]


def _phone(place: Placement, size: float, rng: np.random.Generator) -> Pieces:
    colour = vivid(rng) * np.float32(0.6)
    back = polygon(_rounded(place(_box(-0.42, -0.8, 0.42, 0.8))))
    camera = polygon(_rounded(place(_box(-0.34, -0.72, -0.02, -0.38))))
    eyes = [polygon(place(ellipse(floats((-0.18, y)), (0.065, 0.065)))) for y in (-0.63, -0.47)]
    dark = floats((12, 12, 16))
    return [(back, colour), (camera, colour * np.float32(0.7)), *((eye, dark) for eye in eyes)]


def _rounded(corners: Floats) -> Floats:
    """Return a four-sided outline with its corners cut round."""
    ahead, behind = np.roll(corners, -1, axis=0), np.roll(corners, 1, axis=0)
    cuts = [corners + (behind - corners) * 0.13, corners + (ahead - corners) * 0.13]
    return curve(np.stack(cuts, axis=1).reshape(-1, 2).astype(np.float32), closed=True, steps=3)


def _book(place: Placement, size: float, rng: np.random.Generator) -> Pieces:
    colour = vivid(rng)
    pages = polygon(place(_box(-0.66, -0.83, 0.7, 0.86)))
    front = polygon(place(_box(-0.7, -0.8, 0.64, 0.8)))
    title = [place(floats(((-0.5, y), (w, y)))) for y, w in ((-0.5, 0.4), (-0.3, 0.2), (0.5, 0.0))]
    return [
        (pages, floats((232, 226, 212))),
        (front, woven(front, colour, rng)),
        (strokes(title, 0.09 * size), 255 - colour),
    ]


def _microphone(place: Placement, size: float, rng: np.random.Generator) -> Pieces:
    stick = polygon(place(floats(((-0.16, 0.2), (0.16, 0.2), (0.12, 2.6), (-0.12, 2.6)))))
    ball = polygon(place(ellipse(floats((0, 0)), (0.36, 0.4))))
    ring = polygon(place(_box(-0.2, 0.3, 0.2, 0.45)))
    mesh = np.full((3, *ball.alpha.shape), float(rng.uniform(50, 150)), np.float32)
    mesh[:, ::2] *= np.float32(0.7)
    mesh[:, :, ::2] *= np.float32(0.75)
    return [
        (stick, vivid(rng) * np.float32(0.4)),
        (ball, mesh),
        (ring, floats((150, 150, 156))),
    ]


def _ball(place: Placement, size: float, rng: np.random.Generator) -> Pieces:
    ball = polygon(place(ellipse(floats((0, 0)), (0.62, 0.62))))
    return [(ball, woven(ball, vivid(rng), rng))]


def _sheet(place: Placement, size: float, rng: np.random.Generator) -> Pieces:
    corners = _box(-0.8, -0.5, 0.8, 1.1) + rng.normal(0, 0.12, (4, 2)).astype(np.float32)
    sheet = polygon(place(corners))
    ends = zip(np.arange(-0.2, 0.8, 0.17).tolist(), rng.uniform(0.1, 0.55, 6).tolist(), strict=True)
    lines = [place(floats(((-0.55, y), (x, y)))) for y, x in ends]
    paper = floats((236, 234, 228)) * np.float32(rng.uniform(0.75, 1))
    return [(sheet, paper), (strokes(lines, 1.0), paper * np.float32(0.5))]


_OBJECTS: dict[str, Callable[[Placement, float, np.random.Generator], Pieces]] = {
    "cup": _cup,
    "phone": _phone,
    "book": _book,
    "microphone": _microphone,
    "ball": _ball,
    "sheet": _sheet,
}
