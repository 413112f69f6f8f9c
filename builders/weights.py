"""Models' weights that are no part of the package: pulled once, pinned by their hash."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shlex
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from occlufer.errors import MissingError, UsageError

from .origins import pieces, told
from .web.errors import FetchError

YUNET_FILES = ("face_detection_yunet_2023mar.onnx", "yunet_s_640.onnx")
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"


@dataclass(frozen=True)
class Weights:
    """One file of weights, known to the byte."""

    files: tuple[str, ...]
    """The names it is passed on by; it is pulled under the first."""
    urls: tuple[str, ...]
    """Where it is, in the order in which they are asked."""
    sha256: str
    size_bytes: int
    licence: str
    purpose: str


# The zoo's files lie in Git LFS: raw.githubusercontent.com would give pointers to them. The commit
# keeps the file should `main` drop it; Hugging Face has the zoo's own copy.
ZOO_COMMIT = "82b38c8f98e7b52aa171400f3e4c722352d0669f"
ZOO_PATH = f"models/face_detection_yunet/{YUNET_FILES[0]}"
WEIGHTS = {
    "yunet": Weights(
        files=YUNET_FILES,
        urls=(
            f"https://media.githubusercontent.com/media/opencv/opencv_zoo/main/{ZOO_PATH}",
            f"https://github.com/opencv/opencv_zoo/raw/{ZOO_COMMIT}/{ZOO_PATH}",
            f"https://huggingface.co/opencv/face_detection_yunet/resolve/main/{YUNET_FILES[0]}",
        ),
        sha256=YUNET_SHA256,
        size_bytes=232_589,
        licence="MIT",  # of this folder, by its README; the zoo's own is Apache-2.0
        purpose="YuNet of the OpenCV Zoo, the better and faster face detector",
    ),
}

POINTER = b"version https://git-lfs.github.com/spec/"
WRONG = "wrong"  # the reason of a fetch that gave other bytes
# What a folder that is the wrong one gives; a full or broken disk is no mistake of the user's.
NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR)


@dataclass(frozen=True)
class Pulled:
    """What a pull gave."""

    path: Path
    source: str
    """Where it was fetched from, without credentials; "" if it was there already."""


@dataclass(frozen=True)
class Listed:
    """What is in the folder of one file of weights."""

    name: str
    path: Path | None
    """Where it lies or would lie; None if there is no home to put it in."""
    state: str
    """"there", "missing" or "wrong"."""
    fault: str
    """What is wrong."""


def weights_folder(named: Path | None) -> Path | None:
    """Return the folder that weights lie in: the one named, else the user's own.

    That is occlufer/weights in XDG_DATA_HOME, or else in ~/.local/share; None if there is no home.
    """
    if named is not None:
        return named
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():  # the XDG Base Directory Specification has it ignored then
        try:
            data = Path.home() / ".local" / "share"
        except RuntimeError:
            return None
    return data / "occlufer" / "weights"


def pull_command(name: str, weights_dir: Path | None) -> str:
    """Return the command line that pulls the weights into that folder."""
    options = [] if weights_dir is None else ["--weights-dir", str(weights_dir)]
    return shlex.join(["occlufer", "weights", "pull", name, *options])


def find(name: str, weights_dir: Path | None) -> Path | None:
    """Return where the weights lie, their hash checked; None if they are not there.

    Raises UsageError if something else lies there under their name.
    """
    path = _path_of(WEIGHTS[name], weights_folder(weights_dir))
    fault = _fault(path, WEIGHTS[name]) if path is not None else ""
    if fault:
        command = pull_command(name, weights_dir)
        raise UsageError(f"{path}: {fault}; move it away and run `{command}`")
    return path


def listed(weights_dir: Path | None) -> list[Listed]:
    """Return what is there of all that can be pulled, in the dict's order."""
    folder = weights_folder(weights_dir)
    found = []
    for name, pinned in WEIGHTS.items():
        path = _path_of(pinned, folder)
        if path is None:
            wanted = None if folder is None else folder / pinned.files[0]
            found.append(Listed(name, wanted, "missing", ""))
        else:
            fault = _fault(path, pinned)
            found.append(Listed(name, path, "wrong" if fault else "there", fault))
    return found


def pull(name: str, weights_dir: Path | None, source: str = "") -> Pulled:
    """Return where the weights lie, fetched from `source`, a file or an address, if need be.

    Without `source` they are fetched from where they are published. Whatever the source, only
    bytes of the pinned hash get to their name, and nothing is written over. Raises UsageError for
    other bytes, MissingError if nothing could be fetched.
    """
    if name not in WEIGHTS:
        raise UsageError(f"weights: found {name!r}, expected one of {', '.join(WEIGHTS)}")
    there = find(name, weights_dir)
    if there is not None:
        return Pulled(there, "")
    pinned = WEIGHTS[name]
    target = _target(name, weights_folder(weights_dir))
    faults = []
    for origin in (source,) if source else pinned.urls:
        try:
            _fetch(pieces(origin), target, pinned)
            return Pulled(target, told(origin))
        except FetchError as error:
            faults.append(FetchError(error.reason, f"{told(origin)}: {error.detail}"))
    kind = UsageError if any(fault.reason == WRONG for fault in faults) else MissingError
    raise kind(
        f"{name} was not pulled: {'; '.join(fault.detail for fault in faults)}; fetch "
        f"{pinned.urls[0]} by hand and put it at {target}, or give it to "
        f"`{pull_command(name, weights_dir)} --from FILE`"
    )


def _target(name: str, folder: Path | None) -> Path:
    """Return where the weights go; raises UsageError if nothing can be put there."""
    if folder is None:
        raise UsageError(f"{name}: found no home folder to put it in, expected --weights-dir")
    target = folder / WEIGHTS[name].files[0]
    if os.path.lexists(target):
        raise UsageError(f"{target}: found what is no file, expected nothing; move it away")
    return target


def _path_of(pinned: Weights, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    # os.path: a folder that may not be looked into, e.g. another user's home, holds nothing.
    return next((folder / n for n in pinned.files if os.path.isfile(folder / n)), None)  # noqa: PTH113


def _fault(path: Path, pinned: Weights) -> str:
    """Return what is wrong with the file, "" if it is the pinned one."""
    with path.open("rb") as file:
        data = file.read(pinned.size_bytes + 1)
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 == pinned.sha256:
        return ""
    expected = f"expected a file of {pinned.size_bytes} bytes"
    if data.startswith(POINTER):
        return f"found a Git LFS pointer, which only names the file, {expected} (`git lfs pull`)"
    if data.lstrip().startswith(b"<"):
        return f"found a page of HTML or XML, {expected}"
    if len(data) > pinned.size_bytes:
        return f"found more than {pinned.size_bytes} bytes, {expected}"
    short = f" ({len(data)} bytes of {pinned.size_bytes})" if len(data) < pinned.size_bytes else ""
    return f"found sha256 {sha256}, expected {pinned.sha256}{short}"


def _fetch(content: Generator[bytes], target: Path, pinned: Weights) -> None:
    """Put what comes in place, or keep nothing of it and raise FetchError if it is not right.

    Raises UsageError if the folder cannot be written.
    """
    # Of this process alone: two that pull at once would write into each other's.
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    with _written(target.parent), contextlib.closing(content):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write(part, content, pinned.size_bytes + 1)
            fault = _fault(part, pinned)
            if fault:
                raise FetchError(WRONG, fault)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def _write(part: Path, content: Iterator[bytes], most_bytes: int) -> None:
    """Write what comes, and no more than `most_bytes` of it."""
    with part.open("wb") as file:
        for piece in content:
            file.write(piece[: most_bytes - file.tell()])
            if file.tell() >= most_bytes:
                break
        file.flush()
        os.fsync(file.fileno())  # or a crash after the rename may leave its name without its bytes


@contextlib.contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in NOT_WRITABLE:
            raise
        raise UsageError(
            f"{folder}: cannot be written ({error.strerror}), expected a folder of yours; "
            "name another by --weights-dir"
        ) from None
