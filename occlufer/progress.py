"""Progress on stderr, silent off a terminal: bars, what is under way, and lines above them."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO, TypeVar

from occlufer.terminal import plain

if TYPE_CHECKING:
    _Handler = logging.StreamHandler[TextIO]
else:  # which takes no type in brackets before Python 3.11
    _Handler = logging.StreamHandler

T = TypeVar("T")

# Below so many columns a bar would leave no room for its figures.
NARROW = 64
FIGURES = "{desc} {percentage:3.0f}% {n_fmt}/{total_fmt} {remaining} left"
BAR = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}, {rate_noinv_fmt}, {remaining} left"
COUNT = "{desc} {n_fmt}, {rate_noinv_fmt}, {elapsed}"
CLEARED = "\r\x1b[K"


def is_shown() -> bool:
    """Return whether anybody sees it: stderr is a terminal."""
    return sys.stderr.isatty()


def progress(items: Iterable[T], total: int | None, what: str) -> Iterator[T]:
    """Yield `items` while a bar named `what` counts them."""
    if not is_shown():
        return iter(items)
    from tqdm import tqdm

    columns = _columns()
    shape = COUNT if total is None else FIGURES if columns < NARROW else BAR
    name = _short(what, columns // 3)
    bar = tqdm(items, total=total, desc=f"  {name}", leave=False, bar_format=shape, unit="")
    return iter(bar)


@contextlib.contextmanager
def under_way(what: str) -> Iterator[None]:
    """Show that `what` is being done until the block ends; a bar takes the line over."""
    if not is_shown():
        yield
        return
    print(f"  {_short(what, _columns() - 6)} ...", end="", file=sys.stderr)
    sys.stderr.flush()
    try:
        yield
    finally:
        print(CLEARED, end="", file=sys.stderr)
        sys.stderr.flush()


class LogLines(_Handler):
    """Writes messages on lines of their own, in place of a bar that is drawn anew below them."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message."""
        if self.stream.isatty():
            self.stream.write(CLEARED)
        super().emit(record)


def _columns() -> int:
    """Return how wide the terminal is, 80 if it does not say."""
    return os.get_terminal_size(sys.stderr.fileno()).columns or 80


def _short(what: str, most: int) -> str:
    """Return the name on one line, with its middle left out where it is longer than `most`."""
    name = plain(what)
    if len(name) <= most:
        return name
    head = (most - 3) // 2
    return f"{name[:head]}...{name[len(name) - (most - 3 - head) :]}"
