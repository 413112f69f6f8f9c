"""Leak sets: the test sets with which training samples are compared, to find leaks.

Some are registered as tables of hashes, some are among the sources; and our own validation is one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from occlufer.pipeline import stages_before
from occlufer.record import Record
from occlufer.workspace import Workspace

from ..hashing.hash_table import read_table
from ..hashing.kept import view_hashes
from .hits import NamedHashes

FOLDER = "leaks"
OUR_VALIDATION = "our validation"


def registered(workspace: Path) -> dict[str, Path]:
    """Return {name: table} of the test sets that were registered in a workspace's folder."""
    return {path.stem: path for path in sorted((workspace / FOLDER).glob("*.parquet"))}


def all_sets(
    workspace: Workspace, passing: Collection[str], train: Collection[str]
) -> Iterator[tuple[str, NamedHashes]]:
    """Yield what training samples are compared with: (name, test set).

    `passing` are the images, sorted, that a test set of ours may hold; of these `train` train.
    """
    catalog = workspace.catalog
    hashed = set(catalog.images_passing(stages_before("dedup")))
    holders = ((image, rs) for image, rs in catalog.holders() if image in hashed)
    return sets_of(workspace, holders, (image for image in passing if image not in train))


def sets_of(
    workspace: Workspace,
    holders: Iterable[tuple[str, list[Record]]],
    validating: Iterable[str],
) -> Iterator[tuple[str, NamedHashes]]:
    """Yield the registered test sets, those among these records, and these of our validation.

    `holders` are images that have hashes and their records; both come in the order of images.
    """
    for name, path in registered(workspace.folder).items():
        yield name, NamedHashes(*read_table(path))
    among: dict[str, dict[str, str]] = {}
    for image, records in holders:
        for record in records:
            if record.facts.test_set is not None:
                among.setdefault(record.facts.test_set, {})[image] = record.id
    for name, ids in sorted(among.items()):
        yield name, NamedHashes(list(ids.values()), view_hashes(workspace.catalog, ids))
    tested = {image for ids in among.values() for image in ids}
    ours = [image for image in validating if image not in tested]
    names = [workspace.catalog.owner(image).id for image in ours]
    yield OUR_VALIDATION, NamedHashes(names, view_hashes(workspace.catalog, ours))
