"""ORSANet, the reference baseline: model, losses, training."""

from .losses import DARELoss, LabelSmoothingLoss
from .model import ORSANet, Priors, build_orsanet
from .sam import SAM

__all__ = ["SAM", "DARELoss", "LabelSmoothingLoss", "ORSANet", "Priors", "build_orsanet"]
