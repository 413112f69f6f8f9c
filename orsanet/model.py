"""ORSANet: image, landmark and semantic tokens to one label (paper, Figure 3)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .ir50 import IR50_STAGES, IRBackbone, Stage
from .mcm import FusionForm, PyramidFusion
from .mobilefacenet import FEATURE_CHANNELS, MobileFaceNet
from .priors import GRID, PART_CHANNELS, POINT_CHANNELS, lapa_maps
from .segface import INPUT_PX, STAGE4_CHANNELS, SegFace, build_segface
from .ssgm import SPADEResidual

IMAGE_SIZE_PX = 112
# Under these names the frozen networks stand in the authors' checkpoints.
FROZEN_NAMES = ("face_landback.", "face_segment.")
# What changes in a batch norm that is in training mode, frozen or not.
DRIFTING = (".running_mean", ".running_var", ".num_batches_tracked")
# The side of the pictures that the frozen networks take: SegFace's.
VIEW_PX = INPUT_PX

# How the backbone's map becomes 49 tokens. "view" is the released code's plain reshape, by which a
# token holds neighbouring channels of the whole picture; in "places" it holds all channels of one
# place, so that image, semantic prior and landmarks lie on the same grid. From scratch, on little
# data, only "places" learns in minutes.
TokenLayout = Literal["view", "places"]

Size = Literal["demo", "small", "base", "large"]
SemanticPrior = Literal["features", "maps"]
LandmarkPrior = Literal["features", "points"]

# Channels of each kind of prior: those of SegFace's fourth stage, of MobileFaceNet, and ours.
SEMANTIC_CHANNELS: dict[SemanticPrior, int] = {
    "features": STAGE4_CHANNELS,
    "maps": PART_CHANNELS,
}
LANDMARK_CHANNELS: dict[LandmarkPrior, int] = {
    "features": FEATURE_CHANNELS,
    "points": POINT_CHANNELS,
}


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


SIZES: dict[Size, Sizes] = {
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


# What Table 6 of the paper leaves out, one at a time; its fifth line, DARE, is a loss. Without
# fusion, which is ours, landmarks have no say either: together with segmentation it leaves IR-50.
Ablation = Literal["segmentation", "cross_interaction", "multi_scale", "reintegration", "fusion"]
ABLATIONS: tuple[Ablation, ...] = get_args(Ablation)


def build_orsanet(
    num_classes: int = 8,
    size: Size = "large",
    semantic_prior: SemanticPrior = "features",
    landmark_prior: LandmarkPrior = "features",
    *,
    query_projection: bool = False,
    without: Collection[Ablation] = (),
    frozen_nets: bool = True,
) -> ORSANet:
    """Return a fresh model; small, base and large are the paper's, demo trains on two CPU cores.

    `semantic_prior` is "features" of SegFace's fourth stage, as released, or part "maps", as in the
    paper's Eq. 5; `landmark_prior` "features" of MobileFaceNet, or "points", the responses of
    `priors.py`. A landmark prior as wide as a token goes in as it is, as in the released code; a
    narrower or wider one passes a 1x1 convolution first. `query_projection` gives the landmark
    query the W_q of Eq. 6, `without` names ablations. With `frozen_nets` it carries the networks
    that compute its priors, with random weights until a checkpoint is loaded; without them, and
    for "points", priors have to be given (`see` makes them). Raises ValueError for a word that is
    none of these.

    After a forward pass `copy.deepcopy` of the model fails: spectral norm, in the form that the
    authors' checkpoints want, keeps a computed tensor.
    """
    parts = orsanet_parts(
        num_classes,
        size,
        semantic_prior,
        landmark_prior,
        query_projection=query_projection,
        without=without,
    )
    model = ORSANet(**parts)
    if frozen_nets and landmark_prior == "features":
        model.take_frozen_nets(MobileFaceNet(), build_segface(11), semantic_prior)
    return model


def orsanet_parts(
    num_classes: int,
    size: Size,
    semantic_prior: SemanticPrior,
    landmark_prior: LandmarkPrior,
    *,
    query_projection: bool,
    without: Collection[Ablation],
) -> dict[str, Any]:
    """Return the fresh parts that an ORSANet is put together of, as `build_orsanet` says."""
    for name, found, words in (
        ("size", {size}, SIZES),
        ("semantic_prior", {semantic_prior}, SEMANTIC_CHANNELS),
        ("landmark_prior", {landmark_prior}, LANDMARK_CHANNELS),
        ("without", set(without), ABLATIONS),
    ):
        if not found <= set(words):
            raise ValueError(f"{name}: found {sorted(found)}, expected some of {tuple(words)}")
    sizes = SIZES[size]
    width = sizes.width
    side = IMAGE_SIZE_PX // (sizes.stem_stride * 2 ** len(sizes.stages))
    token_channels = sizes.stages[-1].width * side**2 // GRID**2
    landmark = LANDMARK_CHANNELS[landmark_prior]
    form = FusionForm(
        sizes.heads,
        query_projection=query_projection,
        cross_interaction="cross_interaction" not in without,
        reintegration="reintegration" not in without,
        multi_scale="multi_scale" not in without,
    )
    guided, fused = "segmentation" not in without, "fusion" not in without
    sample, guidance = _guidance(sizes, semantic_prior) if guided else (nn.Identity(), Unguided())
    as_wide = landmark == width or not fused
    return {
        "ir_back": IRBackbone(sizes.stages, sizes.stem_stride),
        "ir_layer": nn.Linear(token_channels, width),
        "seg_sample": sample,
        "seg_fusion": guidance,
        "landmark_sample": nn.Identity() if as_wide else nn.Conv2d(landmark, width, 1),
        "pyramid_fuse": PyramidFusion(width, sizes.depth, form, 0.1) if fused else Unfused(),
        "se_block": SEBlock(width),
        "head": ClassifierHead(width, num_classes),
        "token_layout": sizes.token_layout,
    }


def _guidance(sizes: Sizes, semantic_prior: SemanticPrior) -> tuple[nn.Module, nn.Module]:
    """Return what brings the semantic prior to the tokens' width, if anything has to, and SSGM."""
    channels = SEMANTIC_CHANNELS[semantic_prior]
    if semantic_prior == "maps":
        return nn.Identity(), SPADEResidual(sizes.width, channels, sizes.hidden)
    sample = nn.Conv2d(channels, sizes.width, 1)
    return sample, SPADEResidual(sizes.width, sizes.width, sizes.hidden)


class Unguided(nn.Module):
    """SSGM left out: the semantic prior is not looked at."""

    def forward(self, x: Tensor, semantic: Tensor) -> Tensor:
        """Return x as it is."""
        return x


class Unfused(nn.Module):
    """MCM left out: landmarks are not looked at."""

    def forward(self, image: Tensor, landmark: Tensor) -> Tensor:
        """Return the mean (B, D) of the image tokens (B, 49, D)."""
        return image.mean(dim=1)


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
    """The trained parts of the model, and, where it has them, the frozen networks of its priors.

    Names of modules and tensors are those of the authors' checkpoints, without the two parts
    that never run (`ir_back.output_layer`, `pyramid_fuse.cls_token`); `landmark_sample` and
    `pyramid_fuse...q` are ours and empty in the released form.
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
        self.face_landback: MobileFaceNet | None = None
        self.face_segment: SegFace | None = None
        self.semantic_prior: SemanticPrior = "features"
        self.frozen_nets_train = False

    def take_frozen_nets(
        self, landmarks: MobileFaceNet, segments: SegFace, semantic_prior: SemanticPrior
    ) -> None:
        """Take up the networks that compute the priors; they stay frozen, in evaluation mode.

        The released code leaves them in training mode, so that their batch statistics drift and
        Swin's stochastic depth blurs the prior; `frozen_nets_train = True` does so too, to compare.
        """
        self.face_landback = landmarks.requires_grad_(False)
        self.face_segment = segments.requires_grad_(False)
        self.semantic_prior = semantic_prior
        self.train(self.training)

    def train(self, mode: bool = True) -> ORSANet:
        """Set training mode, of the trained parts alone, and return the model."""
        super().train(mode)
        for net in (self.face_landback, self.face_segment):
            if net is not None:
                net.train(mode and self.frozen_nets_train)
        return self

    def forward(self, images: Tensor, priors: Priors | None = None) -> Tensor:
        """Return logits (B, num_classes).

        `images` is (B, 3, H, W), normalised by ImageNet's mean and deviation; 224 px where no
        `priors` are given. Then the frozen networks compute them; raises ValueError without them.
        """
        out: Tensor = self.head(self.features(images, priors))
        return out

    def features(self, images: Tensor, priors: Priors | None = None) -> Tensor:
        """Return the vector (B, D) before the classifier; arguments as in `forward`.

        Pictures of another size than 112 are resized by the nearest pixel, as in the released
        code.
        """
        if priors is None:
            priors = self.priors(images)
        images = _to_backbone(images)
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

    @torch.no_grad()
    def priors(self, images: Tensor) -> Priors:
        """Return what the frozen networks see in normalised images (B, 3, 224, 224).

        MobileFaceNet gets the picture at 112 px, nearest pixel, normalised as it is, as in the
        released code. Part maps are LaPa's probabilities, averaged to 28 x 28.
        """
        if self.face_landback is None or self.face_segment is None:
            raise ValueError(
                "priors: found none, expected some, for this model has no frozen networks; "
                "build it with frozen_nets=True or give it cached priors"
            )
        if images.shape[1:] != (3, VIEW_PX, VIEW_PX):
            raise ValueError(
                f"images: found {(*images.shape,)}, expected (B, 3, {VIEW_PX}, {VIEW_PX})"
            )
        landmark = self.face_landback.features(_to_backbone(images))
        if self.semantic_prior == "features":
            return Priors(landmark, self.face_segment.stage4_features(images))
        return Priors(landmark, lapa_maps(self.face_segment, images))


def trained_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of the trained parts alone, by name.

    Of frozen networks in training mode the batch statistics are among them, for they drift.
    """
    drifting = DRIFTING if getattr(model, "frozen_nets_train", False) else ()
    return {
        name: x
        for name, x in model.state_dict().items()
        if not name.startswith(FROZEN_NAMES) or name.endswith(drifting)
    }


def _to_backbone(images: Tensor) -> Tensor:
    """Return images (B, 3, 112, 112), by the nearest pixel."""
    if images.shape[-2:] == (IMAGE_SIZE_PX, IMAGE_SIZE_PX):
        return images
    return F.interpolate(images, size=(IMAGE_SIZE_PX, IMAGE_SIZE_PX))


def _tokens(grid: Tensor) -> Tensor:
    """Return (B, 49, D) for (B, D, 7, 7)."""
    return grid.flatten(2).transpose(1, 2)
