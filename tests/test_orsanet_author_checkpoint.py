"""The authors' checkpoints load, and what is none is refused by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from occlufer.errors import MissingError, UsageError
from occlufer.orsanet import build_orsanet, load_author_checkpoint
from occlufer.orsanet.author_checkpoint import NEVER_RUN, read_ir50
from occlufer.orsanet.ir50 import IRBackbone

Tensors = dict[str, Tensor]


@cache
def hollow(size: Any = "small") -> Tensors:
    """Return every tensor of a checkpoint, all zeros that take no room, on disk or off."""
    with torch.device("meta"):
        shapes = build_orsanet(8, size).state_dict()
    return {name: torch.zeros(()).expand(x.shape) for name, x in shapes.items()}


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("unused", [False, True])
def test_a_checkpoint_loads_with_or_without_prefix_and_unused_tensors(
    tmp_path: Path, prefix: str, unused: bool
) -> None:
    tensors = hollow() | ({name: torch.zeros(3) for name in NEVER_RUN} if unused else {})
    content = {"model_state_dict": {prefix + name: x for name, x in tensors.items()}, "epoch": 3}
    model = load_author_checkpoint(saved(tmp_path / "a.pth", content))
    assert not model.training
    assert len(model.pyramid_fuse.blocks) == 4
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert not any(name.startswith("face_") for name in trained)
    index = model.state_dict()["face_segment.backbone.0.1.0.attn.relative_position_index"]
    assert int(index.max()) == 168  # the constant is ours, whatever stood in the file


class Planted:
    """What runs a command where a pickle is trusted."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("exit 1",)


def without(name: str) -> Tensors:
    return {key: x for key, x in hollow().items() if key != name}


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "an object": (lambda: {"model_state_dict": hollow(), "args": Planted()}, "read safely"),
    "no tensors": (lambda: {"model_state_dict": {}}, "found no tensors"),
    "a missing tensor": (
        lambda: {"model_state_dict": without("ir_layer.bias")},
        r"found no tensor ir_layer\.bias, expected it with shape \(512,\)",
    ),
    "one too many": (
        lambda: {"model_state_dict": hollow() | {"more": torch.zeros(1)}},
        "found the tensor more, expected none",
    ),
    "a wrong shape": (
        lambda: {"model_state_dict": hollow() | {"ir_layer.weight": torch.zeros(512, 512)}},
        r"found ir_layer\.weight with shape \(512, 512\), expected \(512, 1024\)",
    ),
    "whole numbers": (
        lambda: {"model_state_dict": hollow() | {"ir_layer.bias": torch.zeros(512).long()}},
        r"found ir_layer\.bias of torch\.int64, expected torch\.float32",
    ),
    "seven classes": (
        lambda: {"model_state_dict": hollow() | {"head.linear.weight": torch.zeros(7, 512)}},
        "found a classifier of 7 classes, expected 8",
    ),
    "another network": (lambda: {"conv.weight": torch.zeros(3)}, "found 0 pyramid blocks"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_such_checkpoint_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    make, message = WRONG[kind]
    path = saved(tmp_path / "a.pth", make())
    with pytest.raises(UsageError, match=rf"a\.pth: .*{message}"):
        load_author_checkpoint(path)


def test_a_checkpoint_cut_short_or_missing_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pth", {"model_state_dict": {"a": torch.zeros(5000)}})
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(UsageError, match="cannot be read safely"):
        load_author_checkpoint(path)
    with pytest.raises(MissingError, match="found nothing, expected an ORSANet checkpoint"):
        load_author_checkpoint(tmp_path / "b.pth")


def test_seven_classes_load_if_asked_for(tmp_path: Path) -> None:
    seven = {"head.linear.weight": torch.zeros(7, 512), "head.linear.bias": torch.zeros(7)}
    path = saved(tmp_path / "a.pth", {"model_state_dict": hollow() | seven})
    assert load_author_checkpoint(path, num_classes=7).head.linear.out_features == 7


def test_an_ir50_gives_the_stages_that_are_used(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = IRBackbone().state_dict()
    unused = {"body.21.res_layer.0.weight": torch.zeros(256), "output_layer.3.bias": torch.zeros(9)}
    found = read_ir50(saved(tmp_path / "ir50.pth", {"model": whole | unused}))
    assert found.keys() == whole.keys()
    assert all(torch.equal(x, whole[name]) for name, x in found.items())
    with pytest.raises(UsageError, match="found the tensor more"):
        read_ir50(saved(tmp_path / "b.pth", whole | {"more": torch.zeros(1)}))
