"""Training the parser: the loop, its checkpoints, and the pictures it learns from."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from occlufer.errors import UsageError
from occlufer.face_parser import MAP_PX
from occlufer.replacing import replaced

from ..regions import region_weights
from .composite import Composite, compose, donor_of
from .loss import parser_loss, share_loss
from .network import ParserNet
from .pasted import Donor, Palette, Picture
from .teacher import TaughtFace

log = logging.getLogger(__name__)

LOG_NAME = "log.jsonl"
# What is made small, in the order in which it is logged.
LOSSES = ("parts", "landmarks", "shares")


@dataclass(frozen=True)
class ParserTraining:
    """What a training run depends on."""

    data: Path
    """The folder of the teacher's faces and the mask templates, see teacher and pasted."""
    out: Path
    """Where checkpoint and log go."""
    steps: int = 7000
    batch: int = 16
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.02
    warm_up: int = 300
    """Steps in which the learning rate rises; then it falls as a half cosine."""
    average: float = 0.998
    """How slowly the averaged weights, which are the ones shipped, follow the trained ones."""
    seed: int = 0
    workers: int = 1
    device: str = "cpu"
    bfloat16: bool = True
    """Whether convolutions are in bfloat16: half the time on a GPU, and on newer processors."""
    checkpoint_every: int = 100


class Composites(Dataset[tuple[Any, ...]]):
    """Composite number k of a run: the same for the same seed, whoever makes it and when."""

    def __init__(
        self,
        faces: list[TaughtFace],
        templates: tuple[Picture, ...],
        first: int,
        count: int,
        seed: int,
    ):
        self.faces, self.first, self.count, self.seed = faces, first, count, seed
        self.palette = Palette(templates, self._donor)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        number = self.first + index
        rng = np.random.default_rng([self.seed, number])
        # Every face once in each epoch, each epoch in another order.
        epoch, place = divmod(number, len(self.faces))
        order = np.random.default_rng([self.seed, 1 << 40, epoch]).permutation(len(self.faces))
        made = compose(self.faces, self.palette, int(order[place]), rng)
        return _arrays(made)

    def _donor(self, rng: np.random.Generator) -> Donor:
        return donor_of(self.faces[int(rng.integers(len(self.faces)))], rng)


def _arrays(made: Composite) -> tuple[Any, ...]:
    regions = np.round(255 * region_weights(made.landmarks68, MAP_PX)).astype(np.uint8)
    return made.image_rgb.transpose(2, 0, 1), made.classes, made.landmarks68, regions


def train_parser(
    run: ParserTraining,
    faces: list[TaughtFace],
    templates: tuple[Picture, ...],
    at_step: Callable[[int], None] = lambda step: None,
) -> ParserNet:
    """Train, going on from the checkpoint in `run.out` if there is one; return averaged weights.

    `faces` and mask `templates` are those to train on, see read_faces and read_templates; `at_step`
    is called before each step with its number.
    """
    torch.manual_seed(run.seed)
    device = torch.device(run.device)
    net = ParserNet().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    shipped = ParserNet().to(device)
    shipped.load_state_dict(net.state_dict())
    optimizer = torch.optim.AdamW(
        net.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay
    )
    run.out.mkdir(parents=True, exist_ok=True)
    path = run.out / "checkpoint.pt"
    step = _restore(path, run, net, shipped, optimizer) if path.exists() else 0
    started, seen, sums = time.monotonic(), 0, np.zeros(len(LOSSES))
    for images, *truth in _batches(run, faces, templates, step):
        at_step(step)
        for group in optimizer.param_groups:
            group["lr"] = run.learning_rate * _schedule(step, run)
        losses = _losses(net, run, images, *truth)
        loss = losses.sum()
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"step {step}: the loss is {loss.item()}")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        _follow(shipped, net, min(run.average, (1 + step) / (10 + step)))
        step += 1
        seen += 1
        sums += losses.detach().cpu().numpy()
        if step % run.checkpoint_every == 0 or step == run.steps:
            _save(path, run, net, shipped, optimizer, step)
            _tell(run, step, sums / seen, (time.monotonic() - started) / seen)
            started, seen, sums = time.monotonic(), 0, np.zeros(len(LOSSES))
    return shipped


def _losses(
    net: ParserNet,
    run: ParserTraining,
    images: Tensor,
    classes: Tensor,
    landmarks: Tensor,
    regions: Tensor,
) -> Tensor:
    """Return the losses of LOSSES, (3,), of a batch."""
    device = torch.device(run.device)
    x = images.to(device, memory_format=torch.channels_last).float() / 255
    with torch.autocast(device.type, torch.bfloat16, enabled=run.bfloat16):
        logits, points = net(x)
    logits, classes = logits.float(), classes.long().to(device)
    parts, places = parser_loss(logits, points.float(), classes, landmarks.to(device))
    shares = share_loss(logits, classes, regions.to(device) / 255)
    return torch.stack([parts, places, shares])


def _tell(run: ParserTraining, step: int, means: NDArray[np.float64], seconds: float) -> None:
    """Log the mean losses since the last checkpoint."""
    row = {
        "step": step,
        **{name: round(float(mean), 4) for name, mean in zip(LOSSES, means, strict=True)},
        "seconds_per_step": round(seconds, 3),
    }
    with (run.out / LOG_NAME).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    log.info("%s", row)


def _batches(
    run: ParserTraining, faces: list[TaughtFace], templates: tuple[Picture, ...], step: int
) -> Iterator[list[Tensor]]:
    first, last = step * run.batch, run.steps * run.batch
    composites = Composites(faces, templates, first, last - first, run.seed)
    yield from DataLoader(
        composites, run.batch, num_workers=run.workers, worker_init_fn=_single_thread
    )


def _single_thread(worker: int) -> None:
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _schedule(step: int, run: ParserTraining) -> float:
    """Return the share of the learning rate at a step, in [0, 1]."""
    if step < run.warm_up:
        return (step + 1) / run.warm_up
    done = (step - run.warm_up) / max(run.steps - run.warm_up, 1)
    return 0.5 + 0.5 * math.cos(math.pi * min(done, 1.0))


@torch.no_grad()
def _follow(shipped: ParserNet, net: ParserNet, keep: float) -> None:
    pairs = zip(shipped.state_dict().values(), net.state_dict().values(), strict=True)
    for average, value in pairs:
        if average.dtype.is_floating_point:
            average.lerp_(value.to(average.dtype), 1 - keep)
        else:
            average.copy_(value)


def decides(run: ParserTraining) -> dict[str, Any]:
    """Return the settings on which the weights depend: a run that goes on must have the same."""
    elsewhere = {"data", "out", "workers", "device", "checkpoint_every"}
    return {name: value for name, value in vars(run).items() if name not in elsewhere}


def _save(
    path: Path,
    run: ParserTraining,
    net: ParserNet,
    shipped: ParserNet,
    optimizer: torch.optim.Optimizer,
    step: int,
) -> None:
    state = {
        "step": step,
        "run": decides(run),
        "net": net.state_dict(),
        "shipped": shipped.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with replaced(path) as part:
        torch.save(state, part)


def _restore(
    path: Path,
    run: ParserTraining,
    net: ParserNet,
    shipped: ParserNet,
    optimizer: torch.optim.Optimizer,
) -> int:
    state = torch.load(path, weights_only=True, map_location="cpu")
    if state["run"] != decides(run):
        raise UsageError(
            f"{path}: found a run with {state['run']}, expected {decides(run)}; "
            "go on with its settings, or take another --out"
        )
    net.load_state_dict(state["net"])
    shipped.load_state_dict(state["shipped"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])
