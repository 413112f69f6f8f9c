"""Reading of a rebuild: pictures by the hash of their bytes, out of the recipe and the sources.

Sources are only read, and pass by once; what rows need lies in the store, all else is let go of.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from PIL import Image

from occlufer.engine import map_local
from occlufer.images import ImageStore
from occlufer.lock import INDEX
from occlufer.progress import progress

from ..cut import cut_square
from ..hashes import hash_images
from ..metadata import without_metadata
from ..pixels import BadImageError, Pixels, decode_rgb, encode_png
from ..published.schema import check_columns
from ..published.shards import DamagedShardError, batches, shards_of
from ..publishing.columns import PIXELS
from ..sources.entry import Entry
from .recipe import Key, Recipe, Wanted
from .sources import Opened

# A recipe says how large a square has to be held in memory: never more than this.
MOST_PIXELS = 256_000_000
# What was found under the name of a row.
NO_FILE, UNREADABLE, BLOCKED, READ = "no_file", "unreadable", "blocked", "read"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Copy:
    """A picture that is there again, its bytes in the store."""

    crop: str
    """The sha256 of the sample."""
    source_sha256: str
    phash: int
    exact: bool
    """Whether it is the published sample, to the bit."""


@dataclass
class Found:
    """What has been found so far."""

    copies: dict[Key, Copy] = field(default_factory=dict)
    named: dict[tuple[str, str], str] = field(default_factory=dict)
    """{(source, source_id) of a row: what is there under its name}"""

    def lacks(self, key: Key) -> bool:
        """Return whether the picture, to the bit, is not there as yet."""
        return key not in self.copies or not self.copies[key].exact


@dataclass(frozen=True)
class Passed:
    """A source that has passed by."""

    matched: frozenset[int]
    """The positions of its pictures that are some row's very own."""
    others: int
    """How many pictures it has beside."""


# Pictures that the recipe has ---------------------------------------------------------------------


def read_recipe_pixels(
    recipe: Recipe, wanted: Iterable[Wanted], found: Found, store: ImageStore
) -> None:
    """Take the pictures that lie in the recipe's own shards."""
    by_crop: dict[str, dict[Key, Wanted]] = {}
    for row in wanted:
        by_crop.setdefault(row.sha256, {})[row.key] = row
    for shard in shards_of(recipe.lock)[0]:
        path = recipe.folder / shard.name
        if shard.config == INDEX or not path.is_file():
            continue
        try:
            check_columns(path, shard.config)
            for batch in batches(path, [PIXELS]):
                for one in batch:
                    _take((one[PIXELS] or {}).get("bytes") or b"", by_crop, found, store)
        except DamagedShardError as error:
            log.warning("%s: its pictures are not taken: %s", path, error)


def _take(
    data: bytes, by_crop: Mapping[str, Mapping[Key, Wanted]], found: Found, store: ImageStore
) -> None:
    sha256 = hashlib.sha256(data).hexdigest()
    for key, row in by_crop.get(sha256, {}).items():
        store.put(data)
        found.copies[key] = Copy(sha256, row.source_sha256, row.phash, exact=True)


# Pictures that a source has -----------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What one entry of a source came to."""

    source_id: str
    state: str
    copies: dict[Key, Copy] = field(default_factory=dict)


def read_source(
    source: Opened, wanted: Iterable[Wanted], found: Found, store: ImageStore, workers: int
) -> Passed:
    """Take every picture whose bytes a row names, and note what lies under the rows' names."""
    by_bytes: dict[str, list[Wanted]] = {}
    by_sample: dict[str, list[Wanted]] = {}
    names = set()
    for row in wanted:
        by_bytes.setdefault(row.source_sha256, []).append(row)
        if row.cut is None:
            by_sample.setdefault(row.sha256, []).append(row)
        if row.source == source.name:
            names.add(row.source_id)
    matched, others = set(), 0
    see = partial(_see, by_bytes=by_bytes, by_sample=by_sample, store=store)
    seen = map_local(see, source.entries(), workers)
    for position, one in enumerate(progress(seen, None, f"read {source.name}")):
        found.copies.update({key: copy for key, copy in one.copies.items() if found.lacks(key)})
        if one.source_id in names:
            found.named.setdefault((source.name, one.source_id), one.state)
        if one.copies:
            matched.add(position)
        others += one.state == READ and not one.copies
    return Passed(frozenset(matched), others)


def _see(
    entry: Entry,
    by_bytes: Mapping[str, list[Wanted]],
    by_sample: Mapping[str, list[Wanted]],
    store: ImageStore,
) -> Seen:
    """Return what an entry is, with the pictures that its bytes make.

    A file that has lost its metadata on the way still makes the sample, to the bit.
    """
    data, state = bytes_of(entry)
    if state != READ:
        return Seen(entry.source_id, state)
    sha256 = hashlib.sha256(data).hexdigest()
    copies: dict[Key, Copy] = {}
    for row in by_bytes.get(sha256) or _of_sample(data, by_sample):
        if row.key not in copies:
            try:
                crop = crop_of(data, row)
            except (BadImageError, OSError) as error:  # a picture where the recipe was made
                log.warning("source %s: %s: %s", row.source, entry.source_id, error)
                return Seen(entry.source_id, UNREADABLE)
            copies[row.key] = copy_of(crop, sha256, row, store)
    return Seen(entry.source_id, state, copies)


def _of_sample(data: bytes, by_sample: Mapping[str, list[Wanted]]) -> list[Wanted]:
    """Return the rows whose sample a file is, whatever else it says."""
    if not by_sample:
        return []
    try:
        return by_sample.get(hashlib.sha256(without_metadata(data)).hexdigest(), [])
    except MemoryError:
        raise
    except Exception:  # no picture, or a broken one: what opens it raises many kinds
        return []


def bytes_of(entry: Entry) -> tuple[bytes, str]:
    """Return the bytes of an entry, none where it cannot be read or may not be, and which it is."""
    if entry.reject is not None:
        return b"", NO_FILE if entry.reject.reason == "missing_file" else UNREADABLE
    if entry.facts.rights == "blocked":
        return b"", BLOCKED
    try:
        return entry.read().data, READ
    except FileNotFoundError:
        return b"", NO_FILE
    except (BadImageError, OSError):
        return b"", UNREADABLE


# From bytes to a sample ---------------------------------------------------------------------------


def crop_of(data: bytes, row: Wanted) -> bytes:
    """Return the sample of a row that a source's bytes make; raises BadImageError."""
    if row.cut is None:
        return without_metadata(data)
    return encode_png(cut_of(decode_rgb(data), row))


def cut_of(image_rgb: Pixels, row: Wanted) -> Pixels:
    """Return the row's square of a photograph; raises BadImageError where it does not fit."""
    assert row.cut is not None
    x0, y0, x1, y1 = row.cut
    height, width = image_rgb.shape[:2]
    if not (x0 < width and y0 < height and x1 > 0 and y1 > 0 and (x1 - x0) ** 2 <= MOST_PIXELS):
        raise BadImageError("another_size", f"found {width}x{height}, expected {row.cut} in it")
    return cut_square(image_rgb, row.cut)


def copy_of(crop: bytes, source_sha256: str, row: Wanted, store: ImageStore) -> Copy:
    """Keep a sample in the store and return what it is to the row."""
    sha256 = store.put(crop)
    if sha256 == row.sha256:
        return Copy(sha256, source_sha256, row.phash, exact=True)
    return Copy(sha256, source_sha256, phash_of(crop), exact=False)


def phash_of(picture: bytes | Pixels) -> int:
    """Return the perceptual hash that the column phash has, of a sample as file or pixels."""
    one = picture if isinstance(picture, bytes) else Image.fromarray(picture)
    return int(hash_images([one], workers=1).phash64[0])
