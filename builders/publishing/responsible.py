"""What a published dataset says of itself for responsible use: facts of its lock, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from occlufer.lock import Lock
from occlufer.schema import LABELS, RIGHTS
from occlufer.scope import OUT_OF_SCOPE

# What is blocked is in no dataset.
PUBLISHED_RIGHTS = tuple(right for right in RIGHTS if right != "blocked")
USES = (
    "Research on recognising facial expressions when part of the face cannot be seen.",
    "Measuring how models fail under occlusion, by its type and severity.",
)
LIMITATIONS = (
    "An expression that raters agree on is no proof of a feeling.",
    "Occlusion is measured by a network, not annotated by people; docs/occlusion.md of occlufer "
    "says how far it can be trusted.",
    "Faces were found by a detector; where it found none the sample is kept and marked.",
)
BIASES = (
    "Who is shown, of which age, skin tone and place, is what the sources happen to hold, many of "
    "which were gathered by search words or from films; none of it is recorded here.",
    "Labels follow the conventions of their sources and the cultures of their raters.",
)
SENSITIVE = (
    "Faces are personal data. Groups are opaque names, those of persons included, and no identity "
    "embedding is published.",
)
SOCIAL = (
    "Better recognition under occlusion helps assistive and research uses, and could help "
    "surveillance of covered faces; the card names what is out of scope."
)
MAINTENANCE = (
    "Each version is named by its content. Withdrawn pictures are left out of later versions, with "
    "their copies; differences between versions can be listed."
)


def responsible_fields(lock: Lock) -> dict[str, Any]:
    """Return {field of Croissant's responsible-AI vocabulary: what is said, or a list of it}."""
    return {
        "dataCollection": collection(lock),
        "dataCollectionType": ["Secondary data analysis", *_web(lock)],
        "dataCollectionMissingData": missing(lock),
        "dataPreprocessingProtocol": [
            "Metadata taken out of the files; faces cut out of photographs; duplicates dropped; "
            "related pictures kept on one side of the split."
        ],
        "dataAnnotationProtocol": [annotation(lock)],
        **_people(lock),
        "machineAnnotationTools": tools(lock),
        "dataUseCases": list(USES),
        "dataBiases": [*BIASES, balance(lock)],
        "dataLimitations": [*LIMITATIONS, *(f"Not to be used for: {use}" for use in OUT_OF_SCOPE)],
        "dataSocialImpact": SOCIAL,
        "personalSensitiveInformation": list(SENSITIVE),
        "dataReleaseMaintenancePlan": MAINTENANCE,
    }


def collection(lock: Lock) -> str:
    """Return how many samples come from which source."""
    told = [
        f"{name} ({terms['samples'] + terms['only_in_subsets']})"
        for name, terms in lock.sources.items()
    ]
    return f"Samples were taken from: {', '.join(told)}."


def missing(lock: Lock) -> str:
    """Return whose pixels are not there, and what was left out before."""
    kept = rights_totals(lock)
    without = kept["index_only"] if lock.pixels == "publishable" else 0
    return (
        f"{without} of {sum(kept.values())} samples are without pixels, for their terms forbid to "
        "pass them on. Records that no label, no picture or no right was found for are left out."
    )


def rights_totals(lock: Lock) -> dict[str, int]:
    """Return {rights: samples} of what is published, over all sources."""
    return {
        right: sum(terms["rights"][right] for terms in lock.sources.values())
        for right in PUBLISHED_RIGHTS
    }


def annotation(lock: Lock) -> str:
    """Return who gave the labels, with counts."""
    givers = ", ".join(f"{giver} {count}" for giver, count in lock.labels["by"].items())
    if lock.labels["from"] == "source":
        return f"Labels are the majority of the sources' votes ({givers}); ties were left out."
    settings = lock.config["annotation"]
    return (
        f"{lock.labels.get('raters', 0)} raters, who saw the picture alone, gave "
        f"{lock.labels.get('answers', 0)} answers; a sample was handed to {settings['overlap']} "
        f"of them. They became labels by {settings['aggregation']} (labels given by: {givers})."
    )


def _people(lock: Lock) -> dict[str, Any]:
    """Return what is said of raters, if people were asked."""
    if lock.labels["from"] == "source":
        return {}
    alpha = lock.labels.get("alpha")
    analysis = [] if alpha is None else [f"Krippendorff's alpha (nominal): {alpha:.3f}"]
    return {
        "dataAnnotationPlatform": ["Label Studio"],
        "dataAnnotationAnalysis": analysis or ["No two raters answered one sample."],
        "annotationsPerItem": str(lock.config["annotation"]["overlap"]),
        "annotatorDemographics": ["Not recorded; raters are not named."],
    }


def tools(lock: Lock) -> list[str]:
    """Return the programs that measured or decided something, with their versions."""
    faces: Mapping[str, Any] = lock.config["faces"]
    occlusion: Mapping[str, Any] = lock.config["occlusion"]
    return [
        f"occlufer {lock.made_with['occlufer']}",
        f"face detector: {faces['detector']}",
        f"face parser: {occlusion.get('parser', 'built_in')}",
    ]


def balance(lock: Lock) -> str:
    """Return the commonest and the rarest class, and how much they differ."""
    totals = {label: sum(split[label] for split in lock.counts.values()) for label in LABELS}
    most, least = max(totals, key=totals.__getitem__), min(totals, key=totals.__getitem__)
    return f"Classes differ in size: {totals[most]} samples are {most}, {totals[least]} {least}."


def _web(lock: Lock) -> list[str]:
    kinds = {source["kind"] for source in lock.config["sources"]}
    return ["Web Scraping"] if "web" in kinds else []
