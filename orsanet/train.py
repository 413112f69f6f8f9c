"""Training: one loop, read from top to bottom."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from occlufer.errors import OccluferError
from occlufer.progress import progress as bar
from occlufer.schema import LABELS

from .batches import Batch, Deck, Rows, changed, drawn_changes, epoch_rows, plain_batches
from .checkpoint import BEST_NAME, LAST_NAME, Progress, resume, save_checkpoint
from .config import TrainConfig
from .data import Cache, Split
from .losses import DARELoss, LabelSmoothingLoss
from .memory import keep_freed_memory
from .metrics import accuracy, confusion_matrix, macro_f1
from .precision import LossScale, mixed, set_products
from .processes import ALONE, Processes, joined, summed, synced, wait_for_all
from .records import Records, best_epoch, clear, refuse_stopped_run, summary
from .sam import SAM
from .setup import device_of, fresh_model, opened_cache, settled
from .stopping import stop_requests

log = logging.getLogger(__name__)

EVALUATION_BATCH = 64
WARM_WEIGHT, WARM_SMOOTHING = 2.0, 0.2
# Looking at a loss makes the CPU wait for a GPU, so there it is done once in so many steps.
STEPS_UNSEEN = {"cuda": 16, "mps": 16, "cpu": 1}


@dataclass(frozen=True)
class TrainResult:
    """What a finished run leaves."""

    checkpoint: Path
    """Weights of the epoch with the best validation accuracy."""
    metrics: dict[str, Any]
    """The content of metrics.json."""


def baseline_train(config: TrainConfig) -> TrainResult:
    """Train ORSANet and write checkpoints, metrics.jsonl, metrics.json and figures to config.out.

    Without `resume` a finished run in the folder is replaced, a stopped one is refused. Raises
    MissingError for data that are not there, UsageError for a checkpoint that does not fit,
    OccluferError with sample ids if the loss is no longer finite. Asked to stop, it writes its
    state and raises KeyboardInterrupt; `resume` goes on from there, to the same weights. Under
    `torchrun` all processes train one model, each on its share of every batch.
    """
    cuda = device_of(config.device).type == "cuda"
    with joined("nccl" if cuda else "gloo") as processes, stop_requests() as request:
        return _train(settled(config), processes, lambda: request.made)


def make_cache(config: TrainConfig) -> Cache:
    """Return the cache of config.data with its priors, made in config.out if it is not there."""
    return opened_cache(settled(config), device_of(config.device), ALONE)


def _train(config: TrainConfig, processes: Processes, asked: Callable[[], bool]) -> TrainResult:
    device = device_of(config.device, processes.local_rank)
    if config.threads:
        torch.set_num_threads(config.threads)
    set_products(config.precision)
    if device.type == "cpu":
        keep_freed_memory()
    cache = opened_cache(config, device, processes)
    train, validation = (Deck(cache.splits[name], device) for name in ("train", "validation"))
    torch.manual_seed(config.seed)
    model = fresh_model(config).to(device)
    # A third faster on a CPU; torch's types do not know the argument.
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parameters = [p for p in model.parameters() if p.requires_grad]
    adam = torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)
    sam = SAM(adam, config.rho) if config.optimizer == "sam" else None
    scale = LossScale(config.precision)
    last, best = config.out / LAST_NAME, config.out / BEST_NAME
    so_far = Progress()
    if config.resume:
        so_far = resume(last, model, adam, scale.state, config, cache.key)
    elif processes.first:
        refuse_stopped_run(config.out)
        clear(config.out)
    wait_for_all()
    records = Records(config.out, processes.first)
    net = _wrapped(model, config, processes, device)

    def save(path: Path) -> None:
        if processes.first:
            save_checkpoint(path, model, adam, scale.state, so_far, config, cache.key)

    save(last)
    for epoch in range(len(so_far.history), config.epochs):
        started = saved = time.monotonic()
        rate = config.learning_rate * config.decay**epoch
        loss_of = _loss(config, warm=epoch < config.warm_epochs)
        batches = epoch_rows(
            train.split.labels,
            config.batch_size,
            config.balanced,
            np.random.default_rng([config.seed, epoch]),
            processes.count,
        )
        unseen: list[tuple[Rows, Tensor]] = []
        model.train()
        for step in _bar(range(so_far.step, len(batches)), f"epoch {epoch + 1} of {config.epochs}"):
            done = epoch * len(batches) + step + 1
            adam.param_groups[0]["lr"] = rate * min(1, done / max(config.ramp_steps, 1))
            batch = _training_batch(train, batches[step], config, (epoch, step), processes)
            loss = _step(net, parameters, batch, loss_of, adam, sam, scale, config)
            unseen.append((batches[step], loss))
            so_far.step = step + 1
            if so_far.step % STEPS_UNSEEN[device.type] == 0 or so_far.step == len(batches):
                so_far.losses += _finite(unseen, train.split, epoch, processes)
                unseen.clear()
                stops = summed(torch.tensor(float(asked()), device=device)).item() > 0
                if stops or time.monotonic() - saved > 60 * config.checkpoint_minutes:
                    save(last)
                    saved = time.monotonic()
                if stops:
                    raise KeyboardInterrupt
        confusion = evaluate(model, validation, processes)
        so_far.history.append(
            {
                "epoch": epoch + 1,
                "loss": float(np.mean(so_far.losses)),
                "learning_rate": adam.param_groups[0]["lr"],
                "accuracy": accuracy(confusion),
                "macro_f1": macro_f1(confusion),
                "confusion_matrix": confusion.tolist(),
                "seconds": time.monotonic() - started,
            }
        )
        so_far.step, so_far.losses = 0, []
        log.info("epoch %(epoch)d: loss %(loss).3f, accuracy %(accuracy).3f", so_far.history[-1])
        # The best first: a run killed between the two does this epoch again and writes both.
        if best_epoch(so_far.history) is so_far.history[-1]:
            save(best)
        save(last)
        records.write_epoch(so_far.history)

    metrics = summary(config, cache, so_far.history, device, model)
    records.write_end(so_far.history, metrics)
    return TrainResult(best, metrics)


def evaluate(model: nn.Module, deck: Deck, processes: Processes = ALONE) -> NDArray[np.int64]:
    """Return the confusion matrix of a model on every sample of a split."""
    model.eval()
    labels = np.asarray(deck.split.labels)
    rows = processes.share(np.arange(len(labels)))
    predicted = []
    with torch.inference_mode():
        for batch in plain_batches(deck, rows, EVALUATION_BATCH):
            predicted.append(model(batch.images, batch.priors).argmax(dim=1).cpu().numpy())
    counts = confusion_matrix(labels[rows], np.concatenate(predicted), len(LABELS))
    return np.asarray(summed(torch.from_numpy(counts).to(deck.device)).cpu().numpy(), np.int64)


def _wrapped(
    model: nn.Module, config: TrainConfig, processes: Processes, device: torch.device
) -> nn.Module:
    """Return what runs the model: itself, compiled, or one of several processes."""
    net = model
    if processes.count > 1:
        devices = [device.index] if device.type == "cuda" else None
        net = DistributedDataParallel(synced(model), device_ids=devices)
    if config.compile:
        net = torch.compile(net)  # type: ignore[assignment]
    return net


def _training_batch(
    deck: Deck,
    rows: Rows,
    config: TrainConfig,
    place: tuple[int, int],
    processes: Processes,
) -> Batch:
    """Return this process's share of a batch; all that is random depends on seed and place alone.

    Stochastic depth draws from torch's own numbers, which are set here too.
    """
    rng = np.random.default_rng([config.seed, *place, 1])
    torch.manual_seed(int(rng.integers(1 << 62)))
    size = config.image_size_px
    changes = drawn_changes(len(rows), size, config.erase_probability, config.jitter, rng)
    part = slice(processes.rank, None, processes.count)
    changes = changes.share(part)
    batch = changed(deck.take(rows[part], changes.flips), changes, config.jitter)
    return replace(batch, priors=None) if config.frozen == "in_loop" else batch


def _step(
    net: nn.Module,
    parameters: list[nn.Parameter],
    batch: Batch,
    loss_of: Callable[[Tensor, Batch], Tensor],
    adam: torch.optim.Optimizer,
    sam: SAM | None,
    scale: LossScale,
    config: TrainConfig,
) -> Tensor:
    """Move the parameters by one step and return the loss before it, on the device.

    A step whose half-precision gradients overflow is left out.
    """

    def backward() -> tuple[Tensor, bool]:
        with mixed(config.precision, batch.images.device):
            logits = net(batch.images, batch.priors)
        loss = loss_of(logits.to(torch.get_default_dtype()), batch)
        torch.autograd.backward(scale.up(loss))
        return loss.detach(), scale.down(parameters)

    loss, finite = backward()
    if not finite:
        adam.zero_grad()
    elif sam is None:
        adam.step()
        adam.zero_grad()
    else:
        sam.climb()
        _, finite = backward()
        (sam.step if finite else sam.give_up)()
    return loss


def _loss(config: TrainConfig, warm: bool) -> Callable[[Tensor, Batch], Tensor]:
    """Return cross-entropy plus DARE, or plus label smoothing in the first epochs."""
    extra: Callable[[Tensor, Tensor], Tensor]
    if warm:
        extra, weight = LabelSmoothingLoss(WARM_SMOOTHING), WARM_WEIGHT
    else:
        extra, weight = DARELoss(config.dare_form), config.dare_weight

    def loss_of(logits: Tensor, batch: Batch) -> Tensor:
        target = batch.soft_labels if config.soft_labels else batch.labels
        loss: Tensor = F.cross_entropy(logits, target) + weight * extra(logits, batch.labels)
        return loss

    return loss_of


def _finite(
    unseen: list[tuple[Rows, Tensor]], split: Split, epoch: int, processes: Processes
) -> list[float]:
    """Return the losses as numbers; OccluferError with the samples of a batch if one is none."""
    losses = summed(torch.stack([loss for _, loss in unseen])) / processes.count
    for (rows, _), value in zip(unseen, losses.tolist(), strict=True):
        if not math.isfinite(value):
            ids = ", ".join(split.ids[rows])
            raise OccluferError(
                f"epoch {epoch + 1}: found loss {value}, expected a number; samples {ids}"
            )
    found: list[float] = losses.tolist()
    return found


def _bar(steps: range, what: str) -> Iterable[int]:
    # A machine with torch and numpy alone has no tqdm.
    return bar(steps, len(steps), what) if find_spec("tqdm") else steps
