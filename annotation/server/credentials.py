"""The credentials of the embedded server: generated once, kept in a file for its owner alone."""

from __future__ import annotations

import dataclasses
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from occlufer.errors import UsageError

from .private import MODE, write_private


@dataclass(frozen=True)
class Credentials:
    """Who leads the labelling on the server, and what the server signs with."""

    user: str
    """An address for the log-in; nothing is ever sent to it."""
    password: str = field(repr=False)
    token: str = field(repr=False)
    """The legacy token, 40 hexadecimal digits."""
    secret_key: str = field(repr=False)
    """What the server signs its cookies with."""


def generate() -> Credentials:
    """Return new credentials, unlike any others.

    The name differs too: a server whose data is kept takes a new leader beside an old one.
    """
    return Credentials(
        user=f"lead-{secrets.token_hex(4)}@occlufer.invalid",
        password=secrets.token_urlsafe(24),
        token=secrets.token_hex(20),
        secret_key=secrets.token_urlsafe(48),
    )


def kept_credentials(path: Path) -> Credentials:
    """Return the credentials in the file `path`, which is made if it is missing.

    Raises UsageError if the file holds something else.
    """
    if not path.exists():
        write_private(path, json.dumps(dataclasses.asdict(generate()), indent=1) + "\n")
    path.chmod(MODE)  # a copy of the workspace may have come without it
    return read_credentials(path)


def read_credentials(path: Path) -> Credentials:
    """Return the credentials in the file `path`; raises UsageError if it holds something else."""
    names = [field.name for field in dataclasses.fields(Credentials)]
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        values = {name: table[name] for name in names}
    except (OSError, ValueError, KeyError, TypeError):
        values = {}
    if not values or not all(isinstance(value, str) and value for value in values.values()):
        raise UsageError(
            f"{path}: found no credentials, expected JSON with {', '.join(names)}; run `occlufer"
            " annotate stop`, delete the file and start anew: all answers are kept"
        )
    return Credentials(**values)
