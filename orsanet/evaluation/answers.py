"""Answers: what a model says when it is asked about faces, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from occlufer.errors import UsageError
from occlufer.progress import progress
from occlufer.schema import LABELS

from ..metrics import Floats
from .faces import Face
from .predictions import Predictions, are_probabilities, class_of
from .samples import Samples
from .scores import NOT_FOUND

BATCH = 32
Ask = Callable[[list[Face]], Any]
"""Gives (B, 8) probabilities, or B words."""


@dataclass(frozen=True)
class Model:
    """A model that can be asked about any face."""

    name: str
    ask: Ask
    sees_landmarks: bool = False
    """Whether it looks at more of a face than its picture."""


def predictions_of(model: Model, samples: Samples, faces: Iterable[Face]) -> Predictions:
    """Return the answers of a model on all samples, whose faces come in their order.

    Raises UsageError for an answer that is none, naming the sample.
    """
    name, predicted = model.name, list[int]()
    shares: list[Floats] = []
    for some in progress(_batches(faces), -(-len(samples) // BATCH), name):
        answers = model.ask(some)
        if len(answers) != len(some):
            raise UsageError(f"{name}: found {len(answers)} answers, expected {len(some)}")
        for answer in answers:
            label, chances = _read(answer)
            if label is None:
                raise UsageError(
                    f"{name}: found {answer!r:.200} for the sample {samples.ids[len(predicted)]}, "
                    f"expected one of {', '.join(LABELS)}, None, or eight probabilities"
                )
            predicted.append(label)
            shares.append(chances)
    classes, table = np.array(predicted, np.int64), np.stack(shares)
    told = table.any(axis=1)
    # Words for some and probabilities for others would be a calibration of a few.
    whole = told.any() and (told | (classes == NOT_FOUND)).all()
    return Predictions(name, classes, table if whole else None)


def _read(answer: Any) -> tuple[int | None, Floats]:
    """Return the class and the probabilities of an answer; no class if it is none."""
    nothing = np.zeros(len(LABELS))
    if answer is None:
        return NOT_FOUND, nothing
    if isinstance(answer, str):
        return class_of(answer), nothing
    try:
        shares = np.asarray(answer, np.float64)
    except Exception:  # a tensor may refuse in ways of its own
        return None, nothing
    if shares.shape != (len(LABELS),) or not are_probabilities(shares):
        return None, nothing
    return int(shares.argmax()), shares


def _batches(faces: Iterable[Face]) -> Iterator[list[Face]]:
    some: list[Face] = []
    for face in faces:
        some.append(face)
        if len(some) == BATCH:
            yield some
            some = []
    if some:
        yield some
