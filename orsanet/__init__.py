"""ORSANet, the reference baseline: model, losses, training."""

from .author_checkpoint import load_author_checkpoint
from .losses import DARELoss, LabelSmoothingLoss
from .model import ORSANet, Priors, build_orsanet
from .sam import SAM

__all__ = [
    "SAM",
    "DARELoss",
    "LabelSmoothingLoss",
    "ORSANet",
    "Priors",
    "build_orsanet",
    "load_author_checkpoint",
]
