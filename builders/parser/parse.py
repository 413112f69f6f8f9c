"""Parsing: what covers a face and where its landmarks lie, by the built-in network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from occlufer.schema import LANDMARK_PARTS

from .network import FACE_CENTRE, FACE_SHARE, INPUT_PX, ParserNet

Floats = NDArray[np.float32]
Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class ParsedFace:
    """What the network says of one face."""

    landmarks68_px: Floats
    """(68, 2), x before y, in pixels of the picture, covered points included."""
    classes: Floats
    """Probabilities (17, MAP_PX, MAP_PX) of network.CLASSES in the face's own frame."""
    frame: Floats
    """(2, 3): from pixels of the picture to shares of that frame."""


def parse_faces(
    net: ParserNet, images_rgb: Sequence[Picture], starts68_px: Sequence[Floats], passes: int = 2
) -> list[ParsedFace]:
    """Return what `net` sees in each picture (H, W, 3), one face each.

    `starts68_px` are landmarks (68, 2) as a detector's points or a box suggest them; each further
    pass starts from the landmarks that the former has found.
    """
    points = list(starts68_px)
    for _ in range(passes):
        frames = [frame_of_points(p) for p in points]
        pixels = [_cut(image, f) for image, f in zip(images_rgb, frames, strict=True)]
        batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            logits, found = net(batch.to(memory_format=torch.channels_last))
            classes = logits.float().softmax(dim=1).numpy()
        points = [_back(p, f) for p, f in zip(found.numpy(), frames, strict=True)]
    return [ParsedFace(p, c, f) for p, c, f in zip(points, classes, frames, strict=True)]


def frame_of_points(landmarks68_px: Floats) -> Floats:
    """Return the frame (2, 3) in which these landmarks stand upright, centred, of usual size."""
    left = landmarks68_px[LANDMARK_PARTS["left_eye"]].mean(axis=0)
    right = landmarks68_px[LANDMARK_PARTS["right_eye"]].mean(axis=0)
    across = right - left
    length = max(float(np.linalg.norm(across)), 1e-3)
    cos, sin = across / length
    turn = np.array([[cos, sin], [-sin, cos]], np.float32)
    upright = landmarks68_px @ turn.T
    low, high = upright.min(axis=0), upright.max(axis=0)
    scale = FACE_SHARE / max(float((high - low).max()), 1e-3)
    shift = np.array(FACE_CENTRE) - (low + high) / 2 * scale
    return np.hstack([turn * scale, shift[:, None]]).astype(np.float32)


def _cut(image_rgb: Picture, frame: Floats) -> Picture:
    matrix = frame * np.float32(INPUT_PX)
    matrix[:, 2] -= 0.5  # cv2 counts from the centre of a pixel
    matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < 0.6:
        image_rgb = np.asarray(
            cv2.resize(image_rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
        matrix = frame * np.float32(INPUT_PX)
        matrix[:, :2] /= np.float32(scale)
        matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
    laid = cv2.warpAffine(image_rgb, matrix, (INPUT_PX, INPUT_PX), flags=cv2.INTER_LINEAR)
    return np.asarray(laid, np.uint8)


def _back(points: Floats, frame: Floats) -> Floats:
    """Return points (68, 2), shares of the frame, in pixels of the picture."""
    inverse = np.linalg.inv(frame[:, :2].astype(np.float64))
    return np.asarray((points - frame[:, 2]) @ inverse.T, np.float32)
