"""Leaks: training samples that are copies of test pictures, or show the same with an occluder.

Test sets are kept as tables of hashes in the workspace. Against them, against the test pictures
among the sources, and against our own validation every training sample is compared, both in all
views, so that either may be a cut-out of the other.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from occlufer.config import BuildConfig, LeaksConfig
from occlufer.errors import GateError, MissingError, UsageError
from occlufer.pipeline import stages_before
from occlufer.record import Reject, Result
from occlufer.stages import SetStage
from occlufer.workspace import Workspace

from .edges import Limits, edges_between
from .folder import looks
from .hash_table import (
    SHAPES,
    HashTable,
    check_version,
    from_hex,
    read_table,
    table_of,
    write_table,
)
from .sources import image_folder
from .sources.adapters import ADAPTERS, recognised
from .sources.entry import Entry
from .sources.files import folders
from .sources.row_facts import SPLIT_WORDS

VERSION = 1
AFTER = stages_before("leaks")
FOLDER = "leaks"
LIST_NAME = "leaks.csv"
OUR_VALIDATION = "our validation"
PAIRS_NAMED = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NamedHashes:
    """The hashes of some pictures, and what these are called."""

    names: list[str]
    table: HashTable


@dataclass(frozen=True)
class Hit:
    """A training sample near a test picture."""

    image: str
    test_set: str
    test_picture: str
    view: str
    bits64: int
    bits256: int


# The stage ----------------------------------------------------------------------------------------


def stage(config: BuildConfig) -> SetStage:
    """Return the stage; its gate fails the build if `action` says so and there is a hit."""
    function = partial(find_leaks, settings=config.leaks)
    gate = partial(check_leaks, settings=config.leaks)
    return SetStage("leaks", AFTER, params(config), function, gate=gate)


def params(config: BuildConfig) -> dict[str, Any]:
    """Return the settings as JSON has them, and the registered test sets by their content."""
    files = {}
    for name, path in registered(config.workspace).items():
        check_version(path)
        files[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    bits = {name: value for name, value in vars(config.leaks).items() if name != "action"}
    # What fails and what is only reported is found alike.
    drop = config.leaks.action == "drop"
    return {"version": VERSION, **bits, "drop": drop, "test_sets": files}


def find_leaks(workspace: Workspace, settings: LeaksConfig) -> Iterable[Result]:
    """Yield, per image, its `hits`; with `action` "drop" those that have some are rejected."""
    limits = Limits(settings.phash64_bits, settings.phash256_bits, settings.part_bits)
    catalog = workspace.catalog
    passing = catalog.images_passing(AFTER)
    split = {result.image: result.value["split"] for result in catalog.results("split")}
    train = [image for image in passing if split[image] == "train"]
    found: dict[str, list[Hit]] = {}
    ours = NamedHashes(train, _hashes(workspace, train))
    for name, test_set in _test_sets(workspace, passing, set(train)):
        for hit in hits(ours, name, test_set, limits):
            found.setdefault(hit.image, []).append(hit)
    _write_list(workspace, found)
    for image in passing:
        rows = [list(vars(hit).values())[1:] for hit in found.get(image, [])]
        reject = None
        if rows and settings.action == "drop":
            reject = Reject("leak", _pair(workspace, found[image][0]))
        yield Result(image, {"hits": rows}, reject)


def hits(ours: NamedHashes, name: str, test_set: NamedHashes, limits: Limits) -> Iterator[Hit]:
    """Yield every pair of one of ours and a test picture that is near, nearest first."""
    edges = edges_between(ours.table, test_set.table, limits)
    for edge in sorted(edges, key=lambda edge: (edge.bits256, edge.bits64, edge.a, edge.b)):
        picture = test_set.names[edge.b]
        yield Hit(ours.names[edge.a], name, picture, edge.view, edge.bits64, edge.bits256)


def check_leaks(workspace: Workspace, settings: LeaksConfig) -> None:
    """Raise GateError if there are hits and `action` is "fail", otherwise log how many."""
    found = [
        Hit(result.image, *row)
        for result in workspace.catalog.results("leaks")
        for row in result.value["hits"]
    ]
    if not found:
        return
    found.sort(key=lambda hit: (hit.bits256, hit.bits64, hit.test_set, hit.test_picture))
    samples = len({hit.image for hit in found})
    what = f"leaks: training samples near test pictures: {samples}"
    place = f"all pairs are in {workspace.folder / LIST_NAME}"
    pairs = "; ".join(_pair(workspace, hit) for hit in found[:PAIRS_NAMED])
    more = f"; and {len(found) - PAIRS_NAMED} more" if len(found) > PAIRS_NAMED else ""
    if settings.action != "fail":
        log.warning("%s (%s): %s%s; %s", what, settings.action, pairs, more, place)
        return
    raise GateError(
        f"{what}: {pairs}{more}; {place}; build with --leaks drop to leave them out, "
        "or --leaks report to go on"
    )


def _pair(workspace: Workspace, hit: Hit) -> str:
    return (
        f"{workspace.catalog.owner(hit.image).id} and {hit.test_picture} of {hit.test_set} "
        f"(view {hit.view}: phash64 {hit.bits64} bits, phash256 {hit.bits256} bits)"
    )


def _write_list(workspace: Workspace, found: dict[str, list[Hit]]) -> None:
    path = workspace.folder / LIST_NAME
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["record", "test_set", "test_picture", "view", "bits64", "bits256"])
        for image, rows in sorted(found.items()):
            record = workspace.catalog.owner(image).id
            writer.writerows([record, *list(vars(hit).values())[1:]] for hit in rows)
    part.replace(path)


# Test sets ----------------------------------------------------------------------------------------


def _test_sets(
    workspace: Workspace, passing: list[str], train: set[str]
) -> Iterator[tuple[str, NamedHashes]]:
    """Yield what training samples are compared with: (name, test set)."""
    for name, path in registered(workspace.folder).items():
        yield name, NamedHashes(*read_table(path))
    among: dict[str, dict[str, str]] = {}
    for image, records in workspace.catalog.holders():
        for record in records:
            if record.facts.test_set is not None:
                among.setdefault(record.facts.test_set, {}).setdefault(image, record.id)
    hashed = {image for images in among.values() for image in images} & set(
        workspace.catalog.images_passing(stages_before("dedup"))
    )
    for name, images in sorted(among.items()):
        chosen = sorted(hashed & images.keys())
        yield name, NamedHashes([images[image] for image in chosen], _hashes(workspace, chosen))
    ours = [image for image in passing if image not in train and image not in hashed]
    names = [workspace.catalog.owner(image).id for image in ours]
    yield OUR_VALIDATION, NamedHashes(names, _hashes(workspace, ours))


def _hashes(workspace: Workspace, images: list[str]) -> HashTable:
    values = (workspace.catalog.value("hashes", image) for image in images)
    return table_of({name: from_hex(value[name]) for name in SHAPES} for value in values)


def registered(workspace: Path) -> dict[str, Path]:
    """Return {name: table} of the test sets that were registered in a workspace's folder."""
    return {path.stem: path for path in sorted((workspace / FOLDER).glob("*.parquet"))}


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
    target = workspace / FOLDER / f"{name}.parquet"
    if path.suffix == ".parquet":
        names, table = read_table(path)
        write_table(target, names, table)
        return len(names), []
    names, rows, bad = [], [], []
    entries = list(_entries(path))
    for entry, seen in zip(entries, looks(entries, workers), strict=True):
        if isinstance(seen, Reject):
            bad.append(f"{entry.source_id}: {seen.reason}: {seen.detail}")
        else:
            names.append(entry.source_id)
            rows.append(seen.hashes)
    if not entries:
        raise UsageError(f"{path}: found no test picture in it, expected the tests of a public set")
    if not names:
        raise UsageError(f"{path}: found no picture in {len(entries)} files; first: {bad[0]}")
    write_table(target, names, table_of(rows))
    return len(names), bad


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
