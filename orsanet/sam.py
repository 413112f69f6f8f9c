"""SAM: sharpness-aware minimisation (Foret et al., ICLR 2021) around any optimizer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class SAM:
    """Two passes a step: climb to the worst point within `rho`, then step from where it stood.

    loss(model).backward(); sam.climb(); loss(model).backward(); sam.step(). Both calls clear the
    gradients. Parameters without a gradient stay where they are.
    """

    def __init__(self, base: Optimizer, rho: float = 0.05) -> None:
        if rho < 0:
            raise ValueError(f"rho: found {rho}, expected 0 or more")
        self.base = base
        self.rho = rho
        self._stood: list[tuple[Tensor, Tensor]] = []

    @torch.no_grad()
    def climb(self) -> None:
        """Move every parameter by rho * gradient / norm of all gradients.

        Raises RuntimeError if it has climbed already, or there is no gradient.
        """
        if self._stood:
            raise RuntimeError("climb: found it called twice, expected step or give_up in between")
        moved = [p for p in self._parameters() if p.grad is not None]
        grads = [p.grad for p in moved if p.grad is not None]
        if not grads:
            raise RuntimeError("climb: found no gradient, expected a backward pass before it")
        norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in grads]))
        self._stood = [(p, p.clone()) for p in moved]
        for p, grad in zip(moved, grads, strict=True):
            p.add_(grad * (self.rho / (norm + 1e-12)))
        self.base.zero_grad()

    @torch.no_grad()
    def step(self) -> None:
        """Go back and let the base optimizer step with the gradients found at the worst point."""
        self._go_back()
        self.base.step()
        self.base.zero_grad()

    @torch.no_grad()
    def give_up(self) -> None:
        """Go back without a step, e.g. because a gradient overflowed."""
        self._go_back()
        self.base.zero_grad()

    def _go_back(self) -> None:
        for p, value in self._stood:
            p.copy_(value)
        self._stood = []

    def state_dict(self) -> dict[str, Any]:
        """Return the base optimizer's state; SAM itself keeps none between steps."""
        return self.base.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that `state_dict` gave."""
        self.base.load_state_dict(state)

    def _parameters(self) -> list[Tensor]:
        return [p for group in self.base.param_groups for p in group["params"]]
