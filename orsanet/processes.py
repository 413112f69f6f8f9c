"""Processes that train one model together, as `torchrun` starts them; one alone is the usual case.

Every process draws the random numbers of the whole batch and takes its share, and batch norm looks
at the whole batch, so several processes train what one would on the same batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

# How long one waits for another: the first may compute the priors of a whole dataset meanwhile.
PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """One process among those that train."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    """Its number on this machine: its GPU."""

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, values: Any) -> Any:
        """Return this process's part of what belongs to a whole batch: every count-th from rank."""
        return values if self.count == 1 else values[self.rank :: self.count]


ALONE = Processes()


@contextmanager
def joined(backend: str) -> Iterator[Processes]:
    """Join the processes that `torchrun` tells of in the environment; alone without them."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ALONE
        return
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if backend == "nccl":
        torch.cuda.set_device(local_rank)
    dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Processes(dist.get_rank(), count, local_rank)
    finally:
        dist.destroy_process_group()


def is_first() -> bool:
    """Return whether this process tells what came of it, also when it has left the others again."""
    return os.environ.get("WORLD_SIZE", "1") == "1" or os.environ.get("RANK", "0") == "0"


def here() -> Processes:
    """Return this process, whether others have joined it or not."""
    if dist.is_available() and dist.is_initialized():
        return Processes(dist.get_rank(), dist.get_world_size())
    return ALONE


def wait_for_all() -> None:
    """Return when every process has come here."""
    if here().count > 1:
        dist.barrier()


def summed(values: Tensor) -> Tensor:
    """Return the sum over all processes, the same for each; the tensor itself is changed."""
    if here().count > 1:
        dist.all_reduce(values)
    return values


def synced(model: nn.Module) -> nn.Module:
    """Return the model with batch norms that look at the batches of all processes.

    torch's own SyncBatchNorm runs on CUDA alone. Frozen batch norms are left as they are.
    """
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and module.weight.requires_grad:
            module.__class__ = SyncedBatchNorm
    return model


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the batches of all processes, of equal size."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) for (B, C, H, W); in training by the statistics of all processes."""
        if not self.training or here().count == 1:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        count = x.numel() // x.shape[1] * here().count
        mean = _sum_over_all(x.sum((0, 2, 3))) / count
        centred = x - mean.view(1, -1, 1, 1)
        # Two passes: a mean of squares less a squared mean would lose half the digits.
        variance = _sum_over_all(centred.square().sum((0, 2, 3))) / count
        with torch.no_grad():
            share = 0.1 if self.momentum is None else self.momentum
            self.running_mean.lerp_(mean.detach(), share)
            self.running_var.lerp_(variance.detach() * count / (count - 1), share)
            if self.num_batches_tracked is not None:
                self.num_batches_tracked += 1
        gain = self.weight / torch.sqrt(variance + self.eps)
        return centred * gain.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class _SumOverAll(torch.autograd.Function):
    """A sum over all processes, through which gradients flow: its gradient is one such sum too."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return summed(values.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return summed(gradients[0].contiguous().clone())


def _sum_over_all(values: Tensor) -> Tensor:
    out: Tensor = _SumOverAll.apply(values)  # type: ignore[no-untyped-call]
    return out
