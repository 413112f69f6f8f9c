"""SSGM, the semantic-spatial guidance: a SPADE residual block (paper, Eq. 5)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm


class SPADE(nn.Module):
    """Instance norm whose scale and shift are read, place by place, from the semantic prior."""

    def __init__(self, width: int, semantic_channels: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(
            nn.Conv2d(semantic_channels, hidden, 3, padding=1), nn.ReLU()
        )
        self.mlp_gamma = nn.Conv2d(hidden, width, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, width, 3, padding=1)

    def forward(self, x: Tensor, semantic: Tensor) -> Tensor:
        """Return norm(x) * (1 + gamma) + beta for x (B, C, H, W), semantic (B, S, H, W)."""
        shared = self.mlp_shared(semantic)
        out: Tensor = F.instance_norm(x) * (1 + self.mlp_gamma(shared)) + self.mlp_beta(shared)
        return out


class SPADEResidual(nn.Module):
    """Two SPADE stages over an identity shortcut, 3x3 convolutions under spectral norm.

    The old form of `spectral_norm` is used on purpose: it names its tensors weight_orig, weight_u
    and weight_v, as the authors' checkpoints do.
    """

    def __init__(self, width: int, semantic_channels: int, hidden: int) -> None:
        super().__init__()
        self.conv_0 = spectral_norm(nn.Conv2d(width, width, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(width, width, 3, padding=1))
        self.norm_0 = SPADE(width, semantic_channels, hidden)
        self.norm_1 = SPADE(width, semantic_channels, hidden)

    def forward(self, x: Tensor, semantic: Tensor) -> Tensor:
        """Return (B, C, H, W) for x (B, C, H, W) and semantic (B, S, h, w).

        A prior of another size is averaged to H x W. (SPADE takes the nearest pixel, which would
        lose brows and lips on a 7 x 7 grid; at equal size, as in the released model, nothing is
        resized.)
        """
        H, W = x.shape[-2:]
        if semantic.shape[-2:] != (H, W):
            semantic = F.adaptive_avg_pool2d(semantic, (H, W))
        out: Tensor = self.conv_0(F.leaky_relu(self.norm_0(x, semantic), 0.2))
        out = self.conv_1(F.leaky_relu(self.norm_1(out, semantic), 0.2))
        return x + out
