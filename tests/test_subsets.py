"""Evaluation subsets hold what their list names, as its own set labels it, whatever we drop."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from occlufer.build import BuildSummary, build, check
from occlufer.builders import publish
from occlufer.builders.matching import AFTER, match_lists
from occlufer.builders.publish import is_published
from occlufer.builders.publishing.columns import features
from occlufer.builders.publishing.documents import DOCUMENTS
from occlufer.builders.publishing.occlusion_lists import FORMS, OcclusionList, read_lines
from occlufer.builders.publishing.subsets import subset_samples
from occlufer.builders.sources.rows import Line
from occlufer.config import BuildConfig, LeaksConfig, ListsConfig, SourceConfig
from occlufer.config_file import load_config
from occlufer.errors import MissingError
from occlufer.loading import load_dataset
from occlufer.record import Facts, Record, Reject, Result, Vote
from occlufer.schema import LABELS
from occlufer.unmatched import Unmatched, read_unmatched
from occlufer.workspace import Workspace, open_workspace

Pixels = NDArray[np.uint8]
# Matching ----------------------------------------------------------------------------------------


def occlusion_list(name: str, *texts: str) -> OcclusionList:
    lines = [Line(number, text) for number, text in enumerate(texts, start=1)]
    return OcclusionList(name, "list.txt", "00", read_lines(lines, FORMS[name]))


def put(
    workspace: Workspace,
    picture: str,
    image: str | None,
    source: str = "raf",
    votes: Mapping[str, int] | None = None,
    rank: int = 0,
    **facts: Any,
) -> str:
    """Put a record of a picture's name, measured as far as lists want it; return its id."""
    said = tuple(
        Vote(f"source:{source}", label, count)
        for label, count in (votes if votes is not None else {"anger": 1}).items()
    )
    record_id = f"{source}/{picture}"
    reject = None if image else Reject("missing_file")
    record = Record(
        record_id, source, "1", Facts(said, source_name=picture, **facts), image, reject, rank
    )
    workspace.catalog.put_records([record])
    for stage in AFTER if image else ():
        workspace.catalog.put_results(stage, [Result(str(image))])
    return record_id


def matched(
    workspace: Workspace, *lists: OcclusionList, kinds: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Run the stage, keep its results as a build does, and return {image: value}."""
    results = list(match_lists(workspace, lists, kinds or {"raf": "raf_db"}))
    workspace.catalog.replace_results("lists", results, "any")
    return {result.image: dict(result.value) for result in results}


def in_subset(workspace: Workspace, name: str = "raf_db_occlu") -> list[tuple[str, str]]:
    found = subset_samples(workspace).get(name, [])
    return [(sample.image, sample.record.id) for sample in found if sample.record]


def test_a_list_names_pictures_of_its_own_kind_of_source_only(workspace: Workspace) -> None:
    one = put(workspace, "test_0001", "a")
    put(workspace, "test_0002", "b", source="other")
    put(workspace, "test_0003", "c")
    kinds = {"raf": "raf_db", "other": "expw"}
    found = matched(
        workspace, occlusion_list("raf_db_occlu", "test_0001", "test_0002"), kinds=kinds
    )
    assert {image: value["lists"] for image, value in found.items()} == {
        "a": ["raf_db_occlu"],
        "b": [],
        "c": [],
    }
    assert found["a"]["subsets"] == {"raf_db_occlu": [one]}
    assert in_subset(workspace) == [("a", one)]
    assert read_unmatched(workspace.folder) == [
        Unmatched("raf_db_occlu", 2, "test_0002", "no_such_record")
    ]


def test_every_line_that_adds_nothing_is_named_with_the_reason(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    put(workspace, "test_0001", "a")
    put(workspace, "test_0002", None)
    put(workspace, "test_0003", "c", votes={})
    put(workspace, "test_0004", "d", votes={"anger": 5, "fear": 5})
    put(workspace, "test_0005", "e", votes={"anger": 3}, no_class={"unknown": 4})
    put(workspace, "test_0007", "f")
    workspace.catalog.put_results("rights", [Result("f", {}, Reject("blocked"))])
    lines = (f"test_000{i}_aligned 3 4" for i in range(1, 8))
    raf = occlusion_list("raf_db_occlu", *lines, "x\ny", "test_0001")
    affectnet = occlusion_list("affectnet_occlu", "val/0/0123456789abcdef/")
    with caplog.at_level("INFO"):
        found = matched(workspace, raf, affectnet)
    assert [tuple(vars(row).values()) for row in read_unmatched(workspace.folder)] == [
        ("raf_db_occlu", 2, "test_0002", "no_picture"),
        ("raf_db_occlu", 3, "test_0003", "no_label"),
        ("raf_db_occlu", 4, "test_0004", "no_label"),
        ("raf_db_occlu", 5, "test_0005", "no_label"),
        ("raf_db_occlu", 6, "test_0006", "no_such_record"),
        ("raf_db_occlu", 7, "test_0007", "no_picture"),
        ("raf_db_occlu", 8, "x\ny", "malformed_line"),
        ("affectnet_occlu", 1, "0123456789abcdef", "no_such_source"),
    ]
    assert "raf_db_occlu: 7 names (and 1 lines that say one again), 1 samples; 7 lines" in (
        caplog.text
    )
    # Known to be occluded it is, whether or not it has a label.
    assert {image for image, value in found.items() if value["lists"]} == {"a", "c", "d", "e"}


def test_two_names_of_one_picture_are_two_rows(workspace: Workspace) -> None:
    one, two = put(workspace, "test_0001", "a"), put(workspace, "test_0002", "a")
    matched(workspace, occlusion_list("raf_db_occlu", "test_0002", "test_0001"))
    assert in_subset(workspace) == [("a", one), ("a", two)]


def test_a_set_that_is_given_twice_is_in_the_subset_once(workspace: Workspace) -> None:
    put(workspace, "test_0001", "a", source="later", rank=1)
    first = put(workspace, "test_0001", "b", source="sooner", rank=0)
    kinds = {"later": "raf_db", "sooner": "raf_db"}
    found = matched(workspace, occlusion_list("raf_db_occlu", "test_0001"), kinds=kinds)
    assert in_subset(workspace) == [("b", first)]
    assert found["a"]["lists"] == found["b"]["lists"] == ["raf_db_occlu"]


def test_the_copy_of_a_set_that_has_the_picture_stands_for_one_that_lacks_it(
    workspace: Workspace,
) -> None:
    put(workspace, "test_0001", None, source="sooner", rank=0)
    whole = put(workspace, "test_0001", "b", source="later", rank=1)
    kinds = {"later": "raf_db", "sooner": "raf_db"}
    matched(workspace, occlusion_list("raf_db_occlu", "test_0001"), kinds=kinds)
    assert in_subset(workspace) == [("b", whole)]
    assert read_unmatched(workspace.folder) == []


@pytest.mark.parametrize("stage", ["dedup", "labels", "split", "leaks"])
def test_what_a_later_stage_drops_stays_in_the_subset(workspace: Workspace, stage: str) -> None:
    one = put(workspace, "test_0001", "a")
    workspace.catalog.put_results(stage, [Result("a", {}, Reject("dropped"))])
    matched(workspace, occlusion_list("raf_db_occlu", "test_0001"))
    assert in_subset(workspace) == [("a", one)]


def test_without_lists_there_is_nothing_to_report(workspace: Workspace) -> None:
    put(workspace, "test_0001", "a")
    matched(workspace, occlusion_list("raf_db_occlu", "test_0009"))
    assert len(read_unmatched(workspace.folder)) == 1
    assert matched(workspace) == {"a": {"lists": [], "subsets": {}}}
    assert read_unmatched(workspace.folder) == []
    assert subset_samples(workspace) == {}


# The real lists -----------------------------------------------------------------------------------


def test_the_real_list_of_raf_db_joins_records_in_its_shape(
    workspace: Workspace, real_data: Path
) -> None:
    path = real_data / "lists/Challenge-condition-FER-dataset/RAF_DB_dir/rafdb_occlusion_list.txt"
    if not path.is_file():
        pytest.skip(f"no real list: {path} is missing")
    from occlufer.builders.publishing.occlusion_lists import read_lists

    lists = read_lists(ListsConfig(raf_db_occlu=path))
    records = [
        Record(
            f"raf/Image/aligned/test_{i:04d}_aligned.jpg",
            "raf",
            "1",
            Facts((Vote("source:raf", "fear"),), source_name=f"test_{i:04d}"),
            f"{i:064x}",
        )
        for i in range(1, 3069)
    ]
    workspace.catalog.put_records(records)
    for stage in AFTER:
        workspace.catalog.put_results(stage, [Result(str(r.image)) for r in records])
    found = matched(workspace, *lists)
    assert sum(value["lists"] == ["raf_db_occlu"] for value in found.values()) == 734
    assert len(in_subset(workspace)) == 734
    assert read_unmatched(workspace.folder) == []


# A whole build ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Built:
    """A build with a list, and what it is to be compared with."""

    config: BuildConfig
    summary: BuildSummary

    @property
    def out(self) -> Path:
        return self.summary.out

    def subset(self) -> list[dict[str, Any]]:
        shards = sorted((self.out / "raf_db_occlu").glob("*"))
        assert [shard.name for shard in shards] == ["test-00000-of-00001.parquet"]
        rows: list[dict[str, Any]] = pq.read_table(shards[0]).to_pylist()
        return rows

    def lock(self) -> dict[str, Any]:
        lock: dict[str, Any] = json.loads((self.out / "occlu_fer.lock").read_text("utf-8"))
        return lock


HAPPY, SAD, ANGRY = 4, 5, 6  # as RAF-DB counts
LIST = (
    b"test_0001_aligned 3 4\r\ntest_0002_aligned 3 1\r\ntest_0003_aligned 4 2\r\n"
    b"test_0004_aligned 3 3\r\ntest_0005_aligned 3 3\r\ntest_0006_aligned 5 3\r\n"
    b"test_0003_aligned 4 2\r\ntest_0009_aligned 0 1\r\nnothing\r\ntest_0008_aligned 3 3"
)


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    textured: Callable[..., Pixels],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> Built:
    """RAF-DB beside a folder of one's own that holds one of its pictures under another label."""
    folder = tmp_path_factory.mktemp("listed")
    pictures = {
        **{f"train_0000{i}": encoded(textured(i, 64, 64)) for i in range(1, 5)},
        "test_0001": encoded(textured(11, 64, 64)),
        "test_0002": encoded(textured(11, 64, 64), "JPEG", quality=70),  # a copy of it
        "test_0003": encoded(textured(13, 64, 64)),  # "mine" holds it too
        "test_0004": b"no picture",
        "test_0005": encoded(textured(15, 64, 64)),
        "test_0006": encoded(textured(15, 64, 64)),  # the same bytes, another label
        "test_0007": encoded(textured(17, 64, 64)),
        "test_0008": encoded(textured(18, 64, 64)),
    }
    labels = {name: (HAPPY, SAD)[int(name[-1]) % 2] for name in pictures}
    labels |= {"test_0002": HAPPY, "test_0001": HAPPY, "test_0005": SAD, "test_0006": ANGRY}
    basic = {f"Image/aligned/{name}_aligned.jpg": data for name, data in pictures.items()}
    table = "".join(f"{name}.jpg {label}\r\n" for name, label in labels.items())
    basic["EmoLabel/list_patition_label.txt"] = table.encode()
    write_tree(folder / "basic", basic)
    mine = {"fear/copy.png": pictures["test_0003"]}
    mine |= {f"happy/{i}.png": encoded(textured(i, 64, 64)) for i in (21, 22)}
    write_tree(folder / "mine", mine)
    (folder / "private-place").mkdir()
    (folder / "private-place" / "my_list.txt").write_bytes(LIST)
    (folder / "occlufer.toml").write_text(
        'out = "made/occlu_fer"\nworkspace = "workspace"\nworkers = 2\n'
        'accept_terms = ["raf_db"]\n[lists]\nraf_db_occlu = "private-place/my_list.txt"\n'
        '[[sources]]\nkind = "image_folder"\nname = "mine"\npath = "mine"\nlicence = "CC-BY-4.0"\n'
        '[[sources]]\nkind = "raf_db"\nname = "raf"\npath = "basic"\n',
        encoding="utf-8",
    )
    config = load_config(folder / "occlufer.toml")
    return Built(config, build(config))


def test_the_subset_holds_every_listed_picture_with_its_own_set_s_label(made: Built) -> None:
    rows = {
        row["source_id"].rpartition("/")[2].partition("_aligned")[0]: row for row in made.subset()
    }
    assert {name: LABELS[row["label"]] for name, row in rows.items()} == {
        "test_0001": "happiness",
        "test_0002": "happiness",
        "test_0003": "sadness",
        "test_0005": "sadness",
        "test_0006": "anger",
        "test_0008": "happiness",
    }
    for row in rows.values():
        assert row["votes"] == [int(i == row["label"]) for i in range(len(LABELS))]
        assert row["agreement"] == 1
        assert row["soft_label"] == row["votes"]
        assert set(row["occlusion_votes"].values()) == {0}
        assert (row["source"], row["source_split"]) == ("raf", "test")
        assert row["known_occluded"] == ["raf_db_occlu"]
        assert row["rights"] == "index_only"
        assert row["licence"].startswith("RAF-DB")
        assert hashlib.sha256(row["image"]["bytes"]).hexdigest() == row["sha256"]
        assert len(row["landmarks"]) == 68
    assert rows["test_0005"]["sha256"] == rows["test_0006"]["sha256"]
    assert rows["test_0001"]["group"] == rows["test_0002"]["group"]


def test_the_default_config_drops_what_it_would_drop_without_the_list(
    made: Built, rows_of: Callable[[Path], dict[str, list[dict[str, Any]]]]
) -> None:
    with made.summary.rejected_list.open(encoding="utf-8", newline="") as file:
        left_out = {row["record"].rpartition("/")[2]: row["reason"] for row in csv.DictReader(file)}
    (copy,) = {"test_0001_aligned.jpg", "test_0002_aligned.jpg"} & left_out.keys()
    assert left_out == {
        copy: "duplicate",
        "copy.png": "unlabelled",  # one says fear, the other sadness
        "test_0003_aligned.jpg": "same_bytes",
        "test_0004_aligned.jpg": "not_an_image",
        "test_0005_aligned.jpg": "unlabelled",
        "test_0006_aligned.jpg": "same_bytes",
    }
    rows = [row for rows in rows_of(made.out).values() for row in rows]
    marked = {row["source_id"].rpartition("/")[2] for row in rows if row["known_occluded"]}
    kept = ({"test_0001_aligned.jpg", "test_0002_aligned.jpg"} - {copy}).pop()
    assert marked == {kept, "test_0008_aligned.jpg"}
    assert len(rows) == made.summary.published == 9
    assert {row["rights"] for row in rows} == {"publishable", "index_only"}


def test_what_matched_nothing_is_listed(made: Built) -> None:
    assert [tuple(vars(row).values()) for row in read_unmatched(made.config.workspace)] == [
        ("raf_db_occlu", 4, "test_0004", "no_picture"),
        ("raf_db_occlu", 8, "test_0009", "no_such_record"),
        ("raf_db_occlu", 9, "nothing", "malformed_line"),
    ]


def test_the_lock_counts_the_subset_and_pins_its_list(made: Built) -> None:
    lock = made.lock()
    (subset,) = lock["subsets"].items()
    assert subset == (
        "raf_db_occlu",
        {
            "list_sha256": hashlib.sha256(LIST).hexdigest(),
            "kind": "raf_db",
            "listed": 8,
            "listed_again": 1,
            "malformed": 1,
            "matched": 6,
            "unmatched": 2,
            "counts": dict.fromkeys(LABELS, 0) | {"happiness": 3, "sadness": 2, "anger": 1},
        },
    )
    assert lock["config"]["lists"] == {"raf_db_occlu": hashlib.sha256(LIST).hexdigest()}
    assert lock["shards"] == {
        "default": {"train": 1, "validation": 1},
        "raf_db_occlu": {"test": 1},
        "index": {"train": 1, "validation": 1, "test": 1},
    }
    name = "raf_db_occlu/test-00000-of-00001.parquet"
    data = (made.out / name).read_bytes()
    assert lock["files"][name] == hashlib.sha256(data).hexdigest()
    assert lock["sizes"][name] == len(data)
    files = {p.relative_to(made.out).as_posix() for p in made.out.rglob("*") if p.is_file()}
    assert files == {*lock["files"], "occlu_fer.lock", *DOCUMENTS}
    # Four of the six are in the subset only: the copy, the two ties, one of them twice.
    terms = lock["sources"]["raf"]
    assert (terms["samples"], terms["only_in_subsets"]) == (7, 4)
    assert terms["rights"] == {"publishable": 0, "index_only": 11, "blocked": 0}
    assert lock["sources"]["mine"]["rights"]["publishable"] == 2


def test_the_place_of_the_list_is_not_published(made: Built) -> None:
    for path in made.out.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert b"private-place" not in data, path.name
        assert b"my_list" not in data, path.name


LOAD = """
import json
from datasets import get_dataset_config_names, load_dataset
plain = load_dataset("occlu_fer")
subset = load_dataset("occlu_fer", "raf_db_occlu", split="test")
streamed = load_dataset("occlu_fer", "raf_db_occlu", split="test", streaming=True)
print(json.dumps({
    "configs": get_dataset_config_names("occlu_fer"),
    "plain": {split: plain[split].num_rows for split in plain},
    "subset": subset["sha256"][:],
    "streamed": [row["sha256"] for row in streamed],
    "labels": subset["label"][:],
    "same": [subset.column_names == plain["train"].column_names,
             subset.features == plain["train"].features],
    "sizes": [row["image"].size for row in subset],
}))
"""


def test_plain_datasets_loads_the_subset_by_name_and_the_default_without_one(
    made: Built, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=made.out.parent,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    splits = {split: sum(counts.values()) for split, counts in made.summary.splits.items()}
    assert found["configs"] == ["default", "raf_db_occlu", "index"]
    assert found["plain"] == splits
    rows = made.subset()
    assert found["subset"] == found["streamed"] == [row["sha256"] for row in rows]
    assert found["labels"] == [row["label"] for row in rows]
    assert found["same"] == [True, True]
    assert found["sizes"] == [[64, 64]] * 6


def test_our_own_load_dataset_takes_the_subset_s_name(
    made: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    found = load_dataset(made.out, split="test", name="raf_db_occlu")
    assert found["sha256"][:] == [row["sha256"] for row in made.subset()]
    assert set(load_dataset(made.out)) == {"train", "validation"}
    assert set(load_dataset(made.out, name="default")) == {"train", "validation"}
    with pytest.raises(
        MissingError, match="found no config 'ferplus_occlu', expected one of index, raf"
    ):
        load_dataset(made.out, name="ferplus_occlu")


def test_the_card_says_what_the_subset_is_and_whom_to_cite(made: Built) -> None:
    yaml = importlib.import_module("yaml")
    card = (made.out / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(card.split("---\n")[1])
    default, subset, _ = header["configs"]
    assert (default["config_name"], default["default"]) == ("default", True)
    assert subset == {
        "config_name": "raf_db_occlu",
        "data_files": [{"split": "test", "path": "raf_db_occlu/test-*"}],
    }
    infos = {info["config_name"]: info for info in header["dataset_info"]}
    assert infos["raf_db_occlu"]["features"] == infos["default"]["features"]
    (split,) = infos["raf_db_occlu"]["splits"]
    assert (split["name"], split["num_examples"]) == ("test", 6)
    assert infos["raf_db_occlu"]["download_size"] == sum(
        size for name, size in made.lock()["sizes"].items() if name.startswith("raf_db_occlu/")
    )
    assert "Region Attention Networks" in card
    assert 'load_dataset("occlu_fer", "raf_db_occlu", split="test")' in card
    assert (
        "| raf_db_occlu | pictures of RAF-DB's test set with an occluded face | 8 | 6 | 2 |" in card
    )
    assert "| 3 | happiness | HA | 3 |" in card


def test_a_subset_that_is_gone_is_published_again(made: Built, tmp_path: Path) -> None:
    shutil.copytree(made.out, tmp_path / "occlu_fer")
    shutil.rmtree(tmp_path / "occlu_fer/raf_db_occlu")
    with open_workspace(made.config.workspace) as workspace:
        assert is_published(workspace, made.out)
        assert not is_published(workspace, tmp_path / "occlu_fer")


def again(made: Built, tmp_path: Path, **changed: Any) -> BuildConfig:
    """A config that goes on in a copy of the workspace."""
    shutil.copytree(made.config.workspace, tmp_path / "workspace")
    shutil.copytree(made.out, tmp_path / "occlu_fer")
    changed |= {"workspace": tmp_path / "workspace", "out": tmp_path / "occlu_fer"}
    return dataclasses.replace(made.config, **changed)


def worked(summary: BuildSummary) -> set[str]:
    return {stage for stage, count in summary.worked_on.items() if count}


def test_another_list_works_on_lists_and_publishing_only(made: Built, tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_bytes(b"test_0007_aligned 3 1")
    config = again(made, tmp_path)
    assert worked(build(config)) == set()
    (tmp_path / "workspace/unmatched.csv").unlink()
    assert worked(build(config)) == {"lists"}
    assert len(read_unmatched(tmp_path / "workspace")) == 3
    config = dataclasses.replace(config, lists=ListsConfig(raf_db_occlu=path))
    assert worked(build(config)) == {"lists", "publish"}
    rows = pq.read_table(config.out / "raf_db_occlu/test-00000-of-00001.parquet").to_pylist()
    assert [row["source_id"] for row in rows] == ["Image/aligned/test_0007_aligned.jpg"]
    config = dataclasses.replace(config, lists=ListsConfig())
    assert worked(build(config)) == {"lists", "publish"}
    assert not (config.out / "raf_db_occlu").exists()
    assert not (config.workspace / "unmatched.csv").exists()


def test_the_lock_tells_of_the_list_that_was_read_whatever_becomes_of_the_file(
    made: Built, tmp_path: Path
) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(LIST)
    config = again(made, tmp_path, lists=ListsConfig(raf_db_occlu=path))
    stage = publish.stage(config)
    path.write_bytes(b"test_0007_aligned 3 1")
    with open_workspace(config.workspace) as workspace:
        list(stage.function(workspace))
    lock = json.loads((config.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    read = hashlib.sha256(LIST).hexdigest()
    assert lock["config"]["lists"] == {"raf_db_occlu": read}
    assert lock["subsets"]["raf_db_occlu"]["list_sha256"] == read


def test_a_list_of_a_set_that_is_not_at_hand_makes_no_subset(made: Built, tmp_path: Path) -> None:
    path = tmp_path / "ferplus.txt"
    path.write_bytes(b"1_fer0034656.png 8 0\r\n")
    lists = dataclasses.replace(made.config.lists, ferplus_occlu=path)
    config = again(made, tmp_path, lists=lists)
    build(config)
    folders = sorted(p.name for p in config.out.iterdir() if p.is_dir())
    assert folders == ["data", "index", "raf_db_occlu"]
    lock = json.loads((config.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    assert set(lock["subsets"]) == {"raf_db_occlu"}
    assert set(lock["config"]["lists"]) == {"raf_db_occlu", "ferplus_occlu"}
    reasons = Counter((row.list, row.reason) for row in read_unmatched(config.workspace))
    assert reasons["ferplus_occlu", "no_such_source"] == 1


@pytest.mark.parametrize("function", [build, check], ids=["build", "dry-run"])
def test_a_missing_list_is_named_before_any_work(
    made: Built, tmp_path: Path, function: Callable[[BuildConfig], object]
) -> None:
    config = dataclasses.replace(
        made.config,
        workspace=tmp_path / "workspace",
        out=tmp_path / "occlu_fer",
        lists=ListsConfig(affectnet_occlu=tmp_path / "none.txt"),
    )
    with pytest.raises(MissingError, match=r"\[lists\] affectnet_occlu: .*none\.txt: no such file"):
        function(config)
    assert list(tmp_path.iterdir()) == []


def test_a_leak_that_is_dropped_stays_in_the_subset(
    tmp_path: Path,
    textured: Callable[..., Pixels],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> None:
    from occlufer.builders.leaks import register

    names = [f"train_0000{i}" for i in range(1, 7)]
    files = {
        f"basic/Image/aligned/{name}_aligned.jpg": encoded(textured(i, 64, 64))
        for i, name in enumerate(names)
    }
    files["basic/EmoLabel/list_patition_label.txt"] = "\n".join(
        f"{name}.jpg {HAPPY + i % 2}" for i, name in enumerate(names)
    ).encode()
    rival = encoded(textured(0, 64, 64), "JPEG", quality=80)
    write_tree(tmp_path, {**files, "rival/a.jpg": rival, "list.txt": b"train_00001_aligned 3 4"})
    config = BuildConfig(
        (SourceConfig("raf_db", "raf", {"path": str(tmp_path / "basic")}),),
        tmp_path / "occlu_fer",
        tmp_path / "workspace",
        accept_terms=("raf_db",),
        workers=1,
        leaks=LeaksConfig(action="drop"),
        lists=ListsConfig(raf_db_occlu=tmp_path / "list.txt"),
    )
    register(config.workspace, "rival", tmp_path / "rival")
    config = dataclasses.replace(
        config, split=dataclasses.replace(config.split, validation_share=0)
    )
    summary = build(config)
    assert summary.rejected == {"leak": 1}
    (row,) = pq.read_table(config.out / "raf_db_occlu/test-00000-of-00001.parquet").to_pylist()
    assert row["source_id"] == "Image/aligned/train_00001_aligned.jpg"
    assert set(row) == set(features())
