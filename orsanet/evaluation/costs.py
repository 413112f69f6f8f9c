"""Costs: parameters and multiply-adds of ORSANet, beside what the paper says (Table 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ..model import (
    IMAGE_SIZE_PX,
    LANDMARK_CHANNELS,
    SEMANTIC_CHANNELS,
    Priors,
    build_orsanet,
)
from ..priors import GRID

# Rethinking Occlusion in FER, MM '25, Table 5: ORSANet's row, digit for digit.
PAPER = ("60.2", "6.9")
# What the released model counts and no forward runs, author_checkpoint.NEVER_RUN, by shape: two
# batch norms of 512, a linear layer from 512 x 7 x 7 to 512, a token of 512.
NEVER_RUN = 2 * (512 + 512) + (512 * 512 * 7 * 7 + 512) + 512
FOOTNOTE = (
    "As published the count holds ir_back.output_layer and pyramid_fuse.cls_token, which no "
    "forward runs; a checkpoint of the authors carries them, ours leaves them out. Multiply-adds "
    "are of one picture, which the backbone sees at 112 px, priors given: the frozen networks are "
    "in neither column."
)


@dataclass(frozen=True)
class Costs:
    """What ORSANet costs."""

    parameters: int
    """Trained, and used by a forward."""
    parameters_as_published: int
    macs: int
    """Multiply-adds of a forward: half of the floating-point operations."""


def measured() -> Costs:
    """Return the measured costs of ORSANet, large, of 8 classes and with the released priors."""
    model = build_orsanet(num_classes=8, size="large", frozen_nets=False).eval()
    priors = Priors(
        torch.zeros(1, LANDMARK_CHANNELS["features"], GRID, GRID),
        torch.zeros(1, SEMANTIC_CHANNELS["features"], GRID, GRID),
    )
    # The fused kernels of attention are not counted on every device.
    plain = sdpa_kernel(SDPBackend.MATH)
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), plain:
        model(torch.zeros(1, 3, IMAGE_SIZE_PX, IMAGE_SIZE_PX), priors)
    used = sum(one.numel() for one in model.parameters() if one.requires_grad)
    return Costs(used, used + NEVER_RUN, counter.get_total_flops() // 2)


def table_5() -> dict[str, Any]:
    """Return the rows of Table 5 that can be measured here, in millions and 10^9."""
    found = measured()
    gmacs = found.macs / 1e9
    return {
        "table": 5,
        "columns": ["parameters (M)", "GMACs"],
        "rows": {
            "ORSANet, used": [found.parameters / 1e6, gmacs],
            "ORSANet, as published": [found.parameters_as_published / 1e6, gmacs],
            "ORSANet, in the paper": [*PAPER],
        },
        "footnote": FOOTNOTE,
    }
