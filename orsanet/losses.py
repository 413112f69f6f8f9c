"""The losses: dynamic adversarial repulsion (DARE, paper Eq. 10-12) and label smoothing."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DAREForm = Literal["released", "paper"]


class DARELoss(nn.Module):
    """Cross-entropy between the target and its strongest rival alone, the rival's logit raised.

    With target logit z_x, strongest other logit z_y and alpha = 1 - softmax(z)_x the rival is
    "paper" z_y + alpha * z_y (Eq. 11), which lowers a negative z_y; "released" z_y + alpha, which
    always raises it and made the published numbers. Alpha is a constant for the gradient.

    It goes beside cross-entropy on any classifier (Eq. 12 weighs it by 0.1):

        dare = DARELoss()
        for images, target in loader:
            logits = resnet(images)
            loss = F.cross_entropy(logits, target) + 0.1 * dare(logits, target)
    """

    def __init__(self, form: DAREForm = "released") -> None:
        super().__init__()
        if form not in get_args(DAREForm):
            raise ValueError(f"form {form!r} is not one of {get_args(DAREForm)}")
        self.form = form

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss, a scalar, for logits (B, C), C >= 2, and class ids (B,) int64."""
        if logits.shape[1] < 2:
            raise ValueError(f"logits: found {(*logits.shape,)}, expected (B, C) with C >= 2")
        index = target[:, None]
        own = logits.gather(1, index).squeeze(1)
        rival = logits.scatter(1, index, -torch.inf).amax(dim=1)
        alpha = 1 - logits.detach().softmax(dim=1).gather(1, index).squeeze(1)
        raised = rival + (alpha * rival if self.form == "paper" else alpha)
        return F.softplus(raised - own).mean()


class LabelSmoothingLoss(nn.Module):
    """Cross-entropy against a target that gives the share `smoothing` to all classes alike."""

    def __init__(self, smoothing: float = 0.2) -> None:
        super().__init__()
        self.smoothing = smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss, a scalar, for logits (B, C) and class ids (B,) int64."""
        return F.cross_entropy(logits, target, label_smoothing=self.smoothing)
