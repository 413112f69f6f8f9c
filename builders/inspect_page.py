"""The page of an inspection: input, part map and regions of every face, drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from occlufer.config import BuildConfig
from occlufer.page import legend, page, paragraph, pictures
from occlufer.workspace import Workspace

from .inspect import Inspected, surest_first
from .overlay import PART_COLOURS, TYPE_COLOURS, Shares, bars, heat, part_map, photograph, regions
from .parser.parse import ParsedFace
from .parts import open_parsers, parse_one
from .pixels import Pixels, decode_rgb, encode_png

FACES_SHOWN = 8
# Types below this confidence are not worth a word.
TOLD_FROM = 0.1


Panels = list[tuple[bytes, str]]
"""PNGs with captions."""
More = Callable[[Inspected, int], Panels]
"""Gives what else is drawn of a picture's face of this number."""


def inspection_page(
    found: Iterable[Inspected],
    more: More = lambda one, number: [],
    title: str = "occlufer: inspection",
) -> str:
    """Return one HTML page that needs nothing beside itself; `more` adds panels to each face's."""
    body = "".join(_picture(one, more) for one in found)
    sections = [("key", "Colours", key()), ("pictures", "Pictures", body)]
    return page(title, sections)


def key() -> str:
    """Return what the colours of a part map mean."""
    covers = {f"{name} before it": rgb for name, rgb in TYPE_COLOURS.items()}
    return f"<p>{legend(covers)}</p><p>{legend(PART_COLOURS)}</p>"


def samples(images: Iterable[str], workspace: Workspace, config: BuildConfig) -> Iterator[Panels]:
    """Yield the panels of every sample of a build, its picture first, as PNGs with captions."""
    parsers = open_parsers(config.occlusion)
    for image in images:
        faces = workspace.catalog.value("faces", image)
        crop_rgb = decode_rgb(workspace.images.get(faces["crop"]))
        face = parse_one(crop_rgb, faces["points"], faces["box"], parsers)
        whole = photograph(crop_rgb, [faces["box"], *faces["others"]], [face.landmarks68_px])
        name = workspace.catalog.owner(image).id
        told = workspace.catalog.value("occlusion", image)
        yield [(encode_png(whole), name), *panels(crop_rgb, face, told)]


def panels(image_rgb: Pixels, face: ParsedFace, told: Mapping[str, Any]) -> Panels:
    """Return the part map and the regions of a face; `told` is what `occlusion` says of it."""
    surest = surest_first(told["confidences"]).items()
    types = [f"{name} {value:.2f}" for name, value in surest if value > TOLD_FROM]
    return [
        (
            encode_png(part_map(image_rgb, face)),
            f"{told['ratio']:.0%} covered; {', '.join(types) or 'by nothing'}",
        ),
        (
            encode_png(regions(image_rgb, face, told["visible"])),
            f"percent visible; face {100 * told['visible']['face']:.0f}",
        ),
    ]


def expression(shares: Mapping[str, float], square_rgb: Pixels, attention: Shares) -> Panels:
    """Return where a model looks on its square of a face, (h, w) in [0, 1], and its shares."""
    label = next(iter(shares))
    return [
        (encode_png(heat(square_rgb, attention)), f"what speaks for {label}"),
        (encode_png(bars(shares)), f"{label}, probability {shares[label]:.2f}"),
    ]


def _picture(one: Inspected, more: More) -> str:
    if one.image_rgb is None:
        return paragraph(f"{one.path}: {one.error}")
    shown = one.faces[:FACES_SHOWN]
    boxes = [face.box_xyxy_px for face in one.faces]
    points = [face.parsed.landmarks68_px for face in shown]
    several = f", the first {len(shown)} drawn" if len(one.faces) > len(shown) else ""
    if one.faces[0].score:
        found = f"{len(one.faces)} faces{several}" if len(one.faces) > 1 else "1 face"
    else:
        found = "no face was found: the whole picture is taken for one"
    whole = (encode_png(photograph(one.image_rgb, boxes, points)), f"{one.path}: {found}")
    rest = [
        panel
        for number, face in enumerate(shown)
        for panel in (*panels(one.image_rgb, face.parsed, face.occlusion), *more(one, number))
    ]
    return pictures([whole, *rest])
