"""Publishing: Parquet shards with pictures, card and lock, put in place by one rename."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from occlufer.config import BuildConfig
from occlufer.errors import GateError
from occlufer.lock import LOCK_NAME, Lock, made_with
from occlufer.record import Result
from occlufer.schema import LABELS, SPLITS
from occlufer.stages import SetStage
from occlufer.workspace import Workspace

from .card import card_text
from .columns import features, row
from .swap import restore, swap_into_place

VERSION = 1
STAGES = ("faces", "occlusion", "hashes", "dedup", "labels", "split")
# Large enough for the Hub, small enough to fetch again; rows enough for a page of the viewer.
SHARD_BYTES = 500_000_000
ROWS_PER_GROUP = 100


def stage(config: BuildConfig) -> SetStage:
    """Return the stage; it works again if the published folder is gone or incomplete."""
    restore(config.out)
    params = {"version": VERSION, "name": config.out.name, "lock": lock_config(config)}
    return SetStage(
        "publish",
        STAGES,
        params,
        partial(publish, config=config),
        ready=partial(is_whole, config.out),
    )


def publish(workspace: Workspace, config: BuildConfig) -> Iterable[Result]:
    """Write the dataset folder anew and put it in the place of the former one.

    Returns the `shard` of every published image. Until the very end the former folder stands
    whole. Raises GateError if there is nothing to publish.
    """
    out = config.out
    if not workspace.catalog.images_passing(STAGES):
        raise GateError(
            f"{out}: nothing to publish, for no sample has a label; `occlufer report` shows what "
            "became of every record"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    fresh = out.with_name(f".{out.name}.partial")
    shutil.rmtree(fresh, ignore_errors=True)
    (fresh / "data").mkdir(parents=True)
    results, files = [], {}
    for split in SPLITS:
        shards = list(_shards(_samples(workspace, split), workspace))
        for number, shard in enumerate(shards):
            name = f"data/{split}-{number:05d}-of-{len(shards):05d}.parquet"
            _write_shard(fresh / name, shard, workspace)
            files[name] = _sha256(fresh / name)
            results += [Result(image, {"shard": name}) for image in shard]
    lock = _lock(workspace, config, files)
    (fresh / LOCK_NAME).write_text(lock.to_text(), encoding="utf-8")
    (fresh / "README.md").write_text(card_text(lock, fresh), encoding="utf-8")
    swap_into_place(fresh, out)
    return results


def is_whole(out: Path) -> bool:
    """Return whether the published folder is there with every file of its lock."""
    try:
        lock = Lock.from_text((out / LOCK_NAME).read_text(encoding="utf-8"))
        return (out / "README.md").is_file() and all(
            (out / name).stat().st_size == size for name, size in lock.sizes.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def lock_config(config: BuildConfig) -> dict[str, Any]:
    """Return what of the config decides the dataset's content: no path of this machine."""
    sections = ("faces", "occlusion", "dedup", "split")
    return {
        "labels": config.labels,
        "seed": config.seed,
        **{name: vars(getattr(config, name)) for name in sections},
        "sources": [
            {"kind": s.kind, "name": s.name}
            | {key: value for key, value in s.settings.items() if key != "path"}
            for s in config.sources
        ],
    }


def _samples(workspace: Workspace, split: str) -> list[str]:
    """Return the images of a split by hash, which mixes the classes."""
    catalog = workspace.catalog
    passing = catalog.images_passing(STAGES)
    return [image for image in passing if catalog.value("split", image)["split"] == split]


def _shards(images: list[str], workspace: Workspace) -> Iterator[list[str]]:
    """Yield the images in lists of at most SHARD_BYTES; nothing for an empty split."""
    shard: list[str] = []
    total = 0
    for image in images:
        crop = workspace.catalog.value("faces", image)["crop"]
        size = workspace.images.path(crop).stat().st_size
        if shard and total + size > SHARD_BYTES:
            yield shard
            shard, total = [], 0
        shard.append(image)
        total += size
    if shard:
        yield shard


def _write_shard(path: Path, images: list[str], workspace: Workspace) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = features().arrow_schema
    with pq.ParquetWriter(path, schema, compression="snappy", write_page_index=True) as writer:
        for start in range(0, len(images), ROWS_PER_GROUP):
            rows = [row(image, workspace) for image in images[start : start + ROWS_PER_GROUP]]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _lock(workspace: Workspace, config: BuildConfig, files: dict[str, str]) -> Lock:
    fresh = config.out.with_name(f".{config.out.name}.partial")
    return Lock(
        name=config.out.name,
        config=json.loads(json.dumps(lock_config(config))),
        counts=class_counts(workspace),
        occlusion_counts=occlusion_counts(workspace),
        sources=source_terms(workspace),
        made_with=made_with(),
        files=files,
        sizes={name: (fresh / name).stat().st_size for name in files},
    )


def class_counts(workspace: Workspace) -> dict[str, dict[str, int]]:
    """Return {split: {class: published samples}}."""
    catalog = workspace.catalog
    counts = {split: dict.fromkeys(LABELS, 0) for split in SPLITS}
    for image in catalog.images_passing(STAGES):
        split = catalog.value("split", image)["split"]
        counts[split][catalog.value("labels", image)["label"]] += 1
    return counts


def occlusion_counts(workspace: Workspace) -> dict[str, int]:
    """Return {occlusion type: published samples that show it}, "none" where no type was found."""
    counts: dict[str, int] = {}
    for image in workspace.catalog.images_passing(STAGES):
        for name in workspace.catalog.value("occlusion", image)["types"] or ["none"]:
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def source_terms(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """Return {source: its licences, attributions and number of published samples}."""
    terms: dict[str, dict[str, Any]] = {}
    for image in workspace.catalog.images_passing(STAGES):
        owner = workspace.catalog.owner(image)
        entry = terms.setdefault(owner.source, {"samples": 0, "licences": [], "attributions": []})
        entry["samples"] += 1
        for key, text in (
            ("licences", owner.facts.licence),
            ("attributions", owner.facts.attribution),
        ):
            if text and text not in entry[key]:
                entry[key] = sorted([*entry[key], text])
    return dict(sorted(terms.items()))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        for block in iter(partial(file.read, 1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
