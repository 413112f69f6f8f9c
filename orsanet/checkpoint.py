"""Checkpoints: the whole state of a run in one file, written beside and renamed into place."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from occlufer.errors import MissingError, UsageError
from occlufer.schema import LABELS

from .config import FREE_FIELDS, TrainConfig
from .model import trained_state
from .sam import SAM
from .tensors import load_safely

VERSION = 2
LAST_NAME = "last.pt"
BEST_NAME = "best.pt"

History = list[dict[str, Any]]


@dataclass
class Progress:
    """How far a run has come."""

    history: History = field(default_factory=list)
    """One entry for every finished epoch."""
    step: int = 0
    """Steps done of the epoch that has begun."""
    losses: list[float] = field(default_factory=list)
    """The loss of each of them."""


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | SAM,
    scale: dict[str, float],
    progress: Progress,
    config: TrainConfig,
    dataset_key: str,
) -> None:
    """Write weights, optimizer, loss scale, progress, config and dataset key to `path`.

    The random numbers of a step depend on seed, epoch and step alone, so these three are their
    whole state. Tensors, numbers and words only, so that the file loads with `weights_only=True`.
    Frozen networks are left out, but for batch statistics that drift, see `trained_state`.
    """
    state = {
        "version": VERSION,
        "epoch": len(progress.history),
        "step": progress.step,
        "losses": progress.losses,
        "history": progress.history,
        "model": trained_state(model),
        "optimizer": optimizer.state_dict(),
        "scale": scale,
        "config": plain_config(config),
        "dataset_key": dataset_key,
        "labels": list(LABELS),
    }
    fresh = path.with_name(f".{path.name}.partial")
    try:
        with fresh.open("wb") as file:
            torch.save(state, file)
        fresh.replace(path)
    except RuntimeError as error:
        # What torch says of a full disk is in words of its own; why is in what it met.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise
    finally:
        fresh.unlink(missing_ok=True)  # a full disk would stay full


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `save_checkpoint` wrote, on the CPU.

    Raises MissingError if the file is not there, UsageError if it is no checkpoint of ours or of
    other classes.
    """
    if not path.is_file():
        raise MissingError(
            f"{path}: found nothing, expected the checkpoint of a run of baseline-train"
        )
    try:
        state: dict[str, Any] = load_safely(path)
        version, labels = state["version"], state["labels"]
    except (LookupError, TypeError) as error:
        raise UsageError(f"{path}: found no checkpoint of occlufer ({error})") from error
    if version != VERSION:
        raise UsageError(f"{path}: found checkpoint version {version}, expected {VERSION}")
    if tuple(labels) != LABELS:
        raise UsageError(f"{path}: found the classes {tuple(labels)}, expected {LABELS}")
    return state


def resume(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | SAM,
    scale: dict[str, float],
    config: TrainConfig,
    dataset_key: str,
) -> Progress:
    """Put the state of a run back where it was and return how far it had come.

    Raises UsageError if the run was of another dataset or config, naming the field.
    """
    state = load_checkpoint(path)
    if state["dataset_key"] != dataset_key:
        raise UsageError(
            f"{path}: found a run on dataset {state['dataset_key'][:12]}, "
            f"expected {dataset_key[:12]}; train anew without resume"
        )
    ours = plain_config(config)
    for name, expected in ours.items():
        found = state["config"].get(name)
        if name not in FREE_FIELDS and found != expected:
            raise UsageError(f"{path}: found a run with {name} {found!r}, expected {expected!r}")
    if trained_state(model).keys() != state["model"].keys():
        raise UsageError(f"{path}: found other tensors than the model has, expected its own")
    model.load_state_dict(state["model"], strict=False)
    optimizer.load_state_dict(state["optimizer"])
    scale.update(state["scale"])
    return Progress(state["history"], state["step"], state["losses"])


def plain_config(config: TrainConfig) -> dict[str, Any]:
    """Return the config as JSON can hold it."""
    fields = dataclasses.asdict(config)
    return {k: _plain(v) for k, v in fields.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value
