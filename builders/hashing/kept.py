"""Hashes and sketches as the catalog keeps them, brought into what a search takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from occlufer.catalog import Catalog

from .hash_table import ViewTable, from_hex
from .sketches import Sketch
from .views import HASHED


def view_hashes(catalog: Catalog, images: Collection[str]) -> ViewTable:
    """Return the hashes of images, in their order; KeyError if one of them has none."""
    return placed_views(images, catalog.values("hashes", images))


def placed_views(
    images: Collection[str], found: Iterable[tuple[str, Mapping[str, Any]]]
) -> ViewTable:
    """Return the hashes of images, in their order, of what the stage `hashes` has `found`.

    In whatever order that comes. Raises KeyError for an image that is not in it.
    """
    # Filled as they are read: an array for each image would take more than all hashes do.
    views64 = np.empty((len(images), len(HASHED)), dtype=np.uint64, order="F")
    views256 = np.empty((len(images), len(HASHED), 4), dtype=np.uint64)
    rows = {image: row for row, image in enumerate(images)}
    for image, value in found:
        row = rows.pop(image)
        views64[row] = from_hex(value["views64"])
        views256[row] = from_hex(value["views256"]).reshape(-1, 4)
    if rows:
        raise KeyError(f"hashes has no result for {next(iter(rows))}")
    return ViewTable(views64, views256)


def kept_sketches(catalog: Catalog, images: Collection[str]) -> Iterator[tuple[str, Sketch]]:
    """Yield images and their sketches, of those that have one."""
    for image, value in catalog.values("hashes", images):
        yield image, Sketch.from_json(value["sketch"])
