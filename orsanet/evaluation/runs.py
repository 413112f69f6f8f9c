"""Predictions of a training run: its best checkpoint on the validation samples of its cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from occlufer.errors import MissingError, UsageError

from ..batches import Deck, plain_batches
from ..checkpoint import BEST_NAME, load_checkpoint
from ..data import CACHE_NAME, Cache, load_cache
from ..sharing import shared
from .predictions import Predictions
from .samples import Samples

BATCH = 64


def predictions_of_run(folder: Path, samples: Samples) -> Predictions:
    """Return what the best checkpoint of a run says of the samples, which it has validated on.

    The run has faces cut and priors computed in its cache. Raises MissingError without checkpoint
    or cache, UsageError if the samples are not the cache's.
    """
    state = load_checkpoint(folder / BEST_NAME)
    cache = _cache(folder, Path(state["config"]["data"]))
    if state["dataset_key"] != cache.key:
        raise UsageError(
            f"{folder}: found a cache of dataset {cache.key[:12]}, expected that of "
            f"{state['dataset_key'][:12]}, on which {BEST_NAME} was trained; train anew"
        )
    split = cache.splits["validation"]
    places = {str(name): place for place, name in enumerate(split.ids)}
    missing = [name for name in samples.ids if name not in places]
    if missing:
        raise UsageError(
            f"{folder}: found {len(missing)} of {len(samples)} samples not in its cache, expected "
            f"the validation that it was trained beside, e.g. {missing[0]}"
        )
    model = shared(folder / BEST_NAME)
    rows = np.array([places[name] for name in samples.ids], dtype=np.int64)
    deck = Deck(split, torch.device("cpu"))
    with torch.inference_mode():
        found = [
            torch.softmax(model(batch.images, batch.priors), dim=1).numpy()
            for batch in plain_batches(deck, rows, BATCH)
        ]
    shares = np.concatenate(found).astype(np.float64)
    return Predictions(folder.resolve().name, shares.argmax(axis=1).astype(np.int64), shares)


def _cache(folder: Path, data: Path) -> Cache:
    """Return the cache of a run: its own, or `data`, if it was trained on a cache."""
    if (folder / "cache" / CACHE_NAME).is_file():
        return load_cache(folder / "cache")
    if not (data / CACHE_NAME).is_file():
        raise MissingError(f"{folder}: found no cache in it, expected that of the run")
    return load_cache(data)
