"""ORSANet, the reference baseline: model, losses, training."""
