"""The stage runner: asks the catalog what is missing, computes it, commits in batches."""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from occlufer.catalog import Catalog
from occlufer.change_log import Mark
from occlufer.errors import GateError, OccluferError
from occlufer.images import Images
from occlufer.progress import progress
from occlufer.record import Record, Reject, Result
from occlufer.workspace import Workspace

T = TypeVar("T")

log = logging.getLogger(__name__)

BATCH = 256
BATCH_S = 2.0


@dataclass(frozen=True)
class ImageItem:
    """What a stage gets to know of one image."""

    image: str
    """The bytes that the source gave, and as what; see `image_key`."""
    owner: Record
    values: Mapping[str, Mapping[str, Any]]
    """{stage: value} of the stages that the stage `reads`."""
    store: Images


@dataclass(frozen=True)
class ImageStage:
    """A stage that looks at one image at a time."""

    name: str
    after: tuple[str, ...]
    """The stages that an image must have passed."""
    reads: tuple[str, ...]
    """Those of them whose values the function wants."""
    params: Mapping[str, Any]
    """Everything its result depends on beside the image, as JSON: settings, weights' hashes."""
    function: Callable[[ImageItem], Result]


@dataclass(frozen=True)
class SetStage:
    """A stage that needs all samples at once, e.g. to find duplicates among them."""

    name: str
    after: tuple[str, ...]
    params: Mapping[str, Any]
    function: Callable[[Workspace], Iterable[Result]]
    watches: tuple[str, ...] = ()
    """What else than the stages before it and gather changes its results, e.g. "votes"."""
    ready: Callable[[Workspace], bool] = field(default=lambda workspace: True)
    """False if what the stage made outside the catalog is gone or damaged."""
    gate: Callable[[Workspace], None] = field(default=lambda workspace: None)
    """Raises GateError if the build may not go on with what the stage has found."""
    gate_first: bool = False
    """Whether the gate needs nothing of the stage: what may not go on yet is not begun either."""


@dataclass(frozen=True)
class Changes:
    """What has happened to the samples since a stage has last looked at them."""

    images: set[str]
    """New, changed and gone ones."""
    before: str
    """The name of the state in which the stage then left what it keeps outside the catalog."""
    after: str
    """The name of the state that it comes to now."""


@dataclass(frozen=True)
class Update:
    """What changes of a stage's results."""

    results: list[Result]
    """New ones, and such as may have changed."""
    gone: set[str]
    """Images that have no result any more."""


@dataclass(frozen=True)
class FollowingStage:
    """A stage on all samples that can follow changes of a few: its results are those of `whole`."""

    name: str
    after: tuple[str, ...]
    params: Mapping[str, Any]
    whole: Callable[[Workspace, str], Iterable[Result]]
    """Gives all results; the text names the state that it comes to."""
    update: Callable[[Workspace, Changes], Update | None]
    """Gives what changes of them; None if it cannot tell, or not faster."""
    gate: Callable[[Workspace], None] = field(default=lambda workspace: None)
    """Raises GateError if the build may not go on with what the stage has found."""


Stage = ImageStage | SetStage | FollowingStage


def run_stage(stage: Stage, workspace: Workspace) -> int:
    """Compute what `stage` lacks and return how many images it worked on."""
    if slow := workspace.catalog.shorten_log():
        log.info("too many changes to follow them one by one: %s", ", ".join(slow))
    if isinstance(stage, ImageStage):
        return _run_image_stage(stage, workspace)
    if isinstance(stage, FollowingStage):
        return _run_following_stage(stage, workspace)
    return _run_set_stage(stage, workspace)


def _run_image_stage(stage: ImageStage, workspace: Workspace) -> int:
    catalog = workspace.catalog
    upstream = {name: catalog.fingerprint(name) for name in stage.reads}
    made_by = fingerprint(stage.name, stage.params, upstream)
    catalog.start_stage(stage.name, made_by)
    watches = ("gather", *stage.after, stage.name)
    known = catalog.mark(stage.name)
    if known is not None and (known.params, known.watches) != (made_by, watches):
        known = None
    missing = _missing(stage, catalog, known)

    def items() -> Iterator[ImageItem]:
        for image in missing:
            values = {name: catalog.value(name, image) for name in stage.reads}
            yield ImageItem(image, catalog.owner(image), values, workspace.images)

    results = workspace.engine.map(partial(_guarded, stage), items())
    for batch in batches(progress(results, len(missing), stage.name)):
        catalog.put_results(stage.name, batch)
    # Of now, its own results included: nobody else writes in a workspace meanwhile.
    mark = Mark(catalog.last_change(), made_by, "", watches)
    if mark != known:
        catalog.put_mark(stage.name, mark)
    return len(missing)


def _missing(stage: ImageStage, catalog: Catalog, known: Mark | None) -> list[str]:
    """Return the images that the stage has to look at.

    When a mark was left none were missing, and only a change that is logged makes one missing: a
    record of it, a result of a stage before, or that its own result is gone. A stage that is killed
    leaves no mark: what it has not come to is still behind the last one.
    """
    if known is None:
        return catalog.images_missing(stage.name, stage.after)
    changed = catalog.changed_since(known.seq, known.watches)
    return catalog.images_missing(stage.name, stage.after, changed)


def _guarded(stage: ImageStage, item: ImageItem) -> Result:
    """Return the stage's result; a picture it cannot cope with is rejected, not the whole build."""
    try:
        return stage.function(item)
    except (OccluferError, OSError, MemoryError):
        raise  # the machine's or the store's fault, not the picture's
    except Exception as error:
        detail = f"{type(error).__name__}: {' '.join(str(error).split())}"
        log.warning("%s, %s: %s", item.owner.id, stage.name, detail)
        return Result(item.image, {}, Reject("stage_failed", detail))


def _run_set_stage(stage: SetStage, workspace: Workspace) -> int:
    count, due = 0, not is_fresh(stage, workspace)
    wanted = _wanted(stage, workspace)
    if due and stage.gate_first:
        _ask_gate(stage, workspace)
    if due:
        results = list(stage.function(workspace))
        workspace.catalog.replace_results(stage.name, results, wanted)
        count = len(results)
    stage.gate(workspace)  # on every run, or the second one would pass what the first has found
    return count


def _ask_gate(stage: SetStage, workspace: Workspace) -> None:
    """Ask the gate before the stage works; what it found under other circumstances is forgotten."""
    try:
        stage.gate(workspace)
    except GateError:
        workspace.catalog.start_stage(stage.name, "")
        raise


def is_fresh(stage: SetStage, workspace: Workspace) -> bool:
    """Return whether the results of the stage are those of all that stands before it."""
    known = workspace.catalog.fingerprint(stage.name)
    return known == _wanted(stage, workspace) and stage.ready(workspace)


def _wanted(stage: SetStage, workspace: Workspace) -> str:
    upstream = workspace.catalog.revisions(("gather", *stage.watches, *stage.after))
    return fingerprint(stage.name, stage.params, upstream)


def _run_following_stage(stage: FollowingStage, workspace: Workspace) -> int:
    """Follow the changes since the last run if the settings are the same, else begin anew.

    What the stage keeps outside the catalog is written first, under a new name of its state. The
    catalog names that state only with the results, in one transaction: after a kill in between,
    the two names differ, and the stage begins anew.
    """
    count = _follow(stage, workspace)
    stage.gate(workspace)  # on every run, as that of a stage on all samples
    return count


def _follow(stage: FollowingStage, workspace: Workspace) -> int:
    catalog = workspace.catalog
    watches = ("gather", *stage.after)
    wanted = fingerprint(stage.name, stage.params, catalog.revisions(watches))
    known, last = catalog.mark(stage.name), catalog.last_change()
    if catalog.fingerprint(stage.name) == wanted:
        if known is not None and known.seq != last:  # or the log would be kept for it
            catalog.put_mark(stage.name, replace(known, seq=last))
        return 0
    params = fingerprint(stage.params)
    mark = Mark(last, params, secrets.token_hex(8), watches)
    if known is not None and (known.params, known.watches) == (params, watches):
        images = catalog.changed_since(known.seq, watches)
        update = stage.update(workspace, Changes(images, known.state, mark.state))
        if update is not None:
            catalog.update_results(stage.name, update.results, update.gone, wanted, mark)
            return len(update.results)
    results = list(stage.whole(workspace, mark.state))
    catalog.replace_results(stage.name, results, wanted, mark)
    return len(results)


def fingerprint(*parts: Any) -> str:
    """Return a hash of the JSON of `parts`: equal if and only if they say the same."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield the items in lists of at most BATCH, and of at most about BATCH_S seconds each.

    A kill loses the batch in flight, so a slow stage commits often and a fast one in large pieces.
    An error or Ctrl-C in `items` still hands out what had come before it.
    """
    batch: list[T] = []
    started = time.monotonic()
    try:
        for item in items:
            batch.append(item)
            if len(batch) >= BATCH or time.monotonic() - started > BATCH_S:
                yield batch
                batch, started = [], time.monotonic()
    except (Exception, KeyboardInterrupt):
        if batch:
            yield batch
        raise
    if batch:
        yield batch
