"""Cards: does the YAML header of README.md say what schema, lock and rows say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

from occlufer.lock import MAIN, Lock

from ..published.fault import Fault, first_line, shown
from ..published.schema import different, label_faults, schema_of
from ..published.shards import Shard, configs_of
from ..publishing.documents import CARD_NAME

MARK = "---\n"


def read_header(folder: Path) -> tuple[dict[str, Any] | None, list[Fault]]:
    """Return the header of the card, None if there is none to read, and what is wrong with it."""
    expected = "a card with a header of YAML"
    try:
        text = (folder / CARD_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None, []  # told with the files
    except (OSError, ValueError) as error:
        return None, [Fault(CARD_NAME, "card", first_line(error), expected)]
    before, *parts = text.split(MARK, 2)
    yaml = import_module("yaml")
    try:
        header = yaml.safe_load(parts[0]) if not before and len(parts) == 2 else None
    except Exception as error:  # for a value that is none of its type PyYAML raises many kinds
        return None, [Fault(CARD_NAME, "card", first_line(error), expected)]
    if not isinstance(header, dict):
        return None, [Fault(CARD_NAME, "card", "no header", expected)]
    return header, []


def card_faults(
    header: dict[str, Any],
    lock: Lock,
    shards: list[Shard],
    schemas: Mapping[str, Any],
    rows: Mapping[tuple[str, str], int],
) -> Iterator[Fault]:
    """Yield where the header does not fit.

    `schemas` are pyarrow's, of each config that could be read; `rows` is {(config, split): how
    many}, of the splits that could be read whole.
    """
    yield from _config_faults(header, shards)
    infos, faults = _infos(header)
    yield from faults
    if infos is None:
        return
    yield from _names(set(infos), configs_of(shards), "dataset_info")
    for config, info in infos.items():
        where = f"{CARD_NAME}, config {shown(config)}"
        yield from _feature_faults(where, info.features, schemas.get(config))
        if config in configs_of(shards):
            yield from _count_faults(where, config, info.splits or {}, lock, shards, rows)


def _infos(header: dict[str, Any]) -> tuple[dict[str, Any] | None, list[Fault]]:
    """Return {config: `datasets.DatasetInfo`} as `datasets` reads it from a card."""
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    try:
        told = DatasetCardData(dataset_info=header["dataset_info"])
        infos = dict(DatasetInfosDict.from_dataset_card_data(told))
        for info in infos.values():
            schema_of(info.features)
    except Exception as error:  # whatever somebody has put there
        found = first_line(error)
        expected = "a dataset_info as `datasets` writes it"
        return None, [Fault(CARD_NAME, "dataset_info", found, expected)]
    return infos, []


def _names(found: set[str], expected: set[str], what: str) -> Iterator[Fault]:
    for name in sorted(found ^ expected, key=str):
        there = f"config {shown(name)}" if name in found else f"no config {shown(name)}"
        listed = ", ".join(sorted(expected))
        yield Fault(CARD_NAME, what, there, f"the configs that have shards: {listed}")


def _feature_faults(where: str, told: Any, schema: Any) -> Iterator[Fault]:
    if told is None:
        yield Fault(where, "features", "none", "the columns of the shards")
        return
    yield from label_faults(where, told)
    if schema is not None:
        for difference in different(schema_of(told), schema):
            yield Fault(where, "column", *difference)


def _count_faults(
    where: str,
    config: str,
    told: Mapping[str, Any],
    lock: Lock,
    shards: list[Shard],
    rows: Mapping[tuple[str, str], int],
) -> Iterator[Fault]:
    splits = {shard.split for shard in shards if shard.config == config}
    for split in sorted(splits | told.keys(), key=str):
        count = told[split].num_examples if split in told else 0
        by_lock = locked_count(lock, config, split)
        by_rows = rows.get((config, split), None if split in splits else 0)
        for expected, who in ((by_lock, "the lock"), (by_rows, "the rows")):
            if expected is not None and count != expected:
                yield Fault(where, f"num_examples of {split}", f"{count}", f"{expected} by {who}")


def locked_count(lock: Lock, config: str, split: str) -> int | None:
    """Return how many samples a split has by the lock, None if the lock does not say."""
    if config == MAIN:
        return sum(lock.counts.get(split, {}).values())
    matched = lock.subsets.get(config, {}).get("matched")
    return matched if isinstance(matched, int) else None


def _config_faults(header: dict[str, Any], shards: list[Shard]) -> Iterator[Fault]:
    """Yield where the patterns by which `datasets` finds files do not lead to the shards."""
    try:
        patterns = {
            (one["config_name"], piece["split"]): piece["path"]
            for one in header["configs"]
            for piece in one["data_files"]
        }
        names = {one["config_name"] for one in header["configs"]}
    except (KeyError, TypeError) as error:
        found = first_line(error)
        yield Fault(CARD_NAME, "configs", found, "config_name and data_files of every config")
        return
    yield from _names(names, configs_of(shards), "configs")
    places = patterns.keys() | {(one.config, one.split) for one in shards}
    for config, split in sorted(places, key=str):
        pattern = patterns.get((config, split), "")
        led = {one.name for one in shards if _leads(pattern, one.name)}
        own = {one.name for one in shards if (one.config, one.split) == (config, split)}
        if led != own:
            where = f"{CARD_NAME}, config {shown(config)}"
            found = f"{shown(pattern)}, {len(led)} shards"
            yield Fault(where, f"data_files of {split}", found, f"the {len(own)} of that split")


def _leads(pattern: Any, name: str) -> bool:
    """Return whether a pattern of the Hub, or one of a list of them, leads to a file."""
    several = pattern if isinstance(pattern, list) else [pattern]
    return any(fnmatchcase(name, one) for one in several if isinstance(one, str))
