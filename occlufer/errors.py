"""What can go wrong by the user's side, and the exit status that each kind gives."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

# Full, or not to be written to.
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)
# What numpy says of a full disk, with no number: "512 requested and 100 written".
SHORT = " written"
# How an error ends after which nothing is lost, by itself or once something is mended.
GO_ON = "what is done is kept, run the same command to go on"
KEPT = "what is done is kept, mend this and run the same command to go on"


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


def one_line(error: BaseException) -> str:
    """Return what an error of others says, in one line, cut short."""
    return " ".join(str(error).split())[:200]


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the disk in the block that names no file, as of a write, name `path`."""
    try:
        yield
    except OSError as error:
        number = errno.ENOSPC if str(error).endswith(SHORT) else error.errno
        if error.filename is None and number is not None and number in OF_THE_DISK:
            raise OSError(number, os.strerror(number), str(path)) from error
        raise
