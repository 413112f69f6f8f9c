"""Drawn faces with exact ground truth, so that every stage of a build can be scored."""

from .anatomy import MEAN_FACE68
from .face import DrawnFace, FacePlan, draw_face
from .scene import encode_jpeg

__all__ = ["MEAN_FACE68", "DrawnFace", "FacePlan", "draw_face", "encode_jpeg"]
