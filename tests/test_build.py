"""A whole build accounts for every record, does nothing twice, and gives the same bytes."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import importlib
import shutil
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import occlufer.build
from occlufer.build import BuildSummary, build, check
from occlufer.builders.publishing.documents import DOCUMENTS
from occlufer.catalog import Catalog
from occlufer.config import DEFAULT_CONFIG, BuildConfig, DedupConfig, SourceConfig, SplitConfig
from occlufer.errors import MissingError
from occlufer.outcome import Outcome, outcomes
from occlufer.pipeline import STAGE_MODULES, STAGES, stages_before
from occlufer.schema import LABELS

Rows = dict[str, list[dict[str, Any]]]


def shards(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*.parquet")
    }


def left_out(summary: BuildSummary) -> list[dict[str, str]]:
    with summary.rejected_list.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def two_sources(
    tmp_path: Path,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> BuildConfig:
    """Two folders with a shared picture, a copy, a mirror, broken files and an unlabelled class."""
    pictures = [textured(i, 72, 72) for i in range(9)]
    one = {
        f"{label}/{i}.png": encoded(pictures[i])
        for i, label in enumerate(["happy", "happy", "sad", "sad", "fear"])
    }
    one |= {
        "sad/mirror.png": encoded(np.ascontiguousarray(pictures[0][:, ::-1])),
        "sad/zero.jpg": b"",
        "sad/text.jpg": b"no picture\n" * 9,
        "sad/cut.png": encoded(pictures[8])[:900],
        "notes.txt": b"x",
    }
    two = {f"3/{i}.png": encoded(pictures[i]) for i in (5, 6)}
    two |= {
        "4/shared.png": encoded(pictures[2]),
        "9/unknown.png": encoded(pictures[7]),
        "3/copy.jpg": encoded(pictures[3], "JPEG", quality=60),
    }
    label_map = {"3": "surprise", "4": "sadness", "9": "unlabelled"}
    sources = (
        SourceConfig("image_folder", "one", {"path": str(write_tree(tmp_path / "one", one))}),
        SourceConfig(
            "image_folder",
            "two",
            {"path": str(write_tree(tmp_path / "two", two)), "label_map": label_map},
        ),
    )
    return BuildConfig(sources, tmp_path / "occlu_fer", tmp_path / "workspace", workers=2)


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_has_its_name_and_stands_on_earlier_ones_only(name: str) -> None:
    stage = importlib.import_module(STAGE_MODULES[name]).stage(DEFAULT_CONFIG)
    assert stage.name == name
    assert set(stage.after) <= set(stages_before(name))


def test_every_record_is_accounted_for(
    built: BuildSummary, rows_of: Callable[[Path], Rows]
) -> None:
    assert built.files_read == 150
    assert built.published + sum(built.rejected.values()) + built.unlabelled == 150
    assert built.published == sum(map(len, rows_of(built.out).values()))


def test_the_list_of_what_was_left_out_is_exactly_the_rest(
    built: BuildSummary, rows_of: Callable[[Path], Rows]
) -> None:
    published = {
        f"{row['source']}/{row['source_id']}"
        for rows in rows_of(built.out).values()
        for row in rows
    }
    rest = left_out(built)
    names = [row["record"] for row in rest]
    assert len(names) == len(set(names))
    assert published.isdisjoint(names)
    assert published | set(names) == {f"synthetic/{i:07d}" for i in range(150)}
    reasons = Counter(row["reason"] for row in rest)
    assert reasons.pop("unlabelled") == built.unlabelled
    assert reasons == built.rejected
    assert all(row["stage"] in ("gather", *STAGES) for row in rest)


def test_the_account_holds_no_list_of_all_records(
    two_sources: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[weakref.ref[Outcome]] = []
    most = 0

    def watched(catalog: Catalog) -> Iterator[Outcome]:
        nonlocal most
        for outcome in outcomes(catalog):
            given.append(weakref.ref(outcome))
            yield outcome
            most = max(most, sum(known() is not None for known in given))

    monkeypatch.setattr(occlufer.build, "outcomes", watched)
    assert build(two_sources).files_read == 15
    assert len(given) >= 15
    assert most <= 2  # the one at hand, and the one before it


def test_a_build_of_two_folders_keeps_and_drops_what_it_should(two_sources: BuildConfig) -> None:
    summary = build(two_sources)
    rest = {row["record"]: (row["stage"], row["reason"]) for row in left_out(summary)}
    # Of two pictures of one size in one source, the hash of the bytes decides which is kept.
    (mirrored,) = {"one/happy/0.png", "one/sad/mirror.png"} & rest.keys()
    assert rest.pop(mirrored) == ("dedup", "duplicate")
    assert rest == {
        "one/notes.txt": ("gather", "no_class"),
        "one/sad/zero.jpg": ("gather", "empty_file"),
        "one/sad/text.jpg": ("gather", "not_an_image"),
        "one/sad/cut.png": ("gather", "undecodable"),
        "two/4/shared.png": ("dedup", "same_bytes"),
        "two/3/copy.jpg": ("dedup", "duplicate"),
        "two/9/unknown.png": ("labels", "unlabelled"),
    }
    assert (summary.files_read, summary.published, summary.unlabelled) == (15, 7, 1)
    assert sum(summary.rejected.values()) == 7
    totals = Counter[str]()
    for counts in summary.splits.values():
        totals.update(counts)
    assert totals["surprise"] == 2
    assert sum(totals.values()) == 7
    assert set(totals) == set(LABELS)


def test_a_second_run_works_on_nothing(two_sources: BuildConfig) -> None:
    first = build(two_sources)
    before = {p: p.stat().st_mtime_ns for p in two_sources.out.rglob("*")}
    second = build(two_sources)
    assert all(first.worked_on.values())
    assert set(second.worked_on.values()) == {0}
    assert dataclasses.replace(second, worked_on=first.worked_on) == first
    assert {p: p.stat().st_mtime_ns for p in two_sources.out.rglob("*")} == before


@pytest.mark.parametrize(
    ("changed", "again"),
    [
        ({"dedup": DedupConfig(phash64_bits=4)}, {"dedup", "publish"}),
        ({"split": SplitConfig(validation_share=0.3)}, {"split", "publish"}),
        ({"seed": 5}, {"split", "leaks", "publish"}),
        ({"workers": 1}, set()),
    ],
    ids=["dedup", "split", "seed", "workers"],
)
def test_a_changed_setting_runs_its_stage_and_what_follows_only(
    two_sources: BuildConfig, changed: dict[str, Any], again: set[str]
) -> None:
    build(two_sources)
    summary = build(dataclasses.replace(two_sources, **changed))
    assert {stage for stage, count in summary.worked_on.items() if count} == again


def test_a_changed_label_map_reads_its_source_anew_and_no_other(two_sources: BuildConfig) -> None:
    build(two_sources)
    one, two = two_sources.sources
    settings = {**two.settings, "label_map": {**two.settings["label_map"], "9": "contempt"}}
    changed = (one, dataclasses.replace(two, settings=settings))
    summary = build(dataclasses.replace(two_sources, sources=changed))
    assert summary.worked_on["gather"] == 5
    assert summary.worked_on["faces"] <= 5
    assert (summary.unlabelled, summary.published) == (0, 8)


def test_a_removed_source_disappears_as_if_it_had_never_been(
    two_sources: BuildConfig, tmp_path: Path, rows_of: Callable[[Path], Rows]
) -> None:
    build(two_sources)
    alone = dataclasses.replace(two_sources, sources=two_sources.sources[1:])
    summary = build(alone)
    assert (summary.files_read, summary.published) == (5, 4)
    assert {row["source"] for rows in rows_of(alone.out).values() for row in rows} == {"two"}
    fresh = dataclasses.replace(alone, workspace=tmp_path / "w2", out=tmp_path / "o2" / "occlu_fer")
    build(fresh)
    assert shards(alone.out) == shards(fresh.out)


def test_removed_files_leave_the_dataset(two_sources: BuildConfig, tmp_path: Path) -> None:
    build(two_sources)
    shutil.rmtree(tmp_path / "two" / "3")
    summary = build(two_sources)
    assert summary.files_read == 12
    assert sum(c["surprise"] for c in summary.splits.values()) == 0


def test_a_source_that_was_a_photograph_s_leaves_no_crop_behind(
    tmp_path: Path, real_data: Path, rows_of: Callable[[Path], Rows]
) -> None:
    sources = []
    for name, content in (("first", "photograph"), ("second", "crop")):
        (tmp_path / name / "happy").mkdir(parents=True)
        shutil.copy(real_data / "clean/astronaut.png", tmp_path / name / "happy/a.png")
        settings = {"path": str(tmp_path / name), "content": content}
        sources.append(SourceConfig("image_folder", name, settings))
    config = BuildConfig(tuple(sources), tmp_path / "occlu_fer", tmp_path / "ws", workers=1)
    build(config)
    build(dataclasses.replace(config, sources=(sources[1],)))
    ((row,),) = (rows for rows in rows_of(config.out).values() if rows)
    assert row["image"]["bytes"] == (real_data / "clean/astronaut.png").read_bytes()


def test_a_lost_dataset_is_published_again_without_looking_at_pictures(
    two_sources: BuildConfig,
) -> None:
    build(two_sources)
    before = shards(two_sources.out)
    shutil.rmtree(two_sources.out)
    summary = build(two_sources)
    assert {stage for stage, count in summary.worked_on.items() if count} == {"publish"}
    assert shards(two_sources.out) == before


def test_the_list_of_what_was_left_out_is_written_anew_after_a_stop_before_it(
    two_sources: BuildConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    build(two_sources)
    (tmp_path / "one/sad/zero.jpg").unlink()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(occlufer.build, "write_rejected", stop)
        with pytest.raises(KeyboardInterrupt):
            build(two_sources)
    summary = build(two_sources)
    assert "one/sad/zero.jpg" not in {row["record"] for row in left_out(summary)}


def test_neither_the_workspace_nor_the_workers_change_a_byte(
    built: BuildSummary, built_config: BuildConfig, tmp_path: Path
) -> None:
    other = dataclasses.replace(
        built_config, workspace=tmp_path / "workspace", out=tmp_path / "occlu_fer", workers=1
    )
    summary = build(other)
    for name in ("occlu_fer.lock", *DOCUMENTS):
        assert (summary.out / name).read_bytes() == (built.out / name).read_bytes()
    assert shards(summary.out) == shards(built.out)
    assert summary.rejected_list.read_bytes() == built.rejected_list.read_bytes()


def test_one_worker_gives_what_three_give(two_sources: BuildConfig, tmp_path: Path) -> None:
    found = []
    for workers in (1, 3):
        folder = tmp_path / str(workers)
        config = dataclasses.replace(
            two_sources, workspace=folder / "w", out=folder / "occlu_fer", workers=workers
        )
        build(config)
        found.append(shards(config.out))
    assert found[0] == found[1]


def test_reading_in_two_steps_gives_what_reading_at_once_gives(
    two_sources: BuildConfig, tmp_path: Path
) -> None:
    build(dataclasses.replace(two_sources, sources=two_sources.sources[:1]))
    build(two_sources)
    at_once = dataclasses.replace(
        two_sources, workspace=tmp_path / "w2", out=tmp_path / "o2" / "occlu_fer"
    )
    build(at_once)
    assert shards(two_sources.out) == shards(at_once.out)


def test_the_dataset_needs_its_sources_no_more(
    two_sources: BuildConfig, tmp_path: Path, rows_of: Callable[[Path], Rows]
) -> None:
    build(two_sources)
    shutil.rmtree(tmp_path / "one")
    shutil.rmtree(tmp_path / "two")
    assert sum(len(rows) for rows in rows_of(two_sources.out).values()) == 7
    with pytest.raises(MissingError, match="one: no such folder"):
        build(two_sources)
    assert sum(len(rows) for rows in rows_of(two_sources.out).values()) == 7


def test_checking_counts_and_writes_nothing(two_sources: BuildConfig, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert check(two_sources) == {"one": 10, "two": 5}
    assert sorted(tmp_path.rglob("*")) == before


def test_checking_puts_nothing_back_either(two_sources: BuildConfig, tmp_path: Path) -> None:
    (tmp_path / ".occlu_fer.former").mkdir()
    check(two_sources)
    assert (tmp_path / ".occlu_fer.former").exists()
