"""One self-contained HTML page: headings, tables and pictures, everything from outside escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image, ImageOps

THUMBNAIL_PX = 88

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d5dbe3;
  --back: #ffffff; --card: #f4f6f9; --heat: 27, 110, 194; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #333d4a;
  --back: #12161c; --card: #1b212a; --heat: 74, 158, 240; } }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--back);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
p, figcaption { color: var(--soft); max-width: 46rem; }
nav a { margin-right: 1rem; } a { color: rgb(var(--heat)); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; }
th { font-weight: 600; } td.n { text-align: right; }
summary { cursor: pointer; padding: .25rem 0; }
.strip { display: flex; flex-wrap: wrap; gap: .4rem; margin: .3rem 0 .9rem; }
.clusters { display: flex; flex-wrap: wrap; gap: 0 2.2rem; align-items: flex-start; }
.strip figure { margin: 0; width: 88px; font-size: .72rem; overflow-wrap: anywhere; }
.strip img { width: 88px; height: 88px; object-fit: contain; background: var(--card); }
.pictures { display: flex; flex-wrap: wrap; gap: .6rem; margin: .5rem 0 1.4rem; }
.pictures figure { margin: 0; font-size: .78rem; } .pictures img { max-width: 100%; }
.pictures figcaption { max-width: 224px; overflow-wrap: anywhere; }
.key { margin-right: .9rem; white-space: nowrap; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .3em; }
img.wide { max-width: 100%; background: #fff; border-radius: .4rem; }
"""

Cell = str | int | float


def page(title: str, sections: Iterable[tuple[str, str, str]]) -> str:
    """Return the page of (anchor, heading, HTML) sections; empty sections are left out."""
    kept = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{text(a)}">{text(h)}</a>' for a, h, _ in kept)
    parts = "".join(f'<section id="{text(a)}"><h2>{text(h)}</h2>{b}</section>' for a, h, b in kept)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{text(title)}</h1><nav>{links}</nav><main>{parts}</main></body></html>\n"
    )


def text(value: object) -> str:
    """Return the value as text that is safe in HTML, in attributes too."""
    return html.escape(str(value), quote=True)


def paragraph(value: str) -> str:
    """Return a paragraph."""
    return f"<p>{text(value)}</p>"


def table(header: Iterable[str], rows: Iterable[Iterable[Cell]], heat: bool = False) -> str:
    """Return a table; with `heat` whole numbers are shaded by their share of the largest.

    Where it is wider than the page the keyboard can scroll it.
    """
    lines = [list(row) for row in rows]
    largest = max((c for row in lines for c in row if isinstance(c, int)), default=0) if heat else 0
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in header)
    body = "".join(f"<tr>{''.join(_cell(c, largest) for c in row)}</tr>" for row in lines)
    return (
        f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def folded(summary: str, content: str) -> str:
    """Return HTML that is unfolded by a click or a key, without any script."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def strip(pictures: Iterable[tuple[bytes, str]]) -> str:
    """Return a row of thumbnails with captions, from image files' bytes."""
    return _row("strip", ((thumbnail(data), caption) for data, caption in pictures))


def pictures(shown: Iterable[tuple[bytes, str]]) -> str:
    """Return a row of pictures as large as they are, each with a caption below."""
    return _row("pictures", ((_jpeg(_opened(data), quality=88), name) for data, name in shown))


def _row(kind: str, shown: Iterable[tuple[str, str]]) -> str:
    """Return a row of (address, caption) in the style of that class."""
    figures = "".join(
        f'<figure><img alt="{text(caption)}" src="{address}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
        for address, caption in shown
    )
    return f'<div class="{kind}">{figures}</div>'


def legend(colours: Mapping[str, tuple[int, ...]]) -> str:
    """Return the colours (red, green, blue) by name."""
    return "".join(
        f'<span class="key"><i style="background: rgb{text(tuple(rgb))}"></i>{text(name)}</span>'
        for name, rgb in colours.items()
    )


def side_by_side(strips: Iterable[str]) -> str:
    """Return strips beside each other, as many as there is room for."""
    return f'<div class="clusters">{"".join(strips)}</div>'


def wide_picture(path: Path, caption: str) -> str:
    """Return a PNG file at the width of the page."""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<p><img class="wide" alt="{text(caption)}" src="data:image/png;base64,{data}"></p>'


def thumbnail(data: bytes) -> str:
    """Return the picture as a small JPEG in a data URI."""
    image = _opened(data)
    image.thumbnail((2 * THUMBNAIL_PX, 2 * THUMBNAIL_PX))
    return _jpeg(image, quality=80)


def _opened(data: bytes) -> Image.Image:
    with Image.open(io.BytesIO(data)) as opened:
        return ImageOps.exif_transpose(opened).convert("RGB")


def _jpeg(image: Image.Image, quality: int) -> str:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _cell(value: Cell, largest: int) -> str:
    if isinstance(value, str):
        return f"<td>{text(value)}</td>"
    shown = f"{value:,}".replace(",", " ") if isinstance(value, int) else f"{value:.3f}"
    if isinstance(value, int) and largest:
        share = 0.75 * value / largest
        return f'<td class="n" style="background: rgba(var(--heat), {share:.2f})">{shown}</td>'
    return f'<td class="n">{shown}</td>'
