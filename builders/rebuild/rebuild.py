"""Rebuilding: a published dataset out of its index and one's own copies of its sources.

Nothing of a source is changed, and no picture leaves this machine. Until the very end the former
folder stands whole.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from occlufer.digest import file_sha256
from occlufer.engine import map_local
from occlufer.errors import GateError, MissingError, UsageError
from occlufer.images import ImageStore
from occlufer.lock import LOCK_NAME, REBUILT, Lock
from occlufer.workspace import held

from ..hashes import look
from ..published.lock_file import read_lock
from ..publishing.swap import restore, swap_into_place
from ..tombstones import (
    TAKEDOWN_NAME,
    TAKEN_DOWN,
    Suspect,
    Tombstones,
    hits,
    read_tombstones,
)
from .account import Coverage, counted, missing_by_source, reason_of
from .attribution import check_attribution
from .lock import check_lock
from .looks import look_through, sought_of
from .read import Copy, Found, read_recipe_pixels, read_source
from .recipe import Key, Recipe, Wanted, read_recipe
from .sources import Opened, Paths, open_sources, paths_given
from .write import Rebuilt, write

PICTURES_AT_ONCE = 1000
BUSY = "another rebuild (process {}) works at the same --out; wait for it"


def rebuild(
    folder: Path,
    kinds: Mapping[str, Path | str],
    named: Iterable[str] = (),
    out: Path | None = None,
    takedown: Path | None = None,
    workers: int = 0,
) -> Coverage:
    """Rebuild the dataset whose lock and index lie in `folder`, and return how much is there again.

    `kinds` is {kind of source: one's copy}, `named` are texts "NAME=PATH", see `paths_given`;
    `takedown` is a file of tombstones beside the recipe's. Without a single picture nothing is
    written. Raises MissingError or UsageError for a recipe, a path or an `out` that will not do,
    GateError for a recipe that is damaged.
    """
    recipe = read_recipe(folder)
    check_lock(recipe.folder, recipe.lock)
    check_attribution(recipe)
    out = (out or Path(recipe.lock.name)).resolve()
    paths = paths_given(recipe.lock, kinds, named)
    _check_apart(out, recipe, paths)
    stones = _tombstones(recipe, takedown)
    opened = open_sources(recipe.lock, paths, Counter(row.source for row in recipe.wanted))
    out.parent.mkdir(parents=True, exist_ok=True)
    # A second one would delete the first's work, and count its half-written folder as its own.
    with held(out.with_name(f".{out.name}.lock"), BUSY):
        restore(out)
        return _rebuild(recipe, opened, stones, out, workers)


def _rebuild(
    recipe: Recipe, opened: list[Opened], stones: Tombstones, out: Path, workers: int
) -> Coverage:
    former = _former(out, recipe)
    tombstones = stones.plus(read_tombstones(out / TAKEDOWN_NAME).stones)
    fresh, pictures = (out.with_name(f".{out.name}.{end}") for end in ("partial", "pictures"))
    try:
        for place in (fresh, pictures):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
        rebuilt = _find(recipe, opened, tombstones, ImageStore(pictures), workers)
        _check_loss(out, former, rebuilt)
        there = any(copy is not None for copy in rebuilt.copies)
        lock = write(fresh, rebuilt) if there else None
        if lock is not None:
            swap_into_place(fresh, out)
    finally:  # pictures must not stay where nobody looks for them
        for place in (fresh, pictures):
            shutil.rmtree(place, ignore_errors=True)
    return _coverage(rebuilt, lock, out)


def _former(out: Path, recipe: Recipe) -> Lock | None:
    """Return the lock of what lies in `out` and may be replaced, None if nothing does.

    Raises UsageError for anything but the dataset of the recipe, or a part of it that a rebuild has
    left: a build of one's own may not come again.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    lock, _ = read_lock(out)
    name = recipe.lock.name
    if lock is None or lock.name != name:
        found = f"the dataset {lock.name!r}" if lock else "other things"
        raise UsageError(
            f"out = {out}: found {found}, expected nothing or a dataset {name!r}, "
            "which rebuilding replaces"
        )
    if lock.version != recipe.lock.version and REBUILT not in lock.config:
        raise UsageError(
            f"out = {out}: found version {lock.version} of {name!r}, expected nothing, version "
            f"{recipe.lock.version} or a part that a rebuild has left; give another --out"
        )
    return lock


def _check_loss(out: Path, former: Lock | None, rebuilt: Rebuilt) -> None:
    """Raise UsageError if a part would replace the whole, for another reason than a takedown."""
    lacking = sum(reason != TAKEN_DOWN for reason in rebuilt.reasons.values())
    lacking += sum(copy is not None and not copy.exact for copy in rebuilt.copies)
    if former is not None and REBUILT not in former.config and lacking:
        raise UsageError(
            f"out = {out}: found all of version {former.version}, of which {lacking} rows could "
            "not be rebuilt to the bit now, so nothing was written; give another --out"
        )


def _check_apart(out: Path, recipe: Recipe, paths: Paths) -> None:
    """Raise UsageError if `out` lies in the recipe or a source, or one of them in it."""
    if out.is_relative_to(recipe.folder) or recipe.folder.is_relative_to(out):
        raise UsageError(f"out = {out}: lies with the recipe, {recipe.folder}; give a place apart")
    for source, given in paths.items():
        for place in given.values():
            if out.is_relative_to(place.resolve()) or place.resolve().is_relative_to(out):
                raise UsageError(f"out = {out}: lies with source {source}; give a place apart")


def _tombstones(recipe: Recipe, takedown: Path | None) -> Tombstones:
    """Return the recipe's tombstones and those of the file; raises if the recipe's are lost."""
    path, sha256 = recipe.folder / TAKEDOWN_NAME, recipe.lock.files.get(TAKEDOWN_NAME)
    if sha256 is not None and not path.is_file():
        raise MissingError(f"{path}: no such file, expected the recipe's: it names what must go")
    if sha256 is not None and file_sha256(path) != sha256:
        raise GateError(f"{path}: found another file than {LOCK_NAME} names")
    stones = read_tombstones(path)
    if takedown is None:
        return stones
    if not takedown.is_file():  # a name mistyped must not bring anything back
        raise MissingError(f"{takedown}: no such file, expected tombstones")
    return stones.plus(read_tombstones(takedown).stones)


# Finding ------------------------------------------------------------------------------------------


def _find(
    recipe: Recipe,
    opened: list[Opened],
    tombstones: Tombstones,
    store: ImageStore,
    workers: int,
) -> Rebuilt:
    """Return what is there of every row, and why the others are not."""
    gone = _named_by(tombstones, recipe.wanted)
    wanted = [row for row in recipe.wanted if row.source_sha256 not in gone]
    found = Found()
    read_recipe_pixels(recipe, wanted, found, store)
    opened = [source for source in opened if _lacking(source.name, wanted, found)]
    passed = [read_source(source, wanted, found, store, workers) for source in opened]
    for source, pass_by in zip(opened, passed, strict=True):
        sought = sought_of(source.name, wanted, found)
        if sought.whole or sought.cuts:
            look_through(source, pass_by, sought, found, store, workers)
    gone |= _near_to(tombstones, found.copies, store, workers)
    copies = tuple(
        None if row.source_sha256 in gone else found.copies.get(row.key) for row in recipe.wanted
    )
    names = {source.name for source in opened}
    reasons = {
        position: TAKEN_DOWN if row.source_sha256 in gone else reason_of(row, found, names)
        for position, (row, copy) in enumerate(zip(recipe.wanted, copies, strict=True))
        if copy is None
    }
    return Rebuilt(recipe, copies, reasons, tombstones, store)


def _lacking(source: str, wanted: Iterable[Wanted], found: Found) -> bool:
    return any(row.source == source and found.lacks(row.key) for row in wanted)


def _named_by(tombstones: Tombstones, wanted: Iterable[Wanted]) -> set[str]:
    """Return the sources' files, by sha256, that a tombstone names by a hash or an address."""
    rows = list(dict.fromkeys((row.source_sha256, row.sha256, row.url) for row in wanted))
    suspects = [Suspect((file, crop), (url,) if url else ()) for file, crop, url in rows]
    return {rows[position][0] for position in hits(tombstones, suspects)}


def _near_to(
    tombstones: Tombstones, copies: Mapping[Key, Copy], store: ImageStore, workers: int
) -> set[str]:
    """Return the sources' files, by sha256, whose pictures are copies of what was taken down."""
    if not tombstones:
        return set()

    def suspect(key: Key) -> tuple[Key, Suspect]:
        copy = copies[key]
        hashes = look(store.get(copy.crop)).hashes if tombstones.holders else None
        return key, Suspect((copy.source_sha256, copy.crop), (), hashes)

    gone: set[str] = set()
    for some in _several(map_local(suspect, copies, workers)):
        gone |= {some[i][0][0] for i in hits(tombstones, [one for _, one in some])}
    return gone


def _several(
    suspects: Iterator[tuple[Key, Suspect]],
) -> Iterator[list[tuple[Key, Suspect]]]:
    while some := list(islice(suspects, PICTURES_AT_ONCE)):
        yield some


def _coverage(rebuilt: Rebuilt, lock: Lock | None, out: Path) -> Coverage:
    rows = zip(rebuilt.recipe.wanted, rebuilt.copies, strict=True)
    return Coverage(
        out=None if lock is None else out,
        version="" if lock is None else lock.version,
        recipe_version=rebuilt.recipe.lock.version,
        splits=counted(rows),
        missing=missing_by_source(rebuilt.missing()),
    )
