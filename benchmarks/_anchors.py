"""The named peers: faiss, imagededup and imagehash, each used as its own documentation says."""

from __future__ import annotations

import importlib
import logging
import sys
import tempfile
import types
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

PEERS = {"faiss": "faiss-cpu", "imagededup": "imagededup", "imagehash": "ImageHash"}
# imagededup's neural networks, the only part of it that imports torchvision.
NETWORKS = {"imagededup.methods.cnn": "CNN", "imagededup.utils.models": "CustomModel"}


def missing(peer: str) -> str | None:
    """Return why a peer cannot be measured, None if it can."""
    try:
        loaded_phash() if peer == "imagededup" else importlib.import_module(peer)
    except ImportError as error:
        return f"missing, so its bars fail: {error}; pip install 'occlufer[bench]'"
    return None


def versions() -> dict[str, str]:
    """Return the versions of the peers that are installed."""
    return {name: version(name) for peer, name in PEERS.items() if missing(peer) is None}


def faiss_pairs(hashes: Hashes, queries: Hashes, radius: int) -> tuple[Indices, Indices]:
    """Return (i, j) of every query i and hash j at most `radius` bits apart, itself included.

    IndexBinaryFlat compares all with all, on every processor.
    """
    faiss = importlib.import_module("faiss")
    index = faiss.IndexBinaryFlat(64)
    index.add(hashes.view(np.uint8).reshape(-1, 8))
    # Its radius is exclusive.
    limits, _, j = index.range_search(queries.view(np.uint8).reshape(-1, 8), radius + 1)
    i = np.repeat(np.arange(queries.size), np.diff(limits).astype(np.int64))
    return i, j.astype(np.int64)


def faiss_threads() -> int:
    return int(importlib.import_module("faiss").omp_get_max_threads())


def imagehash_hashes(data: bytes) -> tuple[str, str, str]:
    """Return imagehash's phash, 256-bit phash and dhash of one picture, decoded once."""
    image = Image.open(BytesIO(data))
    hashes = (imagehash.phash(image), imagehash.phash(image, hash_size=16), imagehash.dhash(image))
    return str(hashes[0]), str(hashes[1]), str(hashes[2])


def imagededup_near(encodings: Mapping[str, str], bits: int | None = None) -> dict[str, list[str]]:
    """Return {name: names whose hashes are near}; within its default of 10 bits without `bits`."""
    chosen = {} if bits is None else {"max_distance_threshold": bits}
    with quiet():
        hasher = loaded_phash()(verbose=False)
        found: dict[str, list[str]] = hasher.find_duplicates(encoding_map=dict(encodings), **chosen)
    return found


def imagededup_encodings(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return {name: 64-bit hash in hex} of files, by imagededup."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        found: dict[str, str] = loaded_phash()(verbose=False).encode_images(folder)
    return found


def imagededup_encoding(image: Image.Image) -> str:
    """Return the 64-bit hash of a picture in memory in hex, by imagededup."""
    return str(loaded_phash()(verbose=False).encode_image(image_array=np.asarray(image)))


def loaded_phash() -> Any:
    """Return imagededup's PHash class.

    imagededup imports torchvision for its networks, though hashes need none of it, and torchvision
    fails beside a torch of another build (the CPU build that this project installs, for one). So
    the two modules with the networks are left empty; everything about hashes is imagededup's own.
    """
    if "imagededup.methods" not in sys.modules:
        for name, content in NETWORKS.items():
            module = types.ModuleType(name)
            setattr(module, content, None)
            sys.modules[name] = module
    return importlib.import_module("imagededup.methods").PHash


@contextmanager
def quiet() -> Iterator[None]:
    """Keep imagededup's log and its warning about arguments left at their defaults off stderr."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Parameter num_enc_workers", RuntimeWarning)
            yield
    finally:
        logging.disable(before)
