"""Totals: what the rows come to, against the counts in the lock."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from occlufer.lock import INDEX, LOCK_NAME, MAIN, REBUILT, Lock, config_folder
from occlufer.schema import LABELS, SPLITS

from ..published.fault import Fault, shown
from ..published.shards import Row, Shard
from ..publishing.columns import PIXELS

Record = tuple[str, str]
"""(source, source_id)"""
Key = tuple[str, str, str, str]
"""(config, split, source, source_id)"""
# Of a row of the index, what says where its sample is and how its pixels are found again.
OF_THE_INDEX = ("config", "split", "content", "source_sha256", "crop_box", "url")


class Totals:
    """Counts of rows, while they pass by."""

    def __init__(self) -> None:
        """Begin without a row."""
        self.rows: Counter[tuple[str, str]] = Counter()
        """{(config, split): rows}"""
        self._labels: dict[tuple[str, str], Counter[str]] = {}
        self._occlusions: Counter[str] = Counter()
        self._default: dict[Record, str] = {}
        self._subsets: dict[Record, str] = {}
        self._facts: dict[Key, tuple[str, str]] = {}
        self._index: dict[Key, tuple[str, str]] = {}

    def add(self, row: Row, shard: Shard, where: str) -> None:
        """Take a row; of one without a label that there is, all but its label counts."""
        place = (shard.config, shard.split)
        self.rows[place] += 1
        record = (row["source"], row["source_id"])
        if shard.config == INDEX:
            key: Key = (row["config"], row["split"], *record)
            self._index[key] = (facts_of(row), where)
            return
        key = (*place, *record)
        self._facts[key] = (facts_of(row), where)
        if 0 <= row["label"] < len(LABELS):
            self._labels.setdefault(place, Counter())[LABELS[row["label"]]] += 1
        if shard.config == MAIN:
            self._occlusions.update(row["occlusion_types"] or ["none"])
            self._default[record] = row["rights"]
        else:
            self._subsets[record] = row["rights"]

    def faults(self, lock: Lock, unread: set[tuple[str, str]]) -> Iterator[Fault]:
        """Yield where the lock does not agree, once all rows have passed.

        Nothing is said of (config, split) that are `unread`, for want of a shard.
        """
        broken = {config for config, _ in unread}
        yield from self._class_faults(lock, unread)
        if MAIN not in broken:
            yield from self._quota_faults(lock.config)
            yield from _count_faults("occlusion_counts", lock.occlusion_counts, self._occlusions)
        if not broken - {INDEX}:
            yield from self._source_faults(lock)
        if not broken:
            yield from self._index_faults()

    def _class_faults(self, lock: Lock, unread: set[tuple[str, str]]) -> Iterator[Fault]:
        """Yield where the lock counts the samples of a class otherwise."""
        told: dict[str, Mapping[str, Any]] = {MAIN: lock.counts}
        for name, subset in lock.subsets.items():
            counts = subset.get("counts")
            one_split = counts if isinstance(counts, dict) else {}
            told[name] = dict.fromkeys(self._splits_of(name), one_split)
        for config, splits in told.items():
            for split in sorted({*splits, *self._splits_of(config)}):
                if (config, split) not in unread:
                    found = self._labels.get((config, split), Counter())
                    where = f"counts of {config}, {split}"
                    yield from _count_faults(where, splits.get(split, {}), found)

    def _splits_of(self, config: str) -> list[str]:
        return [split for one, split in self.rows if one == config]

    def _quota_faults(self, config: Mapping[str, Any]) -> Iterator[Fault]:
        """Yield every class that has not as many samples as the lock's quotas ask for.

        What was rebuilt in part has what its lock counts: the quotas were its recipe's.
        """
        told = config.get("split")
        if not isinstance(told, dict) or told.get("quota") != "exact" or REBUILT in config:
            return
        for split in SPLITS:
            quotas = told.get(split)
            found = self._labels.get((MAIN, split), Counter())
            for label in LABELS:
                quota = quotas.get(label) if isinstance(quotas, dict) else None
                if found[label] != quota:
                    where = f"{config_folder(MAIN)}, {split}"
                    yield Fault(where, "quota", f"{found[label]} {label}", f"{quota} {label}")

    def _source_faults(self, lock: Lock) -> Iterator[Fault]:
        """Yield where the lock counts the records of a source otherwise, or knows it not."""
        found = _by_source(self._default, self._subsets)
        for source in sorted(found.keys() | lock.sources.keys()):
            told = lock.sources.get(source, {})
            counted = found.get(source, Counter())
            rights = told.get("rights") if isinstance(told.get("rights"), dict) else {}
            claimed = {name: told.get(name, 0) for name in ("samples", "only_in_subsets")}
            yield from _count_faults(f"sources, {shown(source)}", claimed | (rights or {}), counted)
        by = lock.labels.get("by")
        if isinstance(by, dict):
            total = Counter({"samples": len(self._default)})
            claim = {"samples": sum(n for n in by.values() if isinstance(n, int))}
            yield from _count_faults("labels, by", claim, total)

    def _index_faults(self) -> Iterator[Fault]:
        """Yield where the index is not what all other configs say, if there is one."""
        if not any(config == INDEX for config, _ in self.rows):
            return
        for key in sorted(self._facts.keys() | self._index.keys(), key=str):
            facts, where = self._facts.get(key, (None, "")), self._index.get(key, (None, ""))
            if facts[0] is None:
                yield Fault(where[1], "index", "a row of no shard", "the rows of all shards")
            elif where[0] is None:
                yield Fault(facts[1], "index", "no row of it in the index", "one of every row")
            elif facts[0] != where[0]:
                expected = f"what {facts[1]} says"
                yield Fault(where[1], "index", "another value in some column", expected)


def facts_of(row: Row) -> str:
    """Return a digest of what a row says of its sample, its pixels and their whereabouts aside."""
    facts = {k: v for k, v in row.items() if k != PIXELS and k not in OF_THE_INDEX}
    text = json.dumps(facts, sort_keys=True, default=repr)
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=12).hexdigest()


def _by_source(
    default: Mapping[Record, str], subsets: Mapping[Record, str]
) -> dict[str, Counter[str]]:
    """Return {source: its samples, those that only subsets hold, and of both those of a right}."""
    found: dict[str, Counter[str]] = {}
    for records, name in ((default, "samples"), (subsets, "only_in_subsets")):
        for record, rights in records.items():
            if records is default or record not in default:
                found.setdefault(record[0], Counter()).update([name, rights])
    return found


def _count_faults(what: str, told: Mapping[str, Any], found: Mapping[str, int]) -> Iterator[Fault]:
    """Yield every count of the lock that is not the rows'; what is not counted is 0."""
    for name in sorted({*told, *found}):
        if told.get(name, 0) != found.get(name, 0):
            count = f"{shown(told.get(name, 0))} {name}"
            yield Fault(LOCK_NAME, what, count, f"{found.get(name, 0)}, as in the rows")
