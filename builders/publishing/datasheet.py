"""DATASHEET.md: the questions of Datasheets for Datasets, answered from the lock."""

from __future__ import annotations

from importlib.resources import files
from string import Template

from occlufer.lock import Lock
from occlufer.scope import OUT_OF_SCOPE

from .card import bullets, class_table, rights_text, source_table
from .responsible import (
    BIASES,
    LIMITATIONS,
    MAINTENANCE,
    SENSITIVE,
    USES,
    annotation,
    balance,
    collection,
    missing,
    tools,
)


def datasheet_text(lock: Lock) -> str:
    """Return the datasheet of the dataset of this lock, Markdown."""
    template = files("occlufer.cards").joinpath("datasheet.md").read_text(encoding="utf-8")
    counts = {split: sum(found.values()) for split, found in lock.counts.items()}
    return Template(template).substitute(
        name=lock.name,
        version=lock.made_with["occlufer"],
        dataset_version=lock.version,
        train=counts["train"],
        validation=counts["validation"],
        classes=class_table(lock.counts),
        rights=rights_text(lock),
        missing=missing(lock),
        subsets=", ".join(lock.subsets) or "none",
        sensitive=" ".join(SENSITIVE),
        collection=collection(lock),
        sources=source_table(lock),
        annotation=annotation(lock),
        tools=bullets(tools(lock)),
        uses=bullets(USES),
        out_of_scope=bullets(OUT_OF_SCOPE),
        limits=bullets((*LIMITATIONS, *BIASES, balance(lock))),
        maintenance=MAINTENANCE,
    )
