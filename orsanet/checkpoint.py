"""Checkpoints: the whole state of a run in one file, written beside and renamed into place."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from occlufer.errors import MissingError, UsageError
from occlufer.schema import LABELS

from .config import FREE_FIELDS, TrainConfig
from .sam import SAM

VERSION = 1
LAST_NAME = "last.pt"
BEST_NAME = "best.pt"

History = list[dict[str, Any]]


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | SAM,
    rng: np.random.Generator,
    history: History,
    config: TrainConfig,
    dataset_key: str,
) -> None:
    """Write weights, optimizer, random states, history, config and dataset key to `path`.

    `history` has one entry for every finished epoch. Tensors, numbers and words only, so that the
    file loads with `weights_only=True`.
    """
    state = {
        "version": VERSION,
        "epoch": len(history),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "numpy_rng": rng.bit_generator.state,
        "torch_rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "history": history,
        "config": plain_config(config),
        "dataset_key": dataset_key,
        "labels": list(LABELS),
    }
    fresh = path.with_name(f".{path.name}.partial")
    torch.save(state, fresh)
    fresh.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Return what `save_checkpoint` wrote, on the CPU.

    Raises MissingError if the file is not there, UsageError if it is no checkpoint of ours or of
    other classes.
    """
    if not path.is_file():
        raise MissingError(f"{path}: found nothing, expected the checkpoint of a run to resume")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        version, labels = state["version"], state["labels"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
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
    rng: np.random.Generator,
    config: TrainConfig,
    dataset_key: str,
) -> History:
    """Put the state of a run back where it was and return its history.

    Raises UsageError if the run was of another dataset or config, naming the field.
    """
    state = load_checkpoint(path)
    if state["dataset_key"] != dataset_key:
        raise UsageError(
            f"{path}: found a run on dataset {state['dataset_key'][:12]}, "
            f"expected {dataset_key[:12]}; train anew without resume"
        )
    ours = plain_config(config)
    for name in ours.keys() - set(FREE_FIELDS):
        if state["config"].get(name) != ours[name]:
            found = state["config"].get(name)
            raise UsageError(f"{path}: found a run with {name} {found!r}, expected {ours[name]!r}")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    rng.bit_generator.state = state["numpy_rng"]
    torch.set_rng_state(state["torch_rng"])
    if state["cuda_rng"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_rng"])
    history: History = state["history"]
    return history


def plain_config(config: TrainConfig) -> dict[str, Any]:
    """Return the config as JSON can hold it."""
    fields = dataclasses.asdict(config)
    return {k: str(v) if isinstance(v, Path) else v for k, v in fields.items()}
