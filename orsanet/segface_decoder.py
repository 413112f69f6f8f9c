"""SegFace's decoder: a learned token per class asks the picture where its class is.

Narayan et al., "SegFace: Face Segmentation of Long-Tail Classes", AAAI 2025; the layers are those
of Segment Anything's mask decoder (Kirillov et al., ICCV 2023), and so are the tensors' names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEADS = 8


class Attention(nn.Module):
    """Attention between two lists of tokens, at a width of its own."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return (B, N, D) for queries (B, N, D), keys and values (B, M, D)."""
        heads = (
            x.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for x in (self.q_proj(query), self.k_proj(key), self.v_proj(value))
        )
        out = F.scaled_dot_product_attention(*heads)
        projected: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))
        return projected


class TokenMLP(nn.Module):
    """Two linear layers with a ReLU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(width, hidden)
        self.lin2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, D) for (B, N, D)."""
        out: Tensor = self.lin2(F.relu(self.lin1(x)))
        return out


class TwoWayBlock(nn.Module):
    """Class tokens look at each other, then at the picture; then the picture looks at them."""

    def __init__(self, width: int, hidden: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(width, width)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = Attention(width, width // 2)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = TokenMLP(width, hidden)
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = Attention(width, width // 2)

    def forward(
        self, tokens: Tensor, image: Tensor, classes: Tensor, places: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return tokens (B, K, D) and image (B, N, D).

        `classes` are the tokens as the decoder got them, `places` the code of every place, (N, D).
        """
        if self.first:
            # The tokens still are the classes, and are replaced, not added to.
            tokens = self.norm1(self.self_attn(tokens, tokens, tokens))
        else:
            asking = tokens + classes
            tokens = self.norm1(tokens + self.self_attn(asking, asking, tokens))
        seen = self.cross_attn_token_to_image(tokens + classes, image + places, image)
        tokens = self.norm2(tokens + seen)
        tokens = self.norm3(tokens + self.mlp(tokens))
        told = self.cross_attn_image_to_token(image + places, tokens + classes, tokens)
        return tokens, self.norm4(image + told)


class TwoWayTransformer(nn.Module):
    """Two-way blocks and a last look of the tokens at the picture."""

    def __init__(self, width: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(width, hidden, i == 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(width, width // 2)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, image: Tensor, places: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, K, D) and image (B, N, D); `places` is (N, D), `classes` (B, K, D)."""
        tokens = classes
        for layer in self.layers:
            tokens, image = layer(tokens, image, classes, places)
        seen = self.final_attn_token_to_image(tokens + classes, image + places, image)
        return self.norm_final_attn(tokens + seen), image


class PlaceCode(nn.Module):
    """Random Fourier features of a place; the frequencies come with the checkpoint."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.positional_encoding_gaussian_matrix: Tensor
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, width // 2))

    def forward(self, H: int, W: int) -> Tensor:
        """Return the codes (H * W, D) of the places of a map, row by row."""
        frequencies = self.positional_encoding_gaussian_matrix
        y = (torch.arange(H, device=frequencies.device) + 0.5) / H
        x = (torch.arange(W, device=frequencies.device) + 0.5) / W
        # x before y, both in [-1, 1].
        xy = 2 * torch.cartesian_prod(y, x).flip(-1) - 1
        angles = 2 * math.pi * (xy @ frequencies)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of (B, C, H, W), place by place."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C, H, W) for (B, C, H, W)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class TokenHead(nn.Module):
    """Three linear layers that make of a class token the weights by which its map is read."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        sizes = ((width, width), (width, width), (width, out))
        self.layers = nn.ModuleList(nn.Linear(*size) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, K, out) for (B, K, D)."""
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


class FaceDecoder(nn.Module):
    """Class maps at four times the size of the picture's features."""

    def __init__(self, classes: Sequence[str], width: int = 256, hidden: int = 2048) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.transformer = TwoWayTransformer(width, hidden, depth=2)
        for name in classes:
            self.add_module(f"{name}_token", nn.Embedding(1, width))
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, 2),
            ChannelNorm(width // 4, eps=1e-6),
            nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, 2),
            nn.GELU(),
        )
        self.output_hypernetwork_mlps = TokenHead(width, width // 8)

    def forward(self, image: Tensor, places: Tensor) -> Tensor:
        """Return logits (B, classes, 4 H, 4 W) for features (B, D, H, W), codes (H * W, D)."""
        tokens = torch.cat([self.get_parameter(f"{name}_token.weight") for name in self.classes])
        tokens = tokens.expand(len(image), -1, -1)
        tokens, seen = self.transformer(image.flatten(2).transpose(1, 2), places, tokens)
        maps = self.output_upscaling(seen.transpose(1, 2).reshape(image.shape))
        weights = self.output_hypernetwork_mlps(tokens)
        return torch.einsum("bkc,bchw->bkhw", weights, maps)
