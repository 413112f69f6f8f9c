"""Training: one step and one validation, priors cached against the released way; whole GPU epochs.

The peer is the released way: the frozen networks run in both passes of every step, in training
mode. Ours is what baseline-train does: priors given, channels last, the fused Adam, memory kept.
Weights are random, for the cost does not depend on them. On a GPU the released way also reads its
pictures from files by two workers, in float32, and whole epochs are compared.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _bars import Bar, at_least, at_most, finish
from _timing import spreads, timed
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from occlufer.orsanet import SAM, DARELoss, Priors, build_orsanet
from occlufer.orsanet.config import config_from_preset
from occlufer.orsanet.data import CACHE_NAME, VERSION
from occlufer.orsanet.memory import keep_freed_memory
from occlufer.orsanet.model import VIEW_PX, ORSANet
from occlufer.orsanet.precision import set_products
from occlufer.orsanet.train import baseline_train
from occlufer.schema import LABELS

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
REPEATS = 10 if CUDA else 3
# The released recipe's batch, and Occlu-FER's training split.
BATCH, EPOCH_SAMPLES = 20, 6838
# How far the mean losses of an epoch of noise lie apart from seed to seed.
LOSS_NOISE = 0.05


def main() -> None:
    torch.manual_seed(0)
    model = build_orsanet(8, "large", "features").to(DEVICE)
    images = torch.randn(BATCH, 3, VIEW_PX, VIEW_PX, device=DEVICE)
    priors = model.priors(images)
    labels = torch.arange(BATCH, device=DEVICE) % 8
    found = {
        "device": torch.cuda.get_device_name() if CUDA else "cpu",
        "batch": BATCH,
        "flops": flops(model, images, priors, labels),
        "validation": validation(model, images, priors),
        "step": steps(model, images, priors, labels),
    }
    if CUDA:
        del model
        found["epoch"] = epochs()
    finish("training", bars_of(found), found)


def bars_of(found: dict[str, Any]) -> list[Bar]:
    """Return every bar of the issue that this device can show."""
    bars = [
        at_least("step: FLOPs of the released way to ours", found["flops"]["ratio"], 1.74),
        at_least(
            "validation: time without cached priors to with", found["validation"]["ratio"], 2.5
        ),
    ]
    if CUDA:
        epoch = found["epoch"]
        return [
            *bars,
            at_least("epoch: time of the released way to ours", epoch["ratio"], 5.0),
            at_most("epoch: difference of the losses", epoch["loss_difference"], LOSS_NOISE),
        ]
    return [*bars, at_least("step: time of the released way to ours", found["step"]["ratio"], 1.8)]


def one_step(
    model: ORSANet, sam: SAM, images: Tensor, priors: Priors | None, labels: Tensor
) -> Tensor:
    """Do one step of the released recipe and return its loss; without priors, its way."""
    dare = DARELoss()
    for advance in (sam.climb, sam.step):
        logits = model(images, priors)
        loss: Tensor = F.cross_entropy(logits, labels) + 0.1 * dare(logits, labels)
        torch.autograd.backward(loss)
        advance()
    return loss.detach()


def flops(model: ORSANet, images: Tensor, priors: Priors, labels: Tensor) -> dict[str, float]:
    """Return the FLOPs (2 x multiply-add) of a step, both ways, and their ratio."""
    sam = SAM(torch.optim.SGD(model.parameters(), lr=0.0))
    counted = {}
    for name, given in (("released", None), ("cached", priors)):
        with FlopCounterMode(display=False) as counter:
            one_step(model, sam, images, given, labels)
        counted[name] = counter.get_total_flops() / len(images) / 1e9
    return counted | {"ratio": counted["released"] / counted["cached"]}


def steps(model: ORSANet, images: Tensor, priors: Priors, labels: Tensor) -> dict[str, Any]:
    """Return the seconds of a step, both ways, and their ratio."""
    model.frozen_nets_train = True
    model.train()
    sam = SAM(torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=4e-6))
    ours = build_orsanet(8, "large", "features", frozen_nets=False).to(DEVICE)
    ours.to(memory_format=torch.channels_last).train()
    our_sam = SAM(torch.optim.Adam(ours.parameters(), lr=4e-6, fused=True))
    our_images = images.contiguous(memory_format=torch.channels_last)

    def released() -> Tensor:
        keep_freed_memory(False)
        return one_step(model, sam, images, None, labels)

    def cached() -> Tensor:
        keep_freed_memory()
        return one_step(ours, our_sam, our_images, priors, labels)

    return compared(released=released, cached=cached)


@torch.no_grad()
def validation(model: ORSANet, images: Tensor, priors: Priors) -> dict[str, Any]:
    """Return the seconds of a validation batch, both ways, and their ratio."""
    model.eval()
    return compared(released=lambda: model(images), cached=lambda: model(images, priors))


def compared(**calls: Callable[[], Tensor]) -> dict[str, Any]:
    """Return the seconds of each call, turn about, and the ratio of the first to the second.

    Each is called twice, and the second call timed: in a loop, one step follows another like it.
    """
    runs: dict[str, list[Any]] = {name: [] for name in calls}
    for _ in range(REPEATS):
        for name, call in calls.items():
            finished(call)
            runs[name].append(timed(lambda call=call: finished(call)))  # type: ignore[misc]
    seconds = {n: statistics.median(run.wall_s for run in found) for n, found in runs.items()}
    first, second = seconds.values()
    spread = {name: spreads(found) for name, found in runs.items()}
    return {"seconds": seconds, "ratio": first / second, "spread": spread}


def finished(call: Callable[[], Tensor]) -> float:
    """Return what a call gives, once the device has done it."""
    return float(call().sum())


# whole epochs on a GPU ---------------------------------------------------------------------------


def epochs() -> dict[str, Any]:
    """Return the seconds of an epoch of the same pictures, both ways, and the losses."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = written_pictures(folder, EPOCH_SAMPLES)
        cache = written_cache(folder / "cache", paths)
        released = timed(lambda: released_epoch(paths))
        ours = our_epoch(cache, folder / "run")
    return {
        "released_s": released.wall_s,
        "ours_s": ours["seconds"],
        "released_loss": released.result,
        "ours_loss": ours["loss"],
        "ratio": released.wall_s / ours["seconds"],
        "loss_difference": abs(released.result - ours["loss"]),
    }


def written_pictures(folder: Path, count: int) -> list[Path]:
    """Return JPEG pictures of noise, 256 x 256."""
    from PIL import Image

    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        small = rng.integers(0, 256, (16, 16, 3), np.uint8)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(small).resize((256, 256)).save(paths[-1], quality=90)
    return paths


def written_cache(folder: Path, paths: list[Path]) -> Path:
    """Return the cache of these pictures, a few of them to validate; their priors are noise."""
    from PIL import Image

    folder.mkdir()
    rng = np.random.default_rng(0)
    for split, some in (("train", paths), ("validation", paths[:BATCH])):
        opened = (Image.open(path).convert("RGB").resize((VIEW_PX, VIEW_PX)) for path in some)
        labels = np.arange(len(some)) % len(LABELS)
        arrays = {
            "images": np.stack([np.asarray(image) for image in opened]),
            "labels": labels,
            "soft_labels": np.eye(len(LABELS), dtype=np.float32)[labels],
            "landmarks": np.full((len(some), 68, 2), 0.5, np.float32),
            "semantic": rng.random((len(some), 2, 1024, 7, 7), np.float32).astype(np.float16),
            "landmark_features": rng.random((len(some), 2, 512, 7, 7), np.float32).astype(
                np.float16
            ),
            "ids": np.array([path.name for path in some]),
        }
        for name, array in arrays.items():
            np.save(folder / f"{split}_{name}.npy", array)
    priors = {"semantic": "noise", "landmark_features": "noise"}
    facts = {"version": VERSION, "key": "noise", "image_size_px": VIEW_PX, "priors": priors}
    (folder / CACHE_NAME).write_text(json.dumps(facts), encoding="utf-8")
    return folder


def our_epoch(cache: Path, run: Path) -> dict[str, Any]:
    """Return what baseline-train says of its first epoch, and the seconds of its second.

    The first also lets the GPU choose its kernels.
    """
    changes = {"epochs": 2, "warm_epochs": 0, "batch_size": BATCH, "precision": "bfloat16"}
    baseline_train(config_from_preset("released", cache, run, **changes))
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    first, second = (json.loads(line) for line in lines)
    return {"loss": first["loss"], "seconds": second["seconds"]}


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Pictures read, resized and normalised one by one, as the released loader does."""

    def __init__(self, paths: list[Path]) -> None:
        """Take the paths up."""
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        from PIL import Image

        image = Image.open(self.paths[index]).convert("RGB").resize((VIEW_PX, VIEW_PX))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return (pixels - 0.45) / 0.225, index % 8


def released_epoch(paths: list[Path]) -> float:
    """Return the mean loss of an epoch the released way: files, two workers, float32, both nets."""
    set_products("float32")
    torch.manual_seed(0)
    model = build_orsanet(8, "large", "features").to(DEVICE)
    model.frozen_nets_train = True
    model.train()
    sam = SAM(torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=4e-6))
    loader = torch.utils.data.DataLoader(Pictures(paths), BATCH, shuffle=True, num_workers=2)
    losses = [
        one_step(model, sam, images.to(DEVICE), None, labels.to(DEVICE))
        for images, labels in loader
    ]
    return float(torch.stack(losses).mean())


if __name__ == "__main__":
    main()
