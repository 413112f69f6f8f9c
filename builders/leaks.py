"""Leaks: training samples that are copies of test pictures, or show the same with an occluder.

Test sets are kept as tables of hashes in the workspace. Against them, against the test pictures
among the sources, and against our own validation every training sample is compared, both in all
views, so that either may be a cut-out of the other.
"""

from __future__ import annotations

import csv
import logging
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from occlufer.config import BuildConfig, DedupConfig, LeaksConfig
from occlufer.digest import file_sha256
from occlufer.errors import GateError, MissingError, UsageError
from occlufer.pipeline import stages_before
from occlufer.record import Reject, Result
from occlufer.replacing import replaced
from occlufer.stages import Changes, FollowingStage, Update
from occlufer.workspace import Workspace

from .folder import looks
from .hashing.hash_table import HashTable, check_version, read_table, table_of, write_table
from .hashing.kept import view_hashes
from .leakage import leak_changes
from .leakage.hits import Hit, NamedHashes, find_hits, known_hits, results_of
from .leakage.leak_changes import AFTER
from .leakage.leak_sets import FOLDER, all_sets, registered
from .sources import image_folder
from .sources.adapters import ADAPTERS, recognised
from .sources.entry import Entry
from .sources.files import folders
from .sources.row_facts import SPLIT_WORDS

VERSION = 1
LIST_NAME = "leaks.csv"
HASHED = stages_before("dedup")
PAIRS_NAMED = 10

log = logging.getLogger(__name__)


# The stage ----------------------------------------------------------------------------------------


def stage(config: BuildConfig) -> FollowingStage:
    """Return the stage; its gate fails the build if `action` says so and there is a hit."""
    whole = partial(find_leaks, settings=config.leaks)
    update = partial(follow, settings=config.leaks, near=config.dedup)
    exact = config.split.quota == "exact"
    gate = partial(check_leaks, settings=config.leaks, exact=exact)
    return FollowingStage("leaks", AFTER, params(config), whole, update, gate)


def params(config: BuildConfig) -> dict[str, Any]:
    """Return the settings as JSON has them, and the registered test sets by their content."""
    files = {}
    for name, path in registered(config.workspace).items():
        check_version(path)
        files[name] = file_sha256(path)
    bits = {name: value for name, value in vars(config.leaks).items() if name != "action"}
    # What fails and what is only reported is found alike.
    drop = config.leaks.action == "drop"
    return {"version": VERSION, **bits, "drop": drop, "test_sets": files}


def find_leaks(workspace: Workspace, state: str, settings: LeaksConfig) -> Iterator[Result]:
    """Yield, per image, its `hits`; with `action` "drop" those that have some are rejected.

    Nothing that a later run needs is kept outside the catalog, in any `state`.
    """
    catalog = workspace.catalog
    _warn_of_uncompared(workspace)
    passing = catalog.images_passing(AFTER)
    split = {result.image: result.value["split"] for result in catalog.results("split")}
    train = [image for image in passing if split[image] == "train"]
    ours = NamedHashes(train, view_hashes(catalog, train))
    found = find_hits(ours, all_sets(workspace, passing, set(train)), settings)
    _write_list(workspace, found)
    yield from results_of(workspace, passing, found, settings)


def _warn_of_uncompared(workspace: Workspace) -> None:
    """Log of which test sets some pictures have no hashes here: their copies are not found."""
    tested = [*workspace.catalog.records_of_test_sets()]
    images = {record.image for record in tested if record.image is not None}
    known = workspace.catalog.passing_among(images, HASHED)
    lost = Counter(record.facts.test_set for record in tested if record.image not in known)
    for name, count in sorted(lost.items(), key=str):
        log.warning(
            "leaks: %d pictures of the test set %s are not compared with, for they are blocked, "
            "taken down or cannot be read (rejected.csv says which); `occlufer leaks register` "
            "takes the set's hashes from its folder",
            *(count, name),
        )


def follow(
    workspace: Workspace, changes: Changes, settings: LeaksConfig, near: DedupConfig
) -> Update | None:
    """Return what `find_leaks` would change in its results now; None if it had better run.

    `near` are the settings by which dedup has searched the samples.
    """
    followed = leak_changes.follow(workspace, changes, settings, near)
    if followed is None:
        return None
    _warn_of_uncompared(workspace)
    update, found = followed
    _write_list(workspace, found)
    return update


def check_leaks(workspace: Workspace, settings: LeaksConfig, exact: bool = False) -> None:
    """Raise GateError if there are hits and `action` is "fail", otherwise log how many.

    If quotas are `exact`, log too that what is dropped after the split is missing from them.
    """
    found = [hit for hits in known_hits(workspace).values() for hit in hits]
    if not found:
        return
    found.sort(key=lambda hit: (hit.bits256, hit.bits64, hit.test_set, hit.test_picture))
    samples = len({hit.image for hit in found})
    what = f"leaks: training samples near test pictures: {samples}"
    place = f"all pairs are in {workspace.folder / LIST_NAME}"
    pairs = "; ".join(hit.pair(workspace) for hit in found[:PAIRS_NAMED])
    more = f"; and {len(found) - PAIRS_NAMED} more" if len(found) > PAIRS_NAMED else ""
    if settings.action != "fail":
        log.warning("%s (%s): %s%s; %s", what, settings.action, pairs, more, place)
        if settings.action == "drop" and exact:
            log.warning(
                "leaks: the exact quota lacks these %d samples, for they were dropped after the "
                "split; leave them out of the sources and build again, and it takes others",
                samples,
            )
        return
    raise GateError(
        f"{what}: {pairs}{more}; {place}; build with --leaks drop to leave them out, "
        "or --leaks report to go on"
    )


def _write_list(workspace: Workspace, found: dict[str, list[Hit]]) -> None:
    path = workspace.folder / LIST_NAME
    with replaced(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["record", "test_set", "test_picture", "view", "bits64", "bits256"])
        for image, rows in sorted(found.items()):
            record = workspace.catalog.owner(image).id
            writer.writerows([record, *hit.row] for hit in rows)


# Test sets ----------------------------------------------------------------------------------------


def register(workspace: Path, name: str, path: Path, workers: int = 0) -> tuple[int, list[str]]:
    """Keep the hashes of a test set, and return how many and what could not be read.

    `path` is a folder of pictures, a public set (its own tests), or a table that was registered
    elsewhere. A set of the same name is replaced. Raises MissingError or UsageError if
    there is no picture in it.
    """
    if not name.replace("-", "_").isidentifier():
        raise UsageError(
            f"test set {name!r}: expected letters, digits, _ and -, a letter or _ first"
        )
    if path.suffix == ".parquet":
        (names, table), bad = read_table(path), list[str]()
    else:
        names, table, bad = hashed(path, list(_entries(path)), workers)
    if not names:
        raise UsageError(f"{path}: found no test picture in it, expected the tests of a public set")
    write_table(workspace / FOLDER / f"{name}.parquet", names, table)
    return len(names), bad


def hashed(
    path: Path, entries: list[Entry], workers: int = 0
) -> tuple[list[str], HashTable, list[str]]:
    """Return the names and hashes of the pictures under `path`, and what could not be read.

    Raises UsageError if there are files, and none of them is a picture.
    """
    names, rows, bad = [], [], []
    for entry, seen in zip(entries, looks(entries, workers), strict=True):
        if isinstance(seen, Reject):
            bad.append(f"{entry.source_id}: {seen.reason}: {seen.detail}")
        else:
            names.append(entry.source_id)
            rows.append(seen.hashes)
    if bad and not names:
        raise UsageError(f"{path}: found no picture in {len(entries)} files; first: {bad[0]}")
    return names, table_of(rows), bad


def forget(workspace: Path, name: str) -> None:
    """Delete a registered test set; raises MissingError if there is none of that name."""
    known = registered(workspace)
    if name not in known:
        raise MissingError(
            f"test set {name!r}: not registered in {workspace}, found {', '.join(known) or 'none'}"
        )
    known[name].unlink()


def _entries(path: Path) -> Iterator[Entry]:
    found = recognised(path)
    if found is not None and ADAPTERS[found[0]].TERMS is not None:  # a public set knows its tests
        adapter = ADAPTERS[found[0]]
        entries = adapter.entries(adapter.Settings(path), "test")
        return (entry for entry in entries if entry.facts.test_set or entry.reject)
    if path.is_dir() and (splits := [f for f in folders(path) if f.lower() in SPLIT_WORDS]):
        raise UsageError(
            f"{path}: found the folders {', '.join(splits)}, expected a test set; "
            "register the one that holds it"
        )
    return image_folder.entries(image_folder.Settings(path, labels="none"), "test")
