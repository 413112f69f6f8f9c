"""What runs in the server's own environment: Label Studio, its output without secrets.

It is started by its path, where none of occlufer is at hand: only the standard library is imported.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any, TextIO

SECRET_VARIABLES = ("LABEL_STUDIO_PASSWORD", "LABEL_STUDIO_USER_TOKEN", "SECRET_KEY")
# The server logs the address of every request; that of the sign-up page holds the invite's token.
TOKEN = re.compile(r"(token=)[^&\s\"']+")
# It also names raters by their e-mail addresses, e.g. with a traceback whenever a queue has ended.
# Whole words, from their beginnings: a long line without an address is read once.
ADDRESS = re.compile(r"(?<!\S)\S+(?:@|%40)\S+")
HIDDEN = "***"


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with *** in place of each of `secrets`, tokens and e-mail addresses."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return ADDRESS.sub(HIDDEN, TOKEN.sub(rf"\1{HIDDEN}", text))


class Discreet:
    """A text stream that lets no secret through."""

    def __init__(self, stream: TextIO, secrets: tuple[str, ...]) -> None:
        self._stream = stream
        self._secrets = secrets

    def write(self, text: str) -> int:
        """Write `text`, its secrets hidden."""
        self._stream.write(hide(text, self._secrets))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write the lines, their secrets hidden."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        """Return what else a stream has."""
        return getattr(self._stream, name)


def main() -> None:
    """Run `label-studio` with this process's arguments."""
    secrets = tuple(filter(None, map(os.environ.get, SECRET_VARIABLES)))
    sys.stdout = Discreet(sys.stdout, secrets)
    sys.stderr = Discreet(sys.stderr, secrets)
    sys.exit(import_module("label_studio.server").main())


if __name__ == "__main__":
    main()
