"""What people do to pictures before they put them online again, and masks pasted on faces."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from occlufer.builders.hashing.views import VIEWS

Edit = Callable[[Image.Image], Image.Image]
Floats = NDArray[np.float64]


# One edit each -----------------------------------------------------------------------------------


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue())).convert("RGB")


def scaled(scale: float) -> Edit:
    def edit(image: Image.Image) -> Image.Image:
        size = (max(16, round(side * scale)) for side in image.size)
        return image.resize((next(size), next(size)), Image.Resampling.BICUBIC)

    return edit


@dataclass(frozen=True)
class Cut:
    """The edit that cuts shares off the sides."""

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return what is left of the picture."""
        width, height = image.size
        right, bottom = (1 - self.right) * width, (1 - self.bottom) * height
        corners = (self.left * width, self.top * height, right, bottom)
        left_px, top_px, right_px, bottom_px = map(round, corners)
        return image.crop((left_px, top_px, right_px, bottom_px))


@dataclass(frozen=True)
class Turn:
    """The edit that turns a picture; its corners become black."""

    degrees: float

    def __call__(self, image: Image.Image) -> Image.Image:
        """Return the turned picture, of the same size."""
        return image.rotate(self.degrees, resample=Image.Resampling.BICUBIC)


def after(*edits: Edit) -> Edit:
    """Return the edit that does one after the other."""

    def edit(image: Image.Image) -> Image.Image:
        for one in edits:
            image = one(image)
        return image

    return edit


def noisy(image: Image.Image) -> Image.Image:
    pixels = np.asarray(image).astype(np.int64)
    rng = np.random.default_rng(int(pixels.sum()))  # of the picture alone, so runs are alike
    changed = pixels + rng.normal(0, 8, pixels.shape)
    return Image.fromarray(changed.clip(0, 255).astype(np.uint8))


def gamma(exponent: float) -> Edit:
    table = [round(255 * (level / 255) ** exponent) for level in range(256)]
    return lambda image: image.point(table * len(image.getbands()))


def signed(image: Image.Image) -> Image.Image:
    image = image.copy()
    place = (image.width * 0.55, image.height * 0.9)
    ImageDraw.Draw(image).text(place, "(c) photo", fill=(255, 255, 255))
    return image


def framed(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, border=round(image.width * 0.04), fill=(0, 0, 0))


def one_sided(percents: tuple[int, ...]) -> dict[str, Edit]:
    cuts: dict[str, Edit] = {}
    for side in ("left", "top", "right", "bottom"):
        for percent in percents:
            cuts[f"{side} {percent} %"] = Cut(**{side: percent / 100})
    return cuts


def cornered(percents: tuple[int, ...]) -> dict[str, Edit]:
    cuts: dict[str, Edit] = {}
    for percent in percents:
        share = percent / 100
        cuts[f"top left {percent} %"] = Cut(right=share, bottom=share)
        cuts[f"top right {percent} %"] = Cut(left=share, bottom=share)
        cuts[f"bottom right {percent} %"] = Cut(left=share, top=share)
    return cuts


# All edits ---------------------------------------------------------------------------------------

FLIP: Edit = ImageOps.mirror

PHOTOMETRIC: dict[str, Edit] = {
    "JPEG quality 20": lambda image: jpeg(image, 20),
    "half size": scaled(0.5),
    "quarter size": scaled(0.25),
    "double size": scaled(2),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.35),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "more contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(image.width / 128)),
    "noisy": noisy,
    "gamma 1.6": gamma(1.6),
    "sharpened": lambda image: image.filter(ImageFilter.SHARPEN),
    "signed": signed,
}
FLIPS: dict[str, Edit] = {
    "flipped": FLIP,
    "flipped, half size, JPEG 40": after(FLIP, scaled(0.5), lambda image: jpeg(image, 40)),
}
GEOMETRIC: dict[str, Edit] = {
    **{f"centre without {p} %": Cut(p / 100, p / 100, p / 100, p / 100) for p in (3, 5, 6, 10, 12)},
    **cornered((6, 10, 12)),
    **{f"turned by {degrees}": Turn(degrees) for degrees in (2, 3, 6, -2, -5)},
    **{f"turned by {d}, cut": after(Turn(d), Cut(0.05, 0.05, 0.05, 0.05)) for d in (3, -5)},
    "framed": framed,
    "lower by 10 %": lambda image: image.resize((image.width, round(image.height * 0.9))),
    "flipped, centre without 5 %": after(Cut(0.05, 0.05, 0.05, 0.05), FLIP),
    "flipped, top left 12 %": after(Cut(right=0.12, bottom=0.12), FLIP),
    "flipped, left 10 %": after(Cut(left=0.1), FLIP),
    "centre of the top 10 %": Cut(0.05, 0, 0.05, 0.1),
    "uneven 3 7 6 2 %": Cut(0.03, 0.07, 0.06, 0.02),
    "uneven 9 2 0 5 %": Cut(0.09, 0.02, 0, 0.05),
    "top left 8 %, smaller, JPEG 50": after(
        Cut(right=0.08, bottom=0.08), scaled(0.6), lambda image: jpeg(image, 50)
    ),
}


def on_the_grid(edit: Edit) -> bool:
    """Return whether the edit is one of the very views that are hashed: too easy a test."""
    if isinstance(edit, Turn):
        return any(view.turn_degrees == edit.degrees and not view.left for view in VIEWS.values())
    still = [
        (view.left, view.top, view.right, view.bottom)
        for view in VIEWS.values()
        if not view.turn_degrees
    ]
    return isinstance(edit, Cut) and astuple(edit) in still


ONE_SIDED = one_sided((4, 8, 12, 15))
FAMILIES: dict[str, dict[str, Edit]] = {
    "photometric edits": PHOTOMETRIC,
    "flips": FLIPS,
    "off-grid edits": {name: edit for name, edit in GEOMETRIC.items() if not on_the_grid(edit)},
    "on-grid edits": {name: edit for name, edit in GEOMETRIC.items() if on_the_grid(edit)},
    "one-sided crops": ONE_SIDED,
}


# Masks -------------------------------------------------------------------------------------------

# Points of the 478-point mesh: the cheeks beside the ears, chin, and the nose's root and bridge.
CHEEKS, CHIN, NOSE_ROOT, NOSE_BRIDGE = (234, 454), 152, 6, 5


def masked(image: Image.Image, points: Floats, template: Image.Image) -> Image.Image:
    """Return the face with a mask template on it, RGBA, from the nose to below the chin.

    `points` are (478, 2), x before y, as shares of the picture's sides.
    """
    px = points * np.array(image.size)
    left, right = (px[cheek] for cheek in CHEEKS)
    top = px[NOSE_ROOT] + (px[NOSE_BRIDGE] - px[NOSE_ROOT]) * 0.35
    down = (px[CHIN] - top) * 1.06
    mask = template.crop(template.getchannel("A").point(lambda a: 255 * (a > 128)).getbbox())
    # A template's pixel (u, v) falls on start + u/width * across + v/height * down.
    across, start = right - left, top - (right - left) / 2
    back = np.linalg.inv(np.stack([across / mask.width, down / mask.height], axis=1))
    (a, b), (c, d) = back.tolist()
    e, f = (-back @ start).tolist()
    placed = mask.transform(
        image.size,
        Image.Transform.AFFINE,
        (a, b, e, c, d, f),
        resample=Image.Resampling.BILINEAR,
    )
    result = image.copy()
    result.paste(placed.convert("RGB"), (0, 0), placed.getchannel("A"))
    return result
