"""The cache: a published dataset as plain arrays, decoded once and mapped into memory."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from occlufer.errors import MissingError, UsageError
from occlufer.lock import LOCK_NAME
from occlufer.schema import LABELS, SPLITS

from .priors import part_maps, point_maps

log = logging.getLogger(__name__)

VERSION = 2
CACHE_NAME = "cache.json"
COLUMNS = ("image", "label", "landmarks", "sha256")
ROWS_AT_ONCE = 64
# The square around the 68 points, which end at the brows: its side as a multiple of their larger
# extent, and how far it is shifted up, as a share of the side, to take the forehead in.
FACE_SQUARE = 1.3
FOREHEAD = 0.08


@dataclass(frozen=True)
class Split:
    """The samples of one split, row by row; the large arrays are mapped from files."""

    images: NDArray[np.uint8]
    """(N, S, S, 3), RGB."""
    labels: NDArray[np.int64]
    """(N,), ids of LABELS."""
    landmarks: NDArray[np.float32]
    """(N, 68, 2), x before y, as shares of the picture's width and height."""
    part_maps: NDArray[np.float16]
    """(N, 11, 28, 28), see `priors.part_maps`."""
    point_maps: NDArray[np.float16]
    """(N, 68, 7, 7), see `priors.point_maps`."""
    ids: NDArray[np.str_]
    """(N,), the sha256 of each sample."""


ARRAYS = tuple(Split.__annotations__)


@dataclass(frozen=True)
class Cache:
    """What `load_cache` gives."""

    key: str
    """Changes with the dataset, the picture size and the form of the cache."""
    image_size_px: int
    splits: dict[str, Split]
    """{"train": ..., "validation": ...}"""


def prepare_cache(dataset_folder: Path, cache_folder: Path, image_size_px: int) -> Cache:
    """Return the cache of a published dataset, written anew unless the one there is of it.

    Faces are cut square by their landmarks. Raises MissingError if there is no dataset,
    UsageError with file and row if a sample cannot be read. Needs pyarrow and Pillow.
    """
    shards = {split: _shards(dataset_folder, split) for split in SPLITS}
    key = _key(dataset_folder, shards, image_size_px)
    if _key_of(cache_folder) == key:
        return load_cache(cache_folder)
    log.info("priors: part maps and point responses, drawn from the dataset's own landmarks")
    fresh = cache_folder.with_name(f".{cache_folder.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for split, paths in shards.items():
        _write_split(fresh, split, paths, image_size_px)
    facts = {"key": key, "image_size_px": image_size_px}
    (fresh / CACHE_NAME).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(cache_folder, ignore_errors=True)
    fresh.rename(cache_folder)
    return load_cache(cache_folder)


def load_cache(folder: Path) -> Cache:
    """Return the cache in `folder`; needs numpy alone. Raises MissingError if there is none."""
    path = folder / CACHE_NAME
    if not path.is_file():
        raise MissingError(f"{folder}: found no {CACHE_NAME}, expected a prepared cache")
    facts = json.loads(path.read_text(encoding="utf-8"))
    splits = {
        split: Split(*(np.load(folder / f"{split}_{name}.npy", mmap_mode="r") for name in ARRAYS))
        for split in SPLITS
    }
    return Cache(facts["key"], facts["image_size_px"], splits)


def _shards(folder: Path, split: str) -> list[Path]:
    if not folder.is_dir():
        raise MissingError(f"{folder}: found nothing, expected a published dataset folder")
    paths = sorted((folder / "data").glob(f"{split}-*.parquet"))
    if not paths:
        raise MissingError(f"{folder}: found no data/{split}-*.parquet, expected at least one")
    return paths


def _key(folder: Path, shards: dict[str, list[Path]], image_size_px: int) -> str:
    """Return a hash of the lock, or of the shards where there is none, and of our settings."""
    digest = hashlib.sha256(f"{VERSION} {image_size_px}".encode())
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
    import pyarrow.parquet as pq

    total = sum(pq.ParquetFile(path).metadata.num_rows for path in paths)
    open_memmap: Any = np.lib.format.open_memmap  # numpy leaves it without types
    images = open_memmap(
        folder / f"{split}_images.npy", mode="w+", dtype=np.uint8, shape=(total, size, size, 3)
    )
    labels = np.empty(total, np.int64)
    landmarks = np.empty((total, 68, 2), np.float32)
    ids = []
    for number, (where, row) in enumerate(_rows(paths)):
        images[number], landmarks[number] = _picture(row, where, size)
        labels[number] = _label(row, where)
        ids.append(row["sha256"])
    images.flush()
    np.save(folder / f"{split}_labels.npy", labels)
    np.save(folder / f"{split}_landmarks.npy", landmarks)
    np.save(folder / f"{split}_part_maps.npy", part_maps(landmarks).astype(np.float16))
    np.save(folder / f"{split}_point_maps.npy", point_maps(landmarks).astype(np.float16))
    np.save(folder / f"{split}_ids.npy", np.array(ids, dtype=np.str_))


def _rows(paths: list[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every row with the words that name its place."""
    import pyarrow.parquet as pq

    for path in paths:
        file = pq.ParquetFile(path)
        missing = set(COLUMNS) - set(file.schema_arrow.names)
        if missing:
            raise UsageError(f"{path}: found no column {sorted(missing)}, expected {COLUMNS}")
        number = 0
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=list(COLUMNS)):
            for row in batch.to_pylist():
                yield f"{path}, row {number}", row
                number += 1


def _picture(
    row: dict[str, Any], where: str, size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the face cut square, (size, size, 3), and its landmarks as shares of that square.

    The square follows the landmarks: sources frame faces very differently, and neither the model
    nor the released code aligns anything.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(row["image"]["bytes"])) as file:
            picture = ImageOps.exif_transpose(file).convert("RGB")
    except (UnidentifiedImageError, OSError, TypeError) as error:
        raise UsageError(f"{where}: found no readable picture ({error})") from error
    points = np.array(row["landmarks"], dtype=np.float32)
    if points.shape != (68, 2):
        raise UsageError(f"{where}: found landmarks {points.shape}, expected (68, 2)")
    low, high = points.min(axis=0), points.max(axis=0)
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
    return np.asarray(square, dtype=np.uint8), ((points - corner) / side).astype(np.float32)


def _label(row: dict[str, Any], where: str) -> int:
    label = row["label"]
    if not isinstance(label, int) or not 0 <= label < len(LABELS):
        raise UsageError(f"{where}: found label {label!r}, expected 0 to {len(LABELS) - 1}")
    return label
