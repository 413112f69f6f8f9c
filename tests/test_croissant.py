"""croissant.json: mlcroissant accepts it, and its records are the rows."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlcroissant
import pyarrow.parquet as pq
import pytest
from mixed import PICTURES, mixed_build
from PIL import Image

from occlufer.builders.hub import PublicCopy, public_copy
from occlufer.builders.publishing.croissant import croissant_text
from occlufer.lock import Lock
from occlufer.schema import LABELS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_build(tmp_path_factory).out


@pytest.fixture(scope="module")
def copy(folder: Path) -> PublicCopy:
    return public_copy(folder)


@pytest.fixture(scope="module")
def told(copy: PublicCopy) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((copy.folder / "croissant.json").read_text("utf-8"))
    return found


def records(folder: Path, config: str) -> list[dict[str, Any]]:
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    return list(dataset.records(config))


def rows_in(folder: Path, config: str) -> list[dict[str, Any]]:
    return [
        {"split": path.name.split("-")[0]} | row
        for path in sorted((folder / config).glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def plain(config: str, record: dict[str, Any]) -> dict[str, Any]:
    """A record as a row has it: {column: value}, text where mlcroissant gives bytes."""

    def value(found: Any) -> Any:
        if isinstance(found, bytes):
            return found.decode()
        if isinstance(found, dict):
            return {key.rpartition("/")[2]: value(inner) for key, inner in found.items()}
        return [value(one) for one in found] if isinstance(found, list) else found

    return {key.removeprefix(f"{config}/"): value(found) for key, found in record.items()}


def test_mlcroissant_validates_it(copy: PublicCopy) -> None:
    script = Path(sys.executable).with_name("mlcroissant")
    done = subprocess.run(
        [script, "validate", "--jsonld", copy.folder / "croissant.json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()
    assert "not standard" not in done.stderr


@pytest.mark.parametrize("place", ["local", "public"])
def test_its_records_are_the_rows_pictures_included(
    folder: Path, copy: PublicCopy, place: str
) -> None:
    where = folder if place == "local" else copy.folder
    found = [plain("default", record) for record in records(where, "default")]
    rows = rows_in(where, "data")
    assert len(found) == len(rows) == 2 * PICTURES
    for record, row in zip(found, rows, strict=True):
        assert list(record) == list(row)
        picture, kept = record.pop("image"), row.pop("image")
        held_back = place == "public" and row["rights"] == "index_only"
        assert (picture is None) == (kept is None) == held_back
        if kept is not None:
            assert picture.tobytes() == Image.open(io.BytesIO(kept["bytes"])).tobytes()
        assert record == row


def test_the_index_has_records_too(copy: PublicCopy) -> None:
    found = [plain("index", record) for record in records(copy.folder, "index")]
    assert found == rows_in(copy.folder, "index")
    assert len(found) == 2 * PICTURES


def test_every_shard_is_named_with_its_sha256(copy: PublicCopy, told: dict[str, Any]) -> None:
    named = {
        one["contentUrl"]: one["sha256"]
        for one in told["distribution"]
        if one["@type"] == "cr:FileObject"
    }
    assert named == {
        path.relative_to(copy.folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in copy.folder.rglob("*.parquet")
    }


def test_the_responsible_ai_fields_are_read_by_mlcroissant(copy: PublicCopy) -> None:
    metadata = mlcroissant.Dataset(jsonld=str(copy.folder / "croissant.json")).metadata
    assert f"free ({PICTURES}), held ({PICTURES})" in metadata.data_collection
    assert f"{PICTURES} of {2 * PICTURES} samples are without pixels" in (
        metadata.data_collection_missing_data
    )
    assert any("majority of the sources' votes" in t for t in metadata.data_annotation_protocol)
    assert any("Art. 5(1)(f)" in text for text in metadata.data_limitations)
    for name in (
        *("data_biases", "data_use_cases", "data_social_impact", "machine_annotation_tools"),
        *("personal_sensitive_information", "data_release_maintenance_plan"),
    ):
        assert getattr(metadata, name), name


def test_an_evaluation_subset_and_people_who_label_are_told(copy: PublicCopy) -> None:
    lock = dataclasses.replace(
        copy.lock,
        shards=copy.lock.shards | {"raf_db_occlu": {"test": 1}},
        labels={
            "from": "label_studio",
            "by": {"people": 12},
            "raters": 4,
            "answers": 36,
            "alpha": 0.5,
        },
        config=copy.lock.config | {"annotation": {"overlap": 3, "aggregation": "dawid_skene"}},
    )
    found = json.loads(croissant_text(Lock.from_text(lock.to_text())))
    assert [one["@id"] for one in found["recordSet"]] == ["default", "index", "raf_db_occlu"]
    assert found["rai:dataAnnotationPlatform"] == ["Label Studio"]
    assert found["rai:dataAnnotationAnalysis"] == ["Krippendorff's alpha (nominal): 0.500"]
    assert "4 raters, who saw the picture alone, gave 36" in found["rai:dataAnnotationProtocol"][0]


def test_the_classes_are_named(told: dict[str, Any]) -> None:
    (default,) = [one for one in told["recordSet"] if one["@id"] == "default"]
    (label,) = [field for field in default["field"] if field["@id"] == "default/label"]
    for number, name in enumerate(LABELS):
        assert f"{number} {name}" in label["description"]
