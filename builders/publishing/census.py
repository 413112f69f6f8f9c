"""The census of a published dataset: its samples by class, occlusion type, source and rights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from occlufer.record import Facts, Record
from occlufer.schema import LABELS, RIGHTS
from occlufer.workspace import Workspace

from .columns import Sample, label_name, labelled_by


@dataclass(frozen=True)
class Published:
    """One record whose picture is in the published folder."""

    record: Record
    sha256: str
    """Of the sample, as its column says it."""
    rights: str
    only_in_subsets: bool


def published(
    samples: list[Sample], in_subsets: list[Sample], workspace: Workspace
) -> Iterator[Published]:
    """Yield every record once: those of the default config, then the others of subsets."""
    catalog = workspace.catalog
    waiting = {sample.record.id: sample for sample in in_subsets if sample.record is not None}
    for sample in samples:
        record = catalog.owner(sample.image)
        waiting.pop(record.id, None)
        yield _published(record, sample.image, workspace, only_in_subsets=False)
    for sample in waiting.values():
        if sample.record is not None:
            yield _published(sample.record, sample.image, workspace, only_in_subsets=True)


def _published(
    record: Record, image: str, workspace: Workspace, only_in_subsets: bool
) -> Published:
    sha256 = workspace.catalog.value("faces", image)["crop"]
    rights = workspace.catalog.value("rights", image)["rights"]
    return Published(record, sha256, rights, only_in_subsets)


def class_counts(samples: Iterable[Sample], workspace: Workspace) -> dict[str, int]:
    """Return {class: samples}, in the order of LABELS."""
    counts = Counter(label_name(sample, workspace) for sample in samples)
    return {label: counts[label] for label in LABELS}


def occlusion_counts(samples: Iterable[Sample], workspace: Workspace) -> dict[str, int]:
    """Return {occlusion type: samples}; those without any are "none"."""
    counts: Counter[str] = Counter()
    for sample in samples:
        counts.update(workspace.catalog.value("occlusion", sample.image)["types"] or ["none"])
    return dict(sorted(counts.items()))


def label_givers(samples: Iterable[Sample], workspace: Workspace) -> dict[str, int]:
    """Return {who gave the label, "sources", "people", "adjudicator" or "gold": samples}."""
    return dict(sorted(Counter(labelled_by(sample, workspace) for sample in samples).items()))


def source_terms(found: Iterable[Published]) -> dict[str, dict[str, Any]]:
    """Return, by source, how many samples it has, under which rights, and whom to name.

    `samples` are those of the default config. What names its own author is counted, not listed.
    """
    terms: dict[str, dict[str, Any]] = {}
    for one in found:
        entry = terms.setdefault(
            one.record.source,
            {
                "samples": 0,
                "only_in_subsets": 0,
                "rights": dict.fromkeys(RIGHTS, 0),
                "licences": set(),
                "attributions": set(),
                "own_attribution": 0,
            },
        )
        facts = one.record.facts
        entry["only_in_subsets" if one.only_in_subsets else "samples"] += 1
        entry["rights"][one.rights] += 1
        entry["licences"].add(facts.licence)
        if has_own(facts):
            entry["own_attribution"] += 1
        else:
            entry["attributions"].add(facts.attribution)
    for entry in terms.values():
        for key in ("licences", "attributions"):
            entry[key] = sorted(entry[key] - {""})
    return dict(sorted(terms.items()))


def has_own(facts: Facts) -> bool:
    """Return whether a sample has an attribution of its own, beyond its source's."""
    evidence = facts.evidence or {}
    return any(evidence.get(key) for key in ("title", "author", "page"))
