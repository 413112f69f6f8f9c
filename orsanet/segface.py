"""SegFace with Swin-B at 224 px: the model, and how a user's checkpoint of it is read."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occlufer.errors import UsageError

from .segface_decoder import FaceDecoder, PlaceCode
from .swin import SWIN_B_STAGES, Swin, offset_indices
from .tensors import Shapes, check_tensors, read_tensors, shapes_of

INPUT_PX = 224
STAGE4_CHANNELS = SWIN_B_STAGES[-1].width
# The class tokens in the order of the logits, by the names of the released checkpoints. Mind the
# sides: CelebAMask-HQ's "right" is the person's own, LaPa's the picture's (see segface_parser).
CELEBA_CLASSES = (
    "background",
    "neck",
    "face",
    "cloth",
    "rightear",
    "leftear",
    "rightbro",
    "leftbro",
    "righteye",
    "lefteye",
    "nose",
    "innermouth",
    "lowerlip",
    "upperlip",
    "hair",
    "glass",
    "hat",
    "earring",
    "necklace",
)
LAPA_CLASSES = (
    "background",
    "face",
    "leftbro",
    "rightbro",
    "lefteye",
    "righteye",
    "nose",
    "upperlip",
    "innermouth",
    "lowerlip",
    "hair",
)
CLASSES = {len(classes): classes for classes in (CELEBA_CLASSES, LAPA_CLASSES)}

# Under which key a checkpoint may keep its tensors: the released one, then common ones.
HOLDERS = ("state_dict_backbone", "state_dict", "model")
WHERE = (
    "the SegFace project publishes them, see github.com/Kartik-3004/SegFace: "
    "swinb_celeba_224/model_299.pt or swinb_lapa_224/model_299.pt"
)
# This tells Swin-B with windows of 7 from every other backbone.
WINDOW_BIAS = ".attn.relative_position_bias_table"


class LinearMap(nn.Module):
    """A linear layer over the channels of a map."""

    def __init__(self, fan_in: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(fan_in, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, width, H, W) for channels last, (B, H, W, C)."""
        out: Tensor = self.proj(x).permute(0, 3, 1, 2)
        return out


class SegFace(nn.Module):
    """Swin-B's four stages, brought to one width and size, and the decoder on them."""

    def __init__(self, num_classes: int, width: int = 256) -> None:
        super().__init__()
        self.backbone = Swin()
        self.pe_layer = PlaceCode(width)
        self.face_decoder = FaceDecoder(CLASSES[num_classes], width)
        self.linear_c = nn.ModuleList(LinearMap(stage.width, width) for stage in SWIN_B_STAGES)
        self.linear_fuse = nn.Conv2d(len(SWIN_B_STAGES) * width, width, 1, bias=False)

    @property
    def num_classes(self) -> int:
        """How many classes it tells apart."""
        return len(self.face_decoder.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, classes, 224, 224) for images (B, 3, 224, 224), ImageNet-normalised."""
        maps = self.backbone.stage_maps(images)
        H, W = maps[0].shape[1:3]
        fused = [
            F.interpolate(linear(x), (H, W), mode="bilinear", align_corners=False)
            for linear, x in zip(self.linear_c, maps, strict=True)
        ]
        # The released model fuses them from the last stage to the first.
        features = self.linear_fuse(torch.cat(fused[::-1], dim=1))
        logits: Tensor = self.face_decoder(features, self.pe_layer(H, W))
        return logits

    def stage4_features(self, images: Tensor) -> Tensor:
        """Return (B, 1024, 7, 7), ORSANet's semantic prior, for images as in forward."""
        return self.backbone.stage_maps(images)[-1].permute(0, 3, 1, 2)


def build_segface(num_classes: int) -> SegFace:
    """Return an untrained SegFace of 19 classes (CelebAMask-HQ) or 11 (LaPa)."""
    if num_classes not in CLASSES:
        raise ValueError(f"SegFace: {num_classes} classes is not one of {tuple(CLASSES)}")
    return SegFace(num_classes)


def read_segface(path: Path) -> SegFace:
    """Return the SegFace of a user's checkpoint, frozen and in evaluation mode, float32.

    The checkpoint is a file of torch, of tensors and plain values only, or a .safetensors. The
    tensors stand in it bare or under one of HOLDERS, with or without "module." before their names.
    Checkpoints for pictures of 256 to 512 px hold the same tensors and cannot be told from the
    224 px ones that this model wants. Raises MissingError if there is no file, UsageError if it is
    no such checkpoint, naming the first tensor that is wrong.
    """
    tensors = read_tensors(path, HOLDERS, "a checkpoint of SegFace", WHERE)
    # CelebAMask-HQ has a neck, LaPa has not.
    num_classes = 19 if "face_decoder.neck_token.weight" in tensors else 11
    with torch.device("meta"):  # names and shapes alone; the numbers are the checkpoint's
        model = SegFace(num_classes)
    expected = model.state_dict()
    _check_backbone(path, shapes_of(expected), shapes_of(tensors))
    check_tensors(path, expected, tensors)
    model.load_state_dict(tensors | offset_indices(expected), assign=True)
    return model.requires_grad_(False).eval()


def read_lapa(path: Path) -> SegFace:
    """Return `read_segface` of a checkpoint for LaPa; raises UsageError for another set's too."""
    model = read_segface(path)
    if model.num_classes != len(LAPA_CLASSES):
        raise UsageError(
            f"{path}: found a SegFace of {model.num_classes} classes (CelebAMask-HQ), expected "
            f"LaPa's {len(LAPA_CLASSES)}"
        )
    return model


def _check_backbone(path: Path, expected: Shapes, found: Shapes) -> None:
    """Raise UsageError if no window is one of Swin-B at 224 px."""
    biases = [name for name in expected if name.endswith(WINDOW_BIAS)]
    if not any(found.get(name) == expected[name] for name in biases):
        name, shape = next(iter(found.items()))
        raise UsageError(
            f"{path}: found no window of Swin-B (its first tensor is {name} {shape}), expected a "
            f"SegFace with Swin-B at {INPUT_PX} px, not with another backbone"
        )
