"""The image backbone: IR-50 without its last stage and without the embedding head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Stage:
    """A run of units of one width; the first of them halves the picture."""

    units: int
    width: int


# ArcFace's IR-50 has a fourth stage of three 512-wide units, which ORSANet does not use.
IR50_STAGES = (Stage(3, 64), Stage(4, 128), Stage(14, 256))


class IRUnit(nn.Module):
    """A residual unit of ArcFace's "improved" kind: BN, 3x3, PReLU, 3x3, BN over a shortcut."""

    def __init__(self, fan_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.shortcut_layer: nn.Module
        if fan_in == width:
            # A pooling of one place: at stride 1 it would copy the map.
            self.shortcut_layer = nn.MaxPool2d(1, stride) if stride > 1 else nn.Identity()
        else:
            self.shortcut_layer = nn.Sequential(
                nn.Conv2d(fan_in, width, 1, stride, bias=False), nn.BatchNorm2d(width)
            )
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(fan_in),
            nn.Conv2d(fan_in, width, 3, 1, 1, bias=False),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, H / stride, W / stride) for (B, fan_in, H, W)."""
        out: Tensor = self.res_layer(x) + self.shortcut_layer(x)
        return out


class IRBackbone(nn.Module):
    """A stem and stages of units; every stage halves the picture.

    With IR50_STAGES and `stem_stride` 1 this is the released model's `ir_back`, without the
    `output_layer` (12.8 M parameters) that its forward never runs.
    """

    def __init__(self, stages: Sequence[Stage] = IR50_STAGES, stem_stride: int = 1) -> None:
        super().__init__()
        stem = stages[0].width
        self.input_layer = nn.Sequential(
            nn.Conv2d(3, stem, 3, stem_stride, 1, bias=False), nn.BatchNorm2d(stem), nn.PReLU(stem)
        )
        units: list[nn.Module] = []
        fan_in = stem
        for stage in stages:
            for number in range(stage.units):
                units.append(IRUnit(fan_in, stage.width, stride=2 if number == 0 else 1))
                fan_in = stage.width
        self.body = nn.Sequential(*units)

    def forward(self, images: Tensor) -> Tensor:
        """Return the last feature map: (B, 256, 14, 14) for (B, 3, 112, 112) at full size."""
        out: Tensor = self.body(self.input_layer(images))
        return out
