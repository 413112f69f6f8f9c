"""MCM, the multi-scale cross-interaction: image tokens asked by landmark tokens (Eq. 6-9)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .depth import dropped, rising

# Tokens of the 7 x 7 grid and their mean.
GROUP_TOKENS = 50
TOKENS = 2 * GROUP_TOKENS
EPS = 1e-6


@dataclass(frozen=True)
class FusionForm:
    """What a cross-fusion does; the defaults are the released code's."""

    heads: int
    query_projection: bool = False
    """Whether the landmark query passes a linear layer W_q first, as the paper's Eq. 6 has it."""
    cross_interaction: bool = True
    """False: the image tokens ask themselves (an ablation of Table 6)."""
    reintegration: bool = True
    """False: the fused list is not mixed over its tokens, nor landmarks scaled (Table 6)."""
    multi_scale: bool = True
    """False: one width alone is fused (Table 6)."""


class CrossAttention(nn.Module):
    """Attention of landmark queries over image keys and values (Eq. 6)."""

    def __init__(self, width: int, form: FusionForm) -> None:
        super().__init__()
        self.heads = form.heads
        self.q = nn.Linear(width, width) if form.query_projection else nn.Identity()
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, image: Tensor, asking: Tensor) -> Tensor:
        """Return (B, N, D) for image tokens and those that ask, (B, N, D) each."""
        B, N, D = image.shape
        key, value = self.kv(image).chunk(2, dim=-1)
        query, key, value = (
            x.reshape(B, N, self.heads, D // self.heads).transpose(1, 2)
            for x in (self.q(asking), key, value)
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

    def __init__(self, width: int, form: FusionForm, drop_ratio: float) -> None:
        super().__init__()
        self.form = form
        self.drop_ratio = drop_ratio
        self.norm1 = nn.LayerNorm(width, eps=EPS)
        self.attn_img = CrossAttention(width, form)
        self.norm2 = nn.LayerNorm(width, eps=EPS)
        self.mlp = MLP(width, 2 * width)
        if form.reintegration:
            self.scale = nn.Parameter(torch.ones(1))
            self.conv = nn.Conv1d(TOKENS, TOKENS, 1)
            # A fresh block passes every token on to itself. Authors' weights overwrite this.
            nn.init.dirac_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 100, D) for (B, 100, D): 50 image tokens, then 50 landmark tokens."""
        image, landmark = x.chunk(2, dim=1)
        normed_image, normed_landmark = self.norm1(x).chunk(2, dim=1)
        asking = normed_landmark if self.form.cross_interaction else normed_image
        image = image + self._dropped(self.attn_img(normed_image, asking))
        image = image + self._dropped(self.mlp(self.norm2(image)))
        if not self.form.reintegration:
            return torch.cat([image, landmark], dim=1)
        out: Tensor = self.conv(torch.cat([image, landmark * self.scale], dim=1))
        return out

    def _dropped(self, branch: Tensor) -> Tensor:
        return dropped(branch, self.drop_ratio, self.training)


class PyramidBlock(nn.Module):
    """Cross-fusions at three widths, then coarse added to fine; or at one width alone."""

    def __init__(self, width: int, form: FusionForm, drop_ratio: float) -> None:
        super().__init__()
        self.block_l = CrossFusion(width, form, drop_ratio)
        if form.multi_scale:
            self.block_m = CrossFusion(width // 2, form, drop_ratio)
            self.block_s = CrossFusion(width // 4, form, drop_ratio)
            self.upsample_m = nn.ConvTranspose1d(TOKENS, TOKENS, 2, 2)
            self.upsample_s = nn.ConvTranspose1d(TOKENS, TOKENS, 2, 2)

    def forward(self, large: Tensor, *coarse: Tensor) -> tuple[Tensor, ...]:
        """Return the lists fused: (B, 100, D), and (B, 100, D / 2) and (B, 100, D / 4) if given."""
        large = self.block_l(large)
        if not coarse:
            return (large,)
        middle, small = self.block_m(coarse[0]), self.block_s(coarse[1])
        middle = middle + self.upsample_s(small)
        large = large + self.upsample_m(middle)
        return large, middle, small


class PyramidFusion(nn.Module):
    """The whole of MCM. The released model's `cls_token`, which it never uses, is left out."""

    def __init__(self, width: int, depth: int, form: FusionForm, drop_ratio: float) -> None:
        super().__init__()
        self.form = form
        self.pos_embed = nn.Parameter(torch.empty(1, GROUP_TOKENS, width))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        if form.multi_scale:
            self.downsample_m = nn.Conv1d(TOKENS, TOKENS, 2, 2)
            self.downsample_s = nn.Conv1d(TOKENS, TOKENS, 4, 4)
        ratios = rising(drop_ratio, depth)
        self.blocks = nn.ModuleList(PyramidBlock(width, form, ratio) for ratio in ratios)
        self.norm = nn.LayerNorm(width, eps=EPS)

    def forward(self, image: Tensor, landmark: Tensor) -> Tensor:
        """Return (B, D) for image and landmark tokens (B, 49, D)."""
        image = torch.cat([image.mean(1, keepdim=True), image], dim=1) + self.pos_embed
        landmark = torch.cat([landmark.mean(1, keepdim=True), landmark], dim=1)
        lists: tuple[Tensor, ...] = (torch.cat([image, landmark], dim=1),)
        if self.form.multi_scale:
            lists += (self.downsample_m(lists[0]), self.downsample_s(lists[0]))
        for block in self.blocks:
            lists = block(*lists)
        out: Tensor = self.norm(lists[0])[:, 0]
        return out
