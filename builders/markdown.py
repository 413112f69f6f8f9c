"""Text that others wrote, in Markdown: it stays text, whatever it is made of."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit

# What CommonMark and GitHub's dialect read as more than itself within a line. What they read so at
# the start of one (#, -, 1.) is left: no line begins with a text that others wrote.
MARKS = re.compile(r"([\\`*_\[\]|~$]|:(?=//))")
# Controls, line ends, halves of characters; and what turns the direction of the text around it.
UNSEEN = ("Cc", "Cs", "Zl", "Zp")
TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# What may stand in an address as it is; the rest is written as %XX.
ADDRESS = "/:?#@!$&'*+,;=%~-._"


def escape(value: object) -> str:
    """Return the value as one line of text that means itself, in tables and lists too."""
    seen = "".join(" " if unicodedata.category(c) in UNSEEN else c for c in str(value))
    line = " ".join(TURNING.sub("", seen).split())
    return MARKS.sub(r"\\\1", html.escape(line, quote=False))


def address(value: object) -> str:
    """Return a link that shows where it leads; plain text if it is no address of the web."""
    text = str(value)
    try:
        parts = urlsplit(text)
        web = parts.scheme in ("http", "https") and bool(parts.netloc)
    except ValueError:
        web = False
    if not web or any(unicodedata.category(c) in UNSEEN or c.isspace() for c in text):
        return escape(text)
    return f"<{quote(text, safe=ADDRESS)}>"


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table; its cells are Markdown already."""
    names = list(header)
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
