"""Evaluation subsets: every sample that an occlusion list names, as its own source labels it.

A subset is what others compare on, so nothing that our stages think of a sample changes it: copies
of other samples, leaks, and samples on which several sources disagree belong into it too.
"""

from __future__ import annotations

from typing import Any

from occlufer.workspace import Workspace

from .census import class_counts
from .columns import Sample
from .occlusion_lists import OcclusionList

SPLIT = "test"


def subset_samples(workspace: Workspace) -> dict[str, list[Sample]]:
    """Return {subset: its samples, in the order of their images}; an empty subset is not there."""
    images = {
        record_id: (name, result.image)
        for result in workspace.catalog.results("lists")
        for name, records in result.value["subsets"].items()
        for record_id in records
    }
    found: dict[str, list[Sample]] = {}
    for record in workspace.catalog.records() if images else ():
        if record.id in images:
            name, image = images[record.id]
            found.setdefault(name, []).append(Sample(image, record))
    # A stable sort: rows of one image stay in the order of their records' names.
    return {name: sorted(found[name], key=lambda sample: sample.image) for name in sorted(found)}


def describe_subset(
    samples: list[Sample], one: OcclusionList, workspace: Workspace
) -> dict[str, Any]:
    """Return what the lock says of a subset: its list, and how much of that was at hand."""
    listed = one.listed
    return {
        "list_sha256": one.sha256,
        "kind": one.form.kind,
        "listed": len(listed.names),
        "listed_again": len(listed.duplicates),
        "malformed": len(listed.faults),
        "matched": len(samples),
        "unmatched": len(listed.names) - len(samples),
        "counts": class_counts(samples, workspace),
    }
