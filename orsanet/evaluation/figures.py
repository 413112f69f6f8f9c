"""Figures of an evaluation: the confusion matrix, with the faces that were not found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..figures import draw_confusion, write_figure

SIZE = (6.2, 5)


def write_confusion(path: Path, found: dict[str, Any]) -> bool:
    """Write the confusion matrix of `evaluate` as PNG; False, with a line, without matplotlib."""
    counts = np.array(found["confusion_matrix"])
    columns = [*found["classes"], "not found"]
    if not counts[:, -1].any():
        counts, columns = counts[:, :-1], columns[:-1]
    rows = found["classes"]
    return write_figure(path, SIZE, lambda figure: draw_confusion(figure, counts, rows, columns))
