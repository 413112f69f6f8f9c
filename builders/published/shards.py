"""Shards of a published folder: which there are by the lock, and their rows, a few at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occlufer.lock import LOCK_NAME, Lock, config_folder

from ..publishing.shards import shard_name
from .fault import Fault, first_line, shown
from .lock_file import is_within

SHARD = re.compile(
    r"(?P<folder>[^/]+)/(?P<split>[^/]+)-(?P<number>\d{5})-of-(?P<total>\d{5})\.parquet"
)
ENDING = ".parquet"
BATCH_ROWS = 64
BUFFER_BYTES = 1 << 20

Row = dict[str, Any]


@dataclass(frozen=True)
class Shard:
    """One Parquet file that the lock names."""

    name: str
    config: str
    split: str


def shards_of(lock: Lock) -> tuple[list[Shard], list[Fault]]:
    """Return the shards in the lock, by their names, and where its parts do not agree on them."""
    configs = {config_folder(config): config for config in lock.shards}
    shards, faults = [], []
    for name in sorted(lock.files):
        match = SHARD.fullmatch(name)
        if match and is_within(name) and match["folder"] in configs:
            shards.append(Shard(name, configs[match["folder"]], match["split"]))
        elif name.endswith(ENDING):
            expected = "CONFIG/SPLIT-NUMBER-of-TOTAL.parquet, of a config in shards"
            faults.append(Fault(LOCK_NAME, "shard name", shown(name), expected))
    found = {shard.name for shard in shards}
    for config, splits in lock.shards.items():
        for split, total in splits.items():
            names = set(_names(config, split, total))
            prefix = f"{config_folder(config)}/{split}-"
            there = {name for name in found if name.startswith(prefix)}
            if names != there:
                expected = f"{total}, numbered from 0"
                faults.append(
                    Fault(LOCK_NAME, f"shards of {prefix[:-1]}", f"{len(there)} files", expected)
                )
    return shards, faults


def _names(config: str, split: str, total: int) -> Iterator[str]:
    for number in range(min(total, 100_000)):
        yield shard_name(config, split, number, total)


def configs_of(shards: list[Shard]) -> set[str]:
    """Return the configs that have a shard."""
    return {shard.config for shard in shards}


class DamagedShardError(Exception):
    """What should be a Parquet file cannot be read, or not to its end."""


def batches(path: Path, columns: list[str] | None = None) -> Iterator[list[Row]]:
    """Yield the rows of a Parquet file, a few at a time; raises DamagedShardError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Without a buffer of its own pyarrow would read a whole row group at once.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER_BYTES) as file:
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                yield batch.to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DamagedShardError(first_line(error)) from None


def read_schema(path: Path) -> Any:
    """Return the schema of a Parquet file, pyarrow's; raises DamagedShardError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise DamagedShardError(first_line(error)) from None
