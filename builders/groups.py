"""Groups of samples that must stay on one side of the split: related pictures, one person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def group_ids(
    images: list[str], related: Iterable[tuple[int, int]], subjects: list[str | None]
) -> list[str]:
    """Return the group of each of `images`: connected by `related` pairs or by the same subject.

    A group's name is a hash of its smallest image hash: opaque, and independent of the order.
    """
    parent = list(range(len(images)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[str, int] = {}
    same_subject = [
        (first.setdefault(subject, i), i) for i, subject in enumerate(subjects) if subject
    ]
    for a, b in [*related, *same_subject]:
        parent[root(a)] = root(b)
    smallest: dict[int, str] = {}
    for i, image in enumerate(images):
        smallest[root(i)] = min(image, smallest.get(root(i), image))
    return [_name(smallest[root(i)]) for i in range(len(images))]


def _name(image: str) -> str:
    return "g" + hashlib.sha256(f"group of {image}".encode()).hexdigest()[:12]
