"""Adding tombstones: from a picture, a hash or an address to what is kept of it.

While the pixels are at hand, the rule of duplicates with its pixels decides which samples of the
workspace are copies, and the tombstone names their bytes too. What comes later is known by the
hashes alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from occlufer.config import BuildConfig, DedupConfig, FacesConfig
from occlufer.errors import MissingError, UsageError
from occlufer.images import DamagedImageError
from occlufer.record import Record, image_sha256
from occlufer.workspace import Workspace, held, open_built

from .cut import CROP_PX, cut_out
from .detectors import Detect, open_detector
from .duplicates.clusters import differences_by
from .duplicates.edges import limits_of, near_edges
from .duplicates.stars import are_copies
from .faces import faces_in
from .hashes import grey_of, look
from .hashing.hash_table import ViewTable, joined_views
from .hashing.kept import kept_sketches, view_hashes
from .hashing.sketches import Sketch, sketch_of
from .hashing.views import View
from .metadata import without_metadata
from .pixels import BadImageError, decode_rgb, encode_png, read_bytes
from .takedown import (
    HASHED,
    check_place,
    taken_down,
    tombstones_of,
)
from .tombstones import (
    IMAGES_AT_ONCE,
    SHA256,
    Tombstone,
    Tombstones,
    Views,
    address_sha256,
    check_reason,
    dated,
    view_table,
    views_of,
    write_tombstones,
)

BUSY = "another process ({}) adds tombstones; wait for it"
# A face at the very edge is cut with black around it, by which all such crops are alike.
INSIDE = 0.9
# The views of a picture are cut evenly. With those of these cuts of it, copies are found that are
# cut by another amount at every side: of 40 faces that lost up to a tenth there 40, else 18.
CUT = 0.06
CUTS = tuple(
    View(left, top, right, bottom)
    for left, top, right, bottom in itertools.product((0.0, CUT), repeat=4)
    if left or top or right or bottom
)


@dataclass(frozen=True)
class Added:
    """What became of one thing that was named."""

    what: str
    new: bool
    """False if tombstones that were there find all of it."""
    pictures: int
    """How many pictures are known by their look: 0 if by exact bytes or address only."""
    records: list[str]
    """The records of the workspace that go with the next build because of it."""


def add(config: BuildConfig, named: Sequence[str], reason: str = "") -> list[Added]:
    """Add a tombstone of everything named, all or none, and return what became of each.

    Named are paths of pictures, sha256 of files or published crops, addresses, and records of the
    workspace by their ids. What the workspace knows of them is taken too. Raises UsageError or
    MissingError for what is none.
    """
    check_reason(reason)
    check_place(config)
    config.takedown.parent.mkdir(parents=True, exist_ok=True)
    with held(config.takedown.with_name(f".{config.takedown.name}.lock"), BUSY):
        known = tombstones_of(config)
        with _built(config.workspace) as workspace:
            maker = _Maker(config, workspace)
            made = [dated(maker.stone(what), reason) for what in named]
            told = [
                _added(what, stone, known, workspace)
                for what, stone in zip(named, made, strict=True)
            ]
        together = known.plus(made)
        if len(together) > len(known):
            write_tombstones(config.takedown, (stone.to_line() for stone in together.stones))
    return told


@contextlib.contextmanager
def _built(folder: Path) -> Iterator[Workspace | None]:
    """Open the workspace of a build, None if there is none."""
    if not (folder / "catalog.sqlite").is_file():
        yield None
        return
    with open_built(folder) as workspace:
        yield workspace


def _added(what: str, stone: Tombstone, known: Tombstones, workspace: Workspace | None) -> Added:
    records = [] if workspace is None else named_by(workspace, Tombstones((stone,)))
    return Added(what, bool(known.missing([stone])), len(stone.pictures), records)


def named_by(workspace: Workspace, tombstones: Tombstones) -> list[str]:
    """Return the records of all samples that the tombstones take down, sorted."""
    held_by = workspace.catalog.holders_of(sorted(taken_down(workspace, tombstones)))
    return sorted(record.id for records in held_by.values() for record in records)


# From what is named to its tombstone --------------------------------------------------------------


class _Maker:
    """Makes tombstones; holds the detector and what the workspace knows, each read once."""

    def __init__(self, config: BuildConfig, workspace: Workspace | None) -> None:
        self._config, self._workspace = config, workspace
        self._detector: Detect | None = None
        self._crops: dict[str, str] | None = None

    def stone(self, what: str) -> Tombstone:
        """Return the tombstone of a path, a sha256, an address or a record."""
        sha256s, addresses, files = set[str](), set[str](), list[bytes]()
        if what.startswith(("http://", "https://")):
            addresses.add(address_sha256(what))
            images = self._at(address_sha256(what))
        elif SHA256.fullmatch(what.lower()):
            sha256s.add(what.lower())
            images = self._of_bytes(what.lower())
        elif not Path(what).exists() and (record := self._record(what)):
            sha256s.add(image_sha256(str(record.image)))
            images = self._of_bytes(*sha256s)
        else:
            files.append(_read(Path(what)))
            sha256s.add(hashlib.sha256(files[0]).hexdigest())
            images = self._of_bytes(*sha256s)
        for image in images:
            sha256s |= {image_sha256(image), self._known()[image]}
            addresses |= self._addresses(image)
            files += self._stored(image)
        return self._with_looks(sha256s, addresses, files)

    def _with_looks(self, sha256s: set[str], addresses: set[str], files: list[bytes]) -> Tombstone:
        """Return the tombstone with the looks of these files, their crops and their copies."""
        wholes: dict[Views, bytes] = {}
        for data in dict.fromkeys(files):
            sha256s.add(hashlib.sha256(without_metadata(data)).hexdigest())
            wholes[views_of(look(data).hashes)] = data
            crop, whole = cut_of(data, self._detect(), self._config.faces)
            if crop is not None:
                sha256s.add(hashlib.sha256(crop).hexdigest())
            if crop is not None and whole:
                wholes[views_of(look(crop).hashes)] = crop
        if self._workspace is not None and wholes:
            for image in copies(self._workspace, wholes, self._config.dedup):
                sha256s |= {image_sha256(image), self._known()[image]}
        pictures = {*wholes, *(one for data in wholes.values() for one in looks_of_cuts(data))}
        return Tombstone(tuple(sorted(sha256s)), tuple(sorted(addresses)), tuple(sorted(pictures)))

    def _detect(self) -> Detect:
        if self._detector is None:
            faces = self._config.faces
            self._detector = open_detector(faces.detector, self._config.weights_dir).detect
        return self._detector

    def _known(self) -> dict[str, str]:
        """Return {image: its crop} of the workspace."""
        if self._crops is None:
            found = self._workspace.catalog.results("faces") if self._workspace else ()
            self._crops = {one.image: one.value["crop"] for one in found if "crop" in one.value}
        return self._crops

    def _record(self, name: str) -> Record | None:
        """Return the record of this id, None if the workspace has none with a picture."""
        record = self._workspace.catalog.record(name) if self._workspace else None
        return record if record is not None and record.image is not None else None

    def _of_bytes(self, sha256: str) -> list[str]:
        """Return the images of these bytes, or with this crop."""
        known = self._known().items()
        return [image for image, crop in known if sha256 in (image_sha256(image), crop)]

    def _at(self, address: str) -> list[str]:
        """Return the images that came from an address, or stand on the page there."""
        if self._workspace is None:
            return []
        held_by = self._workspace.catalog.holders()
        known = self._known()
        return [
            image
            for image, records in held_by
            if image in known and any(address in _addresses(r.facts.evidence) for r in records)
        ]

    def _addresses(self, image: str) -> set[str]:
        """Return the hashed addresses of the picture itself: on a page others may stand too."""
        if self._workspace is None:
            return set()
        records = self._workspace.catalog.holders_of([image]).get(image, [])
        urls = [(record.facts.evidence or {}).get("url") for record in records]
        return {address_sha256(str(url)) for url in urls if url}

    def _stored(self, image: str) -> list[bytes]:
        """Return the bytes of an image and its crop, as far as the workspace still has them."""
        files = []
        for sha256 in (image_sha256(image), self._known()[image]):
            with contextlib.suppress(DamagedImageError):
                if self._workspace is not None:
                    files.append(self._workspace.images.get(sha256))
        return files


def _addresses(evidence: Any) -> set[str]:
    told = evidence or {}
    return {address_sha256(str(told[key])) for key in ("url", "page") if told.get(key)}


def _read(path: Path) -> bytes:
    """Return the bytes of a picture file; raises MissingError or UsageError if it is none."""
    expected = (
        "expected a picture, a sha256 of 64 hex digits, an address (https://...), or a record of "
        "the workspace (SOURCE/SOURCE_ID)"
    )
    try:
        data = read_bytes(path)
        decode_rgb(data)
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file; {expected}") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; {expected}") from None
    except BadImageError as error:
        raise UsageError(f"{path}: found {error}; {expected}") from None
    return data


def cut_of(data: bytes, detect: Detect, faces: FacesConfig) -> tuple[bytes | None, bool]:
    """Return the main face as the build cuts it from a photograph, and if it lies well inside.

    None if no face is found.
    """
    image_rgb = decode_rgb(data)
    height, width = image_rgb.shape[:2]
    found = faces_in(image_rgb, detect, faces.min_score)
    if not found:
        return None, False
    face = found[0]
    crop, shift, scale = cut_out(image_rgb, face.box_xyxy_px, faces.crop_margin)
    side = CROP_PX / scale
    ends = np.minimum(shift + side, (width, height)) - np.maximum(shift, 0)
    return encode_png(crop), float(ends.prod()) >= INSIDE * side**2


def looks_of_cuts(data: bytes) -> Iterator[Views]:
    """Yield what a tombstone keeps of the CUTS of a picture."""
    grey = grey_of(data)
    for cut in CUTS:
        yield views_of(look(Image.fromarray(cut.of(grey))).hashes)


# Copies in the workspace --------------------------------------------------------------------------


def copies(
    workspace: Workspace, pictures: dict[Views, bytes], settings: DedupConfig
) -> Iterator[str]:
    """Yield the images whose crops are duplicates of one of the pictures, pixels compared."""
    theirs, files = view_table(list(pictures)), list(pictures.values())
    images = workspace.catalog.images_passing(HASHED)
    for start in range(0, len(images), IMAGES_AT_ONCE):
        yield from _copies(
            workspace, images[start : start + IMAGES_AT_ONCE], theirs, files, settings
        )


def _copies(
    workspace: Workspace,
    images: list[str],
    theirs: ViewTable,
    files: list[bytes],
    settings: DedupConfig,
) -> Iterator[str]:
    table = joined_views([view_hashes(workspace.catalog, images), theirs])
    places = np.arange(len(table))

    edges = near_edges(table, limits_of(settings), places, places >= len(images), places)
    near = {edge: min(edge.a, edge.b) for edge in edges.rows(~edges.of_parts)}
    # Of two pictures that are taken down nothing is asked.
    near = {edge: low for edge, low in near.items() if low < len(images)}
    kept = dict(kept_sketches(workspace.catalog, [images[low] for low in {*near.values()}]))

    @cache
    def sketch(place: int) -> Sketch:
        if place < len(images):
            return kept[images[place]]
        return sketch_of(grey_of(files[place - len(images)]))

    differences = differences_by(sketch)(list(near))
    found = {
        low
        for (edge, low), difference in zip(near.items(), differences, strict=True)
        if are_copies(edge, difference, settings.block_difference)
    }
    yield from (images[place] for place in sorted(found))
