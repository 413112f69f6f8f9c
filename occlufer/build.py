"""The build: every stage in its order, and the account of every record at the end."""

from __future__ import annotations

import importlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occlufer.config import SECTION_PATHS, SECTIONS, SOURCE_PATHS, BuildConfig, is_address
from occlufer.engine import open_engine
from occlufer.errors import GateError, UsageError
from occlufer.lock import LOCK_NAME
from occlufer.losses import losses, total
from occlufer.outcome import REJECTED_NAME, UNLABELLED, Outcome, outcomes, write_rejected
from occlufer.pipeline import GATHER, STAGE_MODULES
from occlufer.progress import under_way
from occlufer.record import Record
from occlufer.schema import LABELS, SPLITS
from occlufer.stages import run_stage
from occlufer.workspace import Workspace, open_workspace

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildSummary:
    """What a build read and what became of it; files_read = published + rejected + unlabelled."""

    files_read: int
    """Records of all sources: files, or rows of a table."""
    published: int
    rejected: dict[str, int]
    """{reason: records}"""
    unlabelled: int
    losses: dict[str, dict[str, int]]
    """{source: {word of its own that became no class: records}}, see losses.py"""
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
    check_places(config)
    gather = importlib.import_module(GATHER)
    gather.check_terms(config.sources, config.accept_terms)
    stages = [importlib.import_module(name).stage(config) for name in STAGE_MODULES.values()]
    rejected_list = config.workspace / REJECTED_NAME
    with (
        open_engine(config.engine, config.workers, config.scheduler) as engine,
        open_workspace(config.workspace, engine, config.image_store) as workspace,
    ):
        check_sight(workspace)
        try:
            worked_on = {
                "gather": _timed(GATHER, gather.gather, config.sources, workspace, config.workers)
            }
            for stage in stages:
                worked_on[stage.name] = _timed(stage.name, run_stage, stage, workspace)
        except GateError:
            write_rejected(outcomes(workspace.catalog), rejected_list)
            raise
        # Asked for twice: a list of all records would be the largest thing of a large build.
        write_rejected(outcomes(workspace.catalog), rejected_list)
        known = outcomes(workspace.catalog)
        return summarise(known, workspace, config, rejected_list, worked_on)


PROBE = b"occlufer was here: whoever works at this workspace has to see it\n"


def check_sight(workspace: Workspace) -> None:
    """Raise UsageError if a process that works at the workspace does not see its images."""
    remote = workspace.engine.remote
    if remote is None:
        return
    name = workspace.images.put(PROBE)
    for process, found in sorted(remote.everywhere(workspace.images.get, name).items()):
        if found != PROBE:
            raise UsageError(
                f"worker {process}: does not see the images of {workspace.folder} ({found}); "
                "expected a disk that all share, or an image_store"
            )


def check_places(config: BuildConfig) -> None:
    """Raise UsageError if out, workspace and sources get in each other's way.

    `out` is replaced as a whole by publishing: it must hold nothing but a published dataset.
    """
    out, workspace = config.out.resolve(), config.workspace.resolve()
    places = [("the workspace", workspace)]
    for source in config.sources:
        paths = (source.settings.get(key) for key in SOURCE_PATHS)
        at_hand = [str(path) for path in paths if path and not is_address(str(path))]
        places += [(f"the source {source.name}", Path(path).resolve()) for path in at_hand]
    for what, place in places:
        if out.is_relative_to(place) or place.is_relative_to(out):
            raise UsageError(f"out = {out}: lies with {what} ({place}), expected a folder apart")
        if what != "the workspace" and workspace.is_relative_to(place):
            raise UsageError(
                f"workspace = {workspace}: lies in {what} ({place}), expected it apart"
            )
    for path in filter(None, named_files(config)):
        if path.resolve().is_relative_to(out):
            raise UsageError(
                f"out = {out}: holds {path}, and publishing would replace it; expected it elsewhere"
            )
    if workspace.exists() and not workspace.is_dir():
        raise UsageError(f"workspace = {workspace}: found a file, expected a folder or nothing")
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"out = {out}: found a file, expected a folder or nothing")
    if any(out.iterdir()) and not (out / LOCK_NAME).is_file():
        raise UsageError(
            f"out = {out}: found a folder that holds other things, and publishing would replace "
            f"it; expected a published dataset (with {LOCK_NAME}), an empty folder or nothing"
        )


def named_files(config: BuildConfig) -> list[Path | None]:
    """Return the files and folders of the user's own that the tables of the config name."""
    tables = (getattr(config, name) for name in SECTIONS)
    named = [getattr(table, key, None) for table in tables for key in SECTION_PATHS]
    return [config.weights_dir, *named]


def check(config: BuildConfig) -> dict[str, int]:
    """Return {source: records it lists}, without reading or writing any; raises as `build` does."""
    check_places(config)
    for name in STAGE_MODULES.values():
        importlib.import_module(name).stage(config)
    gather = importlib.import_module(GATHER)
    gather.check_terms(config.sources, config.accept_terms)
    counts: dict[str, int] = gather.count_records(config.sources)
    return counts


def summarise(
    known: Iterable[Outcome],
    workspace: Workspace,
    config: BuildConfig,
    rejected_list: Path,
    worked_on: dict[str, int],
) -> BuildSummary:
    """Return the account of all records, which are gone through once."""
    catalog = workspace.catalog
    reasons: Counter[str] = Counter()
    label = {result.image: result.value.get("label") for result in catalog.results("labels")}
    split = {result.image: result.value["split"] for result in catalog.results("split")}
    splits = {name: dict.fromkeys(LABELS, 0) for name in SPLITS}

    def counted() -> Iterator[Record]:
        for outcome in known:
            reasons[outcome.reject.reason if outcome.reject else ""] += 1
            if outcome.reject is None:
                image = str(outcome.record.image)
                splits[split[image]][str(label[image])] += 1
            yield outcome.record

    lost = total(losses(counted()))
    files_read = sum(reasons.values())
    published, unlabelled = reasons.pop("", 0), reasons.pop(UNLABELLED, 0)
    return BuildSummary(
        files_read=files_read,
        published=published,
        rejected=dict(sorted(reasons.items())),
        unlabelled=unlabelled,
        losses=lost,
        splits=splits,
        out=config.out.resolve(),
        rejected_list=rejected_list.resolve(),
        worked_on=worked_on,
    )


def _timed(name: str, work: Callable[..., int], *arguments: Any) -> int:
    """Return what `work` returns, the number of items, and log it with its time."""
    started = time.monotonic()
    with under_way(name.rpartition(".")[2]):
        count = work(*arguments)
    took = f"{count:6d} in {time.monotonic() - started:.1f} s" if count else "nothing to do"
    log.info("%-9s %s", name.rpartition(".")[2], took)
    return count
