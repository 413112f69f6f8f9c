"""Publishing: Parquet shards with pictures, card and lock, put in place by one rename."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from occlufer.config import SOURCE_PATHS, BuildConfig
from occlufer.errors import GateError
from occlufer.lock import LOCK_NAME, Lock, made_with
from occlufer.pipeline import stages_before
from occlufer.record import Result
from occlufer.schema import LABELS, SPLITS
from occlufer.stages import SetStage
from occlufer.workspace import Workspace

from .card import card_text
from .columns import features, row
from .dedup import params as dedup_params
from .detectors import open_detector
from .leaks import params as leaks_params
from .swap import restore, swap_into_place

VERSION = 1
AFTER = stages_before("publish")
# Large enough for the Hub, small enough to fetch again; rows enough for a page of the viewer.
SHARD_BYTES = 500_000_000
ROWS_PER_GROUP = 100


def stage(config: BuildConfig) -> SetStage:
    """Return the stage; it works again if the published folder is gone, incomplete or another."""
    params = {"version": VERSION, "name": config.out.name, "lock": lock_config(config)}
    return SetStage(
        "publish",
        AFTER,
        params,
        partial(publish, config=config),
        ready=partial(is_published, out=config.out),
    )


def publish(workspace: Workspace, config: BuildConfig) -> Iterable[Result]:
    """Write the dataset folder anew and put it in the place of the former one.

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
        (fresh / "data").mkdir(parents=True)
        shards = _write_shards(fresh, workspace)
        lock = _lock(fresh, workspace, config, list(shards))
        (fresh / LOCK_NAME).write_text(lock.to_text(), encoding="utf-8")
        (fresh / "README.md").write_text(card_text(lock), encoding="utf-8")
        lock_sha256 = _sha256(fresh / LOCK_NAME)
        swap_into_place(fresh, out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)  # a full disk would stay full
        raise
    return [
        Result(image, {"shard": name, "lock": lock_sha256})
        for name, images in shards.items()
        for image in images
    ]


def is_published(workspace: Workspace, out: Path) -> bool:
    """Return whether `out` is what this workspace published, with every file at its size."""
    published = next(workspace.catalog.results("publish"), None)
    try:
        text = (out / LOCK_NAME).read_text(encoding="utf-8")
        lock = Lock.from_text(text)
        return (
            published is not None
            and hashlib.sha256(text.encode()).hexdigest() == published.value.get("lock")
            and (out / "README.md").is_file()
            and all((out / name).stat().st_size == size for name, size in lock.sizes.items())
        )
    except (OSError, ValueError, TypeError):
        return False


def lock_config(config: BuildConfig) -> dict[str, Any]:
    """Return what of the config decides the dataset's content: no path of this machine."""
    detector = open_detector(config.faces.detector, config.weights_dir)
    used = {"detector": detector.name, "detector_weights": detector.weights_sha256}
    return {
        "labels": config.labels,
        "seed": config.seed,
        "faces": {**vars(config.faces), **used},
        **{name: vars(getattr(config, name)) for name in ("occlusion", "split")},
        "dedup": dedup_params(config.dedup),
        "leaks": leaks_params(config),
        "sources": [
            {"kind": s.kind, "name": s.name}
            | {key: value for key, value in s.settings.items() if key not in SOURCE_PATHS}
            for s in config.sources
        ],
    }


def _write_shards(fresh: Path, workspace: Workspace) -> dict[str, list[str]]:
    """Write every shard and return {file: its images}."""
    written = {}
    for split in SPLITS:
        shards = list(_shards(_samples(workspace, split), workspace))
        for number, shard in enumerate(shards):
            name = f"data/{split}-{number:05d}-of-{len(shards):05d}.parquet"
            _write_shard(fresh / name, shard, workspace)
            written[name] = shard
    return written


def _samples(workspace: Workspace, split: str) -> list[str]:
    """Return the images of a split by hash, which mixes the classes."""
    catalog = workspace.catalog
    passing = catalog.images_passing(AFTER)
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


def _lock(fresh: Path, workspace: Workspace, config: BuildConfig, names: list[str]) -> Lock:
    counts = {split: dict.fromkeys(LABELS, 0) for split in SPLITS}
    types: Counter[str] = Counter()
    terms: dict[str, dict[str, Any]] = {}
    catalog = workspace.catalog
    for image in catalog.images_passing(AFTER):
        owner = catalog.owner(image)
        counts[catalog.value("split", image)["split"]][catalog.value("labels", image)["label"]] += 1
        types.update(catalog.value("occlusion", image)["types"] or ["none"])
        entry = terms.setdefault(owner.source, {"samples": 0, "licences": [], "attributions": []})
        entry["samples"] += 1
        facts = (("licences", owner.facts.licence), ("attributions", owner.facts.attribution))
        for key, text in facts:
            if text and text not in entry[key]:
                entry[key] = sorted([*entry[key], text])
    return Lock(
        name=config.out.name,
        config=json.loads(json.dumps(lock_config(config))),
        counts=counts,
        occlusion_counts=dict(sorted(types.items())),
        sources=dict(sorted(terms.items())),
        made_with=made_with(),
        files={name: _sha256(fresh / name) for name in names},
        sizes={name: (fresh / name).stat().st_size for name in names},
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        for block in iter(partial(file.read, 1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
