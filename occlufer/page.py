"""One self-contained HTML page: headings, tables and pictures, everything from outside escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from occlufer.errors import UsageError
from occlufer.terminal import number

THUMBNAIL_PX = 88
PNG = b"\x89PNG\r\n\x1a\n"

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --line: #d5dbe3;
  --back: #ffffff; --card: #f4f6f9; --link: #1b6ec2; --heat: 27, 110, 194; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b5; --line: #333d4a;
  --back: #12161c; --card: #1b212a; --link: #4a9ef0; --heat: 37, 99, 170; } }
body { margin: 0 auto; padding: 1.5rem; max-width: 72rem; background: var(--back);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
p, figcaption { color: var(--soft); max-width: 46rem; }
nav ul { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; margin: 0; padding: 0;
  list-style: none; }
nav a { display: inline-block; padding: .2rem 0; } a { color: var(--link); }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.scroll { overflow-x: auto; margin: .5rem 0; }
.bar { height: .8em; min-width: 1px; background: rgb(var(--heat)); }
.track { display: flex; width: 8rem; background: var(--line); }
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
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .3em;
  border: 1px solid var(--soft); }
img.wide { max-width: 100%; background: #fff; border-radius: .4rem; }
@media (max-width: 40rem) { body { padding: 1rem; } th, td { padding: .25rem .45rem; }
  table { width: max-content; } td { max-width: 15rem; } .track { width: 4rem; }
  .strip figure, .strip img { width: 84px; } .pictures figure { width: calc(50% - .3rem); } }
@media print { nav { display: none; } body { max-width: none; padding: 0; }
  figure, tr { break-inside: avoid; } h2, h3, summary { break-after: avoid; }
  .scroll { overflow: visible; } td, i { print-color-adjust: exact; }
  details::details-content { content-visibility: visible; display: block; } }
"""

# Everything is escaped already: should one place forget it, a browser runs and fetches nothing.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
# What a run's folder holds goes into the page as it is: its curves take a hundredth of this.
MOST_PNG_BYTES = 4 << 20


@dataclass(frozen=True)
class Bar:
    """A cell with a bar; what it shows stands as a number in another one."""

    share: float
    """Of the cell's width, in [0, 1]."""


Cell = str | int | float | Bar


def page(title: str, sections: Iterable[tuple[str, str, str]]) -> str:
    """Return the page of (anchor, heading, HTML) sections; empty sections are left out."""
    kept = [section for section in sections if section[2]]
    links = "".join(f'<li><a href="#{text(a)}">{text(h)}</a></li>' for a, h, _ in kept)
    parts = "".join(f'<section id="{text(a)}"><h2>{text(h)}</h2>{b}</section>' for a, h, b in kept)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{text(title)}</title><style>{STYLE}</style></head>"
        f'<body><h1>{text(title)}</h1><nav aria-label="sections"><ul>{links}</ul></nav>'
        f"<main>{parts}</main></body></html>\n"
    )


def text(value: object) -> str:
    """Return the value as text that is safe in HTML, in attributes too.

    Halves of characters, which names of files and JSON may hold, are written out: UTF-8 has none.
    """
    return html.escape(str(value).encode("utf-8", "backslashreplace").decode(), quote=True)


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


def folded(summary: str, content: str, unfolded: bool = False) -> str:
    """Return HTML that is unfolded by a click or a key, without any script."""
    state = " open" if unfolded else ""
    return f"<details{state}><summary>{text(summary)}</summary>{content}</details>"


def first_of(blocks: Sequence[str], shown: int, what: str) -> str:
    """Return the first blocks beside each other, as many as there is room for, the rest folded."""
    rest = blocks[shown:]
    more = folded(f"{len(rest)} more {what}", side_by_side(rest)) if rest else ""
    return side_by_side(blocks[:shown]) + more


def strip(pictures: Iterable[tuple[bytes, str]]) -> str:
    """Return a row of thumbnails with captions, from image files' bytes."""
    return _row("strip", ((thumbnail(data), caption) for data, caption in pictures))


def pictures(shown: Iterable[tuple[bytes, str]]) -> str:
    """Return a row of pictures as large as they are, each with a caption below."""
    return _row("pictures", ((_jpeg(_opened(data), quality=88), name) for data, name in shown))


def _row(kind: str, shown: Iterable[tuple[str, str]]) -> str:
    """Return a row of (address, caption) in the style of that class.

    What a picture shows is said by its caption: said by `alt` too it would be read out twice.
    """
    figures = "".join(
        f'<figure><img alt="picture {number}" src="{address}">'
        f"<figcaption>{text(caption)}</figcaption></figure>"
        for number, (address, caption) in enumerate(shown, 1)
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
    """Return a PNG file at the width of the page; raises UsageError for none, or too large a one.

    A page is passed on: what a link of that name leads to, e.g. a key, must not go with it.
    """
    size = path.stat().st_size
    if size > MOST_PNG_BYTES:
        raise UsageError(f"{path}: found {size} bytes, expected {MOST_PNG_BYTES} at most")
    data = path.read_bytes()
    if not data.startswith(PNG):
        raise UsageError(f"{path}: found no PNG, expected a picture that occlufer has drawn")
    address = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return f'<p><img class="wide" alt="{text(caption)}" src="{address}"></p>'


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
    if isinstance(value, Bar):
        bar = f'<i class="bar" style="width: {100 * value.share:.1f}%"></i>'
        return f'<td><span class="track">{bar}</span></td>'
    if isinstance(value, str):
        return f"<td>{text(value)}</td>"
    shown = number(value) if isinstance(value, int) else f"{value:.3f}"
    if isinstance(value, int) and largest:
        share = 0.75 * value / largest
        return f'<td class="n" style="background: rgba(var(--heat), {share:.2f})">{shown}</td>'
    return f'<td class="n">{shown}</td>'
