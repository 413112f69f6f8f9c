"""Scores: what every stage found, against what is really there, where a source knows the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from occlufer.catalog import Catalog
from occlufer.outcome import Outcome, outcomes
from occlufer.schema import LANDMARK_PARTS, OCCLUSION_TYPES

# A box counts as the face from this intersection over union on, as in PASCAL VOC.
BOX_IOU = 0.5
# Below a tenth of the face covered, nobody calls it occluded (the paper's lightest bin).
COVERED_RATIO = 0.1

# How the synthetic source names what it plants.
BROKEN = ("blank", "truncated", "text", "empty")
COPIES = ("copy", "mirror", "crop")


@dataclass(frozen=True)
class Score:
    """Precision and recall of one decision: its counts are records."""

    stage: str
    what: str
    right: int
    found: int
    """How many the stage named."""
    there: int
    """How many there really are."""

    @property
    def precision(self) -> float:
        """The share of what was named that is right; nan if nothing was named."""
        return self.right / self.found if self.found else float("nan")

    @property
    def recall(self) -> float:
        """The share of what is there that was named; nan if there is nothing."""
        return self.right / self.there if self.there else float("nan")


@dataclass(frozen=True)
class Measure:
    """A mean over records, e.g. an error in a unit."""

    stage: str
    what: str
    value: float
    unit: str
    count: int


def score(catalog: Catalog) -> tuple[list[Score], list[Measure]]:
    """Return every stage's scores and measures over the records whose truth is known.

    Both lists are empty where no source knows the truth.
    """
    known = [_slim(outcome) for outcome in _of_known_truth(catalog)]
    if not known:
        return [], []
    occlusion, occlusion_measures = _score_occlusion(known, catalog)
    scores = [_score_gather(known), _score_faces(known, catalog), *occlusion]
    scores += [_score_dedup(known, catalog), _score_labels(known, catalog)]
    scores.append(_score_split(known, catalog))
    return scores, [_measure_landmarks(catalog), *occlusion_measures]


def count_pairs(stage: str, what: str, pairs: Iterable[tuple[bool, bool]]) -> Score:
    """Return the score of (named, really there) pairs."""
    counts = Counter(pairs)
    right = counts[True, True]
    return Score(stage, what, right, right + counts[True, False], right + counts[False, True])


def _of_known_truth(catalog: Catalog) -> Iterator[Outcome]:
    return (outcome for outcome in outcomes(catalog) if outcome.record.facts.truth)


def _slim(outcome: Outcome) -> Outcome:
    """Return an outcome without landmarks: all are held at once, and these are most of each."""
    truth = {name: value for name, value in _truth(outcome).items() if name != "landmarks"}
    facts = replace(outcome.record.facts, truth=truth)
    return replace(outcome, record=replace(outcome.record, facts=facts))


def _truth(outcome: Outcome) -> dict[str, Any]:
    return dict(outcome.record.facts.truth or {})


def _score_gather(known: list[Outcome]) -> Score:
    pairs = ((outcome.stage == "gather", _truth(outcome)["kind"] in BROKEN) for outcome in known)
    return count_pairs("gather", "broken files rejected", pairs)


def _measured(known: list[Outcome], catalog: Catalog, stage: str) -> list[tuple[Any, Any]]:
    """Return (truth, value of `stage`) of every record whose image has one."""
    found = {result.image: result.value for result in catalog.results(stage)}
    return [
        (_truth(outcome), found[outcome.record.image])
        for outcome in known
        if outcome.record.image in found
    ]


def _measure_landmarks(catalog: Catalog) -> Measure:
    errors = []
    for outcome in _of_known_truth(catalog):
        truth = _truth(outcome)
        if "landmarks" in truth and outcome.record.image is not None:
            for _, found in catalog.values("parts", [outcome.record.image]):
                errors.append(_landmark_error(truth["landmarks"], found["landmarks"]))
    mean = float(np.mean(errors)) * 100 if errors else float("nan")
    unit = "% of the distance between the eyes"
    return Measure("parts", "error of 68 landmarks", mean, unit, len(errors))


def _score_faces(known: list[Outcome], catalog: Catalog) -> Score:
    rows = _measured(known, catalog, "faces")
    there = [(t, v) for t, v in rows if "box" in t or t["kind"] == "scene"]
    hits = [v["found"] and "box" in t and _iou(t["box"], v["box"]) >= BOX_IOU for t, v in there]
    return Score(
        "faces",
        f"main face, box IoU >= {BOX_IOU}",
        sum(hits),
        sum(v["found"] for _, v in there),
        sum("box" in t for t, _ in there),
    )


def _score_occlusion(known: list[Outcome], catalog: Catalog) -> tuple[list[Score], list[Measure]]:
    rows = [(t, v) for t, v in _measured(known, catalog, "occlusion") if "ratio" in t]
    covered = ((v["ratio"] >= COVERED_RATIO, t["ratio"] >= COVERED_RATIO) for t, v in rows)
    scores = [count_pairs("occlusion", f"face covered by >= {COVERED_RATIO:.0%}", covered)]
    for name in OCCLUSION_TYPES:
        pairs = ((name in v["types"], name in t["occlusion"]) for t, v in rows)
        scores.append(count_pairs("occlusion", f"type {name}", pairs))
    errors = [abs(v["ratio"] - t["ratio"]) for t, v in rows]
    mean = float(np.mean(errors)) * 100 if errors else float("nan")
    return scores, [Measure("occlusion", "error of the ratio", mean, "points of 100", len(errors))]


def _score_dedup(known: list[Outcome], catalog: Catalog) -> Score:
    """A drop is right if what was kept shows the same drawing; one of each drawing stays."""
    family = {o.record.image: _truth(o)["family"] for o in known if o.record.image}
    copies = Counter(
        _truth(o)["family"]
        for o in known
        if o.record.image and _truth(o)["kind"] in ("face", *COPIES)
    )
    drops = [result for result in catalog.results("dedup") if result.reject is not None]
    drops = [result for result in drops if result.image in family]
    siblings = {o.record.image for o in known if _truth(o)["kind"] == "sibling"}
    right = sum(
        family[drop.image] == family.get(drop.value["kept"])
        and not {drop.image, drop.value["kept"]} & siblings
        for drop in drops
    )
    there = sum(count - 1 for count in copies.values())
    return Score("dedup", "copies, mirrored and cropped ones dropped", right, len(drops), there)


def _score_labels(known: list[Outcome], catalog: Catalog) -> Score:
    named = {r.image: r.value.get("label") for r in catalog.results("labels")}
    rows = [
        (named[o.record.image], _truth(o)["label"])
        for o in known
        if o.record.image in named and "label" in _truth(o)
    ]
    found = sum(name is not None for name, _ in rows)
    return Score("labels", "expression", sum(a == b for a, b in rows), found, len(rows))


def _score_split(known: list[Outcome], catalog: Catalog) -> Score:
    """Of the pairs of published samples that show one subject, those on one side of the split."""
    sides: dict[str, Counter[str]] = {}
    split = {result.image: result.value["split"] for result in catalog.results("split")}
    for outcome in known:
        subject = outcome.record.facts.subject
        if subject and outcome.reject is None:
            side = split[str(outcome.record.image)]
            sides.setdefault(subject, Counter())[side] += 1
    together = sum(n * (n - 1) // 2 for counts in sides.values() for n in counts.values())
    pairs = sum(n * (n - 1) // 2 for n in (sum(c.values()) for c in sides.values()))
    return Score("split", "pairs of one subject kept together", together, together, pairs)


def _iou(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    union = sum(areas) - width * height
    return width * height / union if union > 0 else 0.0


def _landmark_error(truth: list[list[float]], found: list[list[float]]) -> float:
    """Return the mean distance of the 68 points over the distance between the eyes' centres."""
    a, b = np.array(truth), np.array(found)
    left = a[LANDMARK_PARTS["left_eye"]].mean(axis=0)
    right = a[LANDMARK_PARTS["right_eye"]].mean(axis=0)
    return float(np.linalg.norm(a - b, axis=1).mean() / np.linalg.norm(left - right))
