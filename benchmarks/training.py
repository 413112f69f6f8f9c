"""Training: one step and one validation, priors cached against the released way; whole GPU epochs.

The peer is the released way: the frozen networks run in both passes of every step, in training
mode. Ours is what baseline-train does: priors given, channels last, the fused Adam, memory kept.
Weights are random, for the cost does not depend on them. On a GPU the released way also reads its
pictures from files by two workers, in float32, and whole epochs are compared.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from _bars import Bar, at_least, finish
from _timing import spreads, timed
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from occlufer.orsanet import SAM, DARELoss, Priors, build_orsanet
from occlufer.orsanet.memory import keep_freed_memory
from occlufer.orsanet.model import ORSANet
from occlufer.orsanet.precision import mixed, set_products

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
REPEATS = 10 if CUDA else 3
# The released recipe's batch, and Occlu-FER's training split.
BATCH, EPOCH_SAMPLES = 20, 6838
VIEW_PX = 224


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
        return [*bars, at_least("epoch: the released way to ours", found["epoch"]["ratio"], 5.0)]
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
    """Return the seconds of an epoch of 6 838 images in batches of 20, both ways."""
    with tempfile.TemporaryDirectory() as folder:
        paths = written_pictures(Path(folder), EPOCH_SAMPLES)
        released = timed(lambda: released_epoch(paths))
    ours = timed(resident_epoch)
    return {
        "released_s": released.wall_s,
        "ours_s": ours.wall_s,
        "released_loss": released.result,
        "ours_loss": ours.result,
        "ratio": released.wall_s / ours.wall_s,
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


def resident_epoch() -> float:
    """Return the mean loss of an epoch our way: pictures and priors on the GPU, bfloat16."""
    set_products("bfloat16")
    torch.manual_seed(0)
    model = build_orsanet(8, "large", frozen_nets=False).to(DEVICE)
    model.to(memory_format=torch.channels_last).train()
    sam = SAM(torch.optim.Adam(model.parameters(), lr=4e-6, fused=True))
    shape = (EPOCH_SAMPLES, VIEW_PX, VIEW_PX, 3)
    pictures = torch.randint(0, 256, shape, dtype=torch.uint8, device=DEVICE)
    kept = [
        torch.randn(EPOCH_SAMPLES, 2, channels, 7, 7, dtype=torch.float16, device=DEVICE)
        for channels in (512, 1024)
    ]
    losses = []
    for rows in torch.split(torch.randperm(EPOCH_SAMPLES, device=DEVICE), BATCH):
        images = (pictures[rows].permute(0, 3, 1, 2).float() / 255 - 0.45) / 0.225
        flips = torch.randint(0, 2, (len(rows),), device=DEVICE)
        images = torch.where(flips[:, None, None, None] > 0, images.flip(3), images)
        priors = Priors(*(prior[rows, flips].float() for prior in kept))
        with mixed("bfloat16", DEVICE):
            losses.append(one_step(model, sam, images, priors, rows % 8))
    return float(torch.stack(losses).mean())


if __name__ == "__main__":
    main()
