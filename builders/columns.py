"""The columns of the published dataset, and how a row of it comes from the catalog."""

from __future__ import annotations

from typing import Any

from occlufer.schema import LABELS, REGIONS
from occlufer.workspace import Workspace


def features() -> Any:
    """Return the columns of the published dataset as `datasets.Features`."""
    from datasets import ClassLabel, Features, Image, List, Value

    return Features(
        {
            "image": Image(),
            "label": ClassLabel(names=list(LABELS)),
            "votes": List(Value("int32"), length=len(LABELS)),
            "agreement": Value("float32"),
            "occlusion_types": List(Value("string")),
            "occlusion_ratio": Value("float32"),
            "visible": {region: Value("float32") for region in REGIONS},
            "face_found": Value("bool"),
            "box": List(Value("float32"), length=4),
            "landmarks": List(List(Value("float32"), length=2), length=68),
            "source": Value("string"),
            "source_id": Value("string"),
            "source_split": Value("string"),
            "licence": Value("string"),
            "attribution": Value("string"),
            "sha256": Value("string"),
            "phash": Value("string"),
            "group": Value("string"),
        }
    )


def row(image: str, workspace: Workspace) -> dict[str, Any]:
    """Return one published row: everything that is known about the sample, its picture included."""
    catalog = workspace.catalog
    faces, occlusion = catalog.value("faces", image), catalog.value("occlusion", image)
    labels = catalog.value("labels", image)
    owner = catalog.owner(image)
    return {
        "image": {"bytes": workspace.images.get(faces["crop"]), "path": None},
        "label": LABELS.index(labels["label"]),
        "votes": labels["votes"],
        "agreement": labels["agreement"],
        "occlusion_types": occlusion["types"],
        "occlusion_ratio": occlusion["ratio"],
        "visible": occlusion["visible"],
        "face_found": faces["found"],
        "box": faces["box"],
        "landmarks": faces["landmarks"],
        "source": owner.source,
        "source_id": owner.source_id,
        "source_split": owner.facts.source_split,
        "licence": owner.facts.licence,
        "attribution": owner.facts.attribution,
        "sha256": faces["crop"],
        "phash": catalog.value("hashes", image)["phash64"],
        "group": catalog.value("dedup", image)["group"],
    }
