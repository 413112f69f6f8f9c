"""Priors of a face: what networks that never change see in a picture, run once for every picture.

SegFace and MobileFaceNet where a user has their weights, as the released model has them; else the
built-in parser's part maps and the responses to the dataset's landmarks. Each is told by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from occlufer.digest import file_sha256
from occlufer.face_parser import FACE_CENTRE, FACE_SHARE, FaceParser, open_parser
from occlufer.schema import FACE_PARTS, LANDMARK_MIRROR

from .imagenet import by_imagenet
from .mobilefacenet import FEATURE_CHANNELS, read_mobilefacenet
from .mobilefacenet import INPUT_PX as MOBILEFACENET_PX
from .segface import INPUT_PX as SEGFACE_PX
from .segface import STAGE4_CHANNELS, SegFace, read_lapa

Floats = NDArray[np.float32]
Pictures = NDArray[np.uint8]

# LaPa's eleven classes; ours goes on with "occluder".
PART_NAMES = FACE_PARTS[:11]
BUILT_IN_MAPS = "part maps of the built-in parser"
PART_CHANNELS = len(PART_NAMES)
POINT_CHANNELS = 68
MAP_SIZE = 28
GRID = 7
# How faces lie in the cache's pictures: the square around the 68 points, which end at the brows,
# has this multiple of their larger extent, and is shifted up by this share to take the forehead in.
FACE_SQUARE = 1.3
FOREHEAD = 0.08


@dataclass(frozen=True)
class Prior:
    """One prior: its name, what it depends on, and the function."""

    name: str
    """Stands in the log, the metrics and the model card."""
    key: str
    """Changes with the weights."""
    shape: tuple[int, int, int]
    compute: Callable[[Pictures, Floats], Floats]
    """Pictures (B, S, S, 3) in RGB and landmarks (B, 68, 2) as shares of them to (B, *shape)."""


def built_in_maps() -> Prior:
    """Return the built-in parser's part maps, (11, 28, 28): what is covered belongs to no part."""
    parser = open_parser("built_in", None)
    return Prior(
        BUILT_IN_MAPS,
        f"built_in {parser.weights_sha256}",
        (PART_CHANNELS, MAP_SIZE, MAP_SIZE),
        lambda pictures, _: parsed_maps(parser, pictures),
    )


def segface_maps(weights: Path, device: torch.device) -> Prior:
    """Return SegFace's part maps, (11, 28, 28), of a user's LaPa checkpoint; raises as it reads."""
    model = read_lapa(weights).to(device)

    @torch.inference_mode()
    def compute(pictures: Pictures, landmarks68: Floats) -> Floats:
        return _numpy(lapa_maps(model, normalised(pictures, SEGFACE_PX).to(device)))

    shape = (PART_CHANNELS, MAP_SIZE, MAP_SIZE)
    return Prior("part maps of SegFace", f"segface maps {file_sha256(weights)}", shape, compute)


def lapa_maps(model: SegFace, images: Tensor) -> Tensor:
    """Return LaPa's probabilities, averaged to (B, 11, 28, 28), of images (B, 3, 224, 224)."""
    maps = model(images).softmax(dim=1)
    return F.avg_pool2d(maps, maps.shape[-1] // MAP_SIZE)


def segface_features(weights: Path, device: torch.device) -> Prior:
    """Return SegFace's fourth stage, (1024, 7, 7), of a user's checkpoint; raises as it reads."""
    model = read_lapa(weights).to(device)

    @torch.inference_mode()
    def compute(pictures: Pictures, landmarks68: Floats) -> Floats:
        return _numpy(model.stage4_features(normalised(pictures, SEGFACE_PX).to(device)))

    key = f"segface features {file_sha256(weights)}"
    shape = (STAGE4_CHANNELS, GRID, GRID)
    return Prior("features of SegFace's fourth stage", key, shape, compute)


def mobilefacenet_features(weights: Path, device: torch.device) -> Prior:
    """Return MobileFaceNet's last map, (512, 7, 7), of a user's checkpoint; raises as it reads."""
    model = read_mobilefacenet(weights).to(device)

    @torch.inference_mode()
    def compute(pictures: Pictures, landmarks68: Floats) -> Floats:
        images = normalised(pictures, pictures.shape[1]).to(device)
        return _numpy(
            model.features(F.interpolate(images, size=(MOBILEFACENET_PX, MOBILEFACENET_PX)))
        )

    key = f"mobilefacenet {file_sha256(weights)}"
    return Prior("features of MobileFaceNet", key, (FEATURE_CHANNELS, GRID, GRID), compute)


def landmark_points() -> Prior:
    """Return the responses of a 7 x 7 grid to the dataset's landmarks, (68, 7, 7)."""
    return Prior(
        "responses to the dataset's landmarks",
        "points",
        (POINT_CHANNELS, GRID, GRID),
        lambda _, landmarks68: point_maps(landmarks68),
    )


def point_maps(landmarks68: Floats) -> Floats:
    """Return the responses (B, 68, 7, 7) in [0, 1] of every cell of a grid to every landmark.

    exp(-d^2 / 2) with d the distance from the cell's centre in cells. `landmarks68` is float
    (B, 68, 2), x before y, as shares of the picture; points outside it are allowed.
    """
    cells = np.arange(GRID, dtype=np.float32) + np.float32(0.5)
    offset = landmarks68.astype(np.float32)[..., None] * np.float32(GRID) - cells
    response = np.exp(-(offset**2) / 2)
    return np.asarray(response[:, :, 1, :, None] * response[:, :, 0, None, :], dtype=np.float32)


def mirror_landmarks(landmarks68: Floats) -> Floats:
    """Return the landmarks (B, 68, 2), shares of the picture, of the mirrored faces."""
    mirrored = landmarks68[:, list(LANDMARK_MIRROR)].copy()
    mirrored[..., 0] = 1 - mirrored[..., 0]
    return mirrored


def both_ways(prior: Prior, pictures: Pictures, landmarks68: Floats) -> Floats:
    """Return the prior of pictures and of their mirror images, (B, 2, *shape)."""
    plain = prior.compute(pictures, landmarks68)
    mirrored = np.ascontiguousarray(pictures[:, :, ::-1])
    return np.stack([plain, prior.compute(mirrored, mirror_landmarks(landmarks68))], axis=1)


def parsed_maps(parser: FaceParser, pictures: Pictures) -> Floats:
    """Return part maps (B, 11, 28, 28) in [0, 1] of pictures (B, S, S, 3) as the cache holds them.

    The parser wants the face smaller than it is there: what is beyond the picture repeats its edge.
    """
    side = parser.input_px
    # The parser's frame, in sides of the picture: how large, and where the picture begins in it.
    frame = 1 / FACE_SQUARE / FACE_SHARE
    inner = round(side / frame)
    left, top = (
        round(side * share - at * inner)
        for share, at in zip(FACE_CENTRE, (0.5, 0.5 + FOREHEAD), strict=True)
    )
    images = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float()
    small = F.interpolate(images, (inner, inner), mode="bilinear", antialias=True)
    padding = (left, side - inner - left, top, side - inner - top)
    framed = F.pad(small, padding, mode="replicate").round().clamp(0, 255).byte()
    classes, _ = parser.parse(np.ascontiguousarray(framed.permute(0, 2, 3, 1).numpy()))
    maps = F.interpolate(torch.from_numpy(classes[:, :PART_CHANNELS]), (side, side))
    cut = maps[..., top : top + inner, left : left + inner]
    return _numpy(F.adaptive_avg_pool2d(cut, MAP_SIZE))


def normalised(pictures: Pictures, side: int) -> Tensor:
    """Return pictures (B, S, S, 3) as images (B, 3, side, side), normalised by ImageNet's."""
    images = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 255
    if images.shape[-1] != side:
        images = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
    return by_imagenet(images)


def _numpy(x: Tensor) -> Floats:
    out: Floats = x.float().cpu().numpy()
    return out
