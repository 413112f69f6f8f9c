"""Tensors of a file of weights: read so that nothing in it can run code, and held to a model's."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from occlufer.errors import MissingError, UsageError

# What torch raises for files that are nothing of theirs.
UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)
Shapes = Mapping[str, tuple[int, ...]]


def read_tensors(path: Path, holders: tuple[str, ...], what: str, where: str) -> dict[str, Tensor]:
    """Return a file's tensors by their bare names, whole numbers aside as float32.

    The file is torch's, of tensors and plain values only, or a .safetensors. The tensors stand in
    it bare or under the first of the keys `holders` that it has, with or without "module." before
    their names. `what` the file should be and `where` it is to be had stand in the messages. Raises
    MissingError if there is no file, UsageError if it cannot be read safely or holds no tensors.
    """
    if not path.is_file():
        raise MissingError(f"{path}: found nothing, expected {what} ({where})")
    content = load_safely(path)
    for holder in holders:
        if isinstance(content, dict) and isinstance(content.get(holder), dict):
            content = content[holder]
            break
    items = content.items() if isinstance(content, dict) else ()
    tensors = {
        str(name).removeprefix("module."): x.float() if x.is_floating_point() else x
        for name, x in items
        if isinstance(x, Tensor)
    }
    if not tensors:
        raise UsageError(f"{path}: found no tensors, bare or under {holders}, expected {what}")
    return tensors


def load_safely(path: Path) -> Any:
    """Return what the file holds; raises UsageError if it holds anything but data."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise _unreadable(path, error) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def check_tensors(
    path: Path,
    expected: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    ignored: Callable[[str], bool] = lambda name: False,
) -> None:
    """Raise UsageError for the first tensor that is missing, of another shape, or one too many.

    And for one of whole numbers where fractions are due. Names that `ignored` holds for may be
    there or not.
    """
    _check_shapes(path, shapes_of(expected), shapes_of(found), ignored)
    _check_kinds(path, expected, found)


def _check_shapes(
    path: Path, expected: Shapes, found: Shapes, ignored: Callable[[str], bool]
) -> None:
    for name, shape in expected.items():
        if name not in found:
            raise UsageError(f"{path}: found no tensor {name}, expected it with shape {shape}")
        if found[name] != shape:
            raise UsageError(f"{path}: found {name} with shape {found[name]}, expected {shape}")
    for name in found:
        if name not in expected and not ignored(name):
            raise UsageError(f"{path}: found the tensor {name}, expected none of this name")


def _check_kinds(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for name, tensor in expected.items():
        if tensor.is_floating_point() and not found[name].is_floating_point():
            raise UsageError(
                f"{path}: found {name} of {found[name].dtype}, expected {tensor.dtype}"
            )


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _unreadable(path: Path, error: Exception) -> UsageError:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UsageError(
        f"{path}: found a file that cannot be read safely ({first}), expected tensors"
    )
