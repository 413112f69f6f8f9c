"""Faces to ask models about: the pictures of a published split, and what networks take of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..export import INPUTS
from ..imagenet import by_imagenet
from ..model import IMAGE_SIZE_PX
from ..see import see
from ..shards import ROWS_AT_ONCE, opened, row_picture, rows_of, shards_of

Face = tuple[Any, Any]
"""A picture, PIL's RGB, and its 68 landmarks in its pixels, as the columns have them."""


def read_faces(folder: Path, config: str = "default", split: str = "validation") -> Iterator[Face]:
    """Yield a split's faces in the order of `read_samples`; raises UsageError without pixels."""
    for where, row in rows_of(shards_of(folder, config, split), ("image", "landmarks")):
        yield row_picture(row, where), row["landmarks"]


def has_pictures(folder: Path, config: str, split: str) -> bool:
    """Return whether all samples of a split have their pixels, by what the shards' footers say."""
    for path in shards_of(folder, config, split):
        with opened(path) as shard:
            footer = shard.metadata
        for number in range(footer.num_row_groups):
            group = footer.row_group(number)
            columns = (group.column(i) for i in range(group.num_columns))
            pixels = [one for one in columns if one.path_in_schema == "image.bytes"]
            if not pixels or (pixels[0].statistics and pixels[0].statistics.null_count):
                return False
    return True


def pictures_by_id(
    folder: Path, config: str, split: str, wanted: Collection[str]
) -> dict[str, bytes]:
    """Return {sha256: encoded picture} of those samples of a split that have pixels."""
    found: dict[str, bytes] = {}
    for path in shards_of(folder, config, split):
        with opened(path) as shard:
            if not wanted or "image" not in shard.schema_arrow.names:
                continue
            for batch in shard.iter_batches(ROWS_AT_ONCE, columns=["image", "sha256"]):
                for row in batch.to_pylist():
                    data = (row["image"] or {}).get("bytes")
                    if data is not None and row["sha256"] in wanted:
                        found[row["sha256"]] = data
    return found


def pictures_of(faces: Sequence[Face], side_px: int) -> Any:
    """Return float32 (B, 3, S, S) of pictures, normalised by ImageNet's mean and deviation."""
    from PIL import Image

    size = (side_px, side_px)
    resized = [np.asarray(face.resize(size, Image.Resampling.BILINEAR)) for face, _ in faces]
    scaled = np.stack(resized).transpose(0, 3, 1, 2).astype(np.float32) / 255
    return np.ascontiguousarray(by_imagenet(torch.from_numpy(scaled)).numpy())


def seen(faces: Sequence[Face], image_size_px: int = IMAGE_SIZE_PX) -> dict[str, Any]:
    """Return what `export_onnx` has as inputs, {name: float32 array}, by `see`."""
    both = [see(face, np.array(points, np.float32), image_size_px) for face, points in faces]
    images = np.concatenate([image.numpy() for image, _ in both])
    landmark = np.concatenate([priors.landmark_features.numpy() for _, priors in both])
    semantic = np.concatenate([priors.semantic.numpy() for _, priors in both])
    return dict(zip(INPUTS, (images, landmark, semantic), strict=True))
