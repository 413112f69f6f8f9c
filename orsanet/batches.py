"""Batches: which samples an epoch takes, and what is done to their pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .data import Split
from .model import Priors
from .priors import mirror_part_maps, mirror_point_maps

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Random erasing as in the released recipe: share of the picture, and its width over its height.
ERASED_AREA = (0.02, 0.1)
ERASED_ASPECT = (0.3, 3.3)

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """A batch on the device of the model."""

    rows: Rows
    """(B,), which samples of the split."""
    images: Tensor
    """(B, 3, S, S), normalised by ImageNet's mean and deviation."""
    priors: Priors
    labels: Tensor
    """(B,) int64."""


def epoch_rows(
    labels: NDArray[np.int64], batch_size: int, balanced: bool, rng: np.random.Generator
) -> list[Rows]:
    """Return the rows of every batch of an epoch, as many in all as there are samples.

    Balanced draws with replacement, every class that occurs equally likely; else each sample comes
    once. A last batch of one sample is dropped: batch norm cannot learn from it.
    """
    if balanced:
        weights = 1 / np.bincount(labels)[labels]
        rows = rng.choice(len(labels), size=len(labels), p=weights / weights.sum())
    else:
        rows = rng.permutation(len(labels))
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [batch for batch in batches if len(batch) > 1 or batch_size == 1]


def training_batch(
    split: Split,
    rows: Rows,
    erase_probability: float,
    rng: np.random.Generator,
    device: torch.device,
) -> Batch:
    """Return a batch, each face mirrored with probability 1/2 and its picture erased in places.

    Mirroring takes the priors along. Erasing leaves them whole: they tell what the whole face was.
    """
    images, parts, points = _arrays(split, rows)
    flips = rng.random(len(rows)) < 0.5
    images[flips] = images[flips, :, ::-1]
    parts[flips] = mirror_part_maps(parts[flips])
    points[flips] = mirror_point_maps(points[flips])
    batch = _batch(split, rows, images, parts, points, device)
    erase(batch.images, erase_probability, rng)
    return batch


def plain_batches(split: Split, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Yield every sample once, in order and unchanged."""
    for start in range(0, len(split.labels), batch_size):
        rows = np.arange(start, min(start + batch_size, len(split.labels)))
        yield _batch(split, rows, *_arrays(split, rows), device)


def erase(images: Tensor, probability: float, rng: np.random.Generator) -> None:
    """Set a random rectangle of some normalised images (B, 3, H, W) to zero, in place."""
    H, W = images.shape[-2:]
    for image in images:
        if rng.random() >= probability:
            continue
        area = rng.uniform(*ERASED_AREA) * H * W
        aspect = np.exp(rng.uniform(*np.log(ERASED_ASPECT)))
        height = min(H, max(1, round(np.sqrt(area / aspect))))
        width = min(W, max(1, round(np.sqrt(area * aspect))))
        top, left = rng.integers(H - height + 1), rng.integers(W - width + 1)
        image[:, top : top + height, left : left + width] = 0


def jitter(images: Tensor, rng: np.random.Generator) -> None:
    """Move, tint and fade normalised images (B, 3, H, W), each for itself, in place.

    They move by at most 4 % of the side, about as far as landmarks err, so the priors stay where
    they are; what leaves one edge comes in at the other. A third of them turns grey.
    """
    reach = max(1, round(images.shape[-1] * 0.04))
    for image in images:
        down, right = (int(v) for v in rng.integers(-reach, reach + 1, 2))
        moved = torch.roll(image, (down, right), (1, 2))
        if rng.random() < 1 / 3:
            moved = moved.mean(dim=0, keepdim=True).expand_as(image)
        tint = torch.tensor(rng.normal(0, 0.25, (3, 1, 1)), dtype=image.dtype, device=image.device)
        image.copy_(moved * float(np.exp(rng.normal(0, 0.25))) + tint)


def _arrays(
    split: Split, rows: Rows
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Return copies of the pictures, part maps and point maps of some rows."""
    return (
        np.array(split.images[rows]),
        split.part_maps[rows].astype(np.float32),
        split.point_maps[rows].astype(np.float32),
    )


def _batch(
    split: Split,
    rows: Rows,
    images: NDArray[np.uint8],
    parts: NDArray[np.float32],
    points: NDArray[np.float32],
    device: torch.device,
) -> Batch:
    mean = torch.tensor(IMAGENET_MEAN, device=device).view(3, 1, 1)
    std = torch.tensor(IMAGENET_STD, device=device).view(3, 1, 1)
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
    return Batch(
        rows=rows,
        images=((pixels - mean) / std).contiguous(memory_format=torch.channels_last),
        priors=Priors(
            landmark_features=torch.from_numpy(points).to(device),
            semantic=torch.from_numpy(parts).to(device),
        ),
        labels=torch.from_numpy(np.array(split.labels[rows])).to(device),
    )
