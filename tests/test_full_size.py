"""Exact quotas, whole: build, verification, Croissant and plain `datasets` agree on every class.

In small always; at the size of Table 1, some twenty minutes of one core, where OCCLUFER_FULL_SIZE
is set.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlcroissant
import pyarrow.parquet as pq
import pytest

from occlufer.builders.sources.synthetic import Settings, entries
from occlufer.builders.splitting.assign import STRATA, assign_splits
from occlufer.election import elect
from occlufer.schema import LABELS, SPLITS, TABLE_1, TABLE_1_QUOTAS

pytestmark = pytest.mark.slow

VARIABLE = "OCCLUFER_FULL_SIZE"
HOUR_S = 3600
# Of so many records every class has at least some eighty samples more than its quotas.
FULL_COUNT = 10_000
CONFIG = """
[[sources]]
kind = "synthetic"
count = {count}

[split]
quota = "exact"
{quotas}
"""
Quotas = dict[str, dict[str, int]]


@dataclass(frozen=True)
class Size:
    """A build: how many records are drawn, and what its config asks for."""

    count: int
    quotas: Quotas
    told: bool
    """Whether the config says the quotas; Table 1's are those of a config that says none."""


SMALL = {
    split: {label: max(1, n // 50) for label, n in quotas.items()}
    for split, quotas in TABLE_1_QUOTAS.items()
}
SIZES = [
    pytest.param(Size(300, SMALL, told=True), id="a_fiftieth"),
    pytest.param(
        Size(FULL_COUNT, TABLE_1_QUOTAS, told=False),
        id="table_1",
        marks=pytest.mark.skipif(VARIABLE not in os.environ, reason=f"{VARIABLE} is not set"),
    ),
]


@dataclass(frozen=True)
class Built:
    """What `occlufer build` published."""

    out: Path
    quotas: Quotas


@pytest.fixture(scope="module", params=SIZES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    size: Size = request.param
    folder = tmp_path_factory.mktemp("full_size")
    lines = [
        line
        for split, quotas in size.quotas.items()
        for line in (f"\n[split.{split}]", *(f"{label} = {n}" for label, n in quotas.items()))
    ]
    text = CONFIG.format(count=size.count, quotas="\n".join(lines) if size.told else "")
    (folder / "occlufer.toml").write_text(text, encoding="utf-8")
    run_python("-m", "occlufer.cli", "build", cwd=folder)
    return Built(folder / "occlu_fer", size.quotas)


def run_python(*arguments: object, cwd: Path) -> str:
    """Run this Python to its end, without the Hub, and return what it printed."""
    return run([sys.executable, *arguments], cwd)


def run(command: Sequence[object], cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env={
            **os.environ,
            **{"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(cwd / "cache")},
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=HOUR_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shards(out: Path, split: str) -> list[Path]:
    found = sorted((out / "data").glob(f"{split}-*.parquet"))
    assert found
    return found


def column(out: Path, split: str, name: str) -> Iterator[Any]:
    for path in shards(out, split):
        yield from pq.read_table(path, columns=[name])[name].to_pylist()


def test_table_1_is_the_paper_s() -> None:
    assert [sum(counts) for counts in TABLE_1.values()] == [6838, 880]
    assert {split: tuple(q.values()) for split, q in TABLE_1_QUOTAS.items()} == TABLE_1


def test_ten_thousand_drawn_records_are_enough_for_table_1() -> None:
    table: dict[str, list[str]] = {name: [] for name in ("sample", "class", "group", *STRATA)}
    for entry in entries(Settings(FULL_COUNT), "synthetic"):
        label = elect(entry.facts.votes, entry.facts.no_class).label
        if entry.facts.truth["kind"] in ("face", "sibling") and label is not None:
            told = {"sample": entry.source_id, "class": label, "group": entry.facts.subject}
            for name, values in table.items():
                values.append(told.get(name, "any"))
    splits = assign_splits(table, TABLE_1_QUOTAS, 0, validating=())
    counts = Counter(zip(splits, table["class"], strict=True))
    for split, quotas in TABLE_1_QUOTAS.items():
        assert {label: counts[split, label] for label in LABELS} == quotas


def test_every_class_has_exactly_its_quota(built: Built) -> None:
    for split in SPLITS:
        counts = Counter(column(built.out, split, "label"))
        assert {LABELS[number]: n for number, n in counts.items()} == built.quotas[split]


def test_no_picture_comes_twice_and_no_group_is_on_both_sides(built: Built) -> None:
    hashes = [sha for split in SPLITS for sha in column(built.out, split, "sha256")]
    total = sum(sum(quotas.values()) for quotas in built.quotas.values())
    assert len(hashes) == len(set(hashes)) == total
    groups = [set(column(built.out, split, "group")) for split in SPLITS]
    assert all(groups)
    assert not set.intersection(*groups)


def test_verify_finds_nothing_wrong_with_it(built: Built) -> None:
    told = run_python(*("-m", "occlufer.cli", "verify", built.out, "--json"), cwd=built.out.parent)
    verdict = json.loads(told.splitlines()[-1])
    assert verdict["faults"] == []
    assert verdict["rows"] == sum(sum(quotas.values()) for quotas in built.quotas.values())


def test_mlcroissant_validates_it_and_gives_all_of_its_records(built: Built) -> None:
    script, described = Path(sys.executable).with_name("mlcroissant"), built.out / "croissant.json"
    run([script, "validate", "--jsonld", described], built.out.parent)
    dataset = mlcroissant.Dataset(jsonld=str(described))
    assert not dataset.metadata.ctx.issues.errors
    found = Counter[str]()
    for record in dataset.records("default"):
        found[record["default/sha256"].decode()] += 1
        assert record["default/image"].size > (0, 0)
    assert found == Counter(sha for split in SPLITS for sha in column(built.out, split, "sha256"))


# Whoever has `datasets` alone: this Python's packages, without what an editable install adds.
PLAIN = """
import collections, importlib.util, json, sys
assert importlib.util.find_spec("occlufer") is None
import datasets
found = datasets.load_dataset(sys.argv[1])
names = found["train"].features["label"].names
counts = {s: collections.Counter(names[n] for n in found[s]["label"]) for s in found}
print(json.dumps({"counts": counts, "size": found["train"][0]["image"].size}))
"""


def test_plain_datasets_loads_it_where_there_is_no_occlufer(built: Built, tmp_path: Path) -> None:
    # A folder on PYTHONPATH is searched for modules; the links of an editable install, *.pth, are
    # read in site-packages alone. -S: nor are this installation's own.
    packages = os.pathsep.join(site.getsitepackages())
    said = run([sys.executable, "-S", "-c", PLAIN, built.out], tmp_path, PYTHONPATH=packages)
    found = json.loads(said.splitlines()[-1])
    assert found["counts"] == built.quotas
    assert min(found["size"]) > 0
