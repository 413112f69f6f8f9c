"""Matching: which samples the occlusion lists name, and which lines name nothing at hand."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from occlufer.config import BuildConfig
from occlufer.election import elect
from occlufer.pipeline import stages_before
from occlufer.record import Record, Result
from occlufer.stages import SetStage
from occlufer.unmatched import UNMATCHED_NAME, Unmatched, write_unmatched
from occlufer.workspace import Workspace

from .publishing.occlusion_lists import OcclusionList, read_lists

VERSION = 1
# All that is measured of a picture: one that is dropped later is in a subset nevertheless.
AFTER = stages_before("dedup")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Named:
    """What one list names."""

    records: dict[str, list[Record]]
    """{name: the records of that name, those of earlier sources first}"""
    chosen: dict[str, Record]
    """{name: the record that stands for it in the subset: a picture with a label}"""
    unmatched: list[Unmatched]


def stage(config: BuildConfig) -> SetStage:
    """Return the stage; raises MissingError or UsageError for a list that cannot be read."""
    lists = read_lists(config.lists)
    kinds = {source.name: source.kind for source in config.sources}
    hashes = {one.name: one.sha256 for one in lists}
    params = {"version": VERSION, "kinds": kinds, "lists": hashes}
    function = partial(match_lists, lists=lists, kinds=kinds)
    return SetStage("lists", AFTER, params, function, ready=partial(_is_written, lists=lists))


def match_lists(
    workspace: Workspace, lists: tuple[OcclusionList, ...], kinds: Mapping[str, str]
) -> Iterable[Result]:
    """Yield, per image, the `lists` that name it and {list: records} of the `subsets` it is in.

    `kinds` is {source: kind}: a list names records of its own kind. Writes unmatched.csv.
    """
    passing = workspace.catalog.images_passing(AFTER)
    found = {one.name: _named(one, workspace, kinds, set(passing)) for one in lists}
    _write(workspace, found)
    marks: dict[str, dict[str, None]] = {}
    subsets: dict[str, dict[str, list[str]]] = {}
    for name, named in found.items():
        for records in named.records.values():
            for record in records:
                marks.setdefault(str(record.image), {})[name] = None
        for record in named.chosen.values():
            subsets.setdefault(str(record.image), {}).setdefault(name, []).append(record.id)
    for image in passing:
        yield Result(image, {"lists": [*marks.get(image, {})], "subsets": subsets.get(image, {})})


def label_of(record: Record) -> str | None:
    """Return the label that the record's own source gives it; None if it gives none, or a tie."""
    return elect(record.facts.votes, record.facts.no_class).label


def _named(
    one: OcclusionList, workspace: Workspace, kinds: Mapping[str, str], measured: set[str]
) -> Named:
    records: dict[str, list[Record]] = {}
    for record in workspace.catalog.records():
        name = record.facts.source_name
        if name in one.listed.names and kinds.get(record.source) == one.form.kind:
            records.setdefault(name, []).append(record)
    for same in records.values():
        same.sort(key=lambda record: (record.rank, record.id))
    able = {
        name: [r for r in same if r.image in measured and label_of(r)]
        for name, same in records.items()
    }
    chosen = {name: same[0] for name, same in able.items() if same}
    at_hand = one.form.kind in kinds.values()
    why = {
        name: _reason(records.get(name, []), measured, at_hand)
        for name in one.listed.names
        if name not in chosen
    }
    unmatched = _unmatched(one, why)
    _log(one, len(chosen), len(unmatched))
    return Named(records, chosen, unmatched)


def _unmatched(one: OcclusionList, why: dict[str, str]) -> list[Unmatched]:
    """Return the lines that add nothing, in their order; `why` is {name: reason}."""
    rows = [
        Unmatched(one.name, line.number, line.text.strip()[:200], "malformed_line")
        for line in one.listed.faults
    ]
    rows += [
        Unmatched(one.name, one.listed.names[name].number, name, reason)
        for name, reason in why.items()
    ]
    return sorted(rows, key=lambda row: row.line)


def _reason(records: list[Record], measured: set[str], at_hand: bool) -> str:
    if not at_hand:
        return "no_such_source"
    if not records:
        return "no_such_record"
    return "no_label" if any(record.image in measured for record in records) else "no_picture"


def _log(one: OcclusionList, samples: int, unmatched: int) -> None:
    listed = one.listed
    log.info(
        "%s: %d names (and %d lines that say one again), %d samples; %d lines match nothing: see "
        "the workspace's %s",
        *(one.name, len(listed.names), len(listed.duplicates), samples, unmatched, UNMATCHED_NAME),
    )


def _write(workspace: Workspace, found: dict[str, Named]) -> None:
    if found:
        rows: Iterator[Unmatched] = (row for named in found.values() for row in named.unmatched)
        write_unmatched(rows, workspace.folder)
    else:
        (workspace.folder / UNMATCHED_NAME).unlink(missing_ok=True)


def _is_written(workspace: Workspace, lists: tuple[OcclusionList, ...]) -> bool:
    return (workspace.folder / UNMATCHED_NAME).is_file() == bool(lists)
