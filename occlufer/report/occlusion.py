"""The report's faces: what was taken for a face's parts and for what covers them, drawn."""

from __future__ import annotations

from importlib import import_module
from operator import itemgetter

from occlufer.config import BuildConfig
from occlufer.outcome import Outcome
from occlufer.page import folded, paragraph, pictures
from occlufer.workspace import Workspace

SAMPLES_PER_BIN = 4


def occluded_faces(known: list[Outcome], workspace: Workspace, config: BuildConfig) -> str:
    """Return some published samples of each bin of severity, each with its panels."""
    bins: dict[int, list[str]] = {}
    images = (str(o.record.image) for o in known if o.reject is None)
    for image, value in sorted(workspace.catalog.values("occlusion", images), key=itemgetter(0)):
        bins.setdefault(value["severity"], []).append(image)
    if not bins:
        return ""
    page = import_module("occlufer.builders.inspect_page")
    parts = [
        folded(
            f"from {severity} % of the face on: {len(bins[severity])} samples",
            "".join(pictures(p) for p in page.samples(_draw(bins[severity]), workspace, config)),
            unfolded=severity == max(bins),
        )
        for severity in sorted(bins)
    ]
    lead = (
        "A fixed draw from each bin of severity: the sample with its box and landmarks, what the "
        "parser took each place for, and how many percent of each region are visible."
    )
    key: str = page.key()
    return paragraph(lead) + key + "".join(parts)


def _draw(images: list[str]) -> list[str]:
    """Return evenly chosen ones; images are named by hashes, so that their order is random."""
    step = max(1, len(images) // SAMPLES_PER_BIN)
    return images[::step][:SAMPLES_PER_BIN]
