"""The stages of a build, in the order in which a sample meets them."""

from __future__ import annotations

# Parts are named, not imported: the core knows none of them, and starting stays fast.
GATHER = "occlufer.builders.gather"
STAGE_MODULES = {
    "faces": "occlufer.builders.faces",
    "parts": "occlufer.builders.parts",
    "occlusion": "occlufer.builders.occlusion",
    "hashes": "occlufer.builders.hashes",
    "takedown": "occlufer.builders.takedown",
    "rights": "occlufer.builders.rights",
    "dedup": "occlufer.builders.dedup",
    "labels": "occlufer.annotation.labels",
    "split": "occlufer.builders.split",
    "leaks": "occlufer.builders.leaks",
    "lists": "occlufer.builders.matching",
    "publish": "occlufer.builders.publish",
}
STAGES = tuple(STAGE_MODULES)


def stages_before(name: str) -> tuple[str, ...]:
    """Return the stages that a sample has passed when it comes to the stage `name`."""
    return STAGES[: STAGES.index(name)]
