"""Figures of a run: the curves of its epochs and its confusion matrix."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)

CURVES, CONFUSION = "curves.png", "confusion.png"
FIGURES = (CURVES, CONFUSION)
Size = tuple[float, float]
"""Width and height, in inches."""
Draw = Callable[[Any], None]


def write_figures(
    folder: Path,
    history: Sequence[dict[str, Any]],
    confusion: NDArray[np.int64],
    labels: Sequence[str],
    majority_accuracy: float,
) -> bool:
    """Write FIGURES into `folder`; False, with a log line, where matplotlib is not installed."""
    draws: dict[str, tuple[Size, Draw]] = {
        CURVES: ((8, 3.2), lambda figure: _curves(figure, history, majority_accuracy)),
        CONFUSION: ((5.6, 5), lambda figure: draw_confusion(figure, confusion, labels, labels)),
    }
    return all(write_figure(folder / name, *drawn) for name, drawn in draws.items())


def write_figure(path: Path, size: Size, draw: Draw) -> bool:
    """Write what `draw` draws into a figure as PNG; False, with a log line, without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        log.warning("no figures: they need matplotlib: pip install matplotlib")
        return False
    figure = Figure(figsize=size, layout="constrained")
    draw(figure)
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib leaves it without types
    canvas.print_png(path)
    return True


def _curves(figure: Any, history: Sequence[dict[str, Any]], majority_accuracy: float) -> None:
    epochs = [entry["epoch"] for entry in history]
    left, right = figure.subplots(1, 2)
    left.plot(epochs, [entry["loss"] for entry in history], color="tab:blue")
    left.set(xlabel="epoch", ylabel="training loss")
    for key, colour in (("accuracy", "tab:blue"), ("macro_f1", "tab:orange")):
        values = [entry[key] for entry in history]
        right.plot(epochs, values, color=colour, label=key.replace("_", " "))
    right.axhline(majority_accuracy, color="grey", linestyle="--", label="majority guess")
    right.set(xlabel="epoch", ylabel="on validation", ylim=(0, 1))
    right.legend()


def draw_confusion(
    figure: Any, confusion: NDArray[np.int64], rows: Sequence[str], columns: Sequence[str]
) -> None:
    """Draw a confusion matrix into an empty figure.

    Numbers are samples, colours shares of a row, so that rare classes are seen.
    """
    axes = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel="predicted", ylabel="label")
    for (row, column), count in np.ndenumerate(confusion):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(count), ha="center", va="center", color=colour)
