"""ORSANet: image, landmark and semantic tokens to one label (paper, Figure 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from .ir50 import IR50_STAGES, IRBackbone, Stage
from .mcm import PyramidFusion
from .priors import PART_CHANNELS, POINT_CHANNELS
from .ssgm import SPADEResidual

GRID = 7
IMAGE_SIZE_PX = 112

# How the backbone's map becomes 49 tokens. "view" is the released code's plain reshape, by which a
# token holds neighbouring channels of the whole picture; in "places" it holds all channels of one
# place, so that image, semantic prior and landmarks lie on the same grid. From scratch, on little
# data, only "places" learns in minutes.
TokenLayout = Literal["view", "places"]

Size = Literal["demo", "small", "base", "large"]
SemanticPrior = Literal["features", "maps"]
LandmarkPrior = Literal["features", "points"]

# Channels of each kind of prior: those of SegFace's fourth stage, of MobileFaceNet, and ours.
SEMANTIC_CHANNELS: dict[str, int] = {"features": 1024, "maps": PART_CHANNELS}
LANDMARK_CHANNELS: dict[str, int] = {"features": 512, "points": POINT_CHANNELS}


@dataclass(frozen=True)
class Priors:
    """What is known of a batch of faces beside its pixels; float, one row a face."""

    landmark_features: Tensor
    """(B, L, 7, 7): 512 channels of MobileFaceNet, or the point responses of `priors.py`."""
    semantic: Tensor
    """(B, 1024, 7, 7) of SegFace, or part maps (B, 11, h, w) with values in [0, 1]."""


@dataclass(frozen=True)
class Sizes:
    """The numbers in which the sizes of the model differ."""

    depth: int
    """Pyramid blocks."""
    width: int = 512
    """Channels of a token."""
    hidden: int = 128
    """Channels between semantic prior and modulation."""
    heads: int = 8
    stages: tuple[Stage, ...] = IR50_STAGES
    stem_stride: int = 1
    token_layout: TokenLayout = "view"


SIZES = {
    "demo": Sizes(
        depth=2,
        width=128,
        hidden=32,
        heads=4,
        stages=(Stage(1, 16), Stage(1, 32), Stage(2, 96)),
        stem_stride=2,
        token_layout="places",
    ),
    "small": Sizes(depth=4),
    "base": Sizes(depth=6),
    "large": Sizes(depth=8),
}


def build_orsanet(
    num_classes: int = 8,
    size: Size = "large",
    semantic_prior: SemanticPrior = "features",
    landmark_prior: LandmarkPrior = "features",
) -> ORSANet:
    """Return a fresh model; small, base and large are the paper's, demo trains on two CPU cores.

    A landmark prior as wide as a token goes in as it is, as in the released code; a narrower or
    wider one passes a 1x1 convolution first.
    """
    sizes = SIZES[size]
    width = sizes.width
    side = IMAGE_SIZE_PX // (sizes.stem_stride * 2 ** len(sizes.stages))
    token_channels = sizes.stages[-1].width * side**2 // GRID**2
    semantic, landmark = SEMANTIC_CHANNELS[semantic_prior], LANDMARK_CHANNELS[landmark_prior]
    reduces = semantic_prior == "features"
    return ORSANet(
        ir_back=IRBackbone(sizes.stages, sizes.stem_stride),
        ir_layer=nn.Linear(token_channels, width),
        seg_sample=nn.Conv2d(semantic, width, 1) if reduces else nn.Identity(),
        seg_fusion=SPADEResidual(width, width if reduces else semantic, sizes.hidden),
        landmark_sample=nn.Identity() if landmark == width else nn.Conv2d(landmark, width, 1),
        pyramid_fuse=PyramidFusion(width, sizes.depth, sizes.heads, drop_ratio=0.1),
        se_block=SEBlock(width),
        head=ClassifierHead(width, num_classes),
        token_layout=sizes.token_layout,
    )


class SEBlock(nn.Module):
    """A gate over channels: x * sigmoid(linear(relu(linear(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, width)
        self.linear2 = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, D) for (B, D)."""
        gate: Tensor = self.linear2(F.relu(self.linear1(x))).sigmoid()
        return x * gate


class ClassifierHead(nn.Module):
    """One linear layer."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) for features (B, D)."""
        out: Tensor = self.linear(x)
        return out


class ORSANet(nn.Module):
    """The trained parts of the model. The frozen networks stand outside and give the priors.

    Names of modules and tensors are those of the authors' checkpoints, without the two parts
    that never run (`ir_back.output_layer`, `pyramid_fuse.cls_token`); `landmark_sample` is ours.
    """

    def __init__(
        self,
        ir_back: nn.Module,
        ir_layer: nn.Module,
        seg_sample: nn.Module,
        seg_fusion: nn.Module,
        landmark_sample: nn.Module,
        pyramid_fuse: nn.Module,
        se_block: nn.Module,
        head: nn.Module,
        token_layout: TokenLayout = "view",
    ) -> None:
        super().__init__()
        self.ir_back = ir_back
        self.ir_layer = ir_layer
        self.seg_sample = seg_sample
        self.seg_fusion = seg_fusion
        self.landmark_sample = landmark_sample
        self.pyramid_fuse = pyramid_fuse
        self.se_block = se_block
        self.head = head
        self.token_layout = token_layout

    def forward(self, images: Tensor, priors: Priors) -> Tensor:
        """Return logits (B, num_classes); `images` is (B, 3, H, W), normalised by ImageNet's."""
        out: Tensor = self.head(self.features(images, priors))
        return out

    def features(self, images: Tensor, priors: Priors) -> Tensor:
        """Return the vector (B, D) before the classifier.

        Pictures of another size than 112 are resized by the nearest pixel, as in the released
        code.
        """
        if images.shape[-2:] != (IMAGE_SIZE_PX, IMAGE_SIZE_PX):
            images = F.interpolate(images, size=(IMAGE_SIZE_PX, IMAGE_SIZE_PX))
        x = self.ir_back(images)
        B = x.shape[0]
        if self.token_layout == "places":
            x = F.pixel_unshuffle(x, x.shape[-1] // GRID).flatten(2).transpose(1, 2)
        tokens = self.ir_layer(x.reshape(B, GRID**2, -1))
        grid = tokens.transpose(1, 2).reshape(B, -1, GRID, GRID)
        guided = self.seg_fusion(grid, self.seg_sample(priors.semantic))
        landmark = self.landmark_sample(priors.landmark_features)
        fused = self.pyramid_fuse(_tokens(guided), _tokens(landmark))
        out: Tensor = self.se_block(fused)
        return out


def _tokens(grid: Tensor) -> Tensor:
    """Return (B, 49, D) for (B, D, 7, 7)."""
    return grid.flatten(2).transpose(1, 2)
