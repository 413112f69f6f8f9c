"""Tasks: what the server is told of a sample, and in which order."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .studio import Task

# Tasks in one request. The server counts its tasks anew after each: few large ones are faster.
BATCH_TASKS = 2_000
# Pictures inside the tasks: web servers in front of Label Studio take so much without being told.
BATCH_BYTES = 4_000_000

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"RIFF": "image/webp",
    b"BM": "image/bmp",
}


@dataclass(frozen=True)
class Difference:
    """What is to be done so that the server has one task of each image, and no others."""

    new: tuple[str, ...]
    """Images without a task, in the order in which they go."""
    there: int
    """Images that have one."""
    superfluous: tuple[int, ...]
    """Tasks without an answer that are doubles, or of no image that is wanted."""
    kept: tuple[str, ...]
    """Images that are not wanted, but people have answered: their tasks stay."""
    doubled: tuple[str, ...]
    """Images that had several tasks."""


def task_of(image: str, picture: str) -> dict[str, Any]:
    """Return a new task; it holds nothing that hints at what the sample is called."""
    return {"data": {"image": picture, "occlufer_id": image}}


def mixed(images: Iterable[str], gold: Collection[str]) -> list[str]:
    """Return the images with the gold samples spread evenly among them, both in their order."""
    known = {*gold}
    rest = [image for image in images if image not in known]
    places = [((i + 0.5) / len(rest), image) for i, image in enumerate(rest)]
    places += [((i + 0.5) / len(gold), image) for i, image in enumerate(gold)]
    return [image for _, image in sorted(places, key=lambda place: place[0])]


def difference(tasks: Iterable[Task], images: Sequence[str]) -> Difference:
    """Return what is missing, superfluous and doubled among the server's tasks.

    Of doubles the one that most people have answered stays, or the oldest; and so do those that
    somebody has answered.
    """
    by_image: dict[str, list[Task]] = {}
    for task in tasks:
        if task.occlufer_id is not None:
            by_image.setdefault(task.occlufer_id, []).append(task)
    wanted = set(images)
    superfluous, kept = [], []
    for image, some in sorted(by_image.items()):
        some.sort(key=lambda task: (-task.answers, task.number))
        spare = some[1:] if image in wanted else some
        superfluous += [task.number for task in spare if not task.answers]
        if image not in wanted and some[0].answers:
            kept.append(image)
    return Difference(
        tuple(image for image in images if image not in by_image),
        len(wanted & by_image.keys()),
        tuple(sorted(superfluous)),
        tuple(kept),
        tuple(sorted(image for image, some in by_image.items() if len(some) > 1)),
    )


def reference(folder: str, sha256: str) -> str:
    """Return the address of a picture in the image store, which is served as `folder`."""
    return f"/data/local-files/?d={quote(f'{folder}/{sha256[:2]}/{sha256}')}"


def data_uri(data: bytes) -> str:
    """Return a picture's file as an address that holds all of it."""
    kinds = (kind for begin, kind in SIGNATURES.items() if data.startswith(begin))
    kind = next(kinds, "application/octet-stream")
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def batches(images: Iterable[str], picture: Callable[[str], str]) -> Iterator[list[dict[str, Any]]]:
    """Yield the tasks of the images, so many at a time as one request takes."""
    batch: list[dict[str, Any]] = []
    size = 0
    for image in images:
        task = task_of(image, picture(image))
        length = len(task["data"]["image"])
        if batch and (len(batch) == BATCH_TASKS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += length
    if batch:
        yield batch
