"""Models that can be asked about any face: a function of Python, a network in ONNX, a run."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from occlufer.errors import MissingError, UsageError, one_line
from occlufer.schema import LABELS

from ..export import INPUTS
from ..metrics import Floats
from .answers import Model
from .faces import Face, pictures_of, seen

# Of a network that takes pictures of any size.
SIDE_PX = 224
Feed = Callable[[list[Face]], dict[str, Any]]


def open_model(model: str) -> Model:
    """Return the model of a run's folder, of an ONNX file, or of a function as module:function.

    Raises UsageError for a table of predictions, which says nothing of other pictures.
    """
    path = Path(model)
    if path.is_dir():
        return run_model(path)
    if path.suffix.lower() == ".onnx":
        return onnx_model(path)
    if ":" in model and not path.exists():
        return function_model(model)
    raise UsageError(
        f"{model}: found no model that can be asked, expected a run of baseline-train, an ONNX "
        "file, or a function as module:function"
    )


def function_model(name: str) -> Model:
    """Return the function "module:function" as a model.

    It is called with lists of PIL images, RGB, and returns for each a class, None where it has
    found no face, or eight probabilities in the order of LABELS. Modules of the current folder are
    found. Raises UsageError if there is none, or, when asked, if it fails.
    """
    module, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # at the end: what is installed comes first
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # whatever the module does
        raise UsageError(f"{name}: found no such function ({one_line(error)})") from None

    def ask(some: list[Face]) -> list[Any]:
        try:
            return list(function([picture for picture, _ in some]))
        except (Exception, SystemExit) as error:  # it is not ours
            raise UsageError(f"{name}: the function failed ({one_line(error)})") from None

    return Model(name, ask)


def run_model(folder: Path) -> Model:
    """Return the best model of a run, which sees new pictures by the built-in priors.

    Raises as `asked_run` does.
    """
    import torch

    from ..model import Priors
    from .runs import asked_run

    run = asked_run(folder)

    def ask(some: list[Face]) -> Floats:
        inputs = [torch.from_numpy(one) for one in seen(some, run.cache.image_size_px).values()]
        with torch.inference_mode():
            logits = run.model(inputs[0], Priors(*inputs[1:]))
        return np.asarray(torch.softmax(logits, dim=1).numpy(), np.float64)

    return Model(folder.resolve().name, ask, sees_landmarks=True)


# Networks in ONNX ---------------------------------------------------------------------------------


def onnx_model(path: Path) -> Model:
    """Return a network in ONNX as a model.

    It takes pictures (B, 3, S, S), normalised by ImageNet's mean and deviation, or what
    `export_onnx` wrote, and gives logits (B, 8) in the order of LABELS. Raises MissingError without
    onnxruntime or the file, UsageError for another network.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingError(
            "ONNX: found no onnxruntime, expected it: pip install 'occlufer[export]'"
        ) from None
    if not path.is_file():
        raise MissingError(f"{path}: no such file, expected a network in ONNX")
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors are of many kinds
        raise UsageError(f"{path}: found no network in ONNX ({one_line(error)})") from None
    inputs = session.get_inputs()
    feed, batch = _feed_of(path, inputs)

    def ask(some: list[Face]) -> Floats:
        # A network of so many pictures at once is given the last of them again.
        size = batch or len(some)
        parts = [some[start : start + size] for start in range(0, len(some), size)]
        full = [part + part[-1:] * (size - len(part)) for part in parts]
        try:
            found = [np.asarray(session.run(None, feed(part))[0], np.float64) for part in full]
        except Exception as error:
            raise UsageError(f"{path}: the network failed ({one_line(error)})") from None
        logits = np.concatenate([one[: len(part)] for one, part in zip(found, parts, strict=True)])
        if logits.shape != (len(some), len(LABELS)):
            expected = (len(some), len(LABELS))
            raise UsageError(f"{path}: found an output of {logits.shape}, expected {expected}")
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    return Model(path.stem, ask, sees_landmarks=len(inputs) == len(INPUTS))


def _feed_of(path: Path, inputs: Sequence[Any]) -> tuple[Feed, int | None]:
    """Return what gives a network its inputs, and how many pictures it takes, None for any number.

    Raises UsageError for inputs of another form.
    """
    names, shape = [one.name for one in inputs], list(inputs[0].shape or ())
    batch = shape[0] if shape and isinstance(shape[0], int) else None
    if names == [*INPUTS]:
        return seen, batch
    sides = shape[2:]
    if (
        len(names) != 1
        or len(shape) != 4
        or shape[1] != 3
        or (isinstance(sides[0], int) and (sides[0] != sides[1]))
    ):
        found = ", ".join(f"{one.name} {one.shape}" for one in inputs)
        raise UsageError(
            f"{path}: found the inputs {found}, expected one, pictures (B, 3, S, S), or "
            f"{', '.join(INPUTS)}"
        )
    side_px = sides[0] if isinstance(sides[0], int) else SIDE_PX
    return (lambda some: {names[0]: pictures_of(some, side_px)}), batch
