"""The image store at an address: s3://, gs://, any that fsspec knows, for workers far from here."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from occlufer.errors import GO_ON, MissingError, OccluferError, UsageError, one_line
from occlufer.images import DamagedImageError
from occlufer.record import image_sha256


class RemoteImages:
    """Objects by the sha256 of their bytes below an address; does as `ImageStore` does.

    It travels to other processes, which have to have the same rights there.
    """

    folder: Path | None = None

    def __init__(self, url: str) -> None:
        """Take the address, below which nothing need exist yet.

        Raises UsageError if it is none, MissingError if the package for its protocol is not there.
        """
        import fsspec

        self.url = url.rstrip("/")
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            raise MissingError(f"image_store = {url!r}: {one_line(error)}") from None
        except ValueError as error:
            raise UsageError(f"image_store = {url!r}: {one_line(error)}") from None

    def put(self, data: bytes) -> str:
        """Keep `data` and return its sha256 in hex."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        with self._telling("write", path):
            if self._size(path) != len(data):
                self._write(path, data)
        return sha256

    def get(self, image: str) -> bytes:
        """Return the bytes of the image; raises DamagedImageError if they are gone or damaged."""
        path, sha256 = self._path(image), image_sha256(image)
        with self._telling("read", path):
            for _ in range(2):  # once more, for it may have been cut on its way
                try:
                    data: bytes = self._files.cat_file(path)
                except FileNotFoundError:
                    raise DamagedImageError(sha256, path, "missing") from None
                if hashlib.sha256(data).hexdigest() == sha256:
                    return data
        with self._telling("delete", path):
            self._files.rm_file(path)  # or it would stand in the way of the right bytes
        raise DamagedImageError(sha256, path, "damaged")

    def has(self, image: str) -> bool:
        """Return whether the image is there."""
        with self._telling("look for", self._path(image)):
            return self._size(self._path(image)) is not None

    def size(self, image: str) -> int:
        """Return how many bytes the image has; raises DamagedImageError if it is gone."""
        path = self._path(image)
        with self._telling("look for", path):
            found = self._size(path)
        if found is None:
            raise DamagedImageError(image_sha256(image), path, "missing")
        return found

    def sweep(self) -> None:
        """Do nothing: no object is half written."""

    def _path(self, image: str) -> str:
        sha256 = image_sha256(image)
        return f"{self._root}/{sha256[:2]}/{sha256}"

    def _write(self, path: str, data: bytes) -> None:
        try:
            self._files.pipe_file(path, data)
        except FileNotFoundError:
            # Disks have folders; stores have none, and who may write in one may not make any.
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._files.pipe_file(path, data)

    def _size(self, path: str) -> int | None:
        try:
            found: dict[str, Any] = self._files.info(path)
        except FileNotFoundError:
            return None
        return int(found["size"])

    @contextlib.contextmanager
    def _telling(self, what: str, path: str) -> Iterator[None]:
        """Turn what a store's library raises into one line."""
        try:
            yield
        except (OccluferError, MemoryError):
            raise
        except Exception as error:
            raise OccluferError(
                f"image_store = {self.url}: found no way to {what} {path} ({one_line(error)}); "
                f"{GO_ON}"
            ) from None
