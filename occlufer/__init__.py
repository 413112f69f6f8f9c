"""Occlu-FER: facial expressions under occlusion, from your own folders to a dataset and a baseline."""

from occlufer.version import __version__

__all__ = ["__version__"]
