"""ImageNet's normalisation, which networks that were trained on it, and ORSANet, expect."""

from __future__ import annotations

from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def by_imagenet(images: Tensor) -> Tensor:
    """Return images (B, 3, H, W), RGB in [0, 1], less ImageNet's mean, over its deviation."""
    mean, std = (images.new_tensor(one).view(3, 1, 1) for one in (MEAN, STD))
    return (images - mean) / std
