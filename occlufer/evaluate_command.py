"""The command `occlufer evaluate`: how well a model tells expressions, by what covers the face."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from occlufer.errors import MissingError, UsageError
from occlufer.loading import read_lock

METRICS_NAME, CONFUSION_NAME = "metrics.json", "confusion.png"
PREDICTIONS_NAME = "predictions.csv"
DEFAULT, VALIDATION, SUBSET_SPLIT = "default", "validation", "test"
# Means over classes, which slices of one class have not.
MEANS = ("balanced_accuracy", "macro_f1")


def add(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    command.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help="a CSV of predictions (id, predicted, or a probability for each class), a run of "
        "baseline-train, an ONNX file, or a function as module:function",
    )
    command.add_argument(
        "--table", type=int, choices=(5,), help="a table of the paper: 5, what ORSANet costs"
    )
    command.add_argument(
        "--against", metavar="MODEL", help="another, to compare on the same samples"
    )
    command.add_argument("--data", type=Path, default=Path("occlu_fer"), help="published folder")
    command.add_argument("--subset", help="an evaluation subset (default: validation)")
    command.add_argument(
        "--trained-on",
        type=Path,
        metavar="PATH",
        help="the model's training pictures, a folder or a table of `leaks register`: figures "
        "without samples near them are told too",
    )
    command.add_argument("--out", type=Path, default=Path("evaluation"), help="what to write")
    command.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    command.add_argument("--json", action="store_true", help="print metrics.json on stdout")
    command.set_defaults(going_on="nothing was written")


def run(arguments: argparse.Namespace) -> None:
    """Evaluate, write metrics.json, predictions.csv and confusion.png, and print the table."""
    from importlib import import_module

    room = "occlufer.orsanet.evaluation"
    if arguments.table is not None and arguments.model is not None:
        raise UsageError(f"evaluate: found {arguments.model} and --table, expected one of them")
    if arguments.table is not None:
        told = import_module(f"{room}.costs").table_5()
        print(json.dumps(told, sort_keys=True) if arguments.json else _rows(told))
        return
    if arguments.model is None:
        raise UsageError("evaluate: found neither MODEL nor --table, expected one of them")
    config, split = (arguments.subset, SUBSET_SPLIT) if arguments.subset else (DEFAULT, VALIDATION)
    place = arguments.data, config, split
    samples = import_module(f"{room}.samples").read_samples(*place)
    if arguments.trained_on is not None:
        near_training = import_module("occlufer.builders.trained_on").near_training
        samples = samples.with_slices(near_training(*place, arguments.trained_on))
    predictions, *others = _named(arguments, samples, place)
    evaluation = import_module(f"{room}.evaluate")
    found = evaluation.evaluate(samples, predictions, arguments.seed)
    found["data"] = {"config": config, "split": split, "version": _version(arguments.data)}
    for other in others:
        found["comparison"] = evaluation.compare(samples, predictions, other, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_plain(found), indent=1)
    (arguments.out / METRICS_NAME).write_text(text + "\n", encoding="utf-8")
    write = import_module(f"{room}.predictions").write_predictions
    write(arguments.out / PREDICTIONS_NAME, samples, predictions)
    import_module(f"{room}.figures").write_confusion(arguments.out / CONFUSION_NAME, found)
    print(text if arguments.json else table(found))


def _named(arguments: argparse.Namespace, samples: Any, place: tuple[Path, str, str]) -> list[Any]:
    """Return the predictions of the models that are named, under names that tell them apart."""
    models = [model for model in (arguments.model, arguments.against) if model is not None]
    found = [_predictions(model, samples, place) for model in models]
    if len({one.name for one in found}) == len(found):
        return found
    return [replace(one, name=model) for one, model in zip(found, models, strict=True)]


def _rows(told: dict[str, Any]) -> str:
    """Return a table of the paper as lines, its footnote below."""
    head = f"Table {told['table']}".ljust(24) + "".join(f"{name:>16}" for name in told["columns"])
    lines = [
        f"{name:24}" + "".join(f"{_digits(value):>16}" for value in values)
        for name, values in told["rows"].items()
    ]
    return "\n".join([head, *lines, told["footnote"]])


def _digits(value: Any) -> str:
    """Return a measured figure in hundredths; what is published comes as text, as it stands."""
    return value if isinstance(value, str) else f"{value:.2f}"


def _version(folder: Path) -> str | None:
    """Return the version of a published folder, None without a lock that can be read."""
    try:
        return read_lock(folder).version
    except MissingError:
        return None


def _predictions(model: str, samples: Any, place: tuple[Path, str, str]) -> Any:
    """Return what a model of any kind says of the samples; each is known by its look."""
    from importlib import import_module

    room, path = "occlufer.orsanet.evaluation", Path(model)
    if path.is_dir():
        return import_module(f"{room}.runs").predictions_of_run(path, samples)
    if path.suffix.lower() == ".onnx" or (":" in model and not path.exists()):
        models = import_module(f"{room}.models")
        faces = models.read_faces(*place)
        if path.suffix.lower() == ".onnx":
            return models.predictions_of_onnx(path, samples, faces)
        return models.predictions_of_function(model, samples, faces)
    return import_module(f"{room}.predictions").read_predictions(path, samples)


def _plain(value: Any) -> Any:
    """Return a value in which what is no number is null: JSON has no NaN."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and value != value else value


def table(found: dict[str, Any]) -> str:
    """Return the scores of every slice as lines, in percent, with the interval of the accuracy."""
    lines = [
        f"{found['model']} on {found['samples']} samples of {found['data']['config']}, "
        f"{found['data']['split']}; faces not found: {found['not_found']}, counted as errors",
        f"{'':30} samples  groups  accuracy  95 %            balanced  macro F1",
    ]
    lines += [_line(name, one) for name, one in found["slices"].items()]
    whole = found["slices"]["all"]
    if found["not_found"]:
        lines.append(f"of the faces that were found: {_percent(whole['accuracy_of_found'])}")
    if found["calibration_error"] is not None:
        lines.append(f"calibration error: {100 * found['calibration_error']:.1f}")
    return "\n".join([*lines, *_comparison(found.get("comparison"))])


def _line(name: str, one: dict[str, Any]) -> str:
    accuracy = one["accuracy"]
    span = _span(accuracy, "5.1f")
    rest = "".join(f"  {_percent(one[name]):>8}" for name in MEANS if name in one)
    counts = f"{one['samples']:7d} {one['groups']:7d}"
    return f"{name:30} {counts}  {_percent(accuracy):>8}  {span:14}{rest}".rstrip()


def _span(score: dict[str, Any], digits: str) -> str:
    """Return where a score lies with 95 % confidence, in percent; "-" if that cannot be said."""
    low, high = 100 * score["low"], 100 * score["high"]
    return "-" if low != low else f"{low:{digits}} to {high:{digits}}"


def _percent(score: dict[str, Any]) -> str:
    return f"{100 * score['value']:.1f}"


def _comparison(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return []
    test = found["mcnemar"]
    lines = [
        f"beside {found['other']}: {test['only_first']} samples right with {found['model']} alone, "
        f"{test['only_second']} with {found['other']} alone; McNemar's p = {test['p_value']:.3g}",
        f"{'':30} samples  better by  95 %",
    ]
    for name, one in found["slices"].items():
        gain = one["accuracy"]
        lines.append(
            f"{name:30} {one['samples']:7d}  {100 * gain['value']:+9.1f}  {_span(gain, '+.1f')}"
        )
    return lines
