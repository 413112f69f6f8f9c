"""Training runs: their best model, and what it says of the validation samples of its cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from occlufer.errors import MissingError, UsageError
from occlufer.schema import LABELS

from ..attention import attention
from ..batches import Deck, Rows, plain_batches
from ..checkpoint import BEST_NAME, load_checkpoint
from ..data import CACHE_NAME, Cache, load_cache
from ..metrics import Floats
from ..model import ORSANet
from ..priors import BUILT_IN_MAPS, landmark_points
from ..sharing import model_of
from .predictions import Predictions
from .samples import Samples

BATCH = 64


@dataclass(frozen=True)
class Run:
    """What a run has left behind, opened once for all that is asked of it."""

    folder: Path
    model: ORSANet
    """Its best one, in evaluation mode."""
    cache: Cache

    @property
    def has_built_in_priors(self) -> bool:
        """Whether its priors can be computed of any picture, without anybody's weights."""
        return [*self.cache.priors.values()] == [BUILT_IN_MAPS, landmark_points().name]


@dataclass(frozen=True)
class Attended:
    """Where a model looks on a face."""

    face_rgb: NDArray[np.uint8]
    """(S, S, 3), as the model has it."""
    attention: NDArray[np.float32]
    """(h, w) in [0, 1] over the face, see `attention`."""
    label: str
    told: str
    share: float
    """The probability of what is told."""


def read_run(folder: Path) -> Run:
    """Return the run in a folder.

    Raises MissingError without checkpoint or cache, UsageError if they do not belong together.
    """
    state = load_checkpoint(folder / BEST_NAME)
    cache = _cache(folder, Path(state["config"]["data"]))
    if state["dataset_key"] != cache.key:
        raise UsageError(
            f"{folder}: found a cache of dataset {cache.key[:12]}, expected that of "
            f"{state['dataset_key'][:12]}, on which {BEST_NAME} was trained; train anew"
        )
    return Run(folder, model_of(state), cache)


def asked_run(folder: Path) -> Run:
    """Return a run that can be asked about new pictures: its priors are the built-in ones.

    Raises as `read_run` does, and UsageError for other priors, whose networks are not at hand.
    """
    run = read_run(folder)
    if not run.has_built_in_priors:
        found = " and ".join(run.cache.priors.values())
        raise UsageError(
            f"{folder}: found a run on {found}, expected one on the built-in priors, which can be "
            "computed of other pictures"
        )
    return run


def answers_of_run(run: Run, samples: Samples) -> tuple[Predictions, Floats]:
    """Return what a run says of the samples, which it has validated on, and their features (N, D).

    Features are the vectors before the classifier. The run has faces cut and priors computed in its
    cache; raises UsageError if the samples are not the cache's.
    """
    parts = list[tuple[Tensor, Tensor]]()
    with torch.inference_mode():
        for batch in plain_batches(_deck(run), _rows(run, samples), BATCH):
            features = run.model.features(batch.images, batch.priors)
            parts.append((features, run.model.head(features)))
    features, logits = (torch.cat(some) for some in zip(*parts, strict=True))
    shares = torch.softmax(logits, dim=1).numpy().astype(np.float64)
    name, predicted = run.folder.resolve().name, shares.argmax(axis=1).astype(np.int64)
    return Predictions(name, predicted, shares), features.numpy().astype(np.float64)


def attention_of_run(
    run: Run, samples: Samples, places: Sequence[int]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float32]]]:
    """Yield, for some of the samples, the face as the model has it, and where it looks.

    (S, S, 3) in RGB, and (h, w) in [0, 1] over it, see `attention`. Raises as `answers_of_run`.
    """
    rows = _rows(run, samples)[list(places)]
    split = run.cache.splits["validation"]
    for row, batch in zip(rows, plain_batches(_deck(run), rows, 1), strict=True):
        assert batch.priors is not None
        _, maps = attention(run.model, batch.images, batch.priors)
        yield np.array(split.images[row]), maps[0].numpy()


def looks_of_run(folder: Path, per_class: int) -> Iterator[Attended]:
    """Yield where the run's model looks on the first faces of each class of its validation.

    Raises as `read_run` does.
    """
    run = read_run(folder)
    split = run.cache.splits["validation"]
    labels = np.asarray(split.labels)
    first = [np.flatnonzero(labels == number)[:per_class] for number in range(len(LABELS))]
    rows = np.concatenate(first)
    for row, batch in zip(rows, plain_batches(_deck(run), rows, 1), strict=True):
        assert batch.priors is not None
        logits, maps = attention(run.model, batch.images, batch.priors)
        share, told = torch.softmax(logits[0], dim=0).max(dim=0)
        names = LABELS[labels[row]], LABELS[int(told)]
        yield Attended(np.array(split.images[row]), maps[0].numpy(), *names, float(share))


def _rows(run: Run, samples: Samples) -> Rows:
    """Return where the samples stand in the run's cache; raises UsageError if some do not."""
    split = run.cache.splits["validation"]
    places = {str(name): place for place, name in enumerate(split.ids)}
    missing = [name for name in samples.ids if name not in places]
    if missing:
        raise UsageError(
            f"{run.folder}: found {len(missing)} of {len(samples)} samples not in its cache, "
            f"expected the validation that it was trained beside, e.g. {missing[0]}"
        )
    return np.array([places[name] for name in samples.ids], dtype=np.int64)


def _deck(run: Run) -> Deck:
    return Deck(run.cache.splits["validation"], torch.device("cpu"))


def _cache(folder: Path, data: Path) -> Cache:
    """Return the cache of a run: its own, or `data`, if it was trained on a cache."""
    if (folder / "cache" / CACHE_NAME).is_file():
        return load_cache(folder / "cache")
    if not (data / CACHE_NAME).is_file():
        raise MissingError(f"{folder}: found no cache in it, expected that of the run")
    return load_cache(data)
