"""Predictions of models that are asked here: a function of Python, or a network in ONNX."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from occlufer.errors import MissingError, UsageError
from occlufer.progress import progress
from occlufer.schema import LABELS

from ..export import INPUTS
from ..metrics import Floats
from ..priors import IMAGENET_MEAN, IMAGENET_STD
from ..see import see
from .predictions import Predictions, are_probabilities, class_of
from .samples import Samples, paths_of
from .scores import NOT_FOUND

BATCH = 32
# Those that a build publishes: whoever made a dataset chooses no other decoder.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
# Of a network that takes pictures of any size.
SIDE_PX = 224
Face = tuple[Any, Any]
"""A picture, PIL's RGB, and its 68 landmarks in its pixels, as the columns have them."""
Ask = Callable[[list[Face]], Any]
"""Gives (B, 8) probabilities, or B words."""


def predictions_of_function(name: str, samples: Samples, faces: Iterator[Face]) -> Predictions:
    """Return what the function "module:function" says of the samples.

    It is called with lists of PIL images, RGB, and returns for each a class, None where it has
    found no face, or eight probabilities in the order of LABELS. Modules of the current folder are
    found. Raises UsageError if there is none, or it answers otherwise.
    """
    module, _, attribute = name.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # at the end: what is installed comes first
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever the module does
        raise UsageError(f"{name}: found no such function ({_line(error)})") from None

    def ask(some: list[Face]) -> list[Any]:
        try:
            return list(function([picture for picture, _ in some]))
        except Exception as error:  # it is not ours
            raise UsageError(f"{name}: the function failed ({_line(error)})") from None

    return asked(name, samples, faces, ask)


def predictions_of_onnx(path: Path, samples: Samples, faces: Iterator[Face]) -> Predictions:
    """Return what a network in ONNX says of the samples.

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
        raise UsageError(f"{path}: found no network in ONNX ({_line(error)})") from None
    feed, batch = _feed_of(path, session.get_inputs())

    def ask(some: list[Face]) -> Floats:
        # A network of so many pictures at once is given the last of them again.
        size = batch or len(some)
        parts = [some[start : start + size] for start in range(0, len(some), size)]
        full = [part + part[-1:] * (size - len(part)) for part in parts]
        try:
            found = [np.asarray(session.run(None, feed(part))[0], np.float64) for part in full]
        except Exception as error:
            raise UsageError(f"{path}: the network failed ({_line(error)})") from None
        logits = np.concatenate([one[: len(part)] for one, part in zip(found, parts, strict=True)])
        if logits.shape != (len(some), len(LABELS)):
            expected = (len(some), len(LABELS))
            raise UsageError(f"{path}: found an output of {logits.shape}, expected {expected}")
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    return asked(path.stem, samples, faces, ask)


Feed = Callable[[list[Face]], dict[str, Any]]


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


def asked(name: str, samples: Samples, faces: Iterator[Face], ask: Ask) -> Predictions:
    """Return the answers of a model on all samples, asked some at a time.

    Raises UsageError for an answer that is none, naming the sample.
    """
    predicted: list[int] = []
    shares: list[Floats] = []
    for some in progress(_batches(faces), -(-len(samples) // BATCH), name):
        answers = ask(some)
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


# Pictures -----------------------------------------------------------------------------------------


def read_faces(folder: Path, config: str = "default", split: str = "validation") -> Iterator[Face]:
    """Yield a split's faces in the order of `read_samples`; raises UsageError without pixels."""
    import pyarrow.parquet as pq

    for path in paths_of(folder, config, split):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH, columns=["image", "landmarks", "sha256"]):
                for row in batch.to_pylist():
                    yield _face(path, row)


def _face(path: Path, row: dict[str, Any]) -> Face:
    from PIL import Image, ImageOps

    data = (row["image"] or {}).get("bytes")
    if data is None:
        raise UsageError(
            f"{path}: found no pixels of {row['sha256']}, expected a dataset with its pictures; "
            "`occlufer rebuild` brings them back"
        )
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB"), row["landmarks"]
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(f"{path}: found no picture of {row['sha256']} ({_line(error)})") from None


def pictures_of(faces: Sequence[Face], side_px: int) -> Any:
    """Return float32 (B, 3, S, S) of pictures, normalised by ImageNet's mean and deviation."""
    from PIL import Image

    size = (side_px, side_px)
    resized = [np.asarray(face.resize(size, Image.Resampling.BILINEAR)) for face, _ in faces]
    scaled = np.stack(resized).astype(np.float32) / 255
    mean, deviation = (np.array(told, np.float32) for told in (IMAGENET_MEAN, IMAGENET_STD))
    return np.ascontiguousarray(((scaled - mean) / deviation).transpose(0, 3, 1, 2))


def seen(faces: Sequence[Face]) -> dict[str, Any]:
    """Return what `export_onnx` has as inputs, by `see`."""
    both = [see(face, np.array(landmarks, np.float32)) for face, landmarks in faces]
    images = np.concatenate([image.numpy() for image, _ in both])
    landmark = np.concatenate([priors.landmark_features.numpy() for _, priors in both])
    semantic = np.concatenate([priors.semantic.numpy() for _, priors in both])
    return dict(zip(INPUTS, (images, landmark, semantic), strict=True))


def _batches(faces: Iterable[Face]) -> Iterator[list[Face]]:
    some: list[Face] = []
    for face in faces:
        some.append(face)
        if len(some) == BATCH:
            yield some
            some = []
    if some:
        yield some


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
