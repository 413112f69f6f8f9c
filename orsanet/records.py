"""What a run leaves beside its weights: metrics of every epoch, summary, figures, model card."""

from __future__ import annotations

import json
import logging
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from occlufer.errors import MissingError, UsageError
from occlufer.lock import LOCK_NAME, Lock
from occlufer.schema import LABELS

from .card import CARD_NAME, card_text, read_card
from .checkpoint import BEST_NAME, LAST_NAME, History, load_checkpoint, plain_config
from .config import TrainConfig
from .data import Cache
from .figures import FIGURES, write_figures
from .metrics import majority_accuracy, per_class_recall
from .model import ORSANet

BOARD = "tensorboard"

log = logging.getLogger(__name__)


class Records:
    """The files of a run, and TensorBoard's where it is installed; the first process writes."""

    def __init__(self, folder: Path, writes: bool) -> None:
        """Open TensorBoard's file, if it is there to read it."""
        self.folder, self.writes = folder, writes
        self.board: Any = None
        if writes:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                return
            self.board = SummaryWriter(str(folder / BOARD))

    def write_epoch(self, history: History) -> None:
        """Write what is known after an epoch."""
        if self.writes:
            _write(self.folder / "metrics.jsonl", "".join(json.dumps(e) + "\n" for e in history))
        if self.board is not None:
            for name in ("loss", "learning_rate", "accuracy", "macro_f1"):
                self.board.add_scalar(name, history[-1][name], history[-1]["epoch"])
            self.board.flush()

    def write_end(self, history: History, metrics: dict[str, Any]) -> None:
        """Write the figures, the summary and the model card."""
        if self.writes:
            confusion = np.array(metrics["confusion_matrix"])
            write_figures(self.folder, history, confusion, LABELS, metrics["majority_accuracy"])
            _write(self.folder / "metrics.json", json.dumps(metrics, indent=1) + "\n")
            write_card(self.folder / CARD_NAME, metrics)
        if self.board is not None:
            self.board.close()


def write_card(path: Path, metrics: dict[str, Any]) -> None:
    """Write the model card; somebody else's file of that name is left as it is, with a log line."""
    if path.exists() and read_card(path) is None:
        log.warning("%s: found another text than a model card, so no card was written", path)
        return
    _write(path, card_text(metrics, read_lock(Path(metrics["config"]["data"]))))


def read_lock(folder: Path) -> Lock | None:
    """Return the lock of a dataset; None if the folder has none that can be read, as a cache."""
    try:
        return Lock.from_text((folder / LOCK_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def best_epoch(history: History) -> dict[str, Any]:
    """Return the first epoch of the best validation accuracy."""
    return max(history, key=lambda entry: entry["accuracy"])


def summary(
    config: TrainConfig, cache: Cache, history: History, device: torch.device, model: ORSANet
) -> dict[str, Any]:
    """Return the content of metrics.json: the best epoch's numbers, and what they came from."""
    best = best_epoch(history)
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
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
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
        "priors": cache.priors,
        "config": plain_config(config),
    }


def reopen(folder: Path) -> None:
    """Let a finished run count as begun, for it goes on: its summary is written anew at the end."""
    (folder / "metrics.json").unlink(missing_ok=True)


def refuse_stopped_run(folder: Path) -> None:
    """Raise UsageError if the folder holds a run that has not finished: its epochs cost hours."""
    begun = (folder / "metrics.jsonl").exists() or _steps_done(folder / LAST_NAME) > 0
    if begun and not (folder / "metrics.json").exists():
        raise UsageError(
            f"{folder}: found a run that was stopped, expected none or a finished one; "
            "--resume goes on with it, another --out leaves it alone"
        )


def _steps_done(path: Path) -> int:
    """Return how many steps of its epoch a checkpoint has done; 0 for what is none."""
    try:
        return int(load_checkpoint(path)["step"])
    except (MissingError, UsageError):
        return 0


def clear(folder: Path) -> None:
    """Delete what a former run left in the folder, so that nothing of it passes for this one's."""
    for name in (LAST_NAME, BEST_NAME, "metrics.jsonl", "metrics.json", *FIGURES):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / BOARD, ignore_errors=True)
    if read_card(folder / CARD_NAME) is not None:
        (folder / CARD_NAME).unlink()


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.partial")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
