"""The image store: files by the sha256 of their bytes, written once, never changed."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path
from typing import Any, Protocol

from occlufer.errors import OccluferError
from occlufer.record import image_sha256


class DamagedImageError(OccluferError):
    """The stored bytes of `sha256` are gone or no longer what they were."""

    def __init__(self, sha256: str, path: Path | str, state: str) -> None:
        """Take the image, where it should lie, and what was found there."""
        super().__init__(
            f"{path}: the stored image is {state}; it is forgotten now, "
            "`occlufer build` reads it anew from its source"
        )
        self.sha256, self.path, self.state = sha256, path, state

    def __reduce__(self) -> tuple[Any, ...]:
        """Come whole from the process that found it."""
        return DamagedImageError, (self.sha256, self.path, self.state)


class Images(Protocol):
    """Where a workspace keeps images: a folder, or an address (see remote_images.py)."""

    @property
    def folder(self) -> Path | None:
        """The folder in which `<first two letters>/<sha256>` lie, None if they lie in none."""

    def put(self, data: bytes) -> str:
        """Keep `data` and return its sha256 in hex."""

    def get(self, image: str) -> bytes:
        """Return the bytes of the image; raises DamagedImageError if they are gone or damaged."""

    def has(self, image: str) -> bool:
        """Return whether the image is there."""

    def size(self, image: str) -> int:
        """Return how many bytes the image has; raises DamagedImageError if it is gone."""

    def sweep(self) -> None:
        """Delete what a killed build left."""


class ImageStore:
    """A folder of images by content; safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Take `folder`, which need not exist yet."""
        self.folder = folder

    def path(self, image: str) -> Path:
        """Return where an image lies, or would lie, by its hash or its key (see `image_key`)."""
        sha256 = image_sha256(image)
        return self.folder / sha256[:2] / sha256

    def put(self, data: bytes) -> str:
        """Keep `data` and return its sha256 in hex."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        if not (path.exists() and path.stat().st_size == len(data)):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Beside and renamed: a kill leaves a .part file, never a short image under its hash.
            part = path.with_name(f"{sha256}.{os.getpid()}-{threading.get_ident()}.part")
            try:
                part.write_bytes(data)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return sha256

    def get(self, image: str) -> bytes:
        """Return the bytes of the image; raises DamagedImageError if they are gone or damaged."""
        path = self.path(image)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise DamagedImageError(path.name, path, "missing") from None
        if hashlib.sha256(data).hexdigest() != path.name:
            path.unlink()  # or it would stand in the way of the right bytes
            raise DamagedImageError(path.name, path, "damaged")
        return data

    def has(self, image: str) -> bool:
        """Return whether the image is there."""
        return self.path(image).is_file()

    def size(self, image: str) -> int:
        """Return how many bytes the image has; raises DamagedImageError if it is gone."""
        path = self.path(image)
        try:
            return path.stat().st_size
        except FileNotFoundError:
            raise DamagedImageError(path.name, path, "missing") from None

    def sweep(self) -> None:
        """Delete the .part files that a killed build left."""
        for part in self.folder.glob("*/*.part"):
            part.unlink(missing_ok=True)
