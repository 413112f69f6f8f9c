"""Swin-B, the backbone of SegFace: attention within windows, which every second block shifts.

Liu et al., "Swin Transformer", ICCV 2021, version 1. The tensors are named as in torchvision's
`swin_b`, whose weights SegFace's checkpoints carry; torchvision itself is not needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .depth import dropped, rising

PATCH_PX = 4
WINDOW = 7
# Stochastic depth of the last block, as torchvision's swin_b has it; the first has none.
DROP_RATIO = 0.5
# How the name of a window's `offset_index` ends.
INDEX_NAME = ".attn.relative_position_index"
# What keeps places apart that share a window only because the map was rolled.
APART = -100.0


@dataclass(frozen=True)
class Stage:
    """Blocks of one width; every stage but the first halves the map before it."""

    blocks: int
    width: int
    heads: int


# What lies between them in a Swin is the stem and the mergings.
STAGE_NAMES = ("1", "3", "5", "7")
SWIN_B_STAGES = (Stage(2, 128, 4), Stage(2, 256, 8), Stage(18, 512, 16), Stage(2, 1024, 32))


class ToChannelsLast(nn.Module):
    """(B, C, H, W) to (B, H, W, C), the order of everything behind it."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, H, W, C) for (B, C, H, W)."""
        return x.permute(0, 2, 3, 1)


class WindowAttention(nn.Module):
    """Attention of the places of one window, with a learned bias for every offset between two."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        self.relative_position_index: Tensor
        self.register_buffer("relative_position_index", offset_index())

    def forward(self, windows: Tensor, apart: Tensor | None) -> Tensor:
        """Return (B, N, 49, C) for windows (B, N, 49, C).

        `apart`, (N, 49, 49), is added to the logits of every pair of places.
        """
        B, N, places, C = windows.shape
        qkv = self.qkv(windows).reshape(B, N, places, 3, self.heads, C // self.heads)
        query, key, value = qkv.permute(3, 0, 1, 4, 2, 5).unbind(0)
        bias = self.relative_position_bias_table[self.relative_position_index]
        bias = bias.view(places, places, self.heads).permute(2, 0, 1)
        if apart is not None:
            bias = bias + apart[:, None]
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        projected: Tensor = self.proj(out.transpose(2, 3).reshape(B, N, places, C))
        return projected


class SwinBlock(nn.Module):
    """Window attention and an MLP, each behind a layer norm and beside a shortcut.

    SegFace serves here with frozen weights, in evaluation mode; the stochastic depth of training
    mode is there to reproduce the released ORSANet, which left it on.
    """

    def __init__(self, width: int, heads: int, shifted: bool, drop_ratio: float = 0.0) -> None:
        super().__init__()
        self.shifted = shifted
        self.drop_ratio = drop_ratio
        self.norm1 = nn.LayerNorm(width)
        self.attn = WindowAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        # Where training has a dropout, so that the second layer is called "3".
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Identity(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, H, W, C) for (B, H, W, C); H and W are multiples of the window."""
        x = x + dropped(self._attend(self.norm1(x)), self.drop_ratio, self.training)
        return x + dropped(self.mlp(self.norm2(x)), self.drop_ratio, self.training)

    def _attend(self, x: Tensor) -> Tensor:
        H, W = x.shape[1:3]
        # A map of a single window has nothing to shift to.
        shift = WINDOW // 2 if self.shifted and min(H, W) > WINDOW else 0
        apart = apart_after_roll(H, W, shift, x.device) if shift else None
        windows = to_windows(x.roll((-shift, -shift), (1, 2)))
        return from_windows(self.attn(windows, apart), H, W).roll((shift, shift), (1, 2))


class PatchMerging(nn.Module):
    """Half the map at twice the width: every 2 x 2 places become one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, H / 2, W / 2, 2 C) for (B, H, W, C)."""
        columns = torch.cat([x[:, 0::2], x[:, 1::2]], dim=-1)
        out: Tensor = self.reduction(
            self.norm(torch.cat([columns[:, :, 0::2], columns[:, :, 1::2]], -1))
        )
        return out


class Swin(nn.Sequential):
    """The layers as "0" and the final norm as "1", as SegFace's checkpoints name them."""

    def __init__(self, stages: Sequence[Stage] = SWIN_B_STAGES) -> None:
        width = stages[0].width
        stem = nn.Sequential(
            nn.Conv2d(3, width, PATCH_PX, PATCH_PX), ToChannelsLast(), nn.LayerNorm(width)
        )
        layers: list[nn.Module] = [stem]
        ratios = iter(rising(DROP_RATIO, sum(stage.blocks for stage in stages)))
        for number, stage in enumerate(stages):
            if number:
                layers.append(PatchMerging(stages[number - 1].width))
            blocks = (
                SwinBlock(stage.width, stage.heads, i % 2 == 1, next(ratios))
                for i in range(stage.blocks)
            )
            layers.append(nn.Sequential(*blocks))
        # Nothing here runs the norm: SegFace takes the maps before it.
        super().__init__(nn.Sequential(*layers), nn.LayerNorm(stages[-1].width))

    def stage_maps(self, images: Tensor) -> list[Tensor]:
        """Return the map of every stage, channels last, for images (B, 3, S, S).

        S is a multiple of 224. At 224, Swin-B's are (B, 56, 56, 128), (B, 28, 28, 256),
        (B, 14, 14, 512) and (B, 7, 7, 1024).
        """
        maps, x = [], images
        for name, layer in self[0].named_children():
            x = layer(x)
            if name in STAGE_NAMES:
                maps.append(x)
        return maps


def to_windows(x: Tensor) -> Tensor:
    """Return the windows (B, N, 49, C) of a map (B, H, W, C), row by row."""
    B, H, W, C = x.shape
    x = x.reshape(B, H // WINDOW, WINDOW, W // WINDOW, WINDOW, C)
    return x.transpose(2, 3).reshape(B, -1, WINDOW * WINDOW, C)


def from_windows(windows: Tensor, H: int, W: int) -> Tensor:
    """Return the map (B, H, W, C) of the windows that `to_windows` gave."""
    B, C = windows.shape[0], windows.shape[-1]
    x = windows.reshape(B, H // WINDOW, W // WINDOW, WINDOW, WINDOW, C)
    return x.transpose(2, 3).reshape(B, H, W, C)


def offset_index() -> Tensor:
    """Return int64 (2401,): for each pair of a window's places, which of 13 x 13 offsets it has."""
    y, x = torch.meshgrid(torch.arange(WINDOW), torch.arange(WINDOW), indexing="ij")
    places = torch.stack([y, x]).flatten(1)
    dy, dx = (places[:, :, None] - places[:, None, :] + WINDOW - 1).unbind(0)
    return (dy * (2 * WINDOW - 1) + dx).flatten()


def offset_indices(names: Iterable[str]) -> dict[str, Tensor]:
    """Return those tensors of a checkpoint's names that are a constant of the network.

    One that was converted to another type may have spoiled them.
    """
    return {name: offset_index() for name in names if name.endswith(INDEX_NAME)}


def apart_after_roll(H: int, W: int, shift: int, device: torch.device) -> Tensor:
    """Return (N, 49, 49): APART for pairs of places that were neighbours only by the roll, else 0.

    Rolling by `shift` brings the first rows and columns behind the last ones; a window there
    holds up to four pieces of the picture that do not touch.
    """
    rows = (torch.arange(H, device=device) >= H - shift).long()
    columns = (torch.arange(W, device=device) >= W - shift).long()
    piece = rows[:, None] * 2 + columns
    windows = to_windows(piece[None, :, :, None])[0, :, :, 0]
    together: Tensor = windows[:, :, None] == windows[:, None, :]
    return torch.zeros(together.shape, device=device).masked_fill(~together, APART)
