"""Shards: Parquet files whose bytes depend on their rows alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from occlufer.lock import config_folder

# Rows enough for a page of the Hub's viewer.
ROWS_PER_GROUP = 100
# Large enough for the Hub, small enough to fetch again.
SHARD_BYTES = 500_000_000
# More than all columns of a row but its picture take.
ROW_BYTES = 4096


def shard_rows(sizes: Iterable[int]) -> list[int]:
    """Return how many rows each shard has, of pictures of these sizes: at most SHARD_BYTES."""
    counts: list[int] = []
    total = 0
    for size in sizes:
        taken = size + ROW_BYTES
        if not counts or total + taken > SHARD_BYTES:
            counts.append(0)
            total = 0
        counts[-1] += 1
        total += taken
    return counts


def shard_name(config: str, split: str, number: int = 0, total: int = 1) -> str:
    """Return the name of a shard in the published folder: one of `total`, numbered from 0."""
    return f"{config_folder(config)}/{split}-{number:05d}-of-{total:05d}.parquet"


def write_rows(path: Path, schema: Any, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write a shard of these rows, with an index of its pages; `schema` is Arrow's."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rest = iter(rows)
    with pq.ParquetWriter(path, schema, compression="snappy", write_page_index=True) as writer:
        while group := list(islice(rest, ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
