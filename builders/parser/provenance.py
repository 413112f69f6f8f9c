"""Provenance: what shows where trained weights come from: the data's hashes, and the curves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from .pasted import HELD_OUT_TEMPLATES, TEMPLATES
from .teacher import TaughtFace
from .training import LOSSES

DATA_NAME, CURVES_NAME = "data.tsv", "curves.png"


def data_lines(
    train: Sequence[TaughtFace], held_out: Sequence[TaughtFace], folder: Path
) -> Iterator[str]:
    """Yield the table of every picture that was, and was not, learned from: split, name, sha256.

    Mask templates are named too; `folder` holds theirs.
    """
    yield "split\tname\tsha256\n"
    for split, faces in (("train", train), ("held_out", held_out)):
        yield from sorted(
            f"{split}\t{face.name}\t{sha256(face.picture).hexdigest()}\n" for face in faces
        )
    for path in sorted((folder / TEMPLATES).glob("*.png")):
        split = "held_out" if path.stem in HELD_OUT_TEMPLATES else "train"
        yield f"{split}\t{TEMPLATES}/{path.name}\t{sha256(path.read_bytes()).hexdigest()}\n"


def draw_curves(log: Path, out: Path) -> None:
    """Draw the losses that training logged, a JSON object a line, as a PNG."""
    from matplotlib.figure import Figure

    rows = list(_last_of_each_step(log.read_text(encoding="utf-8").splitlines()))
    figure = Figure(figsize=(10, 3.2), layout="constrained")
    axes = figure.subplots(1, len(LOSSES))
    for axis, name in zip(axes, LOSSES, strict=True):
        axis.plot([row["step"] for row in rows], [row[name] for row in rows], linewidth=1)
        axis.set(title=f"loss of {name}", xlabel="step", yscale="log")
        axis.grid(alpha=0.3)
    figure.savefig(out, dpi=110, metadata={"Software": None})


def _last_of_each_step(lines: Iterable[str]) -> Iterator[dict[str, float]]:
    """Yield the rows in the order of their steps; an interrupted run logs some steps twice."""
    rows = {row["step"]: row for row in map(json.loads, lines)}
    yield from (rows[step] for step in sorted(rows))
