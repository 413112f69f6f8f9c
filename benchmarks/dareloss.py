"""DARELoss elsewhere: a classifier trained with and without it, on any set of pictures with labels.

    python benchmarks/dareloss.py                                # the synthetic set, built here
    python benchmarks/dareloss.py --data FOLDER                  # any Hugging Face image dataset
    python benchmarks/dareloss.py --classifier module:network    # called with the class count

As the paper's Tables 7 and 8 ask whether the loss helps models and sets that are not its own. Each
seed draws weights and batches once for both losses. The interval of the gain is of a bootstrap over
seeds and over groups of the test samples (the column `group`, if there is one); of fewer than three
seeds there is none.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _bars import finish
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from occlufer.build import build
from occlufer.config import BuildConfig, SourceConfig
from occlufer.orsanet.evaluation.intervals import over_trainings
from occlufer.orsanet.losses import DARELoss
from occlufer.progress import progress

SYNTHETIC, SIDE_PX, BATCH = 2_000, 64, 32
TESTS = ("validation", "test")
LOSSES = {"cross-entropy": 0.0, "with DARE": 0.1}
"""{name: the weight of DARE beside cross-entropy}; the paper's is 0.1, Eq. 12."""
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Pictures:
    """The pictures of one split."""

    images: Tensor
    """(N, 3, SIDE_PX, SIDE_PX), about from -1 to 1."""
    labels: Tensor
    """(N,) int64"""
    groups: Ids
    """(N,): what is drawn together in the bootstrap."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", help="a folder of a Hugging Face dataset with image and label")
    parser.add_argument("--classifier", help="module:function that returns a network")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        train, test, classes = read(asked.data or synthetic(Path(folder)))
    make = network_of(asked.classifier)
    told: dict[str, list[Ids]] = {name: [] for name in LOSSES}
    for seed in range(asked.seeds):
        for name, weight in LOSSES.items():
            torch.manual_seed(seed)
            net = make(classes)
            learn(net, train, weight, asked.epochs, seed, f"{name}, seed {seed}")
            told[name].append(predicted(net, test))
    found = figures(told, test)
    found |= {"train": len(train.labels), "test": len(test.labels), "classes": classes}
    if not asked.json:
        for name, row in found["rows"].items():
            shares = ", ".join(f"{100 * share:.1f}" for share in row["by_seed"])
            print(f"{name:14} {100 * row['accuracy']:5.1f}  by seed {shares}")
        gain = found["gain"]
        value, low, high = (100 * gain[name] for name in ("value", "low", "high"))
        span = f"{low:+.1f} to {high:+.1f}" if low == low else "too few seeds or groups to say more"
        print(f"gain {value:+.1f}, {span}")
        return
    plain = {end: None if share != share else share for end, share in found["gain"].items()}
    finish("dareloss", [], {"epochs": asked.epochs, **found, "gain": plain})


# Pictures -----------------------------------------------------------------------------------------


def synthetic(folder: Path) -> str:
    """Build the synthetic set, and return its folder."""
    source = SourceConfig("synthetic", "synthetic", {"count": SYNTHETIC})
    build(BuildConfig((source,), out=folder / "occlu_fer", workspace=folder / "workspace"))
    return str(folder / "occlu_fer")


def read(path: str) -> tuple[Pictures, Pictures, int]:
    """Return the training and the test pictures of a dataset, and its number of classes."""
    from datasets import load_dataset

    dataset = load_dataset(path)
    test = next((name for name in TESTS if name in dataset), None)
    if "train" not in dataset or test is None:
        sys.exit(f"{path}: found the splits {', '.join(dataset)}, expected train and validation")
    columns = dataset["train"].features
    if "image" not in columns or not hasattr(columns.get("label"), "names"):
        sys.exit(f"{path}: found the columns {', '.join(columns)}, expected image and label")
    return (
        pictures(dataset["train"]),
        pictures(dataset[test]),
        len(columns["label"].names),
    )


def pictures(rows: Any) -> Pictures:
    images = [small(row["image"]) for row in progress(rows, len(rows), "pictures")]
    names = rows["group"] if "group" in rows.column_names else range(len(rows))
    _, groups = np.unique(list(names), return_inverse=True)
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    return Pictures(stacked, torch.tensor(list(rows["label"])), groups.astype(np.int64))


def small(image: Image.Image) -> NDArray[np.float32]:
    resized = image.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR)
    return np.asarray(resized, np.float32) / 127.5 - 1


# Networks -----------------------------------------------------------------------------------------


def network_of(name: str | None) -> Callable[[int], nn.Module]:
    """Return what makes a network that gives logits (B, classes) for (B, 3, SIDE_PX, SIDE_PX)."""
    if name is None:
        return plain_network
    module, _, attribute = name.partition(":")
    sys.path.append(str(Path.cwd()))
    made: Callable[[int], nn.Module] = getattr(importlib.import_module(module), attribute)
    return made


def plain_network(classes: int) -> nn.Module:
    """Return four stages of convolutions, the mean of the last, and one linear layer."""
    widths = (3, 32, 64, 96, 128)
    stages: list[nn.Module] = []
    for inside, outside in pairwise(widths):
        convolution = nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False)
        stages += [convolution, nn.BatchNorm2d(outside), nn.ReLU()]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))
    return nn.Sequential(*stages, *head)


def learn(
    net: nn.Module, train: Pictures, weight: float, epochs: int, seed: int, name: str
) -> None:
    """Train by Adam, pictures mirrored at random; the same batches for the same seed."""
    dare = DARELoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    rng = torch.Generator().manual_seed(seed)
    net.train()
    for _ in progress(range(epochs), epochs, name):
        order = torch.randperm(len(train.labels), generator=rng)
        for rows in torch.split(order, BATCH):
            if len(rows) < 2:  # batch norm cannot learn from it
                continue
            flips = torch.rand(len(rows), generator=rng) < 0.5
            images = train.images[rows]
            images = torch.where(flips[:, None, None, None], images.flip(3), images)
            logits, labels = net(images), train.labels[rows]
            loss = F.cross_entropy(logits, labels)
            if weight:
                loss = loss + weight * dare(logits, labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()


@torch.inference_mode()
def predicted(net: nn.Module, test: Pictures) -> Ids:
    net.eval()
    parts = [net(images).argmax(dim=1) for images in torch.split(test.images, BATCH)]
    return np.asarray(torch.cat(parts).numpy(), np.int64)


# Figures ------------------------------------------------------------------------------------------


def figures(told: dict[str, list[Ids]], test: Pictures) -> dict[str, Any]:
    """Return the accuracies by loss and seed, and the gain by DARE with its 95 % interval."""
    labels = test.labels.numpy()
    sizes = np.bincount(test.groups).astype(float)
    right = {
        name: np.stack([np.bincount(test.groups, one == labels) for one in some]).astype(float)
        for name, some in told.items()
    }
    rows = {
        name: {"accuracy": float(sums.sum() / sizes.sum() / len(sums)), "by_seed": shares.tolist()}
        for name, sums in right.items()
        for shares in [sums.sum(axis=1) / sizes.sum()]
    }
    plain, dare = right.values()
    gain = asdict(over_trainings(dare - plain, sizes))
    return {"rows": rows, "gain": gain}


if __name__ == "__main__":
    main()
