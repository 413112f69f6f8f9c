"""The split: which samples train and which validate, by quotas or by shares of every class."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from occlufer.config import BuildConfig, SplitConfig
from occlufer.errors import GateError
from occlufer.pipeline import stages_before
from occlufer.record import Record, Reject, Result
from occlufer.schema import SPLITS
from occlufer.stages import SetStage
from occlufer.workspace import Workspace

from .duplicates.edges import limits_of
from .leakage.ties import tied_groups
from .splitting.assign import assign_shares, assign_splits

VERSION = 4
AFTER = stages_before("split")
BEYOND_QUOTA = "beyond_quota"

Splits = list[str | None]


def stage(config: BuildConfig) -> SetStage:
    """Return the stage."""
    params = {
        "version": VERSION,
        "seed": config.seed,
        **vars(config.split),
        "leaks": vars(limits_of(config.leaks)),
    }
    function = partial(split_samples, config=config)
    return SetStage("split", AFTER, params, function)


def split_samples(workspace: Workspace, config: BuildConfig) -> Iterable[Result]:
    """Yield the `split` of every labelled image; whoever is like a test sample never trains.

    What the quotas leave over is rejected. Raises GateError if they cannot be met.
    """
    found = gathered(workspace, config)
    try:
        splits = WAYS[config.split.quota](found, config.split, config.seed)
    except GateError:
        workspace.catalog.start_stage("split", "")  # what it found for other samples is forgotten
        raise
    for image, label, split in zip(
        found.table["sample"], found.table["class"], splits, strict=True
    ):
        reject = None if split else Reject(BEYOND_QUOTA, f"the quotas of {label} are full")
        yield Result(image, {"split": split}, reject)


@dataclass(frozen=True)
class Gathered:
    """The labelled samples of a workspace."""

    table: Mapping[str, list[str]]
    """{"sample", "class", "group" and every one of STRATA: a value by sample}

    Tied groups have one name here, see `ties`.
    """
    tested: Collection[str]
    """The groups with a sample of a test set."""
    held_out: Collection[str]
    """The groups with a sample that its source does not train on."""


def gathered(workspace: Workspace, config: BuildConfig) -> Gathered:
    """Return the samples that have come to this stage."""
    images = workspace.catalog.images_passing(AFTER)
    labels = {image: value["label"] for image, value in workspace.catalog.values("labels", images)}
    return samples_of(workspace, labels, config)


def samples_of(workspace: Workspace, labels: Mapping[str, str], config: BuildConfig) -> Gathered:
    """Return the images of `labels`, {image: class}, with their groups and strata."""
    catalog = workspace.catalog
    # Of dropped and unlabelled samples too: a copy of a test sample is one.
    group_of = {result.image: result.value["group"] for result in catalog.results("dedup")}
    source, tests, tested, held_out = {}, set(), set(), set()
    for image, records in catalog.holders():
        if image in group_of:
            source[image] = records[0].source
            if any(record.facts.test_set for record in records):
                tests.add(image)
                tested.add(group_of[image])
            if any(_is_held_out(record) for record in records):
                held_out.add(group_of[image])
    asked = {image: group_of[image] for image in (*labels, *tests)}
    ties = tied_groups(workspace, asked, config.dedup, config.leaks)
    covered = {
        image: ("+".join(value["types"]) or "none", str(value["severity"]))
        for image, value in catalog.values("occlusion", labels)
    }
    table = {
        "sample": list(labels),
        "class": list(labels.values()),
        "group": [ties[group_of[image]] for image in labels],
        "occlusion": [covered[image][0] for image in labels],
        "severity": [covered[image][1] for image in labels],
        "source": [source[image] for image in labels],
    }
    return Gathered(table, *({ties.get(g, g) for g in some} for some in (tested, held_out)))


def _is_held_out(record: Record) -> bool:
    """Return whether the record's source has it in a split to validate or to test on."""
    split = (record.facts.source_split or "").lower()
    return "train" not in split and any(word in split for word in ("val", "test", "dev"))


def _by_quotas(found: Gathered, settings: SplitConfig, seed: int) -> Splits:
    quotas = {split: getattr(settings, split) for split in SPLITS}
    return assign_splits(found.table, quotas, seed, validating=found.tested)


def _by_share(found: Gathered, settings: SplitConfig, seed: int) -> Splits:
    return assign_shares(found.table, settings.validation_share, seed, validating=found.tested)


def _by_sources(found: Gathered, settings: SplitConfig, seed: int) -> Splits:
    """Return the sources' own splits; a group that would cross validates, as a whole."""
    validating = {*found.tested, *found.held_out}
    return [SPLITS[group in validating] for group in found.table["group"]]


WAYS: dict[str, Callable[[Gathered, SplitConfig, int], Splits]] = {
    "exact": _by_quotas,
    "proportional": _by_share,
    "none": _by_sources,
}
