"""The terminal: what others named or wrote is shown there, neither obeyed nor taken for ours."""

from __future__ import annotations

import logging


def plain(text: object) -> str:
    """Return a text in which no name of a file can pass for a line, or command the terminal.

    What is not seen, line ends and escapes among it, is written as Python writes it: a backslash
    and letters. A whole text of several lines is to be made of such lines.
    """
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in str(text))


class PlainLines(logging.Formatter):
    """Makes one line of every message of the log; a traceback follows it as it is."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, logging calls it so
        """Return the line."""
        return plain(super().formatMessage(record))


def number(count: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{count:,}".replace(",", " ")
