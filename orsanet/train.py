"""Training: one loop, read from top to bottom."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.progress import progress
from occlufer.schema import LABELS

from .batches import Batch, Rows, epoch_rows, jitter, plain_batches, training_batch
from .checkpoint import BEST_NAME, LAST_NAME, History, plain_config, resume, save_checkpoint
from .config import TrainConfig
from .data import CACHE_NAME, Cache, Split, load_cache, prepare_cache
from .figures import FIGURES, write_figures
from .losses import DARELoss, LabelSmoothingLoss
from .metrics import (
    accuracy,
    confusion_matrix,
    macro_f1,
    majority_accuracy,
    per_class_recall,
)
from .model import ORSANet, build_orsanet
from .sam import SAM

log = logging.getLogger(__name__)

EVALUATION_BATCH = 64
WARM_WEIGHT, WARM_SMOOTHING = 2.0, 0.2


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
    MissingError for data or priors that are not there, UsageError for a checkpoint that does not
    fit, OccluferError with sample ids if the loss is no longer finite. An interrupted run goes on
    from its last whole epoch.
    """
    _refuse_missing_priors(config)
    cache = _cache(config)
    train, validation = cache.splits["train"], cache.splits["validation"]
    device = _device(config.device)
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    model = build_orsanet(
        len(LABELS), config.size, config.semantic_prior, config.landmark_prior
    ).to(device)
    # A third faster on a CPU; torch's types do not know the argument.
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    sam = SAM(adam, config.rho) if config.optimizer == "sam" else None
    history: History = []
    last, best = config.out / LAST_NAME, config.out / BEST_NAME
    if config.resume:
        history = resume(last, model, adam, rng, config, cache.key)
    else:
        _refuse_stopped_run(config.out)
        _clear(config.out)
        save_checkpoint(last, model, adam, rng, history, config, cache.key)

    for epoch in range(len(history), config.epochs):
        started = time.monotonic()
        rate = config.learning_rate * config.decay**epoch
        loss_of = _loss(config, warm=epoch < config.warm_epochs)
        losses = []
        model.train()
        epoch_batches = epoch_rows(train.labels, config.batch_size, config.balanced, rng)
        for number, rows in enumerate(_bar(epoch_batches, f"epoch {epoch + 1} of {config.epochs}")):
            step = epoch * len(epoch_batches) + number + 1
            adam.param_groups[0]["lr"] = rate * min(1, step / max(config.ramp_steps, 1))
            batch = training_batch(train, rows, config.erase_probability, rng, device)
            if config.jitter:
                jitter(batch.images, rng)
            loss = loss_of(model(batch.images, batch.priors), batch.labels)
            losses.append(_finite(loss, train, batch, epoch))
            torch.autograd.backward(loss)
            if sam is not None:
                sam.climb()
                loss = loss_of(model(batch.images, batch.priors), batch.labels)
                torch.autograd.backward(loss)
                sam.step()
            else:
                adam.step()
                adam.zero_grad()
        confusion = evaluate(model, validation, device)
        history.append(
            {
                "epoch": epoch + 1,
                "loss": float(np.mean(losses)),
                "learning_rate": adam.param_groups[0]["lr"],
                "accuracy": accuracy(confusion),
                "macro_f1": macro_f1(confusion),
                "confusion_matrix": confusion.tolist(),
                "seconds": time.monotonic() - started,
            }
        )
        log.info("epoch %(epoch)d: loss %(loss).3f, accuracy %(accuracy).3f", history[-1])
        # The best first: a run killed between the two does this epoch again and writes both.
        if _best(history) is history[-1]:
            save_checkpoint(best, model, adam, rng, history, config, cache.key)
        save_checkpoint(last, model, adam, rng, history, config, cache.key)
        _write(config.out / "metrics.jsonl", "".join(json.dumps(e) + "\n" for e in history))

    metrics = _summary(config, cache, history, device, model)
    confusion = np.array(metrics["confusion_matrix"])
    write_figures(config.out, history, confusion, LABELS, metrics["majority_accuracy"])
    _write(config.out / "metrics.json", json.dumps(metrics, indent=1) + "\n")
    return TrainResult(best, metrics)


def evaluate(model: ORSANet, split: Split, device: torch.device) -> NDArray[np.int64]:
    """Return the confusion matrix of a model on every sample of a split."""
    model.eval()
    predicted = []
    with torch.inference_mode():
        for batch in plain_batches(split, EVALUATION_BATCH, device):
            predicted.append(model(batch.images, batch.priors).argmax(dim=1).cpu().numpy())
    return confusion_matrix(np.asarray(split.labels), np.concatenate(predicted), len(LABELS))


def _refuse_missing_priors(config: TrainConfig) -> None:
    """Raise MissingError if the config asks for priors that only frozen networks can give."""
    missing = []
    if config.landmark_prior == "features":
        missing.append("MobileFaceNet's landmark features (512 x 7 x 7)")
    if config.semantic_prior == "features":
        missing.append("SegFace's stage-4 features (1024 x 7 x 7)")
    elif config.preset == "paper":
        missing.append("SegFace's part maps")
    if missing:
        raise MissingError(
            f"preset {config.preset!r}: found no {' and no '.join(missing)}, expected them for "
            "every sample; this version does not compute them. "
            "Preset 'demo' draws its priors from the dataset's landmarks"
        )


def _cache(config: TrainConfig) -> Cache:
    """Return the cache that config.data is, or one made of the dataset in it."""
    config.out.mkdir(parents=True, exist_ok=True)
    if (config.data / CACHE_NAME).is_file():
        cache = load_cache(config.data)
    else:
        cache = prepare_cache(config.data, config.out / "cache", config.image_size_px)
    if cache.image_size_px != config.image_size_px:
        raise UsageError(
            f"{config.data}: found pictures of {cache.image_size_px} px, "
            f"expected {config.image_size_px} (image_size_px)"
        )
    for name, split in cache.splits.items():
        if len(split.labels) < 2:
            raise UsageError(f"{config.data}: found {len(split.labels)} {name} samples, expected 2")
    return cache


def _device(name: str) -> torch.device:
    """Return the device of that name; "auto" takes the first of cuda, mps and cpu there is."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((device for device, is_there in there.items() if is_there), "cpu")
    elif not there.get(name, True):
        raise UsageError(f"device: found no {name} on this machine, expected auto or cpu")
    return torch.device(name)


def _loss(config: TrainConfig, warm: bool) -> Callable[[Tensor, Tensor], Tensor]:
    """Return cross-entropy plus DARE, or plus label smoothing in the first epochs."""
    extra: Callable[[Tensor, Tensor], Tensor]
    if warm:
        extra, weight = LabelSmoothingLoss(WARM_SMOOTHING), WARM_WEIGHT
    else:
        extra, weight = DARELoss(config.dare_form), config.dare_weight
    return lambda logits, target: F.cross_entropy(logits, target) + weight * extra(logits, target)


def _finite(loss: Tensor, split: Split, batch: Batch, epoch: int) -> float:
    """Return the loss as a number; OccluferError with the samples of the batch if it is none."""
    value = loss.item()
    if not math.isfinite(value):
        ids = ", ".join(split.ids[batch.rows])
        raise OccluferError(
            f"epoch {epoch + 1}: found loss {value}, expected a number; samples {ids}"
        )
    return value


def _bar(batches: list[Rows], what: str) -> Iterable[Rows]:
    # A machine with torch and numpy alone has no tqdm.
    return progress(batches, len(batches), what) if find_spec("tqdm") else batches


def _best(history: History) -> dict[str, Any]:
    """Return the first epoch of the best validation accuracy."""
    return max(history, key=lambda entry: entry["accuracy"])


def _summary(
    config: TrainConfig, cache: Cache, history: History, device: torch.device, model: ORSANet
) -> dict[str, Any]:
    """Return the content of metrics.json: the best epoch's numbers, and what they came from."""
    best = _best(history)
    confusion = np.array(best["confusion_matrix"])
    recall = per_class_recall(confusion)
    return {
        # The epoch is chosen on the samples it is measured on, as in the paper: see last_accuracy.
        "accuracy": best["accuracy"],
        "macro_f1": best["macro_f1"],
        "majority_accuracy": majority_accuracy(confusion),
        "last_accuracy": history[-1]["accuracy"],
        "best_epoch": best["epoch"],
        "epochs": len(history),
        "seconds": round(sum(entry["seconds"] for entry in history), 1),
        "train_samples": len(cache.splits["train"].labels),
        "validation_samples": len(cache.splits["validation"].labels),
        "parameters": sum(p.numel() for p in model.parameters()),
        "seed": config.seed,
        "preset": config.preset,
        "device": device.type,
        "labels": list(LABELS),
        "per_class_recall": {
            label: float(share) if math.isfinite(share) else None
            for label, share in zip(LABELS, recall, strict=True)
        },
        "confusion_matrix": confusion.tolist(),
        "dataset_key": cache.key,
        "config": plain_config(config),
    }


def _refuse_stopped_run(folder: Path) -> None:
    """Raise UsageError if the folder holds a run that has not finished: its epochs cost hours."""
    if (folder / "metrics.jsonl").exists() and not (folder / "metrics.json").exists():
        raise UsageError(
            f"{folder}: found a run that was stopped, expected none or a finished one; "
            "--resume goes on with it, another --out leaves it alone"
        )


def _clear(folder: Path) -> None:
    """Delete what a former run left in the folder, so that nothing of it passes for this one's."""
    for name in (LAST_NAME, BEST_NAME, "metrics.jsonl", "metrics.json", *FIGURES):
        (folder / name).unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.partial")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
