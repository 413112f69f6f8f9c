"""Attention: which places of a face speak for the class that is told (the paper's Figure 4)."""

from __future__ import annotations

import torch
from torch import Tensor

from .model import ORSANet, Priors


def attention(model: ORSANet, images: Tensor, priors: Priors) -> tuple[Tensor, Tensor]:
    """Return logits (B, num_classes) and where the image backbone looks, (B, h, w) in [0, 1].

    Grad-CAM (Selvaraju et al., ICCV 2017, Eq. 1 and 2) of the likeliest class, at the backbone's
    last map; the place that speaks most for the class has 1, and all have 0 if none does. `images`
    and `priors` are as in `model(images, priors)`; the model is in evaluation mode.
    """
    seen: list[Tensor] = []

    def keep(module: object, inputs: object, output: Tensor) -> Tensor:
        leaf = output.detach().requires_grad_()
        seen.append(leaf)
        return leaf

    handle = model.ir_back.register_forward_hook(keep)
    try:
        with torch.enable_grad():
            logits = model(images, priors)
            (gradient,) = torch.autograd.grad(logits.max(dim=1).values.sum(), seen)
    finally:
        handle.remove()
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    maps = (weights * seen[0].detach()).sum(dim=1).relu()
    return logits.detach(), maps / maps.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
