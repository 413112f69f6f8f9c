"""What the tests of faults share: how many faults, at which moments, and what must come out."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from pathlib import Path

VARIABLE = "OCCLUFER_FAULTS"
"""Set to a number it asks for the full suite, tens of minutes, whose random numbers it begins."""
FULL = VARIABLE in os.environ
CONFIG = 'workers = 2\n[[sources]]\nkind = "synthetic"\ncount = 24\nseed = 2\n'


def dice(subject: str) -> random.Random:
    """Return random numbers of their own for a test, the same in every run, and say whence."""
    seed = f"{VARIABLE}={os.environ.get(VARIABLE, '0')}, {subject}"
    print(f"seed: {seed}")
    return random.Random(seed)


def outcome(folder: Path, workspace: str = ".occlufer") -> dict[str, str]:
    """Return the hashes of everything that a build leaves for its user: {path: sha256}."""
    files = [*(folder / "occlu_fer").rglob("*"), folder / workspace / "rejected.csv"]
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if path.is_file()
    }


def leftovers(folder: Path) -> list[Path]:
    """Return what a build that has ended must not leave behind."""
    parts = (folder / ".occlufer").rglob("*.part")
    return [*parts, *folder.glob(".occlu_fer*")]


def put_back(kept: Path, folder: Path) -> None:
    """Let `folder` be what was copied to `kept`."""
    shutil.rmtree(folder)
    shutil.copytree(kept, folder)


def told(line: str) -> str:
    """Return the one line of an error without its head; fails if there is a traceback or more."""
    assert "Traceback" not in line, line
    errors = [one for one in line.splitlines() if one.startswith("occlufer: ")]
    assert errors == line.splitlines()[-1:], line
    return errors[0].removeprefix("occlufer: ")
