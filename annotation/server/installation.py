"""The server's installation: one version of Label Studio, in a virtual environment of its own.

It is a gigabyte with exact pins that fight with ours, so it is never a dependency. Beside it lies
an empty database of that version: making one takes the server most of its first start.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from occlufer.errors import MissingError, UsageError

from .private import open_private
from .waiting import held_in_turn, ticks

VERSION = "1.23.2"
PACKAGE = f"label-studio=={VERSION}"
# Names an environment to share between workspaces.
VARIABLE = "OCCLUFER_LABEL_STUDIO"
INSTALL_LIMIT_S = 3600
MIGRATE_LIMIT_S = 600
BUSY = "process {} installs Label Studio here; wait for it"

DATABASE = "label_studio.sqlite3"
# What stands in it: who made the folder, and whether to the end.
MARK, BEGUN = "made-by-occlufer", "begun"
LAUNCHER = Path(__file__).with_name("launch.py")
# All that a server takes over from the user: it reads some 200 variables, also by such names as
# DEBUG, HOST, CI or DATABASE_NAME, and none of them is meant for this one.
KEPT_VARIABLES = (
    *("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP"),
    *("LD_LIBRARY_PATH", "SYSTEMROOT", "SSL_CERT_FILE"),
)
# It asks no other machine for anything and tells none of anything.
SILENCE = {
    "LABEL_STUDIO_LATEST_VERSION_CHECK": "false",
    "COLLECT_ANALYTICS": "false",
    "SENTRY_DSN": "",  # set and empty: the default is a real one
    "FRONTEND_SENTRY_DSN": "",
    "SENTRY_RATE": "0",
}


def environment(own: Path, log: Path) -> Path:
    """Return the environment to run the server from; `own` is made if no other is named.

    The variable OCCLUFER_LABEL_STUDIO names another one. Raises MissingError if that holds no
    server of our version, or if `own` cannot be made; then `log` says why.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        install(own, log)
        return own
    folder = Path(named).expanduser().absolute()
    found = installed_version(folder)
    if found != VERSION:
        what = "no environment with label-studio" if found is None else f"label-studio {found}"
        raise MissingError(
            f"{folder} ({VARIABLE}): found {what}, expected {VERSION}; make it by `python -m venv`"
            f" and `pip install {PACKAGE}`, or unset the variable to have one made"
        )
    return folder


def install(folder: Path, log: Path) -> None:
    """Make the environment in `folder`, unless it is there; a half-made one is made anew."""
    if _whole(folder):
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with held_in_turn(folder.with_name(f"{folder.name}.lock"), BUSY, INSTALL_LIMIT_S):
        if _whole(folder):
            return
        _clear(folder)
        with _told(log, f"{PACKAGE} could not be installed") as output:
            mine = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
            _run([sys.executable, "-m", "venv", str(folder)], mine, output, "making room")
            command = [str(python_of(folder)), "-m", "pip", "install", "--no-input", PACKAGE]
            _run(command, mine, output, f"installing {PACKAGE} (1 GB, once)")
        (folder / MARK).write_text(PACKAGE, encoding="utf-8")


def python_of(folder: Path) -> Path:
    """Return the interpreter of an environment."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def installed_version(folder: Path) -> str | None:
    """Return which version of Label Studio an environment holds, None if none."""
    ask = "import importlib.metadata as m; print(m.version('label-studio'))"
    command = [str(python_of(folder)), "-I", "-c", ask]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def empty_database(folder: Path, log: Path) -> Path | None:
    """Return the database kept beside an environment, made if it is missing: no user, no secret.

    None if nothing can be written there: the server then makes its own, and starts slowly.
    """
    kept = folder / f"empty-{VERSION}.sqlite3"
    if kept.exists():
        return kept
    if not os.access(folder, os.W_OK):
        return None
    with held_in_turn(folder / "database.lock", BUSY, MIGRATE_LIMIT_S):
        if not kept.exists():
            with tempfile.TemporaryDirectory(prefix="database-", dir=folder) as scratch:
                _migrate(folder, Path(scratch), log)
                (Path(scratch) / DATABASE).replace(kept)
    return kept


def clean_environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a server process whose home is `home`."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    # It leaves a file in the home and in the configuration's folder: not in the user's.
    return {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home), **SILENCE, **more}


def _migrate(folder: Path, scratch: Path, log: Path) -> None:
    """Have the server make its tables in `scratch`; `version` does so and makes no user."""
    more = {"LABEL_STUDIO_BASE_DATA_DIR": str(scratch), "SECRET_KEY": "of no server"}
    command = [str(python_of(folder)), "-I", "-u", str(LAUNCHER), "version"]
    with _told(log, "Label Studio could not make its database") as output:
        variables = clean_environment(scratch, more)
        _run(command, variables, output, "making Label Studio's database (once)")
        if not (scratch / DATABASE).exists():
            raise subprocess.SubprocessError


def _whole(folder: Path) -> bool:
    return _marked(folder) == PACKAGE and installed_version(folder) == VERSION


def _marked(folder: Path) -> str | None:
    try:
        return (folder / MARK).read_text(encoding="utf-8")
    except OSError:
        return None


def _clear(folder: Path) -> None:
    """Make `folder` empty but for the mark that it is half made."""
    if folder.exists() and _marked(folder) is None and any(folder.iterdir()):
        raise UsageError(f"{folder}: found a folder that occlufer did not make, expected none")
    for path in folder.iterdir() if folder.exists() else ():
        if path.name != MARK:  # it goes last, if at all: without it nothing here is ours
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    folder.mkdir(exist_ok=True)
    (folder / MARK).write_text(BEGUN, encoding="utf-8")


@contextmanager
def _told(log: Path, complaint: str) -> Iterator[int]:
    """Yield the descriptor of a new log, and turn a failure into `complaint` and its place."""
    output = open_private(log)
    try:
        yield output
    except (OSError, subprocess.SubprocessError):
        raise MissingError(f"{complaint}; {log} says why") from None
    finally:
        os.close(output)


def _run(command: Sequence[str], variables: Mapping[str, str], output: int, what: str) -> None:
    """Run a command to its end; raises SubprocessError if it fails or takes too long."""
    child = subprocess.Popen(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    try:
        for _ in ticks(INSTALL_LIMIT_S, what):
            if child.poll() is not None:
                break
        if child.poll() != 0:
            raise subprocess.SubprocessError
    finally:
        child.kill()
        child.wait()
