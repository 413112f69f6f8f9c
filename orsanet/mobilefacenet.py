"""MobileFaceNet, the frozen landmark network: 68 points of a face crop, and the map before them.

Chen et al., "MobileFaceNets", CCBR 2018, with 136 outputs. The tensors are named as in the authors'
checkpoints.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from .tensors import check_tensors, read_tensors

INPUT_PX = 112
LANDMARKS = 68
FEATURE_CHANNELS = 512
HOLDERS = ("state_dict", "model_state_dict", "model")
WHAT = "a checkpoint of MobileFaceNet with 136 outputs"
WHERE = (
    "published as mobilefacenet_model_best.pth.tar with github.com/cunjian/pytorch_face_landmark"
)


class ConvBlock(nn.Module):
    """Convolution, batch norm, PReLU; without the last it is a projection."""

    def __init__(
        self,
        fan_in: int,
        width: int,
        kernel: int = 1,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bends: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(fan_in, width, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(width)
        if bends:
            self.prelu = nn.PReLU(width)
        self.bends = bends

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, H', W') for (B, fan_in, H, W)."""
        out: Tensor = self.bn(self.conv(x))
        return self.prelu(out) if self.bends else out


class DepthWise(nn.Module):
    """A bottleneck: widened to `groups` channels, filtered each for itself, projected."""

    def __init__(self, fan_in: int, width: int, groups: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = ConvBlock(fan_in, groups)
        self.conv_dw = ConvBlock(groups, groups, 3, stride, 1, groups)
        self.project = ConvBlock(groups, width, bends=False)
        self.residual = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, H / stride, W / stride) for (B, fan_in, H, W)."""
        out: Tensor = self.project(self.conv_dw(self.conv(x)))
        return x + out if self.residual else out


class Run(nn.Module):
    """Bottlenecks of one width, one behind the other."""

    def __init__(self, width: int, groups: int, count: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*(DepthWise(width, width, groups) for _ in range(count)))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, H, W) for (B, width, H, W)."""
        out: Tensor = self.model(x)
        return out


class LandmarkHead(nn.Module):
    """The map to 136 numbers: one weighted mean a channel, a linear layer, batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_6_dw = ConvBlock(
            FEATURE_CHANNELS, FEATURE_CHANNELS, 7, groups=FEATURE_CHANNELS, bends=False
        )
        self.linear = nn.Linear(FEATURE_CHANNELS, 2 * LANDMARKS, bias=False)
        self.bn = nn.BatchNorm1d(2 * LANDMARKS)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, 136) for (B, 512, 7, 7)."""
        out: Tensor = self.bn(self.linear(self.conv_6_dw(features).flatten(1)))
        return out


class MobileFaceNet(nn.Module):
    """The network; ORSANet takes `features`, the map before its head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = ConvBlock(3, 64, 3, 2, 1)
        self.conv2_dw = ConvBlock(64, 64, 3, 1, 1, groups=64)
        self.conv_23 = DepthWise(64, 64, 128, stride=2)
        self.conv_3 = Run(64, 128, 4)
        self.conv_34 = DepthWise(64, 128, 256, stride=2)
        self.conv_4 = Run(128, 256, 6)
        self.conv_45 = DepthWise(128, 128, 512, stride=2)
        self.conv_5 = Run(128, 256, 2)
        self.conv_6_sep = ConvBlock(128, FEATURE_CHANNELS)
        self.output_layer = LandmarkHead()

    def features(self, images: Tensor) -> Tensor:
        """Return (B, 512, 7, 7), ORSANet's landmark prior, for images (B, 3, 112, 112)."""
        x = self.conv_23(self.conv2_dw(self.conv1(images)))
        x = self.conv_4(self.conv_34(self.conv_3(x)))
        out: Tensor = self.conv_6_sep(self.conv_5(self.conv_45(x)))
        return out

    def forward(self, images: Tensor) -> Tensor:
        """Return the landmarks (B, 68, 2), x before y, as shares of the picture.

        `images` is (B, 3, 112, 112), RGB in [0, 1], the face's box enlarged by a tenth. (ORSANet
        gives it normalised images instead, as the released code does.)
        """
        out: Tensor = self.output_layer(self.features(images))
        return out.view(-1, LANDMARKS, 2)


def read_mobilefacenet(path: Path) -> MobileFaceNet:
    """Return the network of a checkpoint, frozen and in evaluation mode, float32.

    Raises MissingError if there is no file, UsageError naming the first tensor that is wrong.
    """
    tensors = read_tensors(path, HOLDERS, WHAT, WHERE)
    with torch.device("meta"):  # names and shapes alone; the numbers are the checkpoint's
        model = MobileFaceNet()
    check_tensors(path, model.state_dict(), tensors)
    model.load_state_dict(tensors, assign=True)
    return model.requires_grad_(False).eval()
