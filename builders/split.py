"""The split: which groups validate, so that every class comes as near to its share as can be."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from occlufer.config import BuildConfig
from occlufer.errors import OccluferError
from occlufer.pipeline import stages_before
from occlufer.record import Result
from occlufer.schema import LABELS, SPLITS
from occlufer.stages import SetStage
from occlufer.workspace import Workspace

VERSION = 2
AFTER = stages_before("split")


def stage(config: BuildConfig) -> SetStage:
    """Return the stage."""
    params = {"version": VERSION, "seed": config.seed, **vars(config.split)}
    function = partial(
        split_samples, validation_share=config.split.validation_share, seed=config.seed
    )
    return SetStage("split", AFTER, params, function)


def split_samples(workspace: Workspace, validation_share: float, seed: int) -> Iterable[Result]:
    """Yield the `split` of every labelled image; whoever is like a test sample never trains."""
    catalog = workspace.catalog
    images = catalog.images_passing(AFTER)
    labels = [catalog.value("labels", image)["label"] for image in images]
    # Of dropped and unlabelled samples too: a copy of a test sample is one.
    group_of = {result.image: result.value["group"] for result in catalog.results("dedup")}
    tested = {
        group_of[image]
        for image, records in catalog.holders()
        if image in group_of and any(record.facts.test_set for record in records)
    }
    groups = [group_of[image] for image in images]
    splits = assign_splits(labels, groups, validation_share, seed, tested)
    return [Result(image, {"split": s}) for image, s in zip(images, splits, strict=True)]


def assign_splits(
    labels: list[str],
    groups: list[str],
    validation_share: float,
    seed: int,
    validating: Collection[str] = (),
) -> list[str]:
    """Return "train" or "validation" for every sample; a group is never divided.

    The groups `validating` validate in any case. For the others an integer program over the kinds
    of groups (groups with the same class counts are alike) brings every class as near as possible
    to its share, in the sum of absolute differences. Which groups of a kind validate is drawn by
    `seed`, independent of the samples' order.
    """
    counts = _class_counts(labels, groups)
    kinds: dict[tuple[int, ...], list[str]] = {}
    for group in sorted(counts.keys() - set(validating), key=lambda name: _draw(name, seed)):
        kinds.setdefault(tuple(counts[group]), []).append(group)
    order = sorted(kinds)
    sizes = np.array([len(kinds[kind]) for kind in order])
    table = np.array(order, dtype=np.float64).reshape(len(order), len(LABELS))
    total = np.array(list(counts.values()), dtype=np.float64).reshape(-1, len(LABELS)).sum(axis=0)
    fixed = total - table.T @ sizes
    wanted = np.maximum(wanted_counts(total, validation_share) - fixed, 0)
    chosen = _solve(table, sizes, wanted)
    validation = set(validating) | {
        group for kind, n in zip(order, chosen.tolist(), strict=True) for group in kinds[kind][:n]
    }
    return [SPLITS[group in validation] for group in groups]


def wanted_counts(class_sizes: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return how many samples of every class shall validate: its share, rounded.

    A class of two samples or more has one at least: a class that is never seen is never measured.
    """
    least = ((class_sizes >= 2) & (share > 0)).astype(np.float64)
    return np.asarray(np.maximum(np.floor(class_sizes * share + 0.5), least))


def _solve(
    table: NDArray[np.float64], sizes: NDArray[np.int64], wanted: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return how many groups of each kind validate.

    Unknowns: the number of each kind, then the absolute difference of each class.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    kinds, classes = table.shape
    if kinds == 0:
        return np.zeros(0, dtype=np.int64)
    difference = np.eye(classes)
    rows = np.block([[table.T, -difference], [-table.T, -difference]])
    limits = LinearConstraint(rows, ub=np.concatenate([wanted, -wanted]))
    cost = np.concatenate([np.zeros(kinds), np.ones(classes)])
    upper = np.concatenate([sizes, np.full(classes, np.inf)])
    whole = np.concatenate([np.ones(kinds), np.zeros(classes)])
    # The relative gap ends the search where the last sample's place is all that is left to win.
    options = {"mip_rel_gap": 0.01, "node_limit": 10_000}  # a time limit would be no fixed answer
    found = milp(
        cost, integrality=whole, bounds=Bounds(0, upper), constraints=limits, options=options
    )
    if found.x is None:
        raise OccluferError(f"split: the solver found no answer ({found.message})")
    return np.asarray(np.round(found.x[:kinds]), dtype=np.int64)


def _class_counts(labels: list[str], groups: list[str]) -> dict[str, list[int]]:
    counts = {group: [0] * len(LABELS) for group in groups}
    for label, group in zip(labels, groups, strict=True):
        counts[group][LABELS.index(label)] += 1
    return counts


def _draw(group: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {group}".encode()).digest()
