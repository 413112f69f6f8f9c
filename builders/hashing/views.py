"""Views and parts of a picture: how a copy of it may turn up, and what an occluder leaves of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from .resample import Grey, resize

# Views and parts are taken from a picture of this size: enough for 16 waves a side, many a second.
SHORT_SIDE_PX = 112


@dataclass(frozen=True)
class View:
    """What is done to a picture: shares cut off its sides, a turn in degrees, a mirroring."""

    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0
    turn_degrees: float = 0.0
    """Anti-clockwise, before the cut; the corners become black, as where people turn pictures."""
    mirror: bool = False

    def of(self, grey: Grey) -> Grey:
        """Return the view of a grey picture, uint8 (H, W)."""
        if self.mirror:
            return replace(self, mirror=False).of(np.ascontiguousarray(grey[:, ::-1]))
        if self.turn_degrees:
            image = Image.fromarray(grey)
            turned = image.rotate(self.turn_degrees, resample=Image.Resampling.BILINEAR)
            grey = np.asarray(turned)
        height, width = grey.shape
        rows = slice(round(self.top * height), round((1 - self.bottom) * height))
        columns = slice(round(self.left * width), round((1 - self.right) * width))
        return grey[rows, columns]


def _corners(share: float) -> Iterator[tuple[str, View]]:
    percent = f"{share:.0%}"
    yield f"top left without {percent}", View(right=share, bottom=share)
    yield f"top right without {percent}", View(left=share, bottom=share)
    yield f"bottom left without {percent}", View(right=share, top=share)
    yield f"bottom right without {percent}", View(left=share, top=share)


def _sides(share: float) -> Iterator[tuple[str, View]]:
    percent = f"{share:.0%}"
    yield f"without {percent} at the left", View(left=share)
    yield f"without {percent} at the top", View(top=share)
    yield f"without {percent} at the right", View(right=share)
    yield f"without {percent} at the bottom", View(bottom=share)


ITSELF = "itself"
MIRROR = "mirror"

# A hash bears a cut of 2 to 4 % and a turn of 2 degrees: so far apart the views may be.
VIEWS: dict[str, View] = {
    ITSELF: View(),
    **{f"centre without {cut:.0%}": View(cut, cut, cut, cut) for cut in (0.04, 0.08, 0.12)},
    **dict(pair for share in (0.05, 0.10, 0.15) for pair in _corners(share)),
    **dict(pair for share in (0.06, 0.12) for pair in _sides(share)),
    "turned left": View(turn_degrees=5),
    "turned right": View(turn_degrees=-5),
    "turned left and cut": View(0.04, 0.04, 0.04, 0.04, turn_degrees=4),
    "turned right and cut": View(0.04, 0.04, 0.04, 0.04, turn_degrees=-4),
}

# A mask leaves the upper part as it was, glasses the lower one, a hand a side.
PART = 0.45
PARTS: dict[str, View] = {
    "upper part": View(bottom=1 - PART),
    "lower part": View(top=1 - PART),
    "left part": View(right=1 - PART),
    "right part": View(left=1 - PART),
}

# Everything that is hashed of a picture, in the order of the hashes. Views are compared with the
# other picture itself and with its mirror image, parts with the same part of both.
HASHED: dict[str, View] = {
    **VIEWS,
    MIRROR: View(mirror=True),
    **PARTS,
    **{f"{name} of the {MIRROR}": replace(part, mirror=True) for name, part in PARTS.items()},
}
POSITION = {name: number for number, name in enumerate(HASHED)}


def small(grey: Grey) -> Grey:
    """Return the picture with its shorter side at most SHORT_SIDE_PX; views are taken from it."""
    scale = SHORT_SIDE_PX / min(grey.shape)
    if scale >= 1:
        return grey
    height, width = (max(round(side * scale), 1) for side in grey.shape)
    return resize(grey, width, height)
