"""Inspection: any picture's faces, what covers them, and how sure that is, without a build."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from occlufer.config import BuildConfig
from occlufer.engine import map_local

from .covers import covers
from .detectors import Detector, Face, open_detector
from .faces import faces_in
from .landmarks import first_landmarks
from .occlusion import extraneous_overlap, occlusion
from .parser.parse import ParsedFace, Parsers, parse_faces
from .parts import open_parsers
from .pixels import BadImageError, Pixels, decode_rgb, read_bytes


@dataclass(frozen=True)
class InspectedFace:
    """One face of a picture."""

    box_xyxy_px: tuple[float, ...]
    score: float
    """Of the detector, in [0, 1]; 0 where it found no face and the whole picture was parsed."""
    parsed: ParsedFace
    occlusion: dict[str, Any]
    """What `occlusion.occlusion` says."""

    def to_json(self) -> dict[str, Any]:
        """Return the face as `occlufer inspect --json` prints it, the surest type first."""
        return {
            "box_xyxy_px": [round(float(v), 2) for v in self.box_xyxy_px],
            "score": round(self.score, 4),
            "landmarks68_px": np.round(self.parsed.landmarks68_px.astype(float), 2).tolist(),
            "visible": self.occlusion["visible"],
            "occlusion_ratio": self.occlusion["ratio"],
            "severity": self.occlusion["severity"],
            "types": surest_first(self.occlusion["confidences"]),
        }


@dataclass(frozen=True)
class Inspected:
    """A picture and its faces, the main one first; or why there are none."""

    path: Path
    faces: tuple[InspectedFace, ...] = ()
    image_rgb: Pixels | None = None
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the picture's line."""
        if self.error:
            return {"path": str(self.path), "error": self.error}
        return {"path": str(self.path), "faces": [face.to_json() for face in self.faces]}


@dataclass(frozen=True)
class Inspector:
    """All that looking at a picture needs."""

    detector: Detector
    parsers: Parsers
    config: BuildConfig

    def look(self, path: Path) -> Inspected:
        """Return what the picture at `path` shows; a bad file is told, not raised."""
        try:
            image_rgb = decode_rgb(read_bytes(path))
        except BadImageError as error:
            return Inspected(path, error=str(error))
        except OSError as error:
            return Inspected(path, error=error.strerror or str(error))
        return Inspected(path, tuple(self._faces(image_rgb)), image_rgb)

    def _faces(self, image_rgb: Pixels) -> Iterator[InspectedFace]:
        height, width = image_rgb.shape[:2]
        found = faces_in(image_rgb, self.detector.detect, self.config.faces.min_score)
        whole = (0.0, 0.0, float(width), float(height))
        faces = found or [Face(whole, (), 0.0)]
        starts = [first_landmarks(face.points5_px, face.box_xyxy_px) for face in faces]
        parsed = parse_faces(self.parsers, [image_rgb] * len(faces), starts)
        for number, (face, shown) in enumerate(zip(faces, parsed, strict=True)):
            others = [list(o.box_xyxy_px) for i, o in enumerate(faces) if i != number]
            overlap = extraneous_overlap(list(face.box_xyxy_px), others)
            told = occlusion(covers(shown), overlap, self.config.occlusion)
            yield InspectedFace(face.box_xyxy_px, face.score, shown, told)


def surest_first(confidences: Mapping[str, float]) -> dict[str, float]:
    """Return the confidences by type, from the surest one on."""
    return dict(sorted(confidences.items(), key=lambda pair: -pair[1]))


def open_inspector(config: BuildConfig) -> Inspector:
    """Return an inspector with the detector and parser of the config; raises MissingError."""
    detector = open_detector(config.faces.detector, config.weights_dir)
    return Inspector(detector, open_parsers(config.occlusion), config)


def inspect_pictures(paths: Sequence[Path], config: BuildConfig) -> Iterable[Inspected]:
    """Return what each picture shows, in their order, several looked at at a time."""
    return map_local(open_inspector(config).look, paths, config.workers)
