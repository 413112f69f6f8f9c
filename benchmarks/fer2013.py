"""FER2013: what ORSANet learns from real faces, from scratch, with the built-in priors.

28 709 faces of 48 px to train on, 3 589 to validate (the challenge's public test), seven classes,
and labels of which people confirm two thirds. On a CPU the demo size, within forty minutes in all;
on a GPU the small size with and without DARE, three seeds each.
"""

from __future__ import annotations

import hashlib
import io
import json
import statistics
import tempfile
import time
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from _bars import Bar, at_least, at_most, finish
from _faces import real_data
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders.sources.fer2013 import CLASSES
from occlufer.face_parser import FaceParser, open_parser
from occlufer.orsanet.config import TrainConfig, config_from_preset
from occlufer.orsanet.data import COLUMNS
from occlufer.orsanet.train import baseline_train
from occlufer.progress import progress
from occlufer.schema import LABELS, SPLITS

CUDA = torch.cuda.is_available()
ARCHIVE = "fer2013_train_validation.zip"
# A crop of FER2013 is the face; the parser wants it smaller, so its edges are repeated around it.
CROP_SHARE = 0.75
ROWS_AT_ONCE = 64
MINUTES = 40
RECIPES: dict[str, dict[str, Any]] = {
    "demo": {"epochs": 4, "batch_size": 64, "learning_rate": 2e-3, "decay": 0.65},
    "small": {"epochs": 30, "batch_size": 128, "learning_rate": 3e-4, "decay": 0.9},
}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        dataset = written_dataset(Path(folder) / "fer2013")
        prepared_s = time.monotonic() - started
        runs = gpu_runs(dataset) if CUDA else [trained(recipe(dataset, "demo", "demo"))]
        wall_s = time.monotonic() - started
    found = {"prepared_s": prepared_s, "wall_s": wall_s, "runs": runs}
    finish("fer2013", bars_of(found), found)


def bars_of(found: dict[str, Any]) -> list[Bar]:
    """Return the bars of the issue that this device can show."""
    best = statistics.median(run["accuracy"] for run in found["runs"])
    bars = [at_least("validation accuracy", best, 0.5)]
    return bars if CUDA else [*bars, at_most("minutes in all", found["wall_s"] / 60, MINUTES)]


def recipe(dataset: Path, size: str, name: str, **changes: Any) -> TrainConfig:
    """Return the settings of a run: the demo preset's but for its recipe, and no class favoured."""
    fields = {"size": size, "balanced": False, "ramp_steps": 200} | RECIPES[size] | changes
    return config_from_preset("demo", dataset, dataset.parent / name, **fields)


def gpu_runs(dataset: Path) -> list[dict[str, Any]]:
    """Return the runs of the small size, with and without DARE, three seeds each."""
    changes = [{"dare_weight": w, "seed": seed} for w, seed in product((0.1, 0.0), range(3))]
    return [
        trained(recipe(dataset, "small", f"run-{n}", precision="bfloat16", **change))
        for n, change in enumerate(changes)
    ]


def trained(config: TrainConfig) -> dict[str, Any]:
    """Return what one run gave: its settings, its accuracy and its curve."""
    metrics = baseline_train(config).metrics
    curve = [json.loads(line) for line in (config.out / "metrics.jsonl").read_text().splitlines()]
    return {
        "size": config.size,
        "dare_weight": config.dare_weight,
        "seed": config.seed,
        "accuracy": metrics["accuracy"],
        "majority_accuracy": metrics["majority_accuracy"],
        "macro_f1": metrics["macro_f1"],
        "curve": [
            {key: epoch[key] for key in ("epoch", "loss", "accuracy", "seconds")} for epoch in curve
        ],
    }


# the challenge's pictures as the trainer reads a dataset ------------------------------------------


def written_dataset(folder: Path) -> Path:
    """Return a folder with the Parquet columns that training reads, landmarks by our parser."""
    (folder / "data").mkdir(parents=True)
    parser = open_parser("built_in", None)
    with zipfile.ZipFile(real_data() / ARCHIVE) as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")]
        for split in SPLITS:
            ours = [name for name in names if PurePosixPath(name).parts[1] == split]
            starts = progress(range(0, len(ours), ROWS_AT_ONCE), len(ours) // ROWS_AT_ONCE, split)
            parts = (read(archive, ours[start : start + ROWS_AT_ONCE], parser) for start in starts)
            table = pa.Table.from_pylist([row for rows in parts for row in rows])
            pq.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    return folder


def read(
    archive: zipfile.ZipFile, names: list[str], parser: FaceParser
) -> Iterator[dict[str, Any]]:
    """Yield the rows of some pictures."""
    files = [archive.read(name) for name in names]
    pictures = np.stack([np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in files])
    for name, file, points in zip(names, files, landmarks(parser, pictures), strict=True):
        label = LABELS.index(CLASSES[PurePosixPath(name).parts[2]])
        soft = [float(label == other) for other in range(len(LABELS))]
        values = ({"bytes": file, "path": None}, label, soft, points.tolist())
        yield dict(zip(COLUMNS, (*values, hashlib.sha256(file).hexdigest()), strict=True))


def landmarks(parser: FaceParser, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the landmarks (B, 68, 2) of pictures (B, S, S, 3), in their pixels."""
    side = round(pictures.shape[1] / CROP_SHARE)
    before = (side - pictures.shape[1]) // 2
    margin = (before, side - pictures.shape[1] - before)
    framed = np.pad(pictures, ((0, 0), margin, margin, (0, 0)), mode="edge")
    size = (parser.input_px, parser.input_px)
    scaled = np.stack([np.asarray(Image.fromarray(picture).resize(size)) for picture in framed])
    _, points = parser.parse(scaled)
    assert points is not None
    return np.asarray(points * side - before, np.float32)


if __name__ == "__main__":
    main()
