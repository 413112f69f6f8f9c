"""MCM, the multi-scale cross-interaction: image tokens asked by landmark tokens (Eq. 6-9)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Tokens of the 7 x 7 grid and their mean.
GROUP_TOKENS = 50
TOKENS = 2 * GROUP_TOKENS
EPS = 1e-6


class CrossAttention(nn.Module):
    """Attention of landmark queries over image keys and values.

    As in the released code the query is the landmark token itself; the paper's Eq. 6 has a W_q.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, image: Tensor, landmark: Tensor) -> Tensor:
        """Return (B, N, D) for image and landmark tokens (B, N, D)."""
        B, N, D = image.shape
        key, value = self.kv(image).chunk(2, dim=-1)
        query, key, value = (
            x.reshape(B, N, self.heads, D // self.heads).transpose(1, 2)
            for x in (landmark, key, value)
        )
        out = F.scaled_dot_product_attention(query, key, value)
        projected: Tensor = self.proj(out.transpose(1, 2).reshape(B, N, D))
        return projected


class MLP(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, D) for (B, N, D)."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class CrossFusion(nn.Module):
    """One cross-fusion at one width."""

    def __init__(self, width: int, heads: int, drop_ratio: float) -> None:
        super().__init__()
        self.drop_ratio = drop_ratio
        self.scale = nn.Parameter(torch.ones(1))
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn_img = CrossAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = MLP(width, 2 * width)
        self.conv = nn.Conv1d(TOKENS, TOKENS, 1)
        # A fresh block passes every token on to itself. Authors' weights overwrite this.
        nn.init.dirac_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 100, D) for (B, 100, D): 50 image tokens, then 50 landmark tokens."""
        image, landmark = x.chunk(2, dim=1)
        normed_image, normed_landmark = self.norm1(x).chunk(2, dim=1)
        image = image + self._drop(self.attn_img(normed_image, normed_landmark))
        image = image + self._drop(self.mlp(self.norm2(image)))
        out: Tensor = self.conv(torch.cat([image, landmark * self.scale], dim=1))
        return out

    def _drop(self, x: Tensor) -> Tensor:
        """Return x with the branch of some samples left out, in training (stochastic depth)."""
        if not self.training or self.drop_ratio == 0:
            return x
        keep = torch.rand(x.shape[0], 1, 1, device=x.device) >= self.drop_ratio
        return x * keep / (1 - self.drop_ratio)


class PyramidBlock(nn.Module):
    """Cross-fusions at three widths, then coarse added to fine."""

    def __init__(self, width: int, heads: int, drop_ratio: float) -> None:
        super().__init__()
        self.block_l = CrossFusion(width, heads, drop_ratio)
        self.block_m = CrossFusion(width // 2, heads, drop_ratio)
        self.block_s = CrossFusion(width // 4, heads, drop_ratio)
        self.upsample_m = nn.ConvTranspose1d(TOKENS, TOKENS, 2, 2)
        self.upsample_s = nn.ConvTranspose1d(TOKENS, TOKENS, 2, 2)

    def forward(self, large: Tensor, middle: Tensor, small: Tensor) -> tuple[Tensor, ...]:
        """Return the three lists, (B, 100, D), (B, 100, D / 2) and (B, 100, D / 4), fused."""
        large, middle, small = self.block_l(large), self.block_m(middle), self.block_s(small)
        middle = middle + self.upsample_s(small)
        large = large + self.upsample_m(middle)
        return large, middle, small


class PyramidFusion(nn.Module):
    """The whole of MCM. The released model's `cls_token`, which it never uses, is left out."""

    def __init__(self, width: int, depth: int, heads: int, drop_ratio: float) -> None:
        super().__init__()
        self.pos_embed = nn.Parameter(torch.empty(1, GROUP_TOKENS, width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.downsample_m = nn.Conv1d(TOKENS, TOKENS, 2, 2)
        self.downsample_s = nn.Conv1d(TOKENS, TOKENS, 4, 4)
        ratios = torch.linspace(0, drop_ratio, depth).tolist()
        self.blocks = nn.ModuleList(PyramidBlock(width, heads, ratio) for ratio in ratios)
        self.norm = nn.LayerNorm(width, eps=EPS)

    def forward(self, image: Tensor, landmark: Tensor) -> Tensor:
        """Return (B, D) for image and landmark tokens (B, 49, D)."""
        image = torch.cat([image.mean(1, keepdim=True), image], dim=1) + self.pos_embed
        landmark = torch.cat([landmark.mean(1, keepdim=True), landmark], dim=1)
        large = torch.cat([image, landmark], dim=1)
        middle, small = self.downsample_m(large), self.downsample_s(large)
        for block in self.blocks:
            large, middle, small = block(large, middle, small)
        out: Tensor = self.norm(large)[:, 0]
        return out
