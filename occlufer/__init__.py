"""Occlu-FER: facial expressions under occlusion, from folders to a dataset and a baseline."""

from occlufer.loading import load_dataset
from occlufer.version import __version__

__all__ = ["__version__", "load_dataset"]
