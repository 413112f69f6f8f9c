"""The report's heat maps: published samples by class, split, source and occlusion type."""

from __future__ import annotations

from collections import Counter

from occlufer.catalog import Catalog
from occlufer.outcome import Outcome
from occlufer.page import Cell, paragraph, table
from occlufer.schema import LABELS, OCCLUSION_TYPES, SPLITS

NONE_FOUND = "none found"
TYPES = (*OCCLUSION_TYPES, NONE_FOUND)


def heat_maps(known: list[Outcome], catalog: Catalog) -> str:
    """Return class by split, and class by occlusion type for all sources and for each of them."""
    splits: Counter[tuple[str, str]] = Counter()
    covered: Counter[tuple[str, str, str]] = Counter()
    sources: dict[str, None] = {}
    for outcome in known:
        if outcome.reject is not None:
            continue
        image, source = str(outcome.record.image), outcome.record.source
        label = catalog.value("labels", image)["label"]
        splits[label, catalog.value("split", image)["split"]] += 1
        for name in catalog.value("occlusion", image)["types"] or [NONE_FOUND]:
            covered[source, label, name] += 1
        sources[source] = None
    if not sources:
        return ""
    by_source: list[list[Cell]] = [
        [source, label, *(covered[source, label, name] for name in TYPES)]
        for source in sources
        for label in LABELS
    ]
    by_split: list[list[Cell]] = [
        [label, *(splits[label, split] for split in SPLITS)] for label in LABELS
    ]
    parts = ["<h3>by split</h3>", table(("class", *SPLITS), by_split, heat=True)]
    if len(sources) > 1:
        by_type: list[list[Cell]] = [
            [label, *(sum(covered[s, label, name] for s in sources) for name in TYPES)]
            for label in LABELS
        ]
        parts += ["<h3>by occlusion type, all sources</h3>"]
        parts += [table(("class", *TYPES), by_type, heat=True)]
    parts += ["<h3>by source and occlusion type</h3>"]
    parts += [table(("source", "class", *TYPES), by_source, heat=True)]
    lead = paragraph(
        "Published samples. One that several occluders cover counts in the column of each. The "
        "larger its number, the stronger a cell's colour."
    )
    return lead + "".join(parts)
