"""Verification: a sound folder passes, and every fault that is planted is named for what it is.

A fault deep in the rows is planted with care: the shard is written anew, and its hash and size in
the lock with it, so that nothing but the check that is meant can find it.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from occlufer import cli
from occlufer.build import build
from occlufer.builders.published.fault import Fault
from occlufer.builders.published.paths import local_path, path_within
from occlufer.builders.published.shards import Shard
from occlufer.builders.publishing.documents import DOCUMENTS, write_documents
from occlufer.builders.verify.sides import Sides, leak_settings
from occlufer.builders.verify.verify import Verdict, verify
from occlufer.config import BuildConfig, LeaksConfig, SourceConfig
from occlufer.config_file import load_config
from occlufer.errors import MissingError
from occlufer.lock import SHAPES, Lock
from occlufer.schema import LABELS

CLASSES = ("happy", "sad", "fear")
PICTURES = 18
TRAIN = "data/train-00000-of-00001.parquet"
VALIDATION = "data/validation-00000-of-00001.parquet"
INDEX_OF = {TRAIN: "index/train-00000-of-00001.parquet"} | {
    VALIDATION: "index/validation-00000-of-00001.parquet"
}
# A path of a machine, put together here so that no test of the repository's own text finds one.
SECRET = "/" + "home/somebody/faces"
Row = dict[str, Any]
Plant = Callable[[Path], None]


@pytest.fixture(scope="module")
def sound(
    tmp_path_factory: pytest.TempPathFactory,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> Path:
    """A published folder of 18 pictures, which nobody changes."""
    folder = tmp_path_factory.mktemp("sound")
    files = {f"{CLASSES[i % 3]}/{i}.png": encoded(textured(i, 48, 48)) for i in range(PICTURES)}
    path = write_tree(folder / "faces", files)
    source = SourceConfig("image_folder", "faces", {"path": str(path)})
    config = BuildConfig((source,), folder / "occlu_fer", folder / "workspace", workers=1)
    assert build(config).published == PICTURES
    return config.out


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "occlu_fer"))


# Planting -----------------------------------------------------------------------------------------


def edit_lock(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the lock, and make the documents of it anew, but the card."""
    path = folder / "occlu_fer.lock"
    told = json.loads(path.read_text(encoding="utf-8"))
    change(told)
    card = (folder / "README.md").read_text(encoding="utf-8")
    lock = Lock(**told)
    path.write_text(lock.to_text(), encoding="utf-8")
    write_documents(folder, lock)
    (folder / "README.md").write_text(card, encoding="utf-8")


def pin(folder: Path, *names: str) -> None:
    """Put hash and size of files into the lock, as they are now."""

    def change(told: dict[str, Any]) -> None:
        for name in names:
            data = (folder / name).read_bytes()
            told["files"][name] = hashlib.sha256(data).hexdigest()
            told["sizes"][name] = len(data)

    edit_lock(folder, change)


def edit_rows(
    folder: Path, name: str, change: Callable[[list[Row]], object], *, index: bool = True
) -> None:
    """Change the rows of a shard, and, as far as they have its columns, those of the index."""
    for shard in (name, INDEX_OF[name]) if index else (name,):
        table = pq.read_table(folder / shard)
        rows = table.to_pylist()
        change(rows)
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / shard)
    pin(folder, name, INDEX_OF[name])


def in_row(column: str, value: object, row: int = 2) -> Plant:
    """Plant one value into one row that trains."""

    def plant(folder: Path) -> None:
        def change(rows: list[Row]) -> None:
            if column in rows[row]:
                rows[row][column] = value(rows[row]) if callable(value) else value

        edit_rows(folder, TRAIN, change)

    return plant


def in_text(name: str, old: str, new: str) -> Plant:
    """Plant a text in the place of another, in a file that the lock does not name."""

    def plant(folder: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return plant


def in_lock(change: Callable[[dict[str, Any]], object]) -> Plant:
    return lambda folder: edit_lock(folder, change)


def in_schema(change: Callable[[dict[str, Any]], object]) -> Plant:
    """Change the Hugging Face metadata of the shard that trains."""

    def plant(folder: Path) -> None:
        table = pq.read_table(folder / TRAIN)
        metadata = dict(table.schema.metadata)
        told = json.loads(metadata[b"huggingface"])
        change(told["info"]["features"])
        metadata[b"huggingface"] = json.dumps(told).encode()
        pq.write_table(table.replace_schema_metadata(metadata), folder / TRAIN)
        pin(folder, TRAIN)

    return plant


def swap_names(features: dict[str, Any]) -> None:
    names = features["label"]["names"]
    names[0], names[1] = names[1], names[0]


def truncate(folder: Path) -> None:
    data = (folder / TRAIN).read_bytes()
    (folder / TRAIN).write_bytes(data[: len(data) * 2 // 3])
    pin(folder, TRAIN)


def damage_within(folder: Path) -> None:
    """Turn the pages of a shard to noise, and leave its footer."""
    data = bytearray((folder / TRAIN).read_bytes())
    start, end = len(data) // 8, len(data) // 2
    data[start:end] = np.random.default_rng(1).bytes(end - start)
    (folder / TRAIN).write_bytes(data)
    pin(folder, TRAIN)


def swap_bytes(folder: Path) -> None:
    """Give two rows each other's picture."""

    def change(rows: list[Row]) -> None:
        rows[0]["image"], rows[1]["image"] = rows[1]["image"], rows[0]["image"]

    edit_rows(folder, TRAIN, change, index=False)


def with_its_hash(change: Callable[[bytes], bytes]) -> Plant:
    """Another picture in a row, and the hash of it."""

    def plant(folder: Path) -> None:
        def put(rows: list[Row]) -> None:
            for row in rows:
                if row["sha256"] == old:
                    row["sha256"] = hashlib.sha256(new).hexdigest()
                    if "image" in row:
                        row["image"] = {"bytes": new, "path": None}

        row = pq.read_table(folder / TRAIN).to_pylist()[2]
        old, new = row["sha256"], change(row["image"]["bytes"])
        edit_rows(folder, TRAIN, put)

    return plant


def with_a_place(data: bytes) -> bytes:
    """The same pixels, and where their file once lay."""
    file = io.BytesIO()
    text = PngInfo()
    text.add_text("Source", f"{SECRET}/1.png")
    Image.open(io.BytesIO(data)).save(file, "PNG", pnginfo=text)
    return file.getvalue()


def with_exif(data: bytes) -> bytes:
    """Nearly the same pixels as JPEG, and who took them."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x013B] = "A. Photographer"
    Image.open(io.BytesIO(data)).convert("RGB").save(file, "JPEG", quality=98, exif=exif)
    return file.getvalue()


def cross(folder: Path) -> None:
    group = pq.read_table(folder / VALIDATION)["group"][0].as_py()
    in_row("group", group)(folder)


def twice(folder: Path) -> None:
    """A row that trains, once more under another name and in another group."""

    def change(rows: list[Row]) -> None:
        rows.append({**copy.deepcopy(rows[2]), "source_id": "sad/again.png", "group": "again"})

    edit_rows(folder, TRAIN, change)
    count_one_more(folder)


def count_one_more(folder: Path) -> None:
    """Let lock and card count the row that was put in."""
    last = pq.read_table(folder / TRAIN).to_pylist()[-1]

    def change(told: dict[str, Any]) -> None:
        told["counts"]["train"][LABELS[last["label"]]] += 1
        for kind in last["occlusion_types"] or ["none"]:
            told["occlusion_counts"][kind] += 1
        told["sources"]["faces"]["samples"] += 1
        told["sources"]["faces"]["rights"]["index_only"] += 1
        told["labels"]["by"]["sources"] += 1

    edit_lock(folder, change)
    write_documents(folder, Lock.from_text((folder / "occlu_fer.lock").read_text("utf-8")))


def near_copy(kind: str) -> Plant:
    """A changed copy of a picture that validates, among those that train."""

    def plant(folder: Path) -> None:
        original = pq.read_table(folder / VALIDATION).to_pylist()[0]
        data = CHANGES[kind](original["image"]["bytes"])
        import imagehash

        phash = str(imagehash.phash(Image.open(io.BytesIO(data))))
        new = {"sha256": hashlib.sha256(data).hexdigest(), "phash": phash, "group": "its own"}

        def change(rows: list[Row]) -> None:
            rows.append({**copy.deepcopy(rows[2]), **new, "source_id": "sad/copy.png"})
            if "image" in rows[-1]:
                rows[-1]["image"] = {"bytes": data, "path": None}

        edit_rows(folder, TRAIN, change)
        count_one_more(folder)

    return plant


def saved_anew(data: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(file, "JPEG", quality=90)
    return file.getvalue()


def mirrored(data: bytes) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(file, "PNG")
    return file.getvalue()


CHANGES: dict[str, Callable[[bytes], bytes]] = {"saved anew": saved_anew, "mirrored": mirrored}


def equal_phash_without_pixels(folder: Path) -> None:
    """Nobody's pixels are here, and one that trains has the phash of one that validates."""
    phash = pq.read_table(folder / VALIDATION)["phash"][0].as_py()

    def bare(rows: list[Row]) -> None:
        for row in rows:
            if "image" in row:
                row["image"] = None

    edit_rows(folder, TRAIN, bare)
    edit_rows(folder, VALIDATION, bare)
    edit_lock(folder, lambda told: told.update(pixels="publishable"))
    in_row("phash", phash)(folder)


def remove(name: str) -> Plant:
    return lambda folder: (folder / name).unlink()


def extra(folder: Path) -> None:
    (folder / "data" / "left.parquet").write_bytes(b"PAR1")


def cut_off(folder: Path) -> None:
    data = (folder / TRAIN).read_bytes()
    (folder / TRAIN).write_bytes(data[:-100])


def path_in_attribution(folder: Path) -> None:
    with (folder / "ATTRIBUTION.md").open("a", encoding="utf-8") as file:
        file.write(f"\nfrom {SECRET}/1.png\n")
    pin(folder, "ATTRIBUTION.md")


def path_in_metadata(folder: Path) -> None:
    table = pq.read_table(folder / TRAIN)
    metadata = {**table.schema.metadata, b"made": f"in {SECRET}".encode()}
    pq.write_table(table.replace_schema_metadata(metadata), folder / TRAIN)
    pin(folder, TRAIN)


def drop_column(folder: Path) -> None:
    table = pq.read_table(folder / TRAIN)
    pq.write_table(table.drop_columns(["votes"]), folder / TRAIN)
    pin(folder, TRAIN)


def drop(name: str) -> Plant:
    """A column less, in the shard and in what its metadata says."""

    def plant(folder: Path) -> None:
        table = pq.read_table(folder / TRAIN).drop_columns([name])
        told = json.loads(table.schema.metadata[b"huggingface"])
        del told["info"]["features"][name]
        written = {**table.schema.metadata, b"huggingface": json.dumps(told).encode()}
        pq.write_table(table.replace_schema_metadata(written), folder / TRAIN)
        pin(folder, TRAIN)

    return plant


def extra_column(shard: str) -> Plant:
    """What somebody may have added: bytes beside a row, of its picture or of its face."""

    def plant(folder: Path) -> None:
        table = pq.read_table(folder / shard)
        more = table.append_column("embedding", pa.array([b"face"] * table.num_rows))
        told = json.loads(more.schema.metadata[b"huggingface"])
        told["info"]["features"]["embedding"] = {"dtype": "binary", "_type": "Value"}
        written = {**more.schema.metadata, b"huggingface": json.dumps(told).encode()}
        pq.write_table(more.replace_schema_metadata(written), folder / shard)
        pin(folder, shard)

    return plant


def quotas(folder: Path) -> None:
    told = json.loads((folder / "occlu_fer.lock").read_text("utf-8"))
    asked = copy.deepcopy(told["counts"])
    asked["train"]["fear"] += 1

    edit_lock(folder, lambda told: told["config"]["split"].update(quota="exact", **asked))


def other_index(folder: Path) -> None:
    def change(rows: list[Row]) -> None:
        rows[2]["occlusion_severity"] = 77

    edit_rows(folder, TRAIN, change, index=False)


def swapped_votes(row: Row) -> list[int]:
    votes = list(row["votes"])
    other = (row["label"] + 1) % len(votes)
    votes[row["label"]], votes[other] = votes[other], votes[row["label"]]
    return votes


def path_of_image(row: Row) -> dict[str, Any]:
    return {**row["image"], "path": f"{SECRET}/1.png"}


def no_bytes(row: Row) -> dict[str, Any]:
    return {"bytes": None, "path": None}


ROW = f"{TRAIN}, row 2"
INDEX_OF_TRAIN = "index/train-00000-of-00001.parquet"
CARD_COUNT = re.compile(r"num_examples: \d+")
FAULTS: dict[str, tuple[Plant, str, str]] = {
    # name: (how it is planted, the check that must find it, where)
    "label name in the card": (
        in_text("README.md", "'0': anger", "'0': wrath"),
        "label names",
        "README.md, config default",
    ),
    "label names swapped in the schema metadata": (
        in_schema(swap_names),
        "label names",
        f"{TRAIN}, schema metadata",
    ),
    "column of another type in the schema metadata": (
        in_schema(lambda features: features["occlusion_severity"].update(dtype="int64")),
        "column",
        f"{TRAIN}, schema metadata",
    ),
    "column dropped": (drop_column, "column", TRAIN),
    "column that nothing hangs on dropped": (drop("landmarks"), "column", TRAIN),
    "column of somebody else's": (extra_column(TRAIN), "column", TRAIN),
    "pictures in the index": (extra_column(INDEX_OF_TRAIN), "column", INDEX_OF_TRAIN),
    "count in the card": (
        in_text("README.md", "num_examples: ", "num_examples: 1"),
        "num_examples of train",
        "README.md, config default",
    ),
    "pattern in the card": (
        in_text("README.md", "path: data/train-*", "path: data/*"),
        "data_files of train",
        "README.md, config default",
    ),
    "path in the card": (
        in_text("README.md", "pretty_name: Occlu-FER", f"pretty_name: {SECRET}"),
        "local path",
        "README.md, line ",
    ),
    "card without a header": (in_text("README.md", "---\n", ""), "card", "README.md"),
    "card missing": (remove("README.md"), "card", "README.md"),
    "document changed": (
        in_text("DATASHEET.md", "a", "b"),
        "document",
        "DATASHEET.md",
    ),
    "shard truncated": (truncate, "shard", TRAIN),
    "shard truncated, the lock as it was": (cut_off, "size", TRAIN),
    "shard damaged within": (damage_within, "shard", TRAIN),
    "shard missing": (remove(TRAIN), "missing file", TRAIN),
    "file extra": (extra, "extra file", "data/left.parquet"),
    "file changed": (in_text("ATTRIBUTION.md", "#", "%"), "sha256", "ATTRIBUTION.md"),
    "path in the attribution": (path_in_attribution, "local path", "ATTRIBUTION.md, line "),
    "path in the schema metadata": (
        path_in_metadata,
        "local path",
        f"{TRAIN}, schema metadata",
    ),
    "path in the lock": (
        in_lock(lambda told: told["config"]["sources"][0].update(path=SECRET)),
        "local path",
        "occlu_fer.lock, config",
    ),
    "file outside the folder in the lock": (
        in_lock(
            lambda told: [
                told[k].update({"../a.md": v}) for k, v in (("files", "00"), ("sizes", 1))
            ]
        ),
        "file name",
        "occlu_fer.lock",
    ),
    "count in the lock": (
        in_lock(lambda told: told["counts"]["train"].update(fear=99)),
        "counts of default, train",
        "occlu_fer.lock",
    ),
    "occlusion count in the lock": (
        in_lock(lambda told: told["occlusion_counts"].update(mask=99)),
        "occlusion_counts",
        "occlu_fer.lock",
    ),
    "rights in the lock": (
        in_lock(lambda told: told["sources"]["faces"]["rights"].update(publishable=3)),
        "sources, faces",
        "occlu_fer.lock",
    ),
    "shards in the lock": (
        in_lock(lambda told: told["shards"]["default"].update(train=2)),
        "shards of data/train",
        "occlu_fer.lock",
    ),
    "quota missed": (quotas, "quota", "data, train"),
    "pictures swapped": (swap_bytes, "image sha256", f"{TRAIN}, row 0"),
    "picture cut short": (with_its_hash(lambda data: data[:-200]), "image", ROW),
    "path within a picture": (with_its_hash(with_a_place), "image metadata", ROW),
    "photographer within a picture": (with_its_hash(with_exif), "image metadata", ROW),
    "picture missing": (in_row("image", no_bytes), "image", ROW),
    "path of a picture": (in_row("image", path_of_image), "local path", f"{ROW}, image"),
    "path in a column": (
        in_row("source_id", f"{SECRET}/1.png"),
        "local path",
        f"{ROW}, source_id",
    ),
    "label out of range": (in_row("label", 8), "label", ROW),
    "label null": (in_row("label", None), "label", ROW),
    "votes for another": (in_row("votes", swapped_votes), "votes", ROW),
    "agreement that is no share": (in_row("agreement", 0.7), "agreement", ROW),
    "agreement that is no number": (in_row("agreement", float("nan")), "agreement", ROW),
    "soft label without the sum": (in_row("soft_label", [0.1] * 8), "soft_label", ROW),
    "soft label of other votes": (in_row("soft_label", [0.125] * 8), "soft_label", ROW),
    "rights blocked": (in_row("rights", "blocked"), "rights", ROW),
    "rights unknown": (in_row("rights", "free"), "rights", ROW),
    "occlusion type unknown": (in_row("occlusion_types", ["veil"]), "occlusion type", ROW),
    "phash of another": (in_row("phash", "0f" * 8), "phash", ROW),
    "group on both sides": (cross, "group", ""),
    "sample twice": (twice, "duplicate", TRAIN),
    "copy on the other side": (near_copy("saved anew"), "leak", TRAIN),
    "mirrored copy on the other side": (near_copy("mirrored"), "leak", TRAIN),
    "equal phash without pixels": (equal_phash_without_pixels, "leak", ROW),
    "index that says otherwise": (other_index, "index", "index/train-00000-of-00001.parquet, row"),
}
# What else is found then, for one thing follows from the other.
FOLLOWS = {
    "column that nothing hangs on dropped": {"index"},
    "column of somebody else's": {"index"},
    "pictures in the index": {"index"},
    "shard truncated, the lock as it was": {"sha256", "shard"},
    "shard missing": {"data_files of train"},
    "count in the lock": {"num_examples of train"},
    "pictures swapped": {"phash"},
    "label out of range": {"counts of default, train"},
    "label null": {"counts of default, train", "occlusion_counts", "sources, faces", "labels, by"},
    "votes for another": {"agreement", "soft_label"},
    "rights blocked": {"sources, faces"},
    "rights unknown": {"sources, faces"},
    "occlusion type unknown": {"occlusion_counts"},
}


def test_a_sound_folder_passes(sound: Path) -> None:
    assert verify(sound) == Verdict([], PICTURES, [])


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named(folder: Path, name: str) -> None:
    plant, what, where = FAULTS[name]
    plant(folder)
    faults = verify(folder, workers=1).faults
    named = [fault for fault in faults if fault.what == what and fault.where.startswith(where)]
    assert named, [fault.line() for fault in faults]
    others = {fault.what for fault in faults} - {what} - FOLLOWS.get(name, set())
    assert not others, [fault.line() for fault in faults]


# Evaluation subsets -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_subset(
    tmp_path_factory: pytest.TempPathFactory,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> Path:
    """A published folder with a subset that shares samples with the default config, in part."""
    folder = tmp_path_factory.mktemp("with_subset")
    happy, sad = 4, 5  # of RAF-DB
    pictures = {
        **{f"train_0000{i}": (encoded(textured(i, 48, 48)), sad) for i in range(1, 5)},
        "test_0001": (encoded(textured(11, 48, 48)), happy),
        "test_0002": (encoded(textured(11, 48, 48), "JPEG", quality=70), happy),  # its copy
        "test_0003": (encoded(textured(13, 48, 48)), sad),
        "test_0004": (encoded(textured(13, 48, 48)), happy),  # the same bytes, another label
        "test_0005": (encoded(textured(15, 48, 48)), happy),  # "mine" holds it too
    }
    files = {f"basic/Image/aligned/{name}_aligned.jpg": one[0] for name, one in pictures.items()}
    table = "".join(f"{name}.jpg {label}\n" for name, (_, label) in pictures.items())
    files["basic/EmoLabel/list_patition_label.txt"] = table.encode()
    files["mine/happy/1.png"] = pictures["test_0005"][0]
    files["list.txt"] = "".join(f"test_000{i}_aligned 3 4\n" for i in range(1, 6)).encode()
    write_tree(folder, files)
    (folder / "occlufer.toml").write_text(
        'out = "made/occlu_fer"\nworkspace = "workspace"\nworkers = 1\n'
        'accept_terms = ["raf_db"]\n[lists]\nraf_db_occlu = "list.txt"\n'
        '[[sources]]\nkind = "image_folder"\nname = "mine"\npath = "mine"\n'
        '[[sources]]\nkind = "raf_db"\nname = "raf"\npath = "basic"\n',
        encoding="utf-8",
    )
    config = load_config(folder / "occlufer.toml")
    build(config)
    return config.out


def test_a_sound_folder_with_a_subset_passes(with_subset: Path) -> None:
    verdict = verify(with_subset, workers=1)
    assert verdict.faults == []
    shards = [path for path in with_subset.glob("*/*.parquet") if path.parent.name != "index"]
    assert verdict.rows == sum(pq.read_metadata(path).num_rows for path in shards)
    subset = pq.read_table(with_subset / "raf_db_occlu")
    assert subset.num_rows == 5 > len(set(subset["sha256"].to_pylist()))


@pytest.mark.parametrize("column", ["group", "sha256"])
def test_what_is_in_a_subset_and_in_train_is_a_leak(
    with_subset: Path, tmp_path: Path, column: str
) -> None:
    folder = Path(shutil.copytree(with_subset, tmp_path / "occlu_fer"))
    values = pq.read_table(folder / "raf_db_occlu")[column].to_pylist()
    in_row(column, values[4], row=0)(folder)
    found = verify(folder, workers=1).faults
    leaks = [fault for fault in found if fault.what == "leak"]
    rows = [number for number, value in enumerate(values) if value == values[4]]
    shard = "raf_db_occlu/test-00000-of-00001.parquet"
    assert {fault.where for fault in leaks} == {f"{shard}, row {number}" for number in rows}


def test_every_split_of_a_subset_is_held_against_train() -> None:
    sides = Sides()
    splits = {"train": "default", "test": "raf_db_occlu", "more": "raf_db_occlu"}
    for split, config in splits.items():
        row = dict.fromkeys(("source", "source_id", "group", "phash", "sha256"), split)
        if split == "test":
            row["sha256"] = "train"
        sides.add(row, Shard(f"{config}/{split}", config, split), split, None)
    (fault,) = sides.faults(Lock("", {}, {}, {}, {}, {}, {}, {}, {}, {}))
    assert (fault.where, fault.what, fault.found) == ("test", "leak", "its image in train (train)")


def test_a_count_of_a_subset_is_checked(with_subset: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(with_subset, tmp_path / "occlu_fer"))
    edit_lock(folder, lambda told: told["subsets"]["raf_db_occlu"]["counts"].update(sadness=9))
    assert {fault.what for fault in verify(folder, workers=1).faults} == {
        "counts of raf_db_occlu, test"
    }


# Rows without pixels ------------------------------------------------------------------------------


def test_pixels_of_an_index_only_sample_are_a_fault_where_the_lock_says_they_are_kept_back(
    folder: Path,
) -> None:
    edit_lock(folder, lambda told: told.update(pixels="publishable"))
    faults = verify(folder, workers=1).faults
    # The card is made of the lock, and says whose pixels are here; only its header is compared.
    assert {(fault.what, fault.found) for fault in faults} == {
        ("rights", "pixels of an index_only sample")
    }
    assert len(faults) == PICTURES


def test_rows_without_pixels_are_sound_where_the_lock_says_so_and_told(folder: Path) -> None:
    def bare(rows: list[Row]) -> None:
        for row in rows:
            if "image" in row:
                row["image"] = None

    edit_rows(folder, TRAIN, bare)
    assert {fault.what for fault in verify(folder, workers=1).faults} == {"image"}
    edit_rows(folder, VALIDATION, bare)
    edit_lock(folder, lambda told: told.update(pixels="publishable"))
    verdict = verify(folder, workers=1)
    assert verdict.faults == []
    (sentence,) = verdict.unchecked
    assert f"{PICTURES} samples" in sentence


def test_test_sets_that_were_registered_are_told_as_not_checked(folder: Path) -> None:
    edit_lock(folder, lambda told: told["config"]["leaks"].update(test_sets={"rival": "00"}))
    (sentence,) = verify(folder, workers=1).unchecked
    assert "rival" in sentence


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", "\x00", '{"name": 1}', "[" * 100_000])
def test_a_lock_that_is_none_is_one_fault(folder: Path, text: str) -> None:
    (folder / "occlu_fer.lock").write_text(text, encoding="utf-8")
    faults = verify(folder).faults
    assert [(fault.where, fault.what) for fault in faults] == [("occlu_fer.lock", "lock")]


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Lock)])
@pytest.mark.parametrize("value", [None, 7, [1], {"a": None}], ids=str)
def test_a_lock_with_anything_in_it_is_never_a_traceback(
    folder: Path, field: str, value: object
) -> None:
    path = folder / "occlu_fer.lock"
    told = {**json.loads(path.read_text(encoding="utf-8")), field: value}
    shutil.rmtree(folder / "data")  # the rows are not what is tested, and take their time
    shutil.rmtree(folder / "index")
    path.write_text(json.dumps(told), encoding="utf-8")
    assert verify(folder).faults


def test_every_field_of_the_lock_is_checked_for_its_form() -> None:
    assert set(SHAPES) == {field.name for field in dataclasses.fields(Lock)}


@pytest.mark.parametrize("name", [*DOCUMENTS, "ATTRIBUTION.md", "occlu_fer.lock"])
def test_garbage_in_a_text_is_a_fault_and_no_traceback(folder: Path, name: str) -> None:
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "index")
    (folder / name).write_bytes(b"---\n\xff\xfe: [\n---\n")
    faults = verify(folder).faults
    assert any(fault.where.startswith(name) for fault in faults)


@pytest.mark.parametrize("line", ["x: !!bool maybe", "x: !!timestamp noon", "x: !!int a"])
def test_a_header_that_yaml_cannot_make_is_a_fault_and_no_traceback(
    folder: Path, line: str
) -> None:
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "index")
    (folder / "README.md").write_text(f"---\n{line}\n---\n", encoding="utf-8")
    assert ("README.md", "card") in [(fault.where, fault.what) for fault in verify(folder).faults]


@pytest.mark.parametrize(
    "name",
    ["data/\ud800.txt", f"data/{'a' * 300}.txt", f"{'ä' * 128}/x.txt", "a/" * 3000 + "x.txt"],
    ids=["surrogate", "long", "long in bytes", "deep"],
)
def test_a_file_that_no_disk_can_name_is_a_fault_and_no_traceback(folder: Path, name: str) -> None:
    path = folder / "occlu_fer.lock"
    told = json.loads(path.read_text(encoding="utf-8"))
    told["files"][name], told["sizes"][name] = "00", 1
    path.write_text(json.dumps(told), encoding="utf-8")
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "index")
    assert ("occlu_fer.lock", "file name") in [
        (fault.where, fault.what) for fault in verify(folder).faults
    ]


@pytest.mark.parametrize("bits", [10.5, True, "10", None], ids=str)
def test_a_limit_of_leaks_that_is_no_whole_number_is_the_default(folder: Path, bits: Any) -> None:
    edit_lock(folder, lambda told: told["config"]["leaks"].update(phash64_bits=bits))
    lock = Lock.from_text((folder / "occlu_fer.lock").read_text(encoding="utf-8"))
    assert leak_settings(lock) == LeaksConfig()
    assert verify(folder, workers=1).faults == []


def test_what_the_hub_puts_beside_a_dataset_is_no_fault(folder: Path) -> None:
    (folder / ".gitattributes").write_text("*.parquet filter=lfs\n", encoding="utf-8")
    (folder / ".cache/huggingface").mkdir(parents=True)
    (folder / ".cache/huggingface/x.lock").touch()
    assert verify(folder, workers=1).faults == []


# Paths --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        f"read from {SECRET}/1.png, then cut",
        f'"{SECRET}"',
        f"([x]({SECRET}))",
        f"path={SECRET}",
        "/" + "mnt/x",
        "~/faces",
        "file:///x/y",
        "C:\\faces\\1.png",
        "C:\\\\faces\\\\1.png",
        "d:/faces/1.png",
        "\\\\server\\share\\1.png",
    ],
)
def test_a_path_of_a_machine_is_found_within_any_text(text: str) -> None:
    assert path_within(text)
    assert local_path(text)


@pytest.mark.parametrize("value", ["/faces/1.png", "/1.png", "~me/x", "//server/share", "file:x"])
def test_what_machines_write_may_not_begin_as_a_path(value: str) -> None:
    assert local_path(value) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "happy/1.png",
        "https://example.org/home/page/data/x.jpg",
        "CC-BY-4.0 <https://creativecommons.org/licenses/by/4.0/>",
        "and/or, 1/2, w/o, n/a",
        "Portra 400 / Leica",
        "about ~5/10 of it",
        "a smile :/ or :\\",
        "user/data/set",
        "title: b/c",
        '"a \\| b" by \\[d\\](http\\://e)',
        "tests/var/x and s/var/x",
    ],
)
def test_an_address_or_a_name_is_no_path_of_a_machine(text: str) -> None:
    assert path_within(text) is None
    assert local_path(text) is None


# The command --------------------------------------------------------------------------------------


def test_the_command_says_that_all_is_sound(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(sound)]) == 0
    said = capsys.readouterr()
    assert said.out == f"sound: {PICTURES} rows, and card, schema and lock agree with them\n"
    assert said.err == ""


def test_the_command_names_the_first_ten_faults_and_how_many_more(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(rows: list[Row]) -> None:
        for row in rows:
            row["soft_label"] = [0.5] * 8

    edit_rows(folder, TRAIN, change)
    rows = pq.read_metadata(folder / TRAIN).num_rows
    assert cli.main(["verify", str(folder)]) == 4
    said = capsys.readouterr()
    # The same rows are in the index.
    lines = said.out.splitlines()
    assert lines[0] == f"{TRAIN}, row 0: soft_label: found a sum of 4, expected a sum of 1"
    assert len(lines) == 11
    assert lines[10] == f"and {2 * rows - 10} more; --json names all"
    assert said.err == f"occlufer: {folder}: {2 * rows} faults\n"
    assert cli.main(["verify", str(folder), "--json"]) == 4
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert len(told["faults"]) == 2 * rows
    assert told["faults"][0] == {
        "where": f"{TRAIN}, row 0",
        "what": "soft_label",
        "found": "a sum of 4",
        "expected": "a sum of 1",
    }


def test_the_command_says_in_json_that_all_is_sound(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(sound), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"ok": True, "faults": [], "rows": PICTURES, "unchecked": []}


def test_where_there_is_no_dataset_the_status_is_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MissingError, match="expected the folder that `occlufer build`"):
            verify(place)
        assert cli.main(["verify", str(place)]) == 3
    assert len(capsys.readouterr().err.splitlines()) == 2


def test_a_dataset_without_its_lock_is_a_fault_and_not_missing(folder: Path) -> None:
    (folder / "occlu_fer.lock").unlink()
    expected = Fault("occlu_fer.lock", "lock", "no such file", "the lock of the dataset")
    assert verify(folder).faults == [expected]


def test_verification_changes_nothing(
    folder: Path, content: Callable[[Path], dict[str, bytes]]
) -> None:
    before = content(folder)
    verify(folder, workers=1)
    assert content(folder) == before
