"""Printing: what a command has found, as text for people or as JSON for programs."""

from __future__ import annotations

import json
from typing import Any


def show(as_json: bool, value: Any, text: str) -> None:
    """Print `value` as one line of JSON, keys sorted, or else `text`."""
    print(json.dumps(value, sort_keys=True) if as_json else text)
