"""Hits: training samples that are near a test picture, and what a sample's result says of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from occlufer.config import LeaksConfig
from occlufer.record import Reject, Result
from occlufer.workspace import Workspace

from ..duplicates.edges import Limits, Table, edges_between, in_words, limits_of


@dataclass(frozen=True)
class NamedHashes:
    """The hashes of some pictures, and what these are called."""

    names: list[str]
    table: Table


@dataclass(frozen=True)
class Hit:
    """A training sample near a test picture."""

    image: str
    test_set: str
    test_picture: str
    view: str
    bits64: int
    bits256: int

    @property
    def row(self) -> list[str | int]:
        """What a result says of it."""
        return [self.test_set, self.test_picture, self.view, self.bits64, self.bits256]

    @property
    def nearness(self) -> str:
        """How near they are, in words."""
        return in_words(self.view, self.bits64, self.bits256)

    def pair(self, workspace: Workspace) -> str:
        """Return in words which record is near what."""
        return (
            f"{workspace.catalog.owner(self.image).id} and {self.test_picture} of {self.test_set} "
            f"({self.nearness})"
        )


def find_hits(
    ours: NamedHashes, test_sets: Iterable[tuple[str, NamedHashes]], settings: LeaksConfig
) -> dict[str, list[Hit]]:
    """Return {image: its hits} of those of ours that have some, one test set after the other."""
    found: dict[str, list[Hit]] = {}
    for name, test_set in test_sets:
        for hit in hits(ours, name, test_set, limits_of(settings)):
            found.setdefault(hit.image, []).append(hit)
    return found


def hits(ours: NamedHashes, name: str, test_set: NamedHashes, limits: Limits) -> Iterator[Hit]:
    """Yield every pair of one of ours and a test picture that is near, nearest first."""
    edges = edges_between(ours.table, test_set.table, limits)
    for edge in sorted(edges, key=lambda edge: (edge.bits256, edge.bits64, edge.a, edge.b)):
        picture = test_set.names[edge.b]
        yield Hit(ours.names[edge.a], name, picture, edge.view, edge.bits64, edge.bits256)


def results_of(
    workspace: Workspace,
    images: Iterable[str],
    found: Mapping[str, list[Hit]],
    settings: LeaksConfig,
) -> Iterator[Result]:
    """Yield, per image, its `hits`; with `action` "drop" those that have some are rejected."""
    for image in images:
        known = found.get(image, [])
        reject = None
        if known and settings.action == "drop":
            reject = Reject("leak", known[0].pair(workspace))
        yield Result(image, {"hits": [hit.row for hit in known]}, reject)


def known_hits(workspace: Workspace, but: Collection[str] = ()) -> dict[str, list[Hit]]:
    """Return {image: its hits} as the catalog has them, but of some images."""
    return {
        result.image: [Hit(result.image, *row) for row in result.value["hits"]]
        for result in workspace.catalog.results_with_hits()
        if result.image not in but
    }
