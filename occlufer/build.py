"""The build: every stage in its order, and the account of every record at the end."""

from __future__ import annotations

import importlib
import logging
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occlufer.config import BuildConfig
from occlufer.outcome import UNLABELLED, outcomes, write_rejected
from occlufer.schema import LABELS, SPLITS
from occlufer.stages import run_stage
from occlufer.workspace import Workspace, open_workspace

log = logging.getLogger(__name__)

# Parts are named, not imported: the core knows none of them, and starting stays fast.
GATHER = "occlufer.builders.gather"
STAGE_MODULES = {
    "faces": "occlufer.builders.faces",
    "occlusion": "occlufer.builders.occlusion",
    "hashes": "occlufer.builders.hashes",
    "dedup": "occlufer.builders.dedup",
    "labels": "occlufer.annotation.labels",
    "split": "occlufer.builders.split",
    "publish": "occlufer.builders.publish",
}


@dataclass(frozen=True)
class BuildSummary:
    """What a build read and what became of it; files_read = published + rejected + unlabelled."""

    files_read: int
    """Records of all sources: files, or rows of a table."""
    published: int
    rejected: dict[str, int]
    """{reason: records}"""
    unlabelled: int
    splits: dict[str, dict[str, int]]
    """{split: {class: samples}}"""
    out: Path
    rejected_list: Path
    """A CSV of every record that is not published, with stage, reason and detail."""
    worked_on: dict[str, int]
    """{stage: images or records that this run had to compute}"""

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON has it."""
        paths = {"out": str(self.out), "rejected_list": str(self.rejected_list)}
        return {**vars(self), **paths}


def build(config: BuildConfig) -> BuildSummary:
    """Run every stage on what it lacks, publish, and return the account.

    Raises MissingError or UsageError for sources, weights and settings before any work is done.
    A kill at any moment loses the batch in flight only; the next call goes on.
    """
    gather = importlib.import_module(GATHER).gather
    stages = [importlib.import_module(name).stage(config) for name in STAGE_MODULES.values()]
    with open_workspace(config.workspace) as workspace:
        worked_on = {}
        started = time.monotonic()
        worked_on["gather"] = gather(config.sources, workspace, config.workers)
        _log_stage("gather", worked_on["gather"], started)
        for stage in stages:
            started = time.monotonic()
            worked_on[stage.name] = run_stage(stage, workspace, config.workers)
            _log_stage(stage.name, worked_on[stage.name], started)
        rejected_list = config.workspace / "rejected.csv"
        if any(worked_on.values()) or not rejected_list.exists():
            write_rejected(workspace.catalog, rejected_list)
        return summarise(workspace, config, rejected_list, worked_on)


def check(config: BuildConfig) -> dict[str, int]:
    """Return {source: records it lists}, without reading or writing any; raises as `build` does."""
    for name in STAGE_MODULES.values():
        importlib.import_module(name).stage(config)
    counts: dict[str, int] = importlib.import_module(GATHER).count_records(config.sources)
    return counts


def summarise(
    workspace: Workspace, config: BuildConfig, rejected_list: Path, worked_on: dict[str, int]
) -> BuildSummary:
    """Return the account of all records in the catalog."""
    catalog = workspace.catalog
    reasons: Counter[str] = Counter()
    splits = {split: dict.fromkeys(LABELS, 0) for split in SPLITS}
    for outcome in outcomes(catalog):
        reasons[outcome.reject.reason if outcome.reject else ""] += 1
        if outcome.reject is None:
            image = str(outcome.record.image)
            split = catalog.value("split", image)["split"]
            splits[split][catalog.value("labels", image)["label"]] += 1
    files_read = sum(reasons.values())
    published, unlabelled = reasons.pop("", 0), reasons.pop(UNLABELLED, 0)
    return BuildSummary(
        files_read=files_read,
        published=published,
        rejected=dict(sorted(reasons.items())),
        unlabelled=unlabelled,
        splits=splits,
        out=config.out.resolve(),
        rejected_list=rejected_list.resolve(),
        worked_on=worked_on,
    )


def _log_stage(name: str, count: int, started: float) -> None:
    if count:
        log.info("%-9s %6d in %.1f s", name, count, time.monotonic() - started)
    else:
        log.info("%-9s nothing to do", name)
