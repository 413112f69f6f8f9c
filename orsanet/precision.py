"""Precision of a run: what is computed in half the bits, and the scale that keeps it in range."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from .config import Precision

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
FIRST_SCALE, LARGEST_SCALE, PATIENCE = 2.0**14, 2.0**24, 2000
# Gradients that overflow even so are no matter of range.
SMALLEST_SCALE = 2.0**-14


def set_products(precision: Precision) -> None:
    """Let CUDA multiply in TF32, or keep it from it; there is nothing like it elsewhere."""
    fast = precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = fast
    torch.backends.cudnn.allow_tf32 = fast


def mixed(precision: Precision, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which a forward pass runs."""
    if precision not in HALVES:
        return nullcontext()
    return torch.autocast(device.type, HALVES[precision])


class LossScale:
    """What a loss is multiplied by, so that float16 gradients do not vanish; 1 for other types.

    torch's GradScaler takes one backward pass a step, SAM has two.
    """

    def __init__(self, precision: Precision) -> None:
        """Start with a large scale for float16; `state` is what a checkpoint keeps."""
        self.active = precision == "float16"
        self.state = {"value": FIRST_SCALE if self.active else 1.0, "steps": 0.0}

    @property
    def exhausted(self) -> bool:
        """Whether no scale helps: the gradients are no numbers, and every step is left out."""
        return self.state["value"] < SMALLEST_SCALE

    def up(self, loss: Tensor) -> Tensor:
        """Return the loss scaled."""
        return loss * self.state["value"] if self.active else loss

    @torch.no_grad()
    def down(self, parameters: Sequence[Tensor]) -> bool:
        """Unscale all gradients; False, with the scale halved, if any of them is not finite."""
        if not self.active:
            return True
        grads = [p.grad for p in parameters if p.grad is not None]
        for grad in grads:
            grad.div_(self.state["value"])
        finite = bool(torch.isfinite(torch.stack([g.norm() for g in grads])).all())
        self.state["steps"] = self.state["steps"] + 1 if finite else 0.0
        if not finite:
            self.state["value"] /= 2
        elif self.state["steps"] % PATIENCE == 0:
            self.state["value"] = min(2 * self.state["value"], LARGEST_SCALE)
        return finite
