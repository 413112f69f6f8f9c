"""One rename that puts a finished folder in the place of the former one."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

AT_FDCWD = -100
RENAME_EXCHANGE = 2


def swap_into_place(fresh: Path, out: Path) -> None:
    """Move the folder `fresh` to `out`; a former `out` is deleted after it has been replaced.

    On Linux both change places in one system call, so that `out` is whole at every moment, a kill
    included. Elsewhere the former folder is moved aside first; if a kill falls between the two
    moves, `restore` puts it back.
    """
    if not out.exists():
        fresh.rename(out)
        return
    if _exchange(fresh, out):
        shutil.rmtree(fresh)
        return
    aside = _aside(out)
    shutil.rmtree(aside, ignore_errors=True)
    out.rename(aside)
    fresh.rename(out)
    shutil.rmtree(aside)


def restore(out: Path) -> None:
    """Put back the former folder if a kill fell between the two moves of `swap_into_place`."""
    if _aside(out).exists() and not out.exists():
        _aside(out).rename(out)


def _aside(out: Path) -> Path:
    return out.with_name(f".{out.name}.former")


def _exchange(a: Path, b: Path) -> bool:
    """Let two paths change places; False where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):
        return False
    done = renameat2(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE)
    return bool(done == 0)
