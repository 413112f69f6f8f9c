"""Shards: where those of a published split lie, their rows, and the picture of a row."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from occlufer.errors import MissingError, UsageError, one_line
from occlufer.lock import config_folder

ROWS_AT_ONCE = 32
# Those that a build publishes: whoever made a dataset chooses no other decoder.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
BRINGS_BACK = (
    "pixels stay with the source's holder, `occlufer rebuild` takes them from your own copy"
)


def shards_of(folder: Path, config: str, split: str) -> list[Path]:
    """Return the shards of a split of a published folder, in order; MissingError without any."""
    if not folder.is_dir():
        raise MissingError(f"{folder}: found nothing, expected a published dataset folder")
    place = folder / config_folder(config)
    paths = sorted(place.glob(f"{split}-*.parquet"))
    if not paths:
        raise MissingError(
            f"{place}: found no {split}-*.parquet, expected a split of a published dataset"
        )
    return paths


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Give a shard as pyarrow's ParquetFile; UsageError naming it if it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as shard:
            yield shard
    except (OSError, pa.ArrowException) as error:
        raise UsageError(
            f"{path}: found no shard that can be read ({one_line(error)}), expected one of a "
            "published dataset"
        ) from None


def rows_of(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every row of some shards, with the words that name its place.

    Raises UsageError for a shard that is damaged or lacks a column.
    """
    for path in paths:
        with opened(path) as shard:
            missing = [name for name in columns if name not in shard.schema_arrow.names]
            if missing:
                why = f"; {BRINGS_BACK}" if "image" in missing else ""
                raise UsageError(
                    f"{path}: found no column {missing}, expected {', '.join(columns)}{why}"
                )
            number = 0
            for batch in shard.iter_batches(ROWS_AT_ONCE, columns=[*columns]):
                for row in batch.to_pylist():
                    yield f"{path}, row {number}", row
                    number += 1


def row_picture(row: dict[str, Any], where: str) -> Any:
    """Return the picture of a row, PIL's, upright, in RGB; `where` names the row in messages.

    Raises UsageError for a row without pixels, and for what is no picture that a build publishes.
    """
    from PIL import Image, ImageOps

    data = (row["image"] or {}).get("bytes")
    if data is None:
        raise UsageError(f"{where}: found no pixels, expected a picture; {BRINGS_BACK}")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, TypeError, Image.DecompressionBombError) as error:
        raise UsageError(f"{where}: found no readable picture ({one_line(error)})") from None
