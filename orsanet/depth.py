"""Stochastic depth: in training a branch is left out for some samples of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from .processes import here


def dropped(branch: Tensor, ratio: float, training: bool) -> Tensor:
    """Return a branch (B, ...) with whole samples set to zero, the others scaled up for them.

    Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016. Outside training, or with
    `ratio` 0, it is given back as it is.
    """
    if not training or ratio == 0:
        return branch
    shape = (branch.shape[0],) + (1,) * (branch.dim() - 1)
    processes = here()
    shape = (shape[0] * processes.count, *shape[1:])
    keep: Tensor = processes.share(torch.rand(shape, device=branch.device)) >= ratio
    return branch * keep / (1 - ratio)


def rising(ratio: float, count: int) -> list[float]:
    """Return the ratios of `count` blocks, from 0 for the first to `ratio` for the last."""
    return [ratio * number / max(count - 1, 1) for number in range(count)]
