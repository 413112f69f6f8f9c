"""The labelling server that a build's config means: one of the user's, or the embedded one."""

from __future__ import annotations

import os

from occlufer.config import BuildConfig
from occlufer.errors import MissingError, UsageError

from .studio import Connection, Studio

EMBEDDED = "embedded"


def server_name(config: BuildConfig) -> str:
    """Return "embedded", or the address of the user's server: how the vote log calls it."""
    return config.annotation.url.rstrip("/") or EMBEDDED


def connect(config: BuildConfig) -> Studio:
    """Return the client of the labelling server; its answer to "who am I" has been heard.

    Raises MissingError if the embedded server does not run, or the token of another is not there.
    """
    studio = Studio(_remote(config) if config.annotation.url else _embedded(config))
    studio.whoami()
    return studio


def _remote(config: BuildConfig) -> Connection:
    url, variable = server_name(config), config.annotation.token_env
    token = os.environ.get(variable, "").strip()
    if not token:
        raise MissingError(
            f"{variable}: no such environment variable; it holds the token for {url}, which is "
            "under Account & Settings there (a personal access token or a legacy token)"
        )
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise UsageError(f"{variable}: found spaces or strange letters in it, expected a token")
    return Connection(url, token)


def _embedded(config: BuildConfig) -> Connection:
    from .server.server import running

    server = running(config.workspace)
    if server is None:
        raise MissingError(
            f"{config.workspace}: its labelling server does not run; run `occlufer annotate start`"
        )
    return server.connection
