"""Doubt: how much a place counts as covered that the parser is not sure of, see covers.DOUBT_POWER.

Chosen on pictures that benchmarks/faces.py does not use: FER2013's faces against photographs of
real masks (masks_rwmfd), and composites of the people and templates that the parser was taught
with. Bare faces have to stay bare, and ratios have to be right; which power does both is read off.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from _covered import HeldOut
from _faces import real_data
from faces import BARE_RATIO, BATCH, CORES, RATIOS, auc, parsed
from numpy.typing import NDArray

from occlufer.builders import covers
from occlufer.builders.inspect import inspect_pictures
from occlufer.builders.parser.parse import ParsedFace
from occlufer.builders.parts import open_parsers
from occlufer.config import BuildConfig, OcclusionConfig, SourceConfig

POWERS = (1.0, 1.25, 1.5, 2.0, 3.0)
BARE, TAUGHT = 600, 300


def main() -> None:
    torch.set_num_threads(CORES)
    cv2.setNumThreads(CORES)
    folder = real_data()
    masked = list(photographed(sorted((folder / "masks_rwmfd").glob("*/*"))))
    every = sorted((folder / "fer2013" / "train").glob("*/*"))
    bare = list(photographed(every[:: len(every) // BARE]))
    taught = HeldOut(folder, held_out=False)
    taught.faces = taught.faces[:: len(taught.faces) // TAUGHT]
    parsers = open_parsers(OcclusionConfig())
    made = [*taught.covered(1, seed=3)]
    rows = [taught.growing(face, RATIOS, n) for n, face in enumerate(taught.faces)]
    seen = list(parsed(made, parsers))
    grown = list(parsed([one for row in rows for one in row], parsers))
    for power in POWERS:
        ratios = [ratios_of(faces, power) for faces in (masked, bare, seen, grown)]
        wrong = ratios[2] - np.array([one.ratio for one in made])
        steps = np.diff(ratios[3].reshape(len(rows), len(RATIOS)), axis=1)
        print(
            json.dumps(
                {
                    "power": power,
                    "auc": round(auc(ratios[0], ratios[1]), 4),
                    "bare": round(float((ratios[1] < BARE_RATIO).mean()), 4),
                    "error_points": round(float(100 * np.abs(wrong).mean()), 3),
                    "bias_points": round(float(100 * wrong.mean()), 3),
                    "ordered": round(float((steps > 0).all(axis=1).mean()), 4),
                }
            ),
            flush=True,
        )


def photographed(paths: Iterable[Path]) -> Iterator[ParsedFace]:
    """Yield the main face of each picture."""
    config = BuildConfig((SourceConfig("synthetic", "s", {}),), weights_dir=real_data() / "weights")
    rest = iter(paths)
    while some := list(islice(rest, BATCH)):
        yield from (one.faces[0].parsed for one in inspect_pictures(some, config))


def ratios_of(faces: Iterable[ParsedFace], power: float) -> NDArray[np.float64]:
    """Return the covered share of each face by this power."""
    covers.DOUBT_POWER = power
    told = (covers.covers(face)["covered"]["face"] for face in faces)
    return np.array([sum(shares.values()) for shares in told])


if __name__ == "__main__":
    main()
