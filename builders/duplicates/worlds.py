"""Worlds: some samples, or all, and everything between them, by their places in one order."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from occlufer.catalog import Catalog

from ..hashing.kept import kept_sketches
from .clusters import differences_by
from .edges import Edges
from .samples import Sample
from .stars import Differences


@dataclass(frozen=True)
class World:
    """Samples in the order of precedence; whoever has the same hashes as one of them is among them.

    Positions count in `samples`.
    """

    samples: list[Sample]
    first: NDArray[np.int64]
    """The first position with the very same hashes, of every position."""
    edges: Edges
    """Between such first positions."""

    @property
    def images(self) -> list[str]:
        """The images, in order."""
        return [sample.image for sample in self.samples]

    def joined(self) -> Iterator[tuple[int, int]]:
        """Yield pairs of positions that share a subject, or a group of the user's."""
        members: dict[str, list[int]] = {}
        for i, sample in enumerate(self.samples):
            for name in sample.joins:
                members.setdefault(name, []).append(i)
        for together in members.values():
            yield from itertools.pairwise(together)

    def protected(self) -> set[int]:
        """Return the positions of samples that are never dropped."""
        return {i for i, sample in enumerate(self.samples) if sample.protected}


def world_of(samples: Iterable[Sample], edges: Edges) -> World:
    """Return the world of samples; `edges` are between rows, those of no sample are left out."""
    ordered = sorted(samples, key=lambda sample: sample.precedence)
    rows = np.array([sample.row for sample in ordered], dtype=np.int64)
    known, firsts, places = np.unique(rows, return_index=True, return_inverse=True)
    return World(ordered, firsts[places], _between(edges, known, firsts))


def _between(edges: Edges, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> Edges:
    """Return the edges between `rows`, sorted, as such between the `positions` of the rows."""
    ends = []
    inside = np.ones(len(edges), dtype=bool)
    for end in (edges.a, edges.b):
        place = np.minimum(np.searchsorted(rows, end), max(rows.size - 1, 0))
        inside &= rows[place] == end if rows.size else False
        ends.append(place)
    a, b = (positions[place[inside]] for place in ends)
    return edges.rows(inside).between(a, b)


def near_rows(edges: Edges, rows: Collection[int]) -> set[int]:
    """Return these rows, and those at the other ends of their edges."""
    wanted = np.array(sorted(rows), dtype=np.int64)
    touched = np.isin(edges.a, wanted) | np.isin(edges.b, wanted)
    return {*rows, *edges.a[touched].tolist(), *edges.b[touched].tolist()}


def differences(catalog: Catalog, world: World) -> Differences:
    """Return what measures how far the pictures at the ends of edges of a world differ.

    Of every picture that is near another in some view the sketch is held, 1 kB each.
    """
    edges = world.edges.rows(~world.edges.of_parts)
    near = np.isin(world.first, np.concatenate([edges.a, edges.b]))
    near |= np.bincount(world.first, minlength=near.size)[world.first] > 1
    images = {world.samples[i].image: i for i in np.flatnonzero(near).tolist()}
    found = kept_sketches(catalog, sorted(images))  # as the catalog has them: read in one go
    sketches = {images[image]: sketch for image, sketch in found}
    return differences_by(sketches.__getitem__)
