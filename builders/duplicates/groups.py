"""Groups of samples that must stay on one side of the split: related pictures, one person."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Groups:
    """The group of every image, and the likenesses that were cut to keep groups small."""

    names: list[str]
    """A hash of the group's smallest image hash: opaque, and independent of the order."""
    cut: list[tuple[int, int]]
    """Pairs of positions whose likeness did not join their groups."""


@dataclass(frozen=True)
class Likenesses:
    """n pairs of positions that look alike, as int64 arrays (n,)."""

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    distance: NDArray[np.int64]
    """The smaller, the more they look alike."""

    def rows(self, chosen: NDArray[np.bool_]) -> Likenesses:
        """Return the chosen ones."""
        return Likenesses(*(getattr(self, field.name)[chosen] for field in fields(self)))


def find_groups(
    images: list[str],
    joined: Iterable[tuple[int, int]],
    alike: Likenesses,
    largest: int,
    widest: int,
) -> Groups:
    """Return the groups of `images`.

    What is `joined` (copies, one subject, a user's group) is always together. Likenesses join what
    they connect, the nearest first, while a group has at most `largest` members and is at most
    `widest` steps wide; what is joined counts as one member. A likeness beyond that is cut: chains
    of look-alikes would tie everything to everything.
    """
    firm = Forest(len(images))
    for a, b in joined:
        firm.join(a, b)
    members = _Clusters(largest, widest)
    # By the roots' smallest images, so that the order in which images came decides nothing.
    smallest = firm.smallest(images)
    name = [smallest[firm.root(i)] for i in range(len(images))]
    cut = [(a, b) for a, b in _nearest_first(images, alike) if not members.join(name[a], name[b])]
    names = [_opaque(members.name(member)) for member in name]
    # Some of what was cut has come together since, by another way.
    return Groups(names, [(a, b) for a, b in cut if names[a] != names[b]])


def _nearest_first(images: list[str], alike: Likenesses) -> Iterator[tuple[int, int]]:
    """Yield the pairs; of equally near ones their images, not their places, decide."""
    rank = np.empty(len(images), dtype=np.int64)
    rank[sorted(range(len(images)), key=images.__getitem__)] = np.arange(len(images))
    low, high = np.sort([rank[alike.a], rank[alike.b]], axis=0)
    order = np.lexsort((high, low, alike.distance))  # the last one counts first
    yield from zip(alike.a[order].tolist(), alike.b[order].tolist(), strict=True)


def _opaque(image: str) -> str:
    return "g" + hashlib.sha256(f"group of {image}".encode()).hexdigest()[:12]


class Forest:
    """Sets of positions that are joined."""

    def __init__(self, count: int) -> None:
        """Begin with each of `count` positions alone."""
        self._parent = list(range(count))

    def root(self, i: int) -> int:
        """Return the position that stands for all that are joined with this one."""
        parent = self._parent
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(self, a: int, b: int) -> None:
        """Join two positions, and all that are joined with them."""
        self._parent[self.root(a)] = self.root(b)

    def smallest(self, images: list[str]) -> dict[int, str]:
        """Return {root: the smallest of its images}."""
        found: dict[int, str] = {}
        for i, image in enumerate(images):
            root = self.root(i)
            found[root] = min(image, found.get(root, image))
        return found


class _Clusters:
    """Clusters of names that grow by links until they would be too large or too wide."""

    def __init__(self, largest: int, widest: int) -> None:
        self._largest, self._widest = largest, widest
        self._links: dict[str, set[str]] = {}
        self._cluster: dict[str, list[str]] = {}
        # Known until a link is added: of a crowd most links are tried, and cut, again and again.
        self._reach: dict[str, int] = {}

    def name(self, member: str) -> str:
        """Return the smallest member of the cluster."""
        return min(self._cluster.get(member, [member]))

    def join(self, a: str, b: str) -> bool:
        """Link a and b and return True, or False if their cluster would grow too large."""
        left, right = self._cluster.get(a, [a]), self._cluster.get(b, [b])
        if left is not right and a != b:
            if len(left) + len(right) > self._largest:
                return False
            if self._farthest(a) + 1 + self._farthest(b) > self._widest:
                return False
            left = left + right
            for member in left:
                self._cluster[member] = left
        self._links.setdefault(a, set()).add(b)
        self._links.setdefault(b, set()).add(a)
        for member in left:
            self._reach.pop(member, None)
        return True

    def _farthest(self, start: str) -> int:
        """Return how many links the farthest member of a cluster is away."""
        if start not in self._reach:
            self._reach[start] = self._walked(start)
        return self._reach[start]

    def _walked(self, start: str) -> int:
        steps, queue = {start: 0}, deque([start])
        while queue:
            member = queue.popleft()
            for near in self._links.get(member, ()):
                if near not in steps:
                    steps[near] = steps[member] + 1
                    queue.append(near)
        return max(steps.values())
