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

from occlufer.errors import OccluferError, UsageError
from occlufer.progress import progress as bar
from occlufer.schema import LABELS

from .batches import Batch, Deck, Rows, changed, drawn_changes, epoch_rows, plain_batches
from .checkpoint import BEST_NAME, LAST_NAME, Progress, resume, save_checkpoint
from .config import TrainConfig
from .data import CACHE_NAME, Cache
from .losses import DARELoss, LabelSmoothingLoss
from .memory import keep_freed_memory
from .metrics import accuracy, confusion_matrix, macro_f1
from .model import ORSANet
from .precision import LossScale, mixed, set_products
from .processes import ALONE, Processes, joined, summed, synced, wait_for_all
from .records import Records, best_epoch, clear, refuse_stopped_run, reopen, summary
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


@dataclass
class Run:
    """All that a run consists of, ready for its next step."""

    config: TrainConfig
    processes: Processes
    device: torch.device
    cache: Cache
    train: Deck
    validation: Deck
    model: ORSANet
    net: nn.Module
    """What runs the model: itself, compiled, or one of several processes."""
    adam: torch.optim.Optimizer
    sam: SAM | None
    scale: LossScale
    done: Progress

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What is trained."""
        return [p for group in self.adam.param_groups for p in group["params"]]

    def save(self, name: str) -> None:
        """Write a checkpoint of this name; the first process does."""
        if self.processes.first:
            state = (self.model, self.adam, self.scale.state, self.done)
            save_checkpoint(self.config.out / name, *state, self.config, self.cache.key)


def baseline_train(config: TrainConfig) -> TrainResult:
    """Train ORSANet and write checkpoints, metrics.jsonl, metrics.json and figures to config.out.

    Without `resume` a finished run in the folder is replaced, a stopped one is refused. Raises
    MissingError for data that are not there, UsageError for a checkpoint that does not fit,
    OccluferError with sample ids if the loss is no longer finite. Asked to stop, it writes its
    state and raises KeyboardInterrupt; `resume` goes on from there, to the same weights. Under
    `torchrun` all processes train one model, each on its share of every batch.
    """
    cuda = device_of(config.device).type == "cuda"
    with joined("nccl" if cuda else "gloo") as processes:
        run = prepared(settled(config), processes)
        with stop_requests() as request:  # until here there is nothing to keep
            return _train(run, lambda: request.made)


def make_cache(config: TrainConfig) -> Cache:
    """Return the cache of config.data with its priors, made in config.out if it is not there.

    Raises UsageError for data that are a cache themselves.
    """
    if (config.data / CACHE_NAME).is_file():
        raise UsageError(
            f"{config.data}: found a cache, expected a published dataset to make one of"
        )
    return opened_cache(settled(config), device_of(config.device), ALONE)


def prepared(config: TrainConfig, processes: Processes = ALONE) -> Run:
    """Return the run of a settled config, fresh or as its last checkpoint left it."""
    if config.batch_size % processes.count:
        raise UsageError(
            f"batch_size: found {config.batch_size}, expected a multiple of the "
            f"{processes.count} processes that share a batch"
        )
    device = device_of(config.device, processes.local_rank)
    if config.threads:
        torch.set_num_threads(config.threads)
    set_products(config.precision)
    if device.type == "cpu":
        keep_freed_memory()
    if processes.first and not config.resume:
        refuse_stopped_run(config.out)  # before its cache is replaced by another dataset's
    cache = opened_cache(config, device, processes)
    train, validation = (Deck(cache.splits[name], device) for name in ("train", "validation"))
    torch.manual_seed(config.seed)
    model = fresh_model(config).to(device)
    # A third faster on a CPU; torch's types do not know the argument.
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    parameters = [p for p in model.parameters() if p.requires_grad]
    # On MPS not every torch that we take has it.
    adam = torch.optim.Adam(parameters, lr=config.learning_rate, fused=device.type != "mps")
    sam = SAM(adam, config.rho) if config.optimizer == "sam" else None
    scale = LossScale(config.precision)
    done = _begun(config, processes, model, adam, scale, cache.key)
    net = _wrapped(model, config, processes, device)
    parts = (config, processes, device, cache, train, validation, model, net, adam, sam, scale)
    return Run(*parts, done)


def _begun(
    config: TrainConfig,
    processes: Processes,
    model: ORSANet,
    adam: torch.optim.Optimizer,
    scale: LossScale,
    key: str,
) -> Progress:
    """Return how far the run has come, and make its folder ready for what comes now.

    Raises UsageError for a run that has more epochs than the config.
    """
    done = Progress()
    if config.resume:
        done = resume(config.out / LAST_NAME, model, adam, scale.state, config, key)
    if len(done.history) > config.epochs:
        raise UsageError(
            f"{config.out}: found a run of {len(done.history)} epochs, expected {config.epochs} or "
            "fewer; take another --out, or delete it"
        )
    if processes.first and not config.resume:
        clear(config.out)
    elif processes.first and len(done.history) < config.epochs:
        reopen(config.out)
    wait_for_all()
    return done


def _train(run: Run, asked: Callable[[], bool]) -> TrainResult:
    config, done = run.config, run.done
    records = Records(config.out, run.processes.first)
    run.save(LAST_NAME)
    for epoch in range(len(done.history), config.epochs):
        started = saved = time.monotonic()
        rate = config.learning_rate * config.decay**epoch
        loss_of = _loss(config, warm=epoch < config.warm_epochs)
        batches = epoch_rows(
            run.train.split.labels,
            config.batch_size,
            config.balanced,
            np.random.default_rng([config.seed, epoch]),
            run.processes.count,
        )
        unseen: list[tuple[Rows, Tensor]] = []
        run.model.train()
        for step in _bar(range(done.step, len(batches)), f"epoch {epoch + 1} of {config.epochs}"):
            number = epoch * len(batches) + step + 1
            run.adam.param_groups[0]["lr"] = rate * min(1, number / max(config.ramp_steps, 1))
            batch = _training_batch(run, batches[step], (epoch, step))
            unseen.append((batches[step], _step(run, batch, loss_of)))
            done.step = step + 1
            if done.step % STEPS_UNSEEN[run.device.type] == 0 or done.step == len(batches):
                done.losses += _finite(run, unseen, epoch)
                unseen.clear()
                stops = summed(torch.tensor(float(asked()), device=run.device)).item() > 0
                if stops or time.monotonic() - saved > 60 * config.checkpoint_minutes:
                    run.save(LAST_NAME)
                    saved = time.monotonic()
                if stops:
                    raise KeyboardInterrupt
        confusion = evaluate(run.model, run.validation, run.processes)
        done.history.append(_entry(run, epoch, confusion, time.monotonic() - started))
        done.step, done.losses = 0, []
        log.info("epoch %(epoch)d: loss %(loss).3f, accuracy %(accuracy).3f", done.history[-1])
        # The best first: a run killed between the two does this epoch again and writes both.
        if best_epoch(done.history) is done.history[-1]:
            run.save(BEST_NAME)
        run.save(LAST_NAME)
        records.write_epoch(done.history)

    metrics = summary(config, run.cache, done.history, run.device, run.model)
    records.write_end(done.history, metrics)
    return TrainResult(config.out / BEST_NAME, metrics)


def _entry(run: Run, epoch: int, confusion: NDArray[np.int64], seconds: float) -> dict[str, Any]:
    """Return what is known of an epoch; `seconds` are those since it began, or went on."""
    return {
        "epoch": epoch + 1,
        "loss": float(np.mean(run.done.losses)),
        "learning_rate": run.adam.param_groups[0]["lr"],
        "accuracy": accuracy(confusion),
        "macro_f1": macro_f1(confusion),
        "confusion_matrix": confusion.tolist(),
        "seconds": seconds,
    }


def evaluate(model: nn.Module, deck: Deck, processes: Processes = ALONE) -> NDArray[np.int64]:
    """Return the confusion matrix of a model on every sample of a split, (8, 8) int64.

    Rows are labels, columns predictions; the model runs in float32. Frozen networks that train
    beside it see the pictures themselves, as the released code has it.
    """
    model.eval()
    in_loop = getattr(model, "frozen_nets_train", False)
    labels = np.asarray(deck.split.labels)
    rows = processes.share(np.arange(len(labels)))
    predicted = []
    with torch.inference_mode():
        for batch in plain_batches(deck, rows, EVALUATION_BATCH):
            logits = model(batch.images, None if in_loop else batch.priors)
            predicted.append(logits.argmax(dim=1).cpu().numpy())
    found = np.concatenate([np.empty(0, np.int64), *predicted])
    counts = confusion_matrix(labels[rows], found, len(LABELS))
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


def _training_batch(run: Run, rows: Rows, place: tuple[int, int]) -> Batch:
    """Return this process's share of a batch; all that is random depends on seed and place alone.

    Stochastic depth draws from torch's own numbers, which are set here too.
    """
    config, processes = run.config, run.processes
    rng = np.random.default_rng([config.seed, *place, 1])
    torch.manual_seed(int(rng.integers(1 << 62)))
    size = config.image_size_px
    changes = drawn_changes(len(rows), size, config.erase_probability, config.jitter, rng)
    part = slice(processes.rank, None, processes.count)
    changes = changes.share(part)
    batch = changed(run.train.take(rows[part], changes.flips), changes, config.jitter)
    return replace(batch, priors=None) if config.frozen == "in_loop" else batch


def _step(run: Run, batch: Batch, loss_of: Callable[[Tensor, Batch], Tensor]) -> Tensor:
    """Move the parameters by one step and return the loss before it, on the device.

    A step whose half-precision gradients overflow is left out.
    """

    def backward() -> tuple[Tensor, bool]:
        with mixed(run.config.precision, run.device):
            logits = run.net(batch.images, batch.priors)
        loss = loss_of(logits.to(torch.get_default_dtype()), batch)
        torch.autograd.backward(run.scale.up(loss))
        return loss.detach(), run.scale.down(run.parameters)

    loss, finite = backward()
    if not finite:
        run.adam.zero_grad()
    elif run.sam is None:
        run.adam.step()
        run.adam.zero_grad()
    else:
        run.sam.climb()
        _, finite = backward()
        (run.sam.step if finite else run.sam.give_up)()
    # A loss that is no number says so; gradients that are none would be left out for ever.
    return loss * torch.nan if run.scale.exhausted else loss


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


def _finite(run: Run, unseen: list[tuple[Rows, Tensor]], epoch: int) -> list[float]:
    """Return the losses as numbers; OccluferError with the samples of a batch if one is none."""
    losses = summed(torch.stack([loss for _, loss in unseen])) / run.processes.count
    for (rows, _), value in zip(unseen, losses.tolist(), strict=True):
        if not math.isfinite(value):
            ids = ", ".join(run.train.split.ids[rows])
            raise OccluferError(
                f"epoch {epoch + 1}: found loss {value}, expected a number; samples {ids}"
            )
    found: list[float] = losses.tolist()
    return found


def _bar(steps: range, what: str) -> Iterable[int]:
    # A machine with torch and numpy alone has no tqdm.
    return bar(steps, len(steps), what) if find_spec("tqdm") else steps
