"""The columns of the published dataset, and how a row of it comes from the catalog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from occlufer.election import elect, shares
from occlufer.record import Record, image_sha256
from occlufer.schema import LABELS, OCCLUSION_TYPES, REGIONS
from occlufer.workspace import Workspace

# The one column that holds pixels; without them a row has None there.
PIXELS = "image"


@dataclass(frozen=True)
class Sample:
    """What a row is made of."""

    image: str
    record: Record | None = None
    """The record whose votes alone count; None where all that hold the image vote on it."""


def features() -> Any:
    """Return the columns of the published dataset as `datasets.Features`."""
    from datasets import ClassLabel, Features, Image, List, Value

    return Features(
        {
            PIXELS: Image(),
            "label": ClassLabel(names=list(LABELS)),
            "votes": List(Value("int32"), length=len(LABELS)),
            "agreement": Value("float32"),
            "soft_label": List(Value("float32"), length=len(LABELS)),
            "occlusion_types": List(Value("string")),
            "occlusion_confidences": {kind: Value("float32") for kind in OCCLUSION_TYPES},
            "occlusion_votes": {kind: Value("int32") for kind in OCCLUSION_TYPES},
            "occlusion_ratio": Value("float32"),
            "occlusion_severity": Value("int32"),
            "visible": {region: Value("float32") for region in REGIONS},
            "known_occluded": List(Value("string")),
            "face_found": Value("bool"),
            "box": List(Value("float32"), length=4),
            "landmarks": List(List(Value("float32"), length=2), length=68),
            "source": Value("string"),
            "source_id": Value("string"),
            "source_split": Value("string"),
            "licence": Value("string"),
            "attribution": Value("string"),
            "rights": Value("string"),
            "sha256": Value("string"),
            "phash": Value("string"),
            "group": Value("string"),
        }
    )


def index_features() -> Any:
    """Return the columns of the config `index`: those of every row but its pixels, and whence."""
    from datasets import Features, List, Value

    return Features(
        {
            "config": Value("string"),
            "split": Value("string"),
            **{name: kind for name, kind in features().items() if name != PIXELS},
            "content": Value("string"),
            "source_sha256": Value("string"),
            "crop_box": List(Value("int32")),
            "url": Value("string"),
        }
    )


def row(sample: Sample, workspace: Workspace) -> dict[str, Any]:
    """Return one published row: everything that is known about the sample, its picture included."""
    crop = workspace.catalog.value("faces", sample.image)["crop"]
    return {
        PIXELS: {"bytes": workspace.images.get(crop), "path": None},
        **_facts(sample, workspace),
    }


def index_row(sample: Sample, place: tuple[str, str], workspace: Workspace) -> dict[str, Any]:
    """Return the row of the index for a sample that is in this (config, split)."""
    faces = workspace.catalog.value("faces", sample.image)
    facts = (sample.record or workspace.catalog.owner(sample.image)).facts
    config, split = place
    return {
        "config": config,
        "split": split,
        **_facts(sample, workspace),
        "content": facts.content,
        "source_sha256": image_sha256(sample.image),
        "crop_box": faces.get("cut") or [],
        "url": (facts.evidence or {}).get("url"),
    }


def _facts(sample: Sample, workspace: Workspace) -> dict[str, Any]:
    """Return all of a row but the pixels."""
    catalog, image = workspace.catalog, sample.image
    faces, parts = catalog.value("faces", image), catalog.value("parts", image)
    occlusion = catalog.value("occlusion", image)
    record = sample.record or catalog.owner(image)
    return {
        **_label(sample, workspace),
        "occlusion_types": occlusion["types"],
        "occlusion_confidences": occlusion["confidences"],
        "occlusion_votes": _occlusion_votes(sample, workspace),
        "occlusion_ratio": occlusion["ratio"],
        "occlusion_severity": occlusion["severity"],
        "visible": occlusion["visible"],
        "known_occluded": catalog.value("lists", image)["lists"],
        "face_found": faces["found"],
        "box": faces["box"],
        "landmarks": parts["landmarks"],
        "source": record.source,
        "source_id": record.source_id,
        "source_split": record.facts.source_split,
        "licence": record.facts.licence,
        "attribution": record.facts.attribution,
        "rights": catalog.value("rights", image)["rights"],
        "sha256": faces["crop"],
        "phash": catalog.value("hashes", image)["phash64"],
        "group": catalog.value("dedup", image)["group"],
    }


def label_name(sample: Sample, workspace: Workspace) -> str:
    """Return the sample's class."""
    return LABELS[_label(sample, workspace)["label"]]


def labelled_by(sample: Sample, workspace: Workspace) -> str:
    """Return who gave a sample its label: "sources", "people", an "adjudicator", or "gold"."""
    return str(_labelled(sample, workspace).get("by", "sources"))


def _label(sample: Sample, workspace: Workspace) -> dict[str, Any]:
    value = _labelled(sample, workspace)
    return {
        "label": LABELS.index(value["label"]),
        "votes": value["votes"],
        "agreement": value["agreement"],
        "soft_label": value.get("soft_label") or shares(value["votes"]),
    }


def _labelled(sample: Sample, workspace: Workspace) -> dict[str, Any]:
    """Return what the stage "labels" says, or what it would say of the sample's record alone."""
    if sample.record is None:
        return workspace.catalog.value("labels", sample.image)
    election = elect(sample.record.facts.votes, sample.record.facts.no_class)
    return {
        "label": str(election.label),
        "votes": election.votes,
        "agreement": election.agreement,
    }


def _occlusion_votes(sample: Sample, workspace: Workspace) -> dict[str, int]:
    """Return how many raters saw which type; zeros where nobody was asked."""
    votes = _labelled(sample, workspace).get("occlusion_votes") or [0] * len(OCCLUSION_TYPES)
    return dict(zip(OCCLUSION_TYPES, votes, strict=True))
