"""The cache: a published dataset as plain arrays, decoded once and mapped into memory."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.errors import MissingError, UsageError
from occlufer.lock import LOCK_NAME
from occlufer.progress import progress
from occlufer.schema import LABELS, SPLITS

from .priors import FACE_SQUARE, FOREHEAD, Prior, both_ways
from .shards import opened, row_picture, rows_of, shards_of

log = logging.getLogger(__name__)

VERSION = 4
CACHE_NAME = "cache.json"
COLUMNS = ("image", "label", "soft_label", "landmarks", "sha256")
PICTURES_AT_ONCE = 64


@dataclass(frozen=True)
class Split:
    """The samples of one split, row by row; the large arrays are mapped from files."""

    images: NDArray[np.uint8]
    """(N, S, S, 3), RGB."""
    labels: NDArray[np.int64]
    """(N,), ids of LABELS."""
    soft_labels: NDArray[np.float32]
    """(N, 8), the probability of each class by the votes."""
    landmarks: NDArray[np.float32]
    """(N, 68, 2), x before y, as shares of the picture's width and height."""
    semantic: NDArray[np.float16]
    """(N, 2, C, h, w): the semantic prior of each picture, and of its mirror image."""
    landmark_features: NDArray[np.float16]
    """(N, 2, L, 7, 7): the landmark prior, of both likewise."""
    ids: NDArray[np.str_]
    """(N,), the sha256 of each sample."""


ARRAYS = tuple(Split.__annotations__)


@dataclass(frozen=True)
class Cache:
    """What `load_cache` gives."""

    key: str
    """Changes with the dataset, the picture size, the priors' weights and the cache's form."""
    image_size_px: int
    priors: dict[str, str]
    """{"semantic": name, "landmark_features": name}"""
    splits: dict[str, Split]
    """{"train": ..., "validation": ...}"""


# What the file of a cache tells of it beside the version.
FACTS = ("key", "image_size_px", "priors")

PriorsByName = dict[str, Prior]
"""{"semantic": ..., "landmark_features": ...}"""


def prepare_cache(
    dataset_folder: Path, cache_folder: Path, image_size_px: int, priors: PriorsByName
) -> Cache:
    """Return the cache of a published dataset, written anew unless the one there is of it.

    Faces are cut square by their landmarks, and their priors are computed once, of each picture and
    of its mirror image. Raises MissingError if there is no dataset, UsageError with file and row if
    a sample cannot be read. Needs pyarrow and Pillow.
    """
    shards = {split: shards_of(dataset_folder, "default", split) for split in SPLITS}
    key = _key(dataset_folder, shards, image_size_px, priors)
    if _key_of(cache_folder) == key:
        return load_cache(cache_folder)
    names = {name: prior.name for name, prior in priors.items()}
    log.info("priors: %s", " and ".join(names.values()))
    fresh = cache_folder.with_name(f".{cache_folder.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for split, paths in shards.items():
        _write_split(fresh, split, paths, image_size_px)
        for name, prior in priors.items():
            _write_prior(fresh, split, name, prior)
    facts = {"version": VERSION, "key": key, "image_size_px": image_size_px, "priors": names}
    (fresh / CACHE_NAME).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(cache_folder, ignore_errors=True)
    fresh.rename(cache_folder)
    return load_cache(cache_folder)


def load_cache(folder: Path) -> Cache:
    """Return the cache in `folder`; needs numpy alone.

    Raises MissingError if it or a file of it is not there, UsageError if one is damaged or another
    version wrote it.
    """
    path = folder / CACHE_NAME
    if not path.is_file():
        raise MissingError(f"{folder}: found no {CACHE_NAME}, expected a prepared cache")
    facts = _facts(path)
    splits = {split: _split(folder, split) for split in SPLITS}
    return Cache(facts["key"], facts["image_size_px"], facts["priors"], splits)


def _facts(path: Path) -> dict[str, Any]:
    """Return what the file of a cache tells of it; raises UsageError unless it is whole."""
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = facts["version"]
        lacks = [name for name in FACTS if version == VERSION and name not in facts]
    except (ValueError, LookupError, TypeError):
        version, lacks = None, [*FACTS]
    if lacks:
        raise UsageError(f"{path}: found no cache that can be read, make it anew from the dataset")
    if version != VERSION:
        raise UsageError(
            f"{path}: found a cache of version {version}, expected {VERSION}; make it anew from "
            "the dataset"
        )
    return facts


def _split(folder: Path, split: str) -> Split:
    arrays = [_mapped(folder / f"{split}_{name}.npy") for name in ARRAYS]
    for name, array in zip(ARRAYS, arrays, strict=True):
        if len(array) != len(arrays[0]):
            raise UsageError(
                f"{folder / f'{split}_{name}.npy'}: found {len(array)} samples, expected "
                f"{len(arrays[0])}, as {split}_{ARRAYS[0]}.npy has"
            )
    return Split(*arrays)


def _mapped(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise MissingError(f"{path}: found nothing, expected an array of the cache")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r")
    except (ValueError, OSError, EOFError) as error:
        raise UsageError(f"{path}: found a damaged array ({error}), make the cache anew") from error
    return array


def _key(
    folder: Path, shards: dict[str, list[Path]], image_size_px: int, priors: PriorsByName
) -> str:
    """Return a hash of the lock, or of the shards where there is none, and of our settings."""
    settings = [VERSION, image_size_px, *(prior.key for prior in priors.values())]
    digest = hashlib.sha256(" ".join(map(str, settings)).encode())
    lock = folder / LOCK_NAME
    for path in [lock] if lock.is_file() else [p for paths in shards.values() for p in paths]:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _key_of(cache_folder: Path) -> str | None:
    try:
        facts = json.loads((cache_folder / CACHE_NAME).read_text(encoding="utf-8"))
        return str(facts["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_split(folder: Path, split: str, paths: list[Path], size: int) -> None:
    """Write all of a split but its priors."""
    total = 0
    for path in paths:
        with opened(path) as shard:
            total += shard.metadata.num_rows
    images = _opened(folder / f"{split}_images.npy", np.uint8, (total, size, size, 3))
    labels = np.empty(total, np.int64)
    soft_labels = np.empty((total, len(LABELS)), np.float32)
    landmarks = np.empty((total, 68, 2), np.float32)
    ids = []
    for number, (where, row) in enumerate(rows_of(paths, COLUMNS)):
        images[number], landmarks[number] = _picture(row, where, size)
        labels[number], soft_labels[number] = _labels(row, where)
        ids.append(row["sha256"])
    images.flush()
    np.save(folder / f"{split}_labels.npy", labels)
    np.save(folder / f"{split}_soft_labels.npy", soft_labels)
    np.save(folder / f"{split}_landmarks.npy", landmarks)
    np.save(folder / f"{split}_ids.npy", np.array(ids, dtype=np.str_))


def _write_prior(folder: Path, split: str, name: str, prior: Prior) -> None:
    """Write one prior of a split's pictures and of their mirror images."""
    images = np.load(folder / f"{split}_images.npy", mmap_mode="r")
    landmarks = np.load(folder / f"{split}_landmarks.npy")
    shape = (len(images), 2, *prior.shape)
    written = _opened(folder / f"{split}_{name}.npy", np.float16, shape)
    starts = range(0, len(images), PICTURES_AT_ONCE)
    for start in progress(starts, len(starts), f"{split}: {prior.name}"):
        rows = slice(start, start + PICTURES_AT_ONCE)
        written[rows] = both_ways(prior, np.array(images[rows]), landmarks[rows])
    written.flush()


def _opened(path: Path, kind: Any, shape: tuple[int, ...]) -> Any:
    """Return a new array that lies in a file."""
    open_memmap: Any = np.lib.format.open_memmap  # numpy leaves it without types
    if shape[0] == 0:  # nothing can be mapped
        np.save(path, np.empty(shape, kind))
        return np.load(path)
    array = open_memmap(path, mode="w+", dtype=kind, shape=shape)
    if hasattr(os, "posix_fallocate"):
        # Else a full disk shows when a mapped page is written, and ends the process without a word.
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _picture(
    row: dict[str, Any], where: str, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the `face_square` of a row; raises UsageError for one without a picture or face."""
    picture = row_picture(row, where)
    points = np.array(row["landmarks"], dtype=np.float32)
    if points.shape != (68, 2):
        raise UsageError(f"{where}: found landmarks {points.shape}, expected (68, 2)")
    return face_square(picture, points, size)


def face_square(
    picture: Any, landmarks68_px: NDArray[np.float32], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the face cut square, (size, size, 3) in RGB, and its landmarks as shares of that.

    `picture` is a PIL image in RGB, `landmarks68_px` (68, 2), x before y. The square follows the
    landmarks: sources frame faces very differently, and neither the model nor the released code
    aligns anything.
    """
    from PIL import Image

    low, high = landmarks68_px.min(axis=0), landmarks68_px.max(axis=0)
    side = max(float((high - low).max()) * FACE_SQUARE, 1.0)
    corner = (low + high) / 2 - side / 2 - (0, FOREHEAD * side)
    # Reducing first keeps fine texture from aliasing; what lies outside the picture is black.
    factor = max(1, int(side / size))
    picture = picture.reduce(factor)
    step = side / size / factor
    left, top = corner / factor
    square = picture.transform(
        (size, size),
        Image.Transform.AFFINE,
        (step, 0, float(left), 0, step, float(top)),
        resample=Image.Resampling.BILINEAR,
    )
    shares = ((landmarks68_px - corner) / side).astype(np.float32)
    return np.asarray(square, dtype=np.uint8), shares


def _labels(row: dict[str, Any], where: str) -> tuple[int, list[float]]:
    """Return a row's label and the probability of each class."""
    label, soft = row["label"], row["soft_label"]
    if not isinstance(label, int) or not 0 <= label < len(LABELS):
        raise UsageError(f"{where}: found label {label!r}, expected 0 to {len(LABELS) - 1}")
    if soft is None or len(soft) != len(LABELS):
        raise UsageError(f"{where}: found soft_label {soft!r}, expected {len(LABELS)} numbers")
    return label, soft
