"""SegFace with Swin-B at 224 px: the model, and how a user's checkpoint of it is read."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from occlufer.errors import MissingError, UsageError

from .segface_decoder import FaceDecoder, PlaceCode
from .swin import SWIN_B_STAGES, Swin, offset_index

INPUT_PX = 224
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
# These tell Swin-B with windows of 7 from every other backbone.
WINDOW_BIAS = ".attn.relative_position_bias_table"
WINDOW_INDEX = ".attn.relative_position_index"
# What torch raises for files that are nothing of theirs.
UNREADABLE = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
)


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
    if not path.is_file():
        raise MissingError(f"{path}: found nothing, expected a checkpoint of SegFace ({WHERE})")
    tensors = _tensors_of(path)
    # CelebAMask-HQ has a neck, LaPa has not.
    num_classes = 19 if "face_decoder.neck_token.weight" in tensors else 11
    with torch.device("meta"):  # names and shapes alone; the numbers are the checkpoint's
        model = SegFace(num_classes)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    _check_tensors(path, expected, {name: tuple(x.shape) for name, x in tensors.items()})
    # A constant that a checkpoint converted to another type may have spoiled.
    constant = {name: offset_index() for name in expected if name.endswith(WINDOW_INDEX)}
    model.load_state_dict(tensors | constant, assign=True)
    return model.requires_grad_(False).eval()


def _tensors_of(path: Path) -> dict[str, Tensor]:
    """Return a checkpoint's tensors by their bare names, whole numbers aside as float32."""
    content = _load(path)
    for holder in HOLDERS:
        if isinstance(content, dict) and isinstance(content.get(holder), dict):
            content = content[holder]
            break
    items = content.items() if isinstance(content, dict) else ()
    tensors = {
        str(name).removeprefix("module."): x.float() if x.is_floating_point() else x
        for name, x in items
        if isinstance(x, Tensor)
    }
    if not tensors:
        raise UsageError(f"{path}: found no tensors, bare or under {HOLDERS}, expected SegFace's")
    return tensors


def _load(path: Path) -> Any:
    """Return what the file holds; nothing in it can run code."""
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise _unreadable(path, error) from error
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UsageError:
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UsageError(
        f"{path}: found a file that cannot be read safely ({first}), expected tensors"
    )


def _check_tensors(
    path: Path, expected: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]
) -> None:
    """Raise UsageError if names or shapes differ."""
    biases = [name for name in expected if name.endswith(WINDOW_BIAS)]
    if not any(found.get(name) == expected[name] for name in biases):
        name, shape = next(iter(found.items()))
        raise UsageError(
            f"{path}: found no window of Swin-B (its first tensor is {name} {shape}), expected a "
            f"SegFace with Swin-B at {INPUT_PX} px, not with another backbone"
        )
    for name, shape in expected.items():
        if name not in found:
            raise UsageError(f"{path}: found no tensor {name}, expected it with shape {shape}")
        if found[name] != shape:
            raise UsageError(f"{path}: found {name} with shape {found[name]}, expected {shape}")
    for name in found:
        if name not in expected:
            raise UsageError(f"{path}: found the tensor {name}, expected none of this name")
