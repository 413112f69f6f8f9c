"""Pasted occluders: mask templates, pieces of other photographs, other faces, skin, bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from occlufer.errors import MissingError, UsageError

from ..synthetic.canvas import SIZE_PX, Canvas, Stencil, blurred, cover, polygon, shadow
from ..synthetic.light import Light
from ..synthetic.outlines import curve, floats
from ..synthetic.pose import Head
from ..synthetic.texture import vivid, woven

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]
# The smallest piece of a picture that is enlarged to an occluder, as a share of the picture's side.
SMALLEST_PIECE = 0.08
WHOLE = (slice(0, SIZE_PX), slice(0, SIZE_PX))

TEMPLATES = "occluders_maskthe_face"
# Kept for the benchmark: the parser must know a mask that it has never seen.
HELD_OUT_TEMPLATES = tuple(
    f"{name}{side}" for name in ("N95", "surgical_green") for side in ("", "_left", "_right")
)


@dataclass(frozen=True)
class Donor:
    """Another photograph, warped to the canvas as if its face were to be parsed."""

    rgb: Picture
    """(H, W, 3)"""
    face: Floats
    """The outline (n, 2) of its face in pixels."""
    skin: Floats
    """Its skin's colour (3,)."""


@dataclass(frozen=True)
class Palette:
    """What can be pasted."""

    templates: tuple[Picture, ...]
    """RGBA pictures of masks, cut to what is not transparent."""
    donor: Callable[[np.random.Generator], Donor]


def read_templates(folder: Path, held_out: bool) -> tuple[Picture, ...]:
    """Return the mask templates (RGBA) to train on, or those held out, in the order of names.

    Raises MissingError if there is none, UsageError for a file that is no such picture.
    """
    files = sorted((folder / TEMPLATES).glob("*.png"))
    paths = [path for path in files if (path.stem in HELD_OUT_TEMPLATES) == held_out]
    if not paths:
        kind = "held out" if held_out else "to train on"
        raise MissingError(f"{folder / TEMPLATES}: found no *.png, expected mask templates {kind}")
    return tuple(map(_read_template, paths))


def _read_template(path: Path) -> Picture:
    """Return a template, cut to what is not transparent, its longer side SIZE_PX."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        found = "no picture" if image is None else "a picture without transparency"
        raise UsageError(f"{path}: found {found}, expected a mask template as RGBA")
    rows, columns = np.nonzero(image[..., 3] > 40)
    if not rows.size:
        raise UsageError(f"{path}: found a picture that is transparent all over, expected a mask")
    cut = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = SIZE_PX / max(cut.shape[:2])
    small = cv2.resize(cut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small[..., [2, 1, 0, 3]], np.uint8)


def paste_mask(
    canvas: Canvas, head: Head, light: Light, rng: np.random.Generator, palette: Palette
) -> None:
    """Paste a photographed mask from the ridge of the nose to under the chin."""
    template = palette.templates[int(rng.integers(len(palette.templates)))]
    if rng.random() < 0.5:
        template = template[:, ::-1]
    height, width = template.shape[:2]
    jitter = rng.normal(0, 0.05, (6, 2)).astype(np.float32) * np.float32(head.pose.unit_px)
    lift = float(rng.normal(0.04, 0.1)) + (0.4 if rng.random() < 0.08 else 0.0)
    wide = float(rng.uniform(-0.02, 0.08))
    target = head.near(
        *((28, 0.0, 0.04 + lift), (1, -wide, 0.1 + lift / 2), (15, wide, 0.1 + lift / 2)),
        *((4, -wide, 0.05), (12, wide, 0.05), (8, 0.0, 0.06 + lift / 3)),
    )
    shares = floats(((0.5, 0), (0, 0.2), (1, 0.2), (0.1, 0.72), (0.9, 0.72), (0.5, 1)))
    source = shares * floats((width - 1, height - 1))
    matrix, _ = cv2.findHomography(source, target + jitter, 0)
    if matrix is None or not np.isfinite(matrix).all():
        return
    laid = cv2.warpPerspective(np.ascontiguousarray(template), matrix, (SIZE_PX, SIZE_PX))
    stencil = Stencil(WHOLE, laid[..., 3].astype(np.float32) / np.float32(255))
    shadow(canvas, stencil, light.xy, 0.1 * head.pose.unit_px)
    colours = laid[..., :3].astype(np.float32).transpose(2, 0, 1)
    if rng.random() < 0.3:  # the same folds in a cloth of another colour
        grey = colours.mean(axis=0) / np.float32(max(float(template[..., :3].mean()), 1.0))
        colours = grey * vivid(rng)[:, None, None]
    cover(canvas, stencil, _recoloured(colours, rng), "mask")


def paste_patch(
    canvas: Canvas, head: Head, light: Light, rng: np.random.Generator, palette: Palette
) -> None:
    """Paste a piece of another photograph, or of cloth, in a random outline.

    Cloth over nose and mouth is a mask.
    """
    outline = _blob(head, rng, float(rng.uniform(0.12, 0.8)))
    shape = polygon(outline, float(rng.uniform(0, 1)))
    if not shape.alpha.size:
        return
    cloth = rng.random() < 0.35
    colours = (
        woven(shape, vivid(rng), rng)
        if cloth
        else _random_piece(palette.donor(rng).rgb, shape, rng)
    )
    if rng.random() < 0.5:
        shadow(canvas, shape, light.xy, 0.1 * head.pose.unit_px)
    worn = cloth and all(_inside(outline, head.px[place]) for place in (33, 62))
    cover(canvas, shape, _recoloured(colours, rng), "mask" if worn else "object")


def paste_side(
    canvas: Canvas, head: Head, light: Light, rng: np.random.Generator, palette: Palette
) -> None:
    """Paste something that comes in from any side: a straight or bent edge, all beyond covered."""
    unit = head.pose.unit_px
    turn = float(rng.uniform(0, 2 * np.pi))
    way = floats((np.cos(turn), np.sin(turn)))
    along = floats((-way[1], way[0]))
    away = np.linspace(-3, 3, 9, dtype=np.float32)[:, None]
    bend = rng.normal(0, 0.06, (9, 1)) + rng.normal(0, 0.04) * away**2
    if rng.random() < 0.5:
        bend = np.zeros((9, 1))
    nearest = head.px.mean(axis=0) + way * np.float32(unit * rng.uniform(-0.2, 1.1))
    edge = nearest + (away * along + bend * way).astype(np.float32) * np.float32(unit)
    beyond = edge[[-1, 0]] + way * np.float32(5 * unit)
    shape = polygon(np.concatenate([curve(edge), beyond]), float(rng.uniform(0, 1)))
    if not shape.alpha.size:
        return
    if rng.random() < 0.75:
        colours = _random_piece(palette.donor(rng).rgb, shape, rng)
    else:
        colours = woven(shape, vivid(rng), rng)
    if rng.random() < 0.3:
        shadow(canvas, shape, light.xy, 0.1 * unit)
    cover(canvas, shape, _recoloured(colours, rng), "object")


def paste_scarf(
    canvas: Canvas, head: Head, light: Light, rng: np.random.Generator, palette: Palette
) -> None:
    """Paste cloth over the lower or upper face, from one side of the picture to the other."""
    unit = head.pose.unit_px
    low = rng.random() < 0.7
    place = int(rng.choice((30, 33, 51, 62, 57))) if low else int(rng.choice((19, 27, 24)))
    away = np.linspace(-2.2, 2.2, 7)
    bend = float(rng.normal(0, 0.12))
    sway = rng.normal(0, 0.05, 7)
    middle = head.px[place]
    edge = np.stack(
        [middle[0] + away * unit, middle[1] + (bend * away**2 + sway) * unit], axis=1
    ).astype(np.float32)
    far = 3.0 * unit if low else -3.0 * unit
    outline = np.concatenate([curve(edge), edge[[-1, 0]] + floats((0, far))])
    shape = polygon(outline, float(rng.uniform(0, 1)))
    if not shape.alpha.size:
        return
    colours = (
        _random_piece(palette.donor(rng).rgb, shape, rng)
        if rng.random() < 0.4
        else woven(shape, vivid(rng), rng)
    )
    shadow(canvas, shape, light.xy, 0.1 * unit)
    cover(canvas, shape, colours, "mask" if low and place in (30, 33) else "object")


def paste_skin(
    canvas: Canvas, head: Head, light: Light, rng: np.random.Generator, palette: Palette
) -> None:
    """Paste skin of another photograph in the subject's own tone: a hand, an arm."""
    donor = palette.donor(rng)
    if rng.random() < 0.5:
        outline = _blob(head, rng, float(rng.uniform(0.25, 0.6)))
    else:
        outline = _limb(head, rng)
    shape = polygon(outline, float(rng.uniform(0, 1)))
    if not shape.alpha.size:
        return
    low, high = donor.face.min(axis=0).astype(int), donor.face.max(axis=0).astype(int)
    low, high = np.clip(low, 0, SIZE_PX - 8), np.clip(high, 8, SIZE_PX)
    third = (high[1] - low[1]) // 3
    piece = donor.rgb[low[1] + third : high[1] - third // 2, low[0] : max(high[0], low[0] + 8)]
    rows, columns = shape.alpha.shape
    laid = cv2.resize(piece, (columns, rows), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    smooth = np.stack([blurred(laid[..., i], 0.1 * min(rows, columns)) for i in range(3)])
    tone = head.who.skin / np.maximum(donor.skin, 20) * np.float32(rng.uniform(0.8, 1.15))
    shadow(canvas, shape, light.xy, 0.08 * head.pose.unit_px)
    cover(canvas, shape, np.minimum(smooth * tone[:, None, None], 255), "hand")


def paste_face(
    canvas: Canvas, head: Head, light: Light, rng: np.random.Generator, palette: Palette
) -> None:
    """Paste another person's face in front of a part of this one."""
    donor = palette.donor(rng)
    size = float(rng.uniform(0.6, 1.1))
    middle = donor.face.mean(axis=0)
    away = floats((rng.choice((-1, 1)) * rng.uniform(0.8, 1.6), rng.uniform(-0.3, 1.3)))
    target = head.px[30] + away * np.float32(head.pose.unit_px)
    matrix = floats(((size, 0, 0), (0, size, 0)))
    matrix[:, 2] = target - middle * np.float32(size)
    laid = cv2.warpAffine(donor.rgb, matrix, (SIZE_PX, SIZE_PX), borderMode=cv2.BORDER_REPLICATE)
    grown = (donor.face - middle) * floats((1.12, 1.25)) + middle
    outline = grown.astype(np.float32) @ matrix[:, :2].T + matrix[:, 2]
    shape = polygon(outline.astype(np.float32), float(rng.uniform(0.5, 1.5)))
    whole = Stencil(WHOLE, np.zeros((SIZE_PX, SIZE_PX), np.float32))
    whole.alpha[shape.window] = shape.alpha
    cover(canvas, whole, laid.astype(np.float32).transpose(2, 0, 1), "extraneous_face")


def paste_bar(
    canvas: Canvas, head: Head, light: Light, rng: np.random.Generator, palette: Palette
) -> None:
    """Paste a plain bar or square: borders, censor bars, the black squares of robustness tests."""
    unit = head.pose.unit_px
    half = rng.uniform(0.2, 1.0, 2) * unit if rng.random() < 0.6 else (3 * unit, 0.25 * unit)
    middle = head.px[int(rng.integers(68))] + rng.normal(0, 0.3, 2) * unit
    if rng.random() < 0.25:  # a border of the picture
        middle = floats((rng.choice((0, SIZE_PX)), SIZE_PX / 2))
        half = (float(rng.uniform(0.05, 0.35)) * SIZE_PX, SIZE_PX)
        if rng.random() < 0.5:
            middle, half = middle[::-1], half[::-1]
    x, y = float(half[0]), float(half[1])
    corners = floats(((-x, -y), (x, -y), (x, y), (-x, y))) + middle.astype(np.float32)
    shape = polygon(corners)
    if shape.alpha.size:
        colour = floats((0, 0, 0)) if rng.random() < 0.5 else vivid(rng)
        cover(canvas, shape, colour, "object")


Paste = Callable[[Canvas, Head, Light, np.random.Generator, Palette], None]
PASTES: dict[str, Paste] = {
    "mask": paste_mask,
    "patch": paste_patch,
    "side": paste_side,
    "scarf": paste_scarf,
    "skin": paste_skin,
    "face": paste_face,
    "bar": paste_bar,
}


def _blob(head: Head, rng: np.random.Generator, size: float) -> Floats:
    """Return an oval, smooth or cornered outline (n, 2), `size` half face widths wide.

    It lies around a landmark, or around any place of the face.
    """
    middle = head.px[int(rng.integers(68))]
    if rng.random() < 0.3:
        share = np.float32(rng.random())
        middle = share * middle + (1 - share) * head.px[int(rng.integers(68))]
    if rng.random() < 0.25:
        turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radii = size * head.pose.unit_px * np.exp(rng.normal(0, (0.15, 0.15)))
        oval = np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii + middle
        return np.asarray(oval, np.float32)
    count = int(rng.integers(4, 9))
    turns = np.sort(rng.uniform(0, 2 * np.pi, count))
    radii = size * head.pose.unit_px * rng.uniform(0.5, 1.2, count)
    stretch = floats((rng.uniform(0.6, 1.6), 1))
    points = np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii[:, None] * stretch
    outline = (points + middle).astype(np.float32)
    return curve(outline, closed=True) if rng.random() < 0.7 else outline


def _limb(head: Head, rng: np.random.Generator) -> Floats:
    """Return the outline (n, 2) of an arm or some fingers that come from outside the face."""
    unit = head.pose.unit_px
    tip = head.px[int(rng.choice((30, 33, 48, 51, 54, 57, 36, 45, 62)))]
    turn = float(rng.uniform(0, 2 * np.pi))
    way = floats((np.cos(turn), np.sin(turn)))
    side = floats((-way[1], way[0]))
    half = float(rng.uniform(0.12, 0.45)) * unit
    spine = tip + np.linspace(-0.2, 3, 6, dtype=np.float32)[:, None] * way * unit
    width = half * rng.uniform(0.8, 1.2, (6, 1)).astype(np.float32)
    width[0] *= np.float32(0.6)
    return curve(np.concatenate([spine + side * width, (spine - side * width)[::-1]]), closed=True)


def _inside(outline: Floats, point: Floats) -> bool:
    return cv2.pointPolygonTest(outline, (float(point[0]), float(point[1])), False) >= 0


def _random_piece(rgb: Picture, shape: Stencil, rng: np.random.Generator) -> Floats:
    """Return a random piece of a picture, stretched over the stencil's window, (3, h, w).

    A small piece as often as a large one: what is near the camera is blurred.
    """
    rows, columns = shape.alpha.shape
    side = int(SIZE_PX * SMALLEST_PIECE ** float(rng.random()))
    top, left = (int(rng.integers(0, SIZE_PX - side + 1)) for _ in range(2))
    piece = rgb[top : top + side, left : left + side]
    laid = cv2.resize(piece, (columns, rows), interpolation=cv2.INTER_LINEAR)
    return laid.astype(np.float32).transpose(2, 0, 1)


def _recoloured(colours: Floats, rng: np.random.Generator) -> Floats:
    """Return the colours (3, h, w) under another light, now and then of another hue."""
    gain = rng.uniform(0.5, 1.2) * np.exp(rng.normal(0, 0.08, 3))
    if rng.random() < 0.3:
        colours = colours[rng.permutation(3)]
    return np.asarray(np.minimum(colours * gain[:, None, None], 255), np.float32)
