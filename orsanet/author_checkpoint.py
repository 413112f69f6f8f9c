"""The authors' checkpoints: a whole ORSANet, or the IR-50 that it starts from."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from occlufer.errors import UsageError

from .ir50 import IRBackbone
from .model import FROZEN_NAMES, SIZES, ORSANet, Size, build_orsanet
from .swin import offset_indices
from .tensors import check_tensors, read_tensors

HOLDERS = ("model_state_dict", "state_dict", "model")
WHAT = "an ORSANet checkpoint of the authors' code"
WHERE = "its authors publish them, see github.com/Wenyuzhy/ORSANet-master"
# No forward of the released model runs these: 12.848 M of the 60.290 M parameters it counts.
NEVER_RUN = frozenset(
    (
        "pyramid_fuse.cls_token",
        *(f"ir_back.output_layer.{layer}" for layer in ("3.weight", "3.bias")),
        *(
            f"ir_back.output_layer.{norm}.{name}"
            for norm in (0, 4)
            for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        ),
    )
)
IR50_WHAT = "an IR-50 of ArcFace's kind"
IR50_WHERE = "as POSTER and ORSANet use it, ir50.pth, trained on MS-Celeb-1M"
# ArcFace's fourth stage and embedding head, which ORSANet does not use.
IR50_UNUSED = re.compile(r"body\.2[123]\.|output_layer\.")


def load_author_checkpoint(path: Path | str, num_classes: int = 8) -> ORSANet:
    """Return the model of an authors' checkpoint, in evaluation mode, its frozen networks included.

    The file holds `{"model_state_dict": {...}}`, the names with or without "module." before them.
    Its size (small, base, large) is told by its blocks. Every name and shape is checked; those of
    NEVER_RUN may be there or not. Raises MissingError if there is no file, UsageError if it holds
    anything but data, is cut short, or a tensor is missing, too many or of another shape.
    """
    path = Path(path)
    tensors = read_tensors(path, HOLDERS, WHAT, WHERE)
    _check_classes(path, tensors, num_classes)
    return _model_of(path, tensors, num_classes)


def load_any_classes(path: Path) -> ORSANet:
    """Return `load_author_checkpoint` of a checkpoint with as many classes as its head has."""
    tensors = read_tensors(path, HOLDERS, WHAT, WHERE)
    head = tensors.get("head.linear.weight")
    return _model_of(path, tensors, 8 if head is None or head.dim() != 2 else len(head))


def _model_of(path: Path, tensors: dict[str, Tensor], num_classes: int) -> ORSANet:
    with torch.device("meta"):  # names and shapes alone; the numbers are the checkpoint's
        model = build_orsanet(num_classes, _size_of(path, tensors))
    expected = model.state_dict()
    check_tensors(path, expected, tensors, NEVER_RUN.__contains__)
    used = {name: x for name, x in tensors.items() if name not in NEVER_RUN}
    model.load_state_dict(used | offset_indices(expected), assign=True)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not name.startswith(FROZEN_NAMES))
    return model.eval()


def read_ir50(path: Path) -> dict[str, Tensor]:
    """Return the tensors of an IR-50 that ORSANet's backbone takes; not its last stage and head.

    Raises MissingError if there is no file, UsageError if it is no such network.
    """
    tensors = read_tensors(path, HOLDERS, IR50_WHAT, IR50_WHERE)
    with torch.device("meta"):
        state = IRBackbone().state_dict()
    check_tensors(path, state, tensors, lambda name: bool(IR50_UNUSED.match(name)))
    return {name: tensors[name] for name in state}


def _check_classes(path: Path, tensors: dict[str, Tensor], num_classes: int) -> None:
    head = tensors.get("head.linear.weight")
    if head is not None and head.dim() == 2 and head.shape[0] != num_classes:
        raise UsageError(
            f"{path}: found a classifier of {head.shape[0]} classes, expected {num_classes}; "
            "num_classes says how many the checkpoint has"
        )


def _size_of(path: Path, tensors: dict[str, Tensor]) -> Size:
    """Return the size with as many pyramid blocks as the checkpoint has."""
    found = re.compile(r"pyramid_fuse\.blocks\.(\d+)\.")
    blocks = {match[1] for match in map(found.match, tensors) if match}
    sizes: dict[int, Size] = {SIZES[name].depth: name for name in ("small", "base", "large")}
    if len(blocks) not in sizes:
        raise UsageError(
            f"{path}: found {len(blocks)} pyramid blocks (pyramid_fuse.blocks), expected "
            f"{' or '.join(map(str, sizes))}, as {WHAT} has"
        )
    return sizes[len(blocks)]
