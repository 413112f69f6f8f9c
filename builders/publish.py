"""Publishing: Parquet shards with pictures, card and lock, put in place by one rename."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from occlufer.config import SOURCE_PATHS, SOURCE_PRIVATE, BuildConfig
from occlufer.digest import file_sha256
from occlufer.errors import GateError, naming
from occlufer.label_account import read_account
from occlufer.lock import INDEX, LOCK_NAME, MAIN, Lock, config_folder, made_with, write_lock
from occlufer.pipeline import stages_before
from occlufer.record import Result
from occlufer.schema import SPLITS
from occlufer.stages import SetStage
from occlufer.vote_log import VOTES
from occlufer.workspace import Workspace

from .dedup import params as dedup_params
from .detectors import open_detector
from .leaks import params as leaks_params
from .occlusion import params as occlusion_params
from .parts import params as parts_params
from .publishing.attribution import FILE_NAME as ATTRIBUTION_NAME
from .publishing.attribution import attribution_lines
from .publishing.census import class_counts, label_givers, occlusion_counts, published, source_terms
from .publishing.columns import Sample, features, index_features, index_row, row
from .publishing.documents import DOCUMENTS, write_documents
from .publishing.occlusion_lists import OcclusionList, read_lists
from .publishing.shards import shard_name, shard_rows, write_rows
from .publishing.subsets import SPLIT, describe_subset, subset_samples
from .publishing.swap import restore, swap_into_place
from .takedown import params as takedown_params
from .takedown import tombstones_of
from .tombstones import Tombstones, write_bare

VERSION = 4
AFTER = stages_before("publish")

Tables = dict[str, dict[str, list[Sample]]]
"""{config of the dataset: {split: samples}}"""


def stage(config: BuildConfig) -> SetStage:
    """Return the stage; it works again if the published folder is gone, incomplete or another."""
    # Read once: what is written is what the lock tells of, whatever is added meanwhile.
    tombstones, lists = tombstones_of(config), read_lists(config.lists)
    pinned = lock_config(config, tombstones, lists)
    params = {"version": VERSION, "name": config.out.name, "lock": pinned}
    return SetStage(
        "publish",
        AFTER,
        params,
        partial(publish, config=config, pinned=pinned, tombstones=tombstones, lists=lists),
        # An answer that changes no label still counts in the account of the labelling.
        watches=(VOTES,) if config.labels == "label_studio" else (),
        ready=partial(is_published, out=config.out),
    )


def publish(
    workspace: Workspace,
    config: BuildConfig,
    pinned: dict[str, Any],
    tombstones: Tombstones,
    lists: Sequence[OcclusionList],
) -> Iterable[Result]:
    """Write the dataset folder anew and put it in the place of the former one.

    `pinned` is what `lock_config` tells of the config.

    Returns the `shard` of every published image, and the `lock` (sha256) it was published under.
    Until the very end the former folder stands whole. Raises GateError if there is nothing to
    publish.
    """
    out = config.out.resolve()
    if not workspace.catalog.images_passing(AFTER):
        raise GateError(
            f"{out}: nothing to publish, for no sample has a label; `occlufer report` shows what "
            "became of every record"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    restore(out)
    fresh = out.with_name(f".{out.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    try:
        with naming(out):
            fresh.mkdir()
            tables = _tables(workspace)
            shards = _write_shards(fresh, tables, workspace)
            index = _write_index(fresh, tables, workspace)
            taken_down = write_bare(fresh, tombstones)
            files = [*shards, *index, *taken_down]
            lock = _lock(fresh, workspace, config, pinned, lists, tables, files)
            write_lock(fresh, lock)
            write_documents(fresh, lock)
            lock_sha256 = file_sha256(fresh / LOCK_NAME)
            swap_into_place(fresh, out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)  # a full disk would stay full
        raise
    return [
        Result(sample.image, {"shard": name, "lock": lock_sha256})
        for name, samples in shards.items()
        for sample in samples
        if sample.record is None
    ]


def is_published(workspace: Workspace, out: Path) -> bool:
    """Return whether `out` is what this workspace published, with every file at its size.

    What was written to after the lock is read through, too. Bytes that have turned without anybody
    writing show in `occlufer verify` only: to read every file takes a second for each GB.
    """
    published = next(workspace.catalog.results("publish"), None)
    try:
        text = (out / LOCK_NAME).read_text(encoding="utf-8")
        lock = Lock.from_text(text)
        return (
            published is not None
            and hashlib.sha256(text.encode()).hexdigest() == published.value.get("lock")
            and all((out / name).is_file() for name in DOCUMENTS)
            and all((out / name).stat().st_size == size for name, size in lock.sizes.items())
            and all(file_sha256(out / name) == lock.files[name] for name in _later(out, lock))
        )
    except (OSError, ValueError):
        return False


def _later(out: Path, lock: Lock) -> list[str]:
    """Return the files of the lock that were written to after it, which is the last to be made."""
    made_ns = (out / LOCK_NAME).stat().st_mtime_ns
    return [name for name in lock.files if (out / name).stat().st_mtime_ns > made_ns]


def lock_config(
    config: BuildConfig, tombstones: Tombstones, lists: Iterable[OcclusionList]
) -> dict[str, Any]:
    """Return what of the config decides the dataset's content: no path of this machine."""
    detector = open_detector(config.faces.detector, config.weights_dir)
    used = {"detector": detector.name, "detector_weights": detector.weights_sha256}
    taken_down = takedown_params(tombstones)
    return {
        "labels": config.labels,
        **({"annotation": _annotation(config)} if config.labels == "label_studio" else {}),
        "seed": config.seed,
        "faces": {**vars(config.faces), **used},
        "occlusion": {**parts_params(config), **occlusion_params(config.occlusion)},
        "split": vars(config.split),
        "dedup": dedup_params(config.dedup),
        "leaks": leaks_params(config),
        "lists": {one.name: one.sha256 for one in lists},
        **({} if taken_down is None else {"takedown": taken_down}),
        "sources": [
            {"kind": s.kind, "name": s.name}
            | {k: v for k, v in s.settings.items() if k not in (*SOURCE_PATHS, *SOURCE_PRIVATE)}
            for s in config.sources
        ],
    }


# What of `[annotation]` decides which label a sample has; who labels where is nobody's business.
ANNOTATION = (
    *("overlap", "agreed_votes", "agreed_share", "coverage"),
    *("aggregation", "min_posterior", "adjudicate_below", "adjudicate_margin"),
)


def _annotation(config: BuildConfig) -> dict[str, Any]:
    gold = config.annotation.gold
    return {
        **{name: getattr(config.annotation, name) for name in ANNOTATION},
        "gold": file_sha256(gold) if gold else None,
    }


def _tables(workspace: Workspace) -> Tables:
    """Return the samples of every split of every config, by hash, which mixes the classes."""
    catalog = workspace.catalog
    tables: Tables = {MAIN: {split: [] for split in SPLITS}}
    for image in catalog.images_passing(AFTER):
        tables[MAIN][catalog.value("split", image)["split"]].append(Sample(image))
    subsets = subset_samples(workspace)
    return tables | {name: {SPLIT: samples} for name, samples in subsets.items()}


def _write_shards(fresh: Path, tables: Tables, workspace: Workspace) -> dict[str, list[Sample]]:
    """Write every shard and return {file: its samples}."""
    written = {}
    for config_name, splits in tables.items():
        (fresh / config_folder(config_name)).mkdir()
        for split, samples in splits.items():
            shards = list(_shards(samples, workspace))
            for number, shard in enumerate(shards):
                name = shard_name(config_name, split, number, len(shards))
                _write_shard(fresh / name, shard, workspace)
                written[name] = shard
    return written


def _shards(samples: list[Sample], workspace: Workspace) -> Iterator[list[Sample]]:
    """Yield the samples by shard; nothing for an empty split."""
    crops = (workspace.catalog.value("faces", sample.image)["crop"] for sample in samples)
    counts = shard_rows(workspace.images.size(crop) for crop in crops)
    rest = iter(samples)
    yield from (list(islice(rest, count)) for count in counts)


def _write_shard(path: Path, samples: list[Sample], workspace: Workspace) -> None:
    write_rows(path, features().arrow_schema, (row(sample, workspace) for sample in samples))


def _write_index(fresh: Path, tables: Tables, workspace: Workspace) -> list[str]:
    """Write a shard of the index for every split that has a row, and return their names."""
    (fresh / INDEX).mkdir()
    rows: dict[str, list[tuple[Sample, tuple[str, str]]]] = {}
    for config, splits in tables.items():
        for split, samples in splits.items():
            rows.setdefault(split, []).extend((sample, (config, split)) for sample in samples)
    names = {split: shard_name(INDEX, split) for split in rows if rows[split]}
    schema = index_features().arrow_schema
    for split, name in names.items():
        made = (index_row(sample, place, workspace) for sample, place in rows[split])
        write_rows(fresh / name, schema, made)
    return list(names.values())


def _lock(
    fresh: Path,
    workspace: Workspace,
    config: BuildConfig,
    pinned: dict[str, Any],
    lists: Iterable[OcclusionList],
    tables: Tables,
    files: list[str],
) -> Lock:
    """Return the lock, with the file of attributions written beside the shards."""
    splits, subsets = tables[MAIN], {k: v[SPLIT] for k, v in tables.items() if k != MAIN}
    samples, in_subsets = [*chain(*splits.values())], [*chain(*subsets.values())]
    terms = source_terms(published(samples, in_subsets, workspace))
    with (fresh / ATTRIBUTION_NAME).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(attribution_lines(terms, published(samples, in_subsets, workspace)))
    names = [*files, ATTRIBUTION_NAME]
    return Lock(
        name=config.out.name,
        config=json.loads(json.dumps(pinned)),
        counts={split: class_counts(found, workspace) for split, found in splits.items()},
        occlusion_counts=occlusion_counts(samples, workspace),
        subsets={
            one.name: describe_subset(subsets[one.name], one, workspace)
            for one in lists
            if one.name in subsets
        },
        sources=terms,
        labels=_labels(samples, workspace, config),
        made_with=made_with(),
        files={name: file_sha256(fresh / name) for name in names},
        sizes={name: (fresh / name).stat().st_size for name in names},
        shards=_shard_counts(
            {k: list(v) for k, v in tables.items()} | _index_splits(tables), files
        ),
    )


def _index_splits(tables: Tables) -> dict[str, list[str]]:
    splits = [split for found in tables.values() for split, samples in found.items() if samples]
    return {INDEX: list(dict.fromkeys(splits))}


def _shard_counts(splits: dict[str, list[str]], shards: list[str]) -> dict[str, dict[str, int]]:
    """Return {config: {split: how many of the files are its shards}}."""
    return {
        name: {
            split: sum(shard.startswith(f"{config_folder(name)}/{split}-") for shard in shards)
            for split in found
        }
        for name, found in splits.items()
    }


def _labels(samples: list[Sample], workspace: Workspace, config: BuildConfig) -> dict[str, Any]:
    """Return how the samples came to their labels: counts, and nothing of who the raters are."""
    told = {"from": config.labels, "by": label_givers(samples, workspace)}
    account = read_account(workspace.folder) if config.labels == "label_studio" else None
    return told | (vars(account) if account else {})
