"""Faces: how rightly the built-in parser sees what covers a face, and how fast.

On real photographs that training never saw, and on held-out people under held-out occluders. The
peers: the mesh that taught it (where it gives up), the mean face over a detector's five points, and
the time that decoding the same pictures takes.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from _bars import Bar, at_least, at_most, finish
from _covered import Covered, HeldOut
from _faces import real_data
from _timing import spreads, timed
from numpy.typing import NDArray

from occlufer.builders.covers import covers
from occlufer.builders.detectors import Face, open_detector
from occlufer.builders.faces import by_importance
from occlufer.builders.inspect import Inspected, InspectedFace, inspect_pictures
from occlufer.builders.landmarks import first_landmarks
from occlufer.builders.occlusion import occlusion
from occlufer.builders.parser.mesh import landmarks68
from occlufer.builders.parser.parse import ParsedFace, Parsers, parse_faces
from occlufer.builders.parts import open_parsers
from occlufer.builders.pixels import decode_rgb
from occlufer.config import BuildConfig, OcclusionConfig, SourceConfig
from occlufer.face_parser import FIRST_TYPE, MAP_PX, likeliest

CORES, BATCH, REPEATS = 2, 64, 5
BARE_RATIO = 0.10
RATIOS = (0.0, 0.1, 0.2, 0.3)
NEAR_30 = (0.25, 0.35)
UPRIGHT = np.eye(2, 3, dtype=np.float32)
EVERYWHERE = np.ones((MAP_PX, MAP_PX), np.bool_)
Floats = NDArray[np.float32]


def main() -> None:
    torch.set_num_threads(CORES)
    cv2.setNumThreads(CORES)
    folder = real_data()
    parsers = open_parsers(OcclusionConfig())
    held_out = HeldOut(folder)
    found = {
        "real": real_masks(folder),
        "landmarks": landmark_errors(held_out, parsers),
        "composites": composites(held_out, parsers),
        "order": {"right": ordered(held_out, parsers), "faces": len(held_out.faces)},
        "speed": speed(folder, parsers),
        "weights_sha256": parsers.parts.weights_sha256,
    }
    finish("faces", bars_of(found), found)


def bars_of(found: dict[str, Any]) -> list[Bar]:
    """Return every bar of the issue."""
    real, marks, speeds = found["real"], found["landmarks"], found["speed"]
    return [
        at_least("real masks: AUC of the occlusion ratio", real["auc"], 0.993),
        at_least("real masks: type mask named first", real["mask_first"], 0.90),
        at_least("fer8: occlusion ratio below 10 %", real["fer8_bare"], 0.90),
        at_most("landmarks, uncovered: NME in %", marks["bare"], 4.5),
        at_most("landmarks, 30 % covered: NME in %", marks["covered_30"], 7.0),
        at_least("landmarks: share of detected faces", real["landmarks"], 1.0),
        at_least("composites: IoU of the occluder in the face", found["composites"]["iou"], 0.85),
        at_most("composites: error of the ratio in points", found["composites"]["points"], 4.0),
        at_least("0, 10, 20, 30 % ordered rightly", found["order"]["right"], 0.98),
        at_most("parser and landmarks, ms an image", speeds["parse_ms"], 8.0),
        at_most("detection, ms an image", speeds["detect_ms"], 15.0),
    ]


# real photographs --------------------------------------------------------------------------------


def real_masks(folder: Path) -> dict[str, Any]:
    """Return how well real masked faces are told from bare ones, every picture counted."""
    groups = {
        "masked": sorted((folder / "masks_cfmd" / "with_mask").iterdir()),
        "unmasked": sorted((folder / "masks_cfmd" / "without_mask").iterdir()),
        "fer8": sorted((folder / "fer8").glob("*/*")),
    }
    config = BuildConfig((SourceConfig("synthetic", "s", {}),), weights_dir=folder / "weights")
    seen = {name: list(inspect_pictures(paths, config)) for name, paths in groups.items()}
    ratios = {name: np.array([_ratio(one) for one in rows]) for name, rows in seen.items()}
    detected = [face for rows in seen.values() for one in rows for face in one.faces if face.score]
    return {
        "auc": auc(ratios["masked"], np.concatenate([ratios["unmasked"], ratios["fer8"]])),
        "auc_against_unmasked_alone": auc(ratios["masked"], ratios["unmasked"]),
        "mask_first": float(np.mean([_first(one) == "mask" for one in seen["masked"]])),
        "fer8_bare": float((ratios["fer8"] < BARE_RATIO).mean()),
        "unmasked_bare": float((ratios["unmasked"] < BARE_RATIO).mean()),
        "landmarks": float(np.mean([_has_landmarks(face) for face in detected])),
        "landmarks_of_the_mesh": mesh_share(folder),
        "pictures": {name: len(rows) for name, rows in seen.items()},
        "no_face_found": {n: sum(not one.faces[0].score for one in r) for n, r in seen.items()},
        "deciles_of_the_ratio": {
            name: np.quantile(r, np.linspace(0, 1, 11)).round(3).tolist()
            for name, r in ratios.items()
        },
    }


def auc(positive: NDArray[Any], negative: NDArray[Any]) -> float:
    """Return the share of (positive, negative) pairs in the right order, ties counting half."""
    above = (positive[:, None] > negative[None]).mean()
    return float(above + 0.5 * (positive[:, None] == negative[None]).mean())


def mesh_share(folder: Path) -> float:
    """Return on which share of the real masked crops the teacher's mesh gives landmarks."""
    with np.load(folder / "mesh478.npz") as mesh:
        rows = zip(mesh["path"].tolist(), mesh["points"], strict=True)
        found = [bool(np.isfinite(p).all()) for path, p in rows if "/with_mask/" in path]
    return float(np.mean(found))


def _ratio(one: Inspected) -> float:
    return float(one.faces[0].occlusion["ratio"])


def _first(one: Inspected) -> str:
    return str(next(iter(one.faces[0].to_json()["types"])))


def _has_landmarks(face: InspectedFace) -> bool:
    points = face.parsed.landmarks68_px
    return points.shape == (68, 2) and bool(np.isfinite(points).all())


# held-out people ---------------------------------------------------------------------------------


def landmark_errors(held_out: HeldOut, parsers: Parsers) -> dict[str, Any]:
    """Return the mean error of the landmarks in % of the distance between the outer eye corners."""
    bare = [*held_out.bare(seed=1)]
    near = [c for c in held_out.covered(4, seed=2) if NEAR_30[0] <= c.ratio <= NEAR_30[1]]
    photographs, mean_face, unfound = in_photographs(held_out, parsers)
    return {
        "bare": error_of(bare, parsers),
        "covered_30": error_of(near, parsers),
        "faces": {"bare": len(bare), "covered_30": len(near)},
        "in_photographs": photographs,
        "in_photographs_by_the_mean_face_on_five_points": mean_face,
        "photographs_without_a_face_found": unfound,
    }


def error_of(faces: Sequence[Covered], parsers: Parsers) -> float:
    errors = [
        nme(found.landmarks68_px, face.landmarks68)
        for face, found in zip(faces, parsed(faces, parsers), strict=True)
    ]
    return float(np.mean(errors))


def nme(found: Floats, truth: Floats) -> float:
    distance = np.linalg.norm(found - truth, axis=1).mean()
    return float(100 * distance / np.linalg.norm(truth[36] - truth[45]))


def in_photographs(held_out: HeldOut, parsers: Parsers) -> tuple[float, float, int]:
    """Return the errors in whole photographs, detector and all, of ours and of the mean face."""
    detector = open_detector("yunet", real_data() / "weights")
    ours, mean_face, unfound = [], [], 0
    for face in held_out.faces:
        image = decode_rgb(face.picture)
        truth = landmarks68(face.mesh) * np.float32(image.shape[1::-1])
        boxes = [f for f in detector.detect(image) if _holds(f.box_xyxy_px, truth)]
        if not boxes:
            unfound += 1
            continue
        start = first_landmarks(boxes[0].points5_px, boxes[0].box_xyxy_px)
        (found,) = parse_faces(parsers, [image], [start])
        ours.append(nme(found.landmarks68_px, truth))
        mean_face.append(nme(start, truth))
    return float(np.mean(ours)), float(np.mean(mean_face)), unfound


def _holds(box: Sequence[float], points: Floats) -> bool:
    x, y = points.mean(axis=0)
    return bool(box[0] < x < box[2] and box[1] < y < box[3])


def composites(held_out: HeldOut, parsers: Parsers) -> dict[str, Any]:
    """Return how well occluders are outlined, and how right the ratio is, bare faces too."""
    made = [*held_out.covered(2, seed=3)]
    bare = [*held_out.bare(seed=4)]
    both, either, each = 0.0, 0.0, []
    for face, found in zip(made, parsed(made, parsers), strict=True):
        named = (likeliest(found.classes) >= FIRST_TYPE) * face.face
        true = face.occluder * face.face
        overlap, union = np.minimum(named, true).sum(), np.maximum(named, true).sum()
        both, either = both + overlap, either + union
        if true.sum() > 0.01 * face.face.sum():
            each.append(float(overlap / union))
    errors = {
        name: ratio_errors(faces, parsers) for name, faces in (("covered", made), ("bare", bare))
    }
    return {
        "iou": float(both / either),
        "iou_mean_of_faces": float(np.mean(each)),
        "points": float(np.mean(errors["covered"])),
        "points_bare": float(np.mean(errors["bare"])),
        "faces": {"covered": len(made), "bare": len(bare)},
    }


def ratio_errors(faces: Sequence[Covered], parsers: Parsers) -> list[float]:
    told = zip(faces, measured(faces, parsers), strict=True)
    return [100 * abs(face.ratio - ratio) for face, ratio in told]


def ordered(held_out: HeldOut, parsers: Parsers) -> float:
    """Return on which share of faces a growing occluder is seen to grow at every step."""
    rows = [held_out.growing(face, RATIOS, n) for n, face in enumerate(held_out.faces)]
    told = measured([one for row in rows for one in row], parsers)
    steps = np.diff(np.array(told).reshape(len(rows), len(RATIOS)), axis=1)
    return float((steps > 0).all(axis=1).mean())


def measured(faces: Sequence[Covered], parsers: Parsers) -> list[float]:
    """Return the occlusion ratio of each face, parsed in the frame in which it is given."""
    settings = OcclusionConfig()
    return [float(occlusion(covers(one), 0.0, settings)["ratio"]) for one in parsed(faces, parsers)]


def parsed(faces: Sequence[Covered], parsers: Parsers) -> Iterable[ParsedFace]:
    """Yield the faces as they are parsed in the jittered frame in which they are given."""
    for start in range(0, len(faces), BATCH):
        images = np.stack([face.image_rgb for face in faces[start : start + BATCH]])
        classes, points = parsers.parts.parse(images)
        assert points is not None
        yield from (
            ParsedFace(p, c, UPRIGHT, EVERYWHERE) for p, c in zip(points, classes, strict=True)
        )


# speed -------------------------------------------------------------------------------------------


def speed(folder: Path, parsers: Parsers) -> dict[str, Any]:
    """Return milliseconds an image, in batches of 64 on two cores, and the ratio to decoding."""
    paths = sorted((folder / "fer8").glob("*/*"))[:BATCH]
    data = [path.read_bytes() for path in paths]
    images = [decode_rgb(one) for one in data]
    detector = open_detector("yunet", folder / "weights")
    starts = [_start(detector.detect(image), image) for image in images]
    calls: dict[str, Callable[[], object]] = {
        "decode": lambda: [decode_rgb(one) for one in data],
        "detect": lambda: [detector.detect(image) for image in images],
        "parse": partial(parse_faces, parsers, images, starts),
    }
    runs: dict[str, list[Any]] = {name: [] for name in calls}
    for name, call in calls.items():
        call()
        runs[name] = [timed(call) for _ in range(REPEATS)]
    ms = {n: 1000 * statistics.median(r.wall_s for r in rows) / BATCH for n, rows in runs.items()}
    return {
        **{f"{name}_ms": value for name, value in ms.items()},
        "parse_to_decode": ms["parse"] / ms["decode"],
        "detect_to_decode": ms["detect"] / ms["decode"],
        "spread": {name: spreads(rows) for name, rows in runs.items()},
        "batch": BATCH,
        "cores": CORES,
    }


def _start(found: list[Face], image_rgb: NDArray[np.uint8]) -> Floats:
    height, width = image_rgb.shape[:2]
    ranked = by_importance(found, width, height)
    points5 = ranked[0].points5_px if ranked else ()
    start: Floats = first_landmarks(points5, (0, 0, width, height))
    return start


if __name__ == "__main__":
    main()
