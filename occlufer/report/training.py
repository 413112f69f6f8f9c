"""The report's part on a training run: figures, learning curves, confusions, where it looks."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.page import Cell, folded, paragraph, pictures, side_by_side, table, wide_picture

METRICS_NAME, BEST_NAME = "metrics.json", "best.pt"
PICTURES = {"curves.png": "learning curves", "confusion.png": "confusion matrix"}
LOOKS = 2
# Named, not imported: the core knows no part.
RUNS, OVERLAY = "occlufer.orsanet.evaluation.runs", "occlufer.builders.overlay"
PIXELS = "occlufer.builders.pixels"


def training(run: Path) -> str:
    """Return what a run has left in its folder.

    Raises MissingError if there are no figures, UsageError for a file that holds something else.
    """
    path = run / METRICS_NAME
    if not path.is_file():
        raise MissingError(f"{run}: found no metrics.json, expected the folder of a finished run")
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: cannot be read as JSON ({error})") from None
    if not isinstance(metrics, dict):
        raise UsageError(f"{path}: found no figures of a training")
    rows = [(name, value) for name, value in metrics.items() if isinstance(value, (int, float))]
    drawn = [
        wide_picture(run / name, caption)
        for name, caption in PICTURES.items()
        if (run / name).is_file()
    ]
    return "".join([table(("figure", "value"), rows), *drawn, confusions(metrics), _looks(run)])


def confusions(found: Any) -> str:
    """Return the confusion matrix of a metrics.json as a table, folded; nothing without one."""
    try:
        matrix, columns = found["confusion_matrix"], found.get("classes") or found["labels"]
        rows: list[list[Cell]] = [
            [str(label), *map(int, row)] for label, row in zip(columns, matrix, strict=True)
        ]
        width = max(map(len, rows)) - 1
    except (LookupError, TypeError, ValueError, AttributeError):
        return ""
    names = [*map(str, columns), "not found"][:width]
    lead = paragraph("Samples by their label (rows) and what they were taken for (columns).")
    return folded("confusion matrix as a table", lead + table(("label", *names), rows, heat=True))


def _looks(run: Path) -> str:
    """Return where the run's model looks on some faces of its validation."""
    if not (run / BEST_NAME).is_file():
        return ""
    try:
        looks = [pictures(_panels(one)) for one in import_module(RUNS).looks_of_run(run, LOOKS)]
    except OccluferError as error:
        return paragraph(f"Where it looks is not shown: {error}")
    lead = paragraph(
        f"A fixed draw of {LOOKS} faces at most of every class of the validation, and "
        "where the model looks on each: Grad-CAM of the class that it tells, from blue (0) to red."
    )
    return f"<h3>where it looks</h3>{lead}{side_by_side(looks)}"


def _panels(one: Any) -> list[tuple[bytes, str]]:
    """Return a face and where the model looks on it, at one size."""
    encode = import_module(PIXELS).encode_png
    map_rgb = import_module(OVERLAY).heat(one.face_rgb, one.attention)
    face = Image.fromarray(one.face_rgb).resize(map_rgb.shape[1::-1])
    told = f"{one.label}, told {one.told} {one.share:.2f}"
    return [(encode(np.asarray(face)), told), (encode(map_rgb), f"what speaks for {one.told}")]
