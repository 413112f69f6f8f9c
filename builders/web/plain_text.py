"""Texts of others as one line of plain text, and addresses that lead to the web."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

from ..markdown import TURNING, UNSEEN
from .address import web_address
from .errors import FetchError

MAX_LENGTH = 500
# More is not parsed: a name or a credit line is short, and the time that the parser takes for
# hostile HTML grows with the square of its length.
MAX_HTML = 4000
# What stands in these is no text that people see.
UNREAD = ("script", "style", "template", "noscript", "title", "textarea", "iframe")


def plain(text: str) -> str:
    """Return the text on one line, HTML taken off, cut to MAX_LENGTH characters.

    There is no < and > in it, whatever it was made of, and no character that is not seen.
    """
    if len(text) > MAX_HTML:
        text = re.sub(r"<[^>]*$", "", text[:MAX_HTML])  # no half of a tag
    if "<" in text or "&" in text:
        text = _without_tags(_without_tags(text))  # twice: &lt;b&gt; becomes <b>
    text = "".join(" " if unicodedata.category(c) in UNSEEN else c for c in text)
    text = TURNING.sub("", text).replace("<", " ").replace(">", " ")
    line = " ".join(text.split())
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 3] + "..."


def page_address(text: str) -> str:
    """Return the address if it leads to the web, else "": javascript:, data: and the like."""
    try:
        web_address(text)
    except FetchError:
        return ""
    return text.strip()


def _without_tags(text: str) -> str:
    parser = _Text()
    try:
        parser.feed(text)
        parser.close()
    except AssertionError:  # raised for a <![ that is no CDATA
        return re.sub(r"<[^>]*>?", " ", text)
    return "".join(parser.pieces)


class _Text(HTMLParser):
    """Gathers what stands between the tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unread: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.pieces.append(" " if tag in ("br", "p", "div", "li", "td", "tr") else "")
        if tag in UNREAD:
            self._unread.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._unread and tag == self._unread[-1]:
            self._unread.pop()

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.pieces.append(data)
