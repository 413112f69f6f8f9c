"""Batches: which samples an epoch takes, and what is done to their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .data import Split
from .imagenet import by_imagenet
from .model import Priors

# Random erasing as in the released recipe: share of the picture, and its width over its height.
ERASED_AREA = (0.02, 0.1)
ERASED_ASPECT = (0.3, 3.3)
# A split that takes at most this share of a GPU's free memory lives there.
RESIDENT_SHARE = 0.5

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """A batch on the device of the model."""

    images: Tensor
    """(B, 3, S, S), normalised by ImageNet's mean and deviation."""
    priors: Priors | None
    """None: the model computes them."""
    labels: Tensor
    """(B,) int64."""
    soft_labels: Tensor
    """(B, 8), the probability of each class."""


class Deck:
    """A split whose samples can be taken by number, on the GPU as a whole if it fits."""

    def __init__(self, split: Split, device: torch.device) -> None:
        """Take up a split; on a CPU its arrays stay mapped."""
        self.split, self.device = split, device
        self.arrays = (
            split.images,
            split.semantic,
            split.landmark_features,
            split.labels,
            split.soft_labels,
        )
        self.resident: list[Tensor] | None = None
        if device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(device)
            if sum(array.nbytes for array in self.arrays) < RESIDENT_SHARE * free:
                self.resident = [torch.from_numpy(np.array(a)).to(device) for a in self.arrays]

    def take(self, rows: Rows, flips: NDArray[np.bool_]) -> Batch:
        """Return some samples, those of `flips` (B,) mirrored, and their priors with them."""
        images, semantic, landmark, labels, soft_labels = self._taken(rows)
        flipped = torch.from_numpy(flips).to(self.device)
        images = torch.where(flipped[:, None, None, None], images.flip(2), images)
        ways = torch.arange(len(rows), device=self.device), flipped.long()
        kind = torch.get_default_dtype()
        return Batch(
            images=_normalised(images),
            priors=Priors(landmark[ways].to(kind), semantic[ways].to(kind)),
            labels=labels,
            soft_labels=soft_labels.to(kind),
        )

    def _taken(self, rows: Rows) -> list[Tensor]:
        if self.resident is not None:
            index = torch.from_numpy(rows).to(self.device)
            return [tensor[index] for tensor in self.resident]
        return [torch.from_numpy(array[rows]).to(self.device) for array in self.arrays]


def epoch_rows(
    labels: NDArray[np.int64],
    batch_size: int,
    balanced: bool,
    rng: np.random.Generator,
    processes: int = 1,
) -> list[Rows]:
    """Return the rows of every batch of an epoch, as many in all as there are samples.

    Balanced draws with replacement, every class that occurs equally likely; else each sample comes
    once. A last batch of one sample is dropped: batch norm cannot learn from it. Several processes
    share each batch equally, so its size is a multiple of theirs; what is over of the last one is
    dropped.
    """
    if balanced:
        weights = 1 / np.bincount(labels)[labels]
        rows = rng.choice(len(labels), size=len(labels), p=weights / weights.sum())
    else:
        rows = rng.permutation(len(labels))
    starts = range(0, len(rows), batch_size)
    batches = [rows[start : start + batch_size] for start in starts]
    batches = [batch[: len(batch) // processes * processes] for batch in batches]
    return [batch for batch in batches if len(batch) > 1 or batch_size == 1]


def plain_batches(deck: Deck, rows: Rows, batch_size: int) -> Iterator[Batch]:
    """Yield these samples in order and unchanged."""
    for start in range(0, len(rows), batch_size):
        some = rows[start : start + batch_size]
        yield deck.take(some, np.zeros(len(some), np.bool_))


@dataclass(frozen=True)
class Changes:
    """What is done to the pictures of a whole batch; drawn on the CPU, the same on any device."""

    flips: NDArray[np.bool_]
    """(B,)"""
    erased: NDArray[np.int64]
    """(B, 4): top, left, height and width of what is erased, in pixels; 0 high for nothing."""
    shifts: NDArray[np.int64]
    """(B, 2): how far the picture moves down and right, in pixels."""
    tones: NDArray[np.float32]
    """(B, 5): gain, then what is added to each channel, then 1 to turn grey."""

    def share(self, part: slice) -> Changes:
        """Return the changes of a part of the batch."""
        return Changes(*(array[part] for array in vars(self).values()))


def drawn_changes(
    count: int, side_px: int, erase_probability: float, jitters: bool, rng: np.random.Generator
) -> Changes:
    """Return changes for `count` pictures: mirrored with probability 1/2, erased in places.

    With `jitters` they move by at most 4 % of the side, about as far as landmarks err, so the
    priors stay where they are, change their tone, and a third of them turns grey.
    """
    flips = rng.random(count) < 0.5
    area = rng.uniform(*ERASED_AREA, count) * side_px**2
    narrow, wide = np.log(ERASED_ASPECT).tolist()
    aspect = np.exp(rng.uniform(narrow, wide, count))
    height = np.clip(np.round(np.sqrt(area / aspect)), 1, side_px)
    width = np.clip(np.round(np.sqrt(area * aspect)), 1, side_px)
    top = np.floor(rng.random(count) * (side_px - height + 1))
    left = np.floor(rng.random(count) * (side_px - width + 1))
    height = np.where(rng.random(count) < erase_probability, height, 0)
    reach = max(1, round(side_px * 0.04)) if jitters else 0
    shifts = rng.integers(-reach, reach + 1, (count, 2))
    tones = np.tile(np.array([1, 0, 0, 0, 0], np.float32), (count, 1))
    if jitters:
        tones[:, 0] = np.exp(rng.normal(0, 0.25, count))
        tones[:, 1:4] = rng.normal(0, 0.25, (count, 3))
        tones[:, 4] = rng.random(count) < 1 / 3
    erased = np.stack([top, left, height, width], axis=1).astype(np.int64)
    return Changes(flips, erased, shifts, tones)


def changed(batch: Batch, changes: Changes, jitters: bool) -> Batch:
    """Return a batch, taken with the flips of `changes`, with the rest of them done too.

    The priors stay whole: they tell what the whole face was.
    """
    images = _jittered(batch.images, changes) if jitters else batch.images
    erased = _erased(images, torch.from_numpy(changes.erased).to(images.device))
    images = erased.contiguous(memory_format=torch.channels_last)
    return replace(batch, images=images)


def _erased(images: Tensor, boxes: Tensor) -> Tensor:
    """Return images (B, 3, H, W) with a box of each (B, 4) set to zero, their mean colour."""
    H, W = images.shape[-2:]
    top, left, height, width = boxes.T[..., None]
    rows, columns = (torch.arange(side, device=images.device)[None] for side in (H, W))
    down = (rows >= top) & (rows < top + height)
    across = (columns >= left) & (columns < left + width)
    return images.masked_fill((down[:, :, None] & across[:, None, :])[:, None], 0)


def _jittered(images: Tensor, changes: Changes) -> Tensor:
    """Return images moved, toned and turned grey; what leaves one edge comes in at the other."""
    B, _, H, W = images.shape
    device = images.device
    down, right = torch.from_numpy(changes.shifts).to(device).T[..., None]
    rows = (torch.arange(H, device=device) - down) % H
    columns = (torch.arange(W, device=device) - right) % W
    sample = torch.arange(B, device=device)[:, None, None]
    moved = images.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]]
    moved = moved.permute(0, 3, 1, 2)
    tones = torch.from_numpy(changes.tones).to(device)
    grey = moved.mean(dim=1, keepdim=True).expand_as(moved)
    moved = torch.where(tones[:, 4, None, None, None] > 0, grey, moved)
    return moved * tones[:, 0, None, None, None] + tones[:, 1:4, None, None]


def _normalised(images: Tensor) -> Tensor:
    """Return uint8 pictures (B, S, S, 3) as the model takes them, (B, 3, S, S)."""
    pixels = images.permute(0, 3, 1, 2).to(torch.get_default_dtype()) / 255
    return by_imagenet(pixels).contiguous(memory_format=torch.channels_last)
