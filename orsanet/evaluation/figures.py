"""Figures of an evaluation: the confusion matrix, with the faces that were not found."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from ..figures import draw_confusion

log = logging.getLogger(__name__)


def write_confusion(path: Path, found: dict[str, Any]) -> bool:
    """Write the confusion matrix of `evaluate` as PNG; False, with a line, without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        log.warning("no figures: they need matplotlib: pip install matplotlib")
        return False
    counts = np.array(found["confusion_matrix"])
    columns = [*found["classes"], "not found"]
    if not counts[:, -1].any():
        counts, columns = counts[:, :-1], columns[:-1]
    figure = Figure(figsize=(6.2, 5), layout="constrained")
    draw_confusion(figure, counts, found["classes"], columns)
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib leaves it without types
    canvas.print_png(path)
    return True
