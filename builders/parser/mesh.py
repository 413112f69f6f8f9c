"""The teacher's mesh: 68 landmarks and the outlines of face parts from its 478 points."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# Numbers of the mesh's points, "left" being the left of the picture. Outlines are closed rings.
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
PARTS = {
    "left_brow": (70, 63, 105, 66, 107, 55, 65, 52, 53, 46),
    "right_brow": (300, 293, 334, 296, 336, 285, 295, 282, 283, 276),
    "left_eye": (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    "right_eye": (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
    "nose": (
        *(168, 193, 245, 188, 174, 198, 209, 49, 48, 219, 64, 98, 97, 2),
        *(326, 327, 294, 439, 278, 279, 429, 420, 399, 412, 465, 417),
    ),
    "upper_lip": (
        *(61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291),
        *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191, 78),
    ),
    "inner_mouth": (
        *(78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308),
        *(324, 318, 402, 317, 14, 87, 178, 88, 95),
    ),
    "lower_lip": (
        *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291),
        *(308, 324, 318, 402, 317, 14, 87, 178, 88, 95, 78),
    ),
}
# From ear to ear over the chin; the jaw's 17 landmarks divide this line evenly, as iBUG's do.
_JAW = (
    *(127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    *(377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356),
)
# iBUG's points 17 to 67: brows, nose, eyes, outer and inner lips.
_INNER = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)


def landmarks68(mesh: Floats) -> Floats:
    """Return the 68 landmarks, float32 (68, 2), of a mesh (478, 2), in its unit."""
    line = mesh[list(_JAW)].astype(np.float32)
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(steps)])
    wanted = np.linspace(0, along[-1], 17)
    jaw = np.stack([np.interp(wanted, along, line[:, axis]) for axis in (0, 1)], axis=1)
    return np.concatenate([jaw, mesh[list(_INNER)]]).astype(np.float32)


def outline(mesh: Floats, part: str) -> Floats:
    """Return the closed outline (n, 2) of a part of PARTS, or of the "face"."""
    numbers = FACE_OVAL if part == "face" else PARTS[part]
    return mesh[list(numbers)].astype(np.float32)
