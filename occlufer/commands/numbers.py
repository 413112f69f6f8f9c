"""Numbers of the command line."""

from __future__ import annotations

import argparse


def whole_number(text: str) -> int:
    """Return the number; argparse says what is wrong with any other text."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 0 on")
    return int(text)
