"""What can go wrong by the user's side, and the exit status that each kind gives."""

from __future__ import annotations


class OccluferError(Exception):
    """An error whose message is meant for the user: one line, no traceback."""

    exit_code = 1


class UsageError(OccluferError):
    """A command line or a config says something that cannot be done."""

    exit_code = 2


class MissingError(OccluferError):
    """A source, a weight or an extra is not there; the message says how to get it."""

    exit_code = 3


class GateError(OccluferError):
    """A check that guards the published data failed: leak, quota, verification."""

    exit_code = 4
