"""A prepared cache of noise, on which tests train."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.orsanet.data import VERSION
from occlufer.orsanet.priors import BUILT_IN_MAPS, mirror_landmarks, point_maps
from occlufer.schema import LABELS

SIZE = 112


def noise_cache(folder: Path, train: int, validation: int) -> Path:
    """Write a cache of so much noise, brighter with the class, and return its folder."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("validation", validation)):
        labels = np.arange(count) % len(LABELS)
        images = rng.integers(0, 60, (count, SIZE, SIZE, 3)) + 24 * labels[:, None, None, None]
        landmarks = np.repeat((MEAN_FACE68 * 0.6 + 0.2)[None], count, axis=0).astype(np.float32)
        arrays = {
            "images": images.astype(np.uint8),
            "labels": labels.astype(np.int64),
            "landmarks": landmarks,
            "soft_labels": np.eye(len(LABELS), dtype=np.float32)[labels],
            "semantic": rng.random((count, 2, 11, 28, 28)).astype(np.float16),
            "landmark_features": np.stack(
                [point_maps(landmarks), point_maps(mirror_landmarks(landmarks))], axis=1
            ).astype(np.float16),
            "ids": np.array([f"{split}{n}" for n in range(count)]),
        }
        for name, array in arrays.items():
            np.save(folder / f"{split}_{name}.npy", array)
    priors = {"semantic": BUILT_IN_MAPS, "landmark_features": "points"}
    facts = {"version": VERSION, "key": "0" * 64, "image_size_px": SIZE, "priors": priors}
    (folder / "cache.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder
