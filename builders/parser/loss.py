"""The parser's loss: what every pixel shows, how much is covered, where the landmarks lie."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from occlufer.face_parser import FIRST_TYPE, PARSED_CLASSES
from occlufer.schema import FACE_PARTS, REGIONS

from .network import INPUT_PX
from .taught import UNKNOWN

# Features are small: unweighted, skin and background would drown them.
_WEIGHTS = {"background": 0.6, "skin": 0.8, "inner_mouth": 2.0, "hair": 0.8}
# Landmarks count by their error in pixels of the input, linear from one pixel on.
LANDMARK_WEIGHT = 0.25
# Of a region with less of it in the picture, in cells of the map, no share is told.
SMALLEST_REGION = 4.0


def parser_loss(
    logits: Tensor, points: Tensor, classes: Tensor, landmarks: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the mean loss of the classes and that of the landmarks, weighted.

    `logits` (B, 17, H, W), `points` and `landmarks` (B, 68, 2) as shares of the picture, `classes`
    int64 (B, H, W): numbers of PARSED_CLASSES, HAIR_OR_BACKGROUND, or UNKNOWN, which is left out.
    """
    either = [FACE_PARTS.index(name) for name in ("background", "hair")]
    log_p = logits.log_softmax(dim=1)
    both = torch.logsumexp(log_p[:, either], dim=1, keepdim=True)
    log_p = torch.cat([log_p, both], dim=1)
    known = classes != UNKNOWN
    picked = log_p.gather(1, torch.where(known, classes, 0)[:, None])[:, 0]
    weight = class_weights(logits.device)[torch.where(known, classes, 0)] * known
    parts = -(picked * weight).sum() / weight.sum()
    error_px = F.smooth_l1_loss(points * INPUT_PX, landmarks * INPUT_PX)
    return parts, LANDMARK_WEIGHT * error_px


def share_loss(logits: Tensor, classes: Tensor, regions: Tensor) -> Tensor:
    """Return by how much the covered share of the face, and of a region on average, is missed.

    What is published are these shares, and pixels that are each a little wrong in one way add up.
    `logits` and `classes` as of `parser_loss`, whose unknown pixels are left out; `regions`
    (B, 8, H, W) are the weights of REGIONS, see regions.region_weights.
    """
    occluder = logits.softmax(dim=1)[:, FIRST_TYPE:].sum(dim=1)
    true = (classes >= FIRST_TYPE) & (classes < len(PARSED_CLASSES))
    weights = regions * (classes != UNKNOWN)[:, None]
    totals = weights.sum(dim=(2, 3))
    told = totals >= SMALLEST_REGION
    wrong = ((occluder - true.to(occluder))[:, None] * weights).sum(dim=(2, 3))
    missed = wrong.abs() / totals.clamp(min=SMALLEST_REGION) * told
    face = REGIONS.index("face")
    of_faces = missed[:, face].sum() / told[:, face].sum().clamp(min=1)
    return of_faces + missed.sum() / told.sum().clamp(min=1)


def class_weights(device: torch.device) -> Tensor:
    """Return the weight of every class, and of "hair or background", (18,)."""
    values = [_WEIGHTS.get(name, 1.4) for name in PARSED_CLASSES] + [_WEIGHTS["background"]]
    return torch.tensor(values, device=device)
