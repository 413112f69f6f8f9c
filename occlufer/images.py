"""The image store: files by the sha256 of their bytes, written once, never changed."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from occlufer.errors import OccluferError


class ImageStore:
    """A folder of images by content; safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        """Take `folder`, which need not exist yet."""
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Return where the image of this hash lies, or would lie."""
        return self.folder / sha256[:2] / sha256

    def put(self, data: bytes) -> str:
        """Keep `data` and return its sha256 in hex."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Beside and renamed: a kill leaves a .part file, never a short image under its hash.
            part = path.with_name(f"{sha256}.{os.getpid()}-{threading.get_ident()}.part")
            try:
                part.write_bytes(data)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return sha256

    def get(self, sha256: str) -> bytes:
        """Return the bytes of the image; raises OccluferError if they are gone or damaged."""
        path = self.path(sha256)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data = b""
        if hashlib.sha256(data).hexdigest() != sha256:
            state = "damaged" if path.exists() else "missing"
            raise OccluferError(
                f"{path}: the stored image is {state}; delete the workspace's catalog "
                "and build again to read it anew from its source"
            )
        return data

    def sweep(self) -> None:
        """Delete the .part files that a killed build left."""
        for part in self.folder.glob("*/*.part"):
            part.unlink(missing_ok=True)
