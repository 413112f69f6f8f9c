"""The parser's network: part maps and 68 landmarks of one face from a small picture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from occlufer.face_parser import PARSED_CLASSES

INPUT_PX = 128
LANDMARKS = 68


class ParserNet(nn.Module):
    """An encoder to an eighth, a decoder that adds the finer levels to the coarser, two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.level2 = _conv(3, 32, stride=2)
        self.level4 = nn.Sequential(_conv(32, 64, stride=2), Residual(64))
        self.level8 = nn.Sequential(_conv(64, 128, stride=2), Residual(128), Residual(128))
        self.level16 = nn.Sequential(_conv(128, 160, stride=2), Residual(160), Residual(160))
        self.lateral8 = _conv(160, 128, kernel=1)
        self.merge8 = _conv(128, 128)
        self.lateral4 = _conv(128, 64, kernel=1)
        self.merge4 = _conv(64, 64)
        self.lateral2 = _conv(64, 32, kernel=1)
        self.merge2 = _conv(32, 32)
        self.classify = nn.Conv2d(32, len(PARSED_CLASSES), 1)
        self.points = nn.Sequential(
            _conv(160, 32, kernel=1), nn.Flatten(), nn.Linear(32 * 64, 2 * LANDMARKS)
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits (B, 17, MAP_PX, MAP_PX) and landmarks (B, 68, 2).

        `images` is float (B, 3, INPUT_PX, INPUT_PX) in [0, 1]. Landmarks are x before y, as shares
        of the picture; they may lie outside it.
        """
        fine = self.level2((images - 0.5) * 4)
        middle = self.level4(fine)
        coarse = self.level8(middle)
        deepest = self.level16(coarse)
        x = self.merge8(_doubled(self.lateral8(deepest)) + coarse)
        x = self.merge4(_doubled(self.lateral4(x)) + middle)
        x = self.merge2(_doubled(self.lateral2(x)) + fine)
        with torch.autocast(images.device.type, enabled=False):  # bfloat16 tells quarters of pixels
            points = self.points(deepest.float()).view(-1, LANDMARKS, 2)
        return self.classify(x), points + 0.5


class Residual(nn.Module):
    """Two 3x3 convolutions beside an identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the shape of `x`, (B, width, H, W)."""
        return torch.relu(x + self.second(self.first(x)))


def fused(net: ParserNet) -> ParserNet:
    """Return the network for use alone: every batch norm is folded into its convolution."""
    net.eval()
    for block in [module for module in net.modules() if isinstance(module, nn.Sequential)]:
        for i in range(len(block) - 1):
            conv, norm = block[i], block[i + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[i], block[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return net.requires_grad_(False)


def _conv(inside: int, outside: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


def _doubled(x: Tensor) -> Tensor:
    return nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
