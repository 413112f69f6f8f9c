"""Mixed rights: the local folder holds all pixels, what is uploaded only those that may go out."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from mixed import PICTURES, mixed_build

from occlufer.builders import hub
from occlufer.builders.hub import PublicCopy, public_copy
from occlufer.builders.publishing.columns import features, index_features
from occlufer.builders.publishing.documents import DOCUMENTS
from occlufer.errors import GateError
from occlufer.lock import Lock

Content = Callable[[Path], dict[str, bytes]]
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_build(tmp_path_factory).out


@pytest.fixture(scope="module")
def own(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder, in a place where its public copy may be made."""
    place = tmp_path_factory.mktemp("own") / "occlu_fer"
    shutil.copytree(folder, place)
    return place


@pytest.fixture(scope="module")
def copy(own: Path) -> PublicCopy:
    return public_copy(own)


def rows_in(folder: Path, config: str) -> Rows:
    """Every row of a config, with its split, by plain pyarrow."""
    return [
        {"in": path.name.split("-")[0], **row}
        for path in sorted((folder / config).glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def lock_of(folder: Path) -> Lock:
    return Lock.from_text((folder / "occlu_fer.lock").read_text(encoding="utf-8"))


def test_the_local_folder_holds_the_pixels_of_all_but_what_is_blocked(folder: Path) -> None:
    rows = rows_in(folder, "data")
    assert Counter(row["rights"] for row in rows) == {
        "publishable": PICTURES,
        "index_only": PICTURES,
    }
    for row in rows:
        assert hashlib.sha256(row["image"]["bytes"]).hexdigest() == row["sha256"]
    assert lock_of(folder).pixels == "all"


def test_the_index_has_every_row_without_its_pixels(folder: Path) -> None:
    rows, index = rows_in(folder, "data"), rows_in(folder, "index")
    assert len(index) == 2 * PICTURES
    assert list(index[0])[1:] == list(index_features())
    by_hash = {row["sha256"]: row for row in index}
    for row in rows:
        found = by_hash[row["sha256"]]
        assert (found["config"], found["split"], found["in"]) == ("default", row["in"], row["in"])
        assert found["source_sha256"] == row["sha256"]  # these pictures had no metadata
        assert (found["content"], found["crop_box"], found["url"]) == ("crop", [], None)
        assert {k: found[k] for k in features() if k != "image"} == {
            k: row[k] for k in features() if k != "image"
        }


def test_the_public_copy_lacks_the_pixels_that_must_not_be_passed_on_and_nothing_else(
    own: Path, copy: PublicCopy
) -> None:
    before, after = rows_in(own, "data"), rows_in(copy.folder, "data")
    for old, new in zip(before, after, strict=True):
        held = old["rights"] == "index_only"
        assert new == (old | {"image": None} if held else old)
    assert (copy.with_pixels, copy.without_pixels) == (PICTURES, PICTURES)
    assert sum(row["image"] is None for row in after) == PICTURES


def test_index_and_attribution_of_the_public_copy_are_those_of_the_folder(
    own: Path, copy: PublicCopy, content: Content
) -> None:
    before, after = content(own), content(copy.folder)
    assert set(before) == set(after)
    same = {name for name in before if before[name] == after[name]}
    assert {name for name in before if name.startswith("index/")} <= same
    assert "ATTRIBUTION.md" in same


def test_the_lock_of_the_public_copy_names_its_own_files(copy: PublicCopy) -> None:
    lock = lock_of(copy.folder)
    assert lock.pixels == "publishable"
    for name, sha256 in lock.files.items():
        data = (copy.folder / name).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (sha256, lock.sizes[name])
    for name, text in DOCUMENTS.items():
        assert (copy.folder / name).read_text(encoding="utf-8") == text(lock)


def test_the_version_is_the_same_with_and_without_pixels_and_changes_with_a_label(
    folder: Path, copy: PublicCopy
) -> None:
    import dataclasses

    lock = lock_of(folder)
    assert lock.version == copy.lock.version
    assert lock.files != copy.lock.files
    name = next(name for name in lock.files if name.startswith("index/"))
    other = dataclasses.replace(lock, files=lock.files | {name: "0" * 64})
    assert other.version != lock.version


def test_the_public_copy_is_the_same_when_it_is_made_again(
    own: Path, copy: PublicCopy, content: Content
) -> None:
    before = content(copy.folder)
    (copy.folder / "left over").write_text("x")
    assert public_copy(own) == copy
    assert content(copy.folder) == before


def test_pixels_that_were_left_in_by_mistake_are_found(
    own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "occlu_fer"
    shutil.copytree(own, place)
    monkeypatch.setattr(hub, "_write_without", lambda a, b, config: shutil.copyfile(a, b))
    with pytest.raises(GateError, match="found pixels of index_only rows"):
        public_copy(place)


def test_a_folder_that_is_not_what_its_lock_says_is_not_published(
    own: Path, tmp_path: Path
) -> None:
    place = tmp_path / "occlu_fer"
    shutil.copytree(own, place)
    shard = next((place / "data").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"X")
    with pytest.raises(GateError, match=r"found another file than occlu_fer\.lock names"):
        public_copy(place)


def test_the_cards_say_whose_pixels_are_there(folder: Path, copy: PublicCopy) -> None:
    told = {
        place: " ".join((place / "README.md").read_text(encoding="utf-8").split())
        for place in (folder, copy.folder)
    }
    counts = f"{PICTURES} samples are publishable, {PICTURES} index_only."
    assert all(counts in text for text in told.values())
    assert "the folder must not be uploaded as it is" in told[folder]
    assert "The `image` of index_only samples is empty (None)" in told[copy.folder]
    assert "must not be uploaded" not in told[copy.folder]


def test_the_card_gates_the_dataset_and_says_what_is_out_of_scope(copy: PublicCopy) -> None:
    yaml = pytest.importorskip("yaml")
    card = (copy.folder / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(card.split("---\n")[1])
    assert header["extra_gated_prompt"]
    assert set(header["extra_gated_fields"].values()) == {"text", "country", "checkbox"}
    for words in ("Art. 5(1)(f)", "Art. 5(1)(e)", "recital 51", "at work or in education"):
        assert words in card
    names = [config["config_name"] for config in header["configs"]]
    assert names == ["default", "index"]


def test_documents_are_made_from_the_lock_alone(folder: Path) -> None:
    text = (folder / "occlu_fer.lock").read_text(encoding="utf-8")
    shuffled = json.dumps(dict(reversed(json.loads(text).items())))
    for name, made in DOCUMENTS.items():
        assert made(Lock.from_text(text)) == made(Lock.from_text(shuffled))
        assert (folder / name).read_text(encoding="utf-8") == made(Lock.from_text(text))
