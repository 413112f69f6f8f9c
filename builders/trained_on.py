"""Faces that a model may have seen: published samples near the pictures that it was trained on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from occlufer.config import LeaksConfig
from occlufer.engine import map_local
from occlufer.errors import MissingError, UsageError
from occlufer.lock import config_folder
from occlufer.progress import progress

from .hashes import Look, look
from .hashing.hash_table import read_table, table_of
from .leakage.hits import NamedHashes, find_hits
from .leaks import hashed
from .pixels import BadImageError
from .published.shards import DamagedShardError, batches
from .sources import image_folder

log = logging.getLogger(__name__)


def near_training(
    folder: Path, config: str, split: str, trained_on: Path, workers: int = 0
) -> dict[str, bool]:
    """Return {sha256: whether it is near a training picture} of the samples that have pixels here.

    `trained_on` is a folder of pictures, or a table of hashes that `occlufer leaks register` wrote;
    near is what the leak firewall calls so, in any view of either, see docs/duplicates.md. Raises
    MissingError or UsageError if there is no picture in it.
    """
    if trained_on.suffix == ".parquet":
        theirs = NamedHashes(*read_table(trained_on))
    else:
        if not trained_on.is_dir():
            raise MissingError(f"{trained_on}: no such folder, expected the training pictures")
        settings = image_folder.Settings(trained_on, labels="none")
        entries = list(image_folder.entries(settings, "training"))
        names, table, bad = hashed(trained_on, entries, workers)
        for line in bad:
            log.warning("%s: not compared: %s", trained_on, line)
        theirs = NamedHashes(names, table)
    if not theirs.names:
        raise UsageError(f"{trained_on}: found no picture in it, expected the training pictures")
    try:
        seen = map_local(_look, _faces(folder, config, split), workers)
        faces = dict(progress(seen, None, "faces"))
    except (DamagedShardError, BadImageError) as error:
        raise UsageError(f"{folder}: found {error}, expected the pictures of a dataset") from None
    ours = NamedHashes(list(faces), table_of(one.hashes for one in faces.values()))
    near = find_hits(ours, [("training", theirs)], LeaksConfig())
    return {name: name in near for name in faces}


def _faces(folder: Path, config: str, split: str) -> Iterator[tuple[str, bytes]]:
    """Yield the sha256 and the bytes of every sample that has its pixels here."""
    place = folder / config_folder(config)
    for path in sorted(place.glob(f"{split}-*.parquet")):
        for rows in batches(path, ["sha256", "image"]):
            for row in rows:
                data = (row["image"] or {}).get("bytes")
                if data is not None:
                    yield row["sha256"], data


def _look(face: tuple[str, bytes]) -> tuple[str, Look]:
    name, data = face
    return name, look(data)
