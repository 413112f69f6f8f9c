"""Loading: images/s of published Parquet and of the training cache, against the same image files.

The peer is torchvision's ImageFolder with PILToTensor, whose calls it makes itself: open the file,
PIL's RGB, a uint8 tensor. What opens a data set is not measured. Every way goes through all images
once, in one process, on one thread, in one order, out of a warm page cache, and sums the tensor of
every image; the sums of the ways over Parquet must be the peer's. The bar of Parquet is on batches
of plain `datasets`, that of the cache on what training reads: pixels, priors and labels of a batch.

The images are drawn faces of 224 px, as PNG, as a build stores the crops it makes, and as JPEG, as
it keeps the files of a source. `python benchmarks/loading.py 200` takes fewer of them.
"""

from __future__ import annotations

import hashlib
import io
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bars import Bar, at_least, finish
from _timing import Timed, spreads, timed
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.publishing.columns import features
from occlufer.builders.publishing.shards import write_rows
from occlufer.builders.sources.synthetic import Settings, face_plan
from occlufer.builders.synthetic import draw_face, encode_jpeg
from occlufer.orsanet.batches import Deck, plain_batches
from occlufer.orsanet.data import load_cache, prepare_cache
from occlufer.orsanet.imagenet import MEAN, STD
from occlufer.orsanet.priors import built_in_maps, landmark_points
from occlufer.schema import LABELS, OCCLUSION_TYPES, REGIONS, SPLITS

COUNT, REPEATS, SIDE_PX = 3000, 5, 224
# The cache needs a split to validate too.
VALIDATING = 8
BATCH = 20
KINDS = ("png", "jpg")
IMAGENET_MEAN, IMAGENET_STD = (torch.tensor(x).view(3, 1, 1) for x in (MEAN, STD))
Way = Callable[[], int]
"""Reads all images, and returns the sum of their tensors."""


@dataclass(frozen=True)
class Set:
    """The same images three times."""

    files: list[Path]
    """One a picture, in folders of the classes, in the order of the rows."""
    dataset: Path
    cache: Path


def main() -> None:
    torch.set_num_threads(1)
    count = next((int(word) for word in sys.argv[1:] if word.isdigit()), COUNT)
    found: dict[str, Any] = {"images": count, "side_px": SIDE_PX, "repeats": REPEATS}
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            found[kind] = measured(written(Path(folder) / kind, kind, count))
    finish("loading", bars_of(found), found)


def bars_of(found: dict[str, Any]) -> list[Bar]:
    """Return the bars of the issues, of each kind of file."""
    bounds = {"Parquet, in batches": 1.0, "cache, with priors": 3.0}
    return [
        at_least(f"{kind}: {way}, times ImageFolder", found[kind][way]["ratio"], bound)
        for kind in KINDS
        for way, bound in bounds.items()
    ]


def measured(images: Set) -> dict[str, Any]:
    """Return images/s of every way, turn about, and their ratios to the peer's."""
    ways = {name: opened(images) for name, opened in WAYS.items()}
    sums = {name: way() for name, way in ways.items()}  # the page cache is warm then
    assert all(sums[name] == sums[PEER] for name in SAME_PIXELS), sums
    runs: dict[str, list[Timed[int]]] = {name: [] for name in ways}
    for _ in range(REPEATS):
        for name, way in ways.items():
            runs[name].append(timed(way))
    return {name: _rates(len(images.files), runs[name], runs[PEER]) for name in ways}


def _rates(count: int, ours: list[Timed[int]], peer: list[Timed[int]]) -> dict[str, Any]:
    """Return images/s, the median ratio of each turn, and the spread of the seconds."""
    turns = [theirs.wall_s / our.wall_s for our, theirs in zip(ours, peer, strict=True)]
    return {
        "images_per_s": round(count / statistics.median(run.wall_s for run in ours), 1),
        "ratio": round(statistics.median(turns), 3),
        "ratios": [round(turn, 3) for turn in turns],
        "seconds": spreads(ours),
    }


# the ways ----------------------------------------------------------------------------------------


def image_folder(images: Set, normalised: bool = False) -> Way:
    """Sum the files, as ImageFolder reads them; normalised, as its users' ToTensor goes on."""

    def read() -> int:
        total = 0
        for path in images.files:
            with path.open("rb") as file:
                picture = Image.open(file).convert("RGB")
            pixels = torch.from_numpy(np.array(picture, copy=True))
            pixels = pixels.view(picture.height, picture.width, 3).permute(2, 0, 1).contiguous()
            total += int(
                (
                    (pixels.float().div(255) - IMAGENET_MEAN) / IMAGENET_STD
                    if normalised
                    else pixels
                ).sum()
            )
        return total

    return read


def in_batches(images: Set, columns: Sequence[str] | None = ("image", "label")) -> Way:
    """Sum the rows of published Parquet, read by plain `datasets`, a batch at a time."""
    rows = opened(images, columns)
    return lambda: sum(int(image.sum()) for some in rows.iter(BATCH) for image in some["image"])


def row_by_row(images: Set, streaming: bool = False) -> Way:
    """Sum them one by one; streaming takes them from the shards as they are."""
    rows = opened(images, ("image", "label"), streaming)
    return lambda: sum(int(row["image"].sum()) for row in rows)


def opened(images: Set, columns: Sequence[str] | None, streaming: bool = False) -> Any:
    """Return the training split of the published folder, as a user opens it."""
    from datasets import load_dataset

    cache = str(images.dataset.with_name("datasets"))
    options = {"split": SPLITS[0], "streaming": streaming, "cache_dir": cache}
    found = load_dataset(str(images.dataset), **options)
    return (found.select_columns(list(columns)) if columns else found).with_format("torch")


def with_priors(images: Set) -> Way:
    """Sum the pixels of the cache's batches, read with their priors and labels as Deck does."""
    deck = deck_of(images)

    def read() -> int:
        total = 0
        for rows in batches(images):
            pixels, *_ = (torch.from_numpy(array[rows]) for array in deck.arrays)
            total += sum(int(image.sum()) for image in pixels)
        return total

    return read


def as_trained_on(images: Set) -> Way:
    """Sum whole batches of training, normalised: more than a uint8 tensor an image."""
    deck = deck_of(images)
    rows = np.arange(len(images.files))
    return lambda: sum(int(batch.images.sum()) for batch in plain_batches(deck, rows, BATCH))


def deck_of(images: Set) -> Deck:
    return Deck(load_cache(images.cache).splits[SPLITS[0]], torch.device("cpu"))


def batches(images: Set) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of every batch, in order."""
    for start in range(0, len(images.files), BATCH):
        yield np.arange(start, min(start + BATCH, len(images.files)))


PEER = "ImageFolder"
WAYS: dict[str, Callable[[Set], Way]] = {
    PEER: image_folder,
    "Parquet, in batches": in_batches,
    "Parquet, row by row": row_by_row,
    "Parquet, streamed row by row": partial(row_by_row, streaming=True),
    "Parquet, in batches, every column": partial(in_batches, columns=None),
    "cache, with priors": with_priors,
    "ImageFolder, normalised": partial(image_folder, normalised=True),
    "cache, whole batches, normalised": as_trained_on,
}
SAME_PIXELS = tuple(name for name in WAYS if name.startswith("Parquet"))


# the images --------------------------------------------------------------------------------------


def written(folder: Path, kind: str, count: int) -> Set:
    """Write drawn faces as files, as published Parquet, and as a cache of 224 px."""
    files = []
    dataset = folder / "occlu_fer"
    (dataset / "data").mkdir(parents=True)
    for split, start, end in ((SPLITS[0], 0, count), (SPLITS[1], count, count + VALIDATING)):
        rows = [row(number, kind) for number in range(start, end)]
        schema = features().arrow_schema
        write_rows(dataset / f"data/{split}-00000-of-00001.parquet", schema, rows)
        if split == SPLITS[0]:
            files = list(written_files(folder / "files", kind, rows))
    priors = {"semantic": built_in_maps(), "landmark_features": landmark_points()}
    prepare_cache(dataset, folder / "cache", SIDE_PX, priors)
    return Set(files, dataset, folder / "cache")


def written_files(folder: Path, kind: str, rows: list[dict[str, Any]]) -> Iterator[Path]:
    """Write the pictures of rows into folders of their classes, and yield where."""
    for number, found in enumerate(rows):
        path = folder / LABELS[found["label"]] / f"{number:06d}.{kind}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found["image"]["bytes"])
        yield path


def row(number: int, kind: str) -> dict[str, Any]:
    """Return a published row of a drawn face: every column, as long as real ones are."""
    plan = face_plan(number, Settings(count=COUNT))
    face = draw_face(plan)
    data = encoded(face.image_rgb, kind)
    label = LABELS.index(plan.label)
    name = hashlib.sha256(data).hexdigest()
    return {
        "image": {"bytes": data, "path": None},
        "label": label,
        "votes": [5 * (i == label) for i in range(len(LABELS))],
        "agreement": 1.0,
        "soft_label": [float(i == label) for i in range(len(LABELS))],
        "occlusion_types": list(plan.occlusion),
        "occlusion_confidences": dict.fromkeys(OCCLUSION_TYPES, 0.5),
        "occlusion_votes": dict.fromkeys(OCCLUSION_TYPES, 0),
        "occlusion_ratio": face.occlusion_ratio,
        "occlusion_severity": 0,
        "visible": dict.fromkeys(REGIONS, 1.0),
        "known_occluded": [],
        "face_found": True,
        "box": face.box_xyxy_px.tolist(),
        "landmarks": face.landmarks68_px.tolist(),
        **dict.fromkeys(("source", "source_id", "licence", "attribution", "rights"), "drawn"),
        "source_split": None,
        "sha256": name,
        "phash": name[:16],
        "group": name[:16],
    }


def encoded(image_rgb: NDArray[np.uint8], kind: str) -> bytes:
    """Return a picture as the bytes of a file."""
    if kind == "jpg":
        return bytes(encode_jpeg(image_rgb, 85))
    file = io.BytesIO()
    Image.fromarray(image_rgb).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
