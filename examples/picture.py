"""Draw docs/pictures/occlufer.png: faces of the synthetic source, and what occlufer sees on them.

`python examples/picture.py [PATH]`. Every face is drawn and every figure is measured, by the
built-in detector and parser; the same versions of the packages give the same picture.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from occlufer.builders.inspect import (
    Inspected,
    InspectedFace,
    inspect_pictures,
    surest_first,
)
from occlufer.builders.overlay import part_map, photograph, regions
from occlufer.builders.pixels import Pixels, encode_png
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.config import BuildConfig, FacesConfig, SourceConfig
from occlufer.schema import OCCLUSION_TYPES

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "occlufer.png"
# One column of the sheet for each type: the same face bare, and covered.
LABELS = ("happiness", "surprise", "anger", "sadness", "fear", "disgust")
SUBJECTS = (55, 74, 48, 55, 68, 63)
PLANS = [
    FacePlan(label, subject, subject, covered)
    for row in (0, 1)
    for label, subject, kind in zip(LABELS, SUBJECTS, OCCLUSION_TYPES, strict=True)
    for covered in [(kind,) if row else ()]
]
COLUMNS = len(LABELS)
# Which face of the sheet is looked at closely.
SHOWN = COLUMNS + OCCLUSION_TYPES.index("mask")
FACE_PX, LARGE_PX = 150, 288
GAP_PX, CAPTION_PX, TITLE_PX = 12, 24, 34
WIDTH_PX = COLUMNS * (FACE_PX + GAP_PX) + GAP_PX
PAPER, INK = (255, 255, 255), (30, 30, 30)
# A palette of so many colours takes a third of the bytes.
COLOURS = 256


def main(out: Path) -> None:
    """Draw the picture and write it."""
    found = looked_at()
    sheet = contact_sheet(found)
    panel = closer_look(found[SHOWN])
    whole = Image.new("RGB", (WIDTH_PX, sheet.height + panel.height), PAPER)
    whole.paste(sheet, (0, 0))
    whole.paste(panel, (0, sheet.height))
    out.parent.mkdir(parents=True, exist_ok=True)
    whole.quantize(COLOURS, dither=Image.Dither.FLOYDSTEINBERG).save(out, optimize=True)


def looked_at() -> list[Inspected]:
    """Return what the detector and the parser that are in the installation see on every face."""
    source = SourceConfig("synthetic", "synthetic", {"count": len(PLANS)})
    config = BuildConfig((source,), faces=FacesConfig(detector="mtcnn"), workers=1)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number:02d}.png" for number in range(len(PLANS))]
        for path, plan in zip(paths, PLANS, strict=True):
            path.write_bytes(encode_png(draw_face(plan).image_rgb))
        return list(inspect_pictures(paths, config))


# The sheet ---------------------------------------------------------------------------------------


def contact_sheet(found: list[Inspected]) -> Image.Image:
    """Return all faces in rows, each with what is measured to cover it."""
    row_px = FACE_PX + CAPTION_PX + GAP_PX
    sheet = Image.new("RGB", (WIDTH_PX, TITLE_PX + row_px * (len(found) // COLUMNS)), PAPER)
    draw = ImageDraw.Draw(sheet)
    write(
        draw,
        (GAP_PX, 9),
        "Drawn faces, bare and covered: what covers each, and how much of it, as measured",
        16,
    )
    for number, one in enumerate(found):
        row, column = divmod(number, COLUMNS)
        x, y = GAP_PX + column * (FACE_PX + GAP_PX), TITLE_PX + row * row_px
        sheet.paste(scaled(pixels(one), FACE_PX), (x, y))
        write(draw, (x, y + FACE_PX + 4), caption(one.faces[0]) if row else LABELS[column], 13)
    return sheet


def caption(face: InspectedFace) -> str:
    """Return e.g. "mask, 38 %": the surest type, and how much of the face is covered."""
    kind = next(iter(surest_first(face.occlusion["confidences"])))
    return f"{kind.replace('_', ' ')}, {100 * face.occlusion['ratio']:.0f} %"


# The panel ---------------------------------------------------------------------------------------


def closer_look(one: Inspected) -> Image.Image:
    """Return one face in three pictures: box and landmarks, parts, regions."""
    panel = Image.new("RGB", (WIDTH_PX, TITLE_PX + LARGE_PX + CAPTION_PX + GAP_PX), PAPER)
    draw = ImageDraw.Draw(panel)
    write(draw, (GAP_PX, 9), "One of them, as the built-in parser sees it", 16)
    step = (WIDTH_PX - 3 * LARGE_PX) // 4 + LARGE_PX
    for number, (drawn, words) in enumerate(views(one)):
        x = (WIDTH_PX - 3 * LARGE_PX) // 4 + number * step
        panel.paste(scaled(drawn, LARGE_PX), (x, TITLE_PX))
        write(draw, (x, TITLE_PX + LARGE_PX + 4), words, 13)
    return panel


def views(one: Inspected) -> Iterator[tuple[Pixels, str]]:
    """Yield the three pictures with their captions."""
    face, image_rgb = one.faces[0], pixels(one)
    yield (
        photograph(image_rgb, [face.box_xyxy_px], [face.parsed.landmarks68_px]),
        "the face, and 68 landmarks, covered ones too",
    )
    yield part_map(image_rgb, face.parsed), "parts of the face, and what is before it"
    yield (
        regions(image_rgb, face.parsed, face.occlusion["visible"]),
        "percent of each region that is visible",
    )


def pixels(one: Inspected) -> Pixels:
    """Return the picture that was looked at."""
    assert one.image_rgb is not None
    return one.image_rgb


def scaled(drawn: Pixels, side_px: int) -> Image.Image:
    """Return a square picture in another size."""
    return Image.fromarray(drawn).resize((side_px, side_px), Image.Resampling.LANCZOS)


def write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size_px: int) -> None:
    """Write a line; Pillow has the font with it."""
    draw.text(place, text, INK, ImageFont.load_default(size_px))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUT)
