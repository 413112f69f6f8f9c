"""Evaluation: what a model says of a published split, measured and written, with a page of it."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.errors import MissingError
from occlufer.loading import read_lock

METRICS_NAME, CONFUSION_NAME = "metrics.json", "confusion.png"
PREDICTIONS_NAME, PAGE_NAME, FEATURES_NAME = "predictions.csv", "evaluation.html", "features.png"
ROOM = "occlufer.orsanet.evaluation"
Place = tuple[Path, str, str]
"""A published folder, a config and a split."""


def evaluate(
    place: Place,
    model: str,
    out: Path,
    seed: int = 0,
    against: str | None = None,
    trained_on: Path | None = None,
) -> dict[str, Any]:
    """Return a model's figures on all slices; write them, its predictions and a page into `out`.

    `model` and `against`, whose samples are the same, are as `occlufer evaluate` takes them;
    `trained_on` are the model's training pictures. Raises MissingError or UsageError for what is
    not there, or of another form, with nothing written.
    """
    from occlufer.evaluation_page import write_page

    samples = import_module(f"{ROOM}.samples").read_samples(*place)
    if trained_on is not None:
        near_training = import_module("occlufer.builders.trained_on").near_training
        samples = samples.with_slices(near_training(*place, trained_on))
    run = _run(model)
    predictions, features = _said(model, run, samples, place)
    other = None if against is None else _said(against, _run(against), samples, place)[0]
    if other is not None and other.name == predictions.name:
        predictions, other = replace(predictions, name=model), replace(other, name=against)
    found = _figures(samples, predictions, other, seed)
    found["data"] = data_of(place)
    out.mkdir(parents=True, exist_ok=True)
    # Nothing of a former model lies beside this one's; and where figures are, the rest is whole.
    for name in (METRICS_NAME, FEATURES_NAME):
        (out / name).unlink(missing_ok=True)
    import_module(f"{ROOM}.predictions").write_predictions(
        out / PREDICTIONS_NAME, samples, predictions
    )
    figures = import_module(f"{ROOM}.figures")
    figures.write_confusion(out / CONFUSION_NAME, found)
    if features is not None:
        figures.write_features(out / FEATURES_NAME, samples, features, seed)
    write_page(out / PAGE_NAME, place, found, samples, predictions, run)
    write_figures(out, METRICS_NAME, found)
    return found


def _run(model: str) -> Any:
    """Return the opened run in a model's folder; None for a model of another kind."""
    path = Path(model)
    return import_module(f"{ROOM}.runs").read_run(path) if path.is_dir() else None


def _said(model: str, run: Any, samples: Any, place: Place) -> tuple[Any, Any]:
    """Return what a model of any kind, known by its look, says of the samples.

    And a run's features of them, None of others.
    """
    if run is not None:
        predictions, features = import_module(f"{ROOM}.runs").answers_of_run(run, samples)
        return predictions, features
    path = Path(model)
    if path.suffix.lower() == ".onnx" or (":" in model and not path.exists()):
        asked = import_module(f"{ROOM}.models").open_model(model)
        faces = import_module(f"{ROOM}.faces").read_faces(*place)
        return import_module(f"{ROOM}.answers").predictions_of(asked, samples, faces), None
    return import_module(f"{ROOM}.predictions").read_predictions(path, samples), None


def _figures(samples: Any, predictions: Any, other: Any, seed: int) -> dict[str, Any]:
    """Return a model's scores, and beside another's predictions, if there are some."""
    measures = import_module(f"{ROOM}.evaluate")
    found: dict[str, Any] = measures.evaluate(samples, predictions, seed)
    if other is not None:
        found["comparison"] = measures.compare(samples, predictions, other, seed)
    return found


def data_of(place: Place) -> dict[str, Any]:
    """Return what figures are of; the version is None without a lock that can be read."""
    folder, config, split = place
    try:
        version = read_lock(folder).version
    except MissingError:
        version = None
    return {"config": config, "split": split, "version": version}


def write_figures(out: Path, name: str, found: dict[str, Any]) -> None:
    """Write figures as JSON into a folder, which is made."""
    out.mkdir(parents=True, exist_ok=True)
    (out / name).write_text(figures_text(found) + "\n", encoding="utf-8")


def figures_text(found: dict[str, Any], indent: int | None = 1) -> str:
    """Return figures as JSON, null for what is no number: JSON has no NaN."""
    return json.dumps(_plain(found), indent=indent)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and value != value else value
