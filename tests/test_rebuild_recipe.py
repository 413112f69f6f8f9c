"""Recipes that are damaged, hostile or not whole: a line each, and nothing is written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rebuilding import World, index_and_lock, run, world

from occlufer.builders.rebuild.lock import check_lock
from occlufer.builders.rebuild.rebuild import rebuild
from occlufer.builders.rebuild.recipe import read_recipe
from occlufer.builders.rebuild.sources import open_sources
from occlufer.errors import GateError, MissingError, OccluferError
from occlufer.lock import LOCK_NAME


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world(tmp_path_factory)


def test_a_recipe_without_lock_or_index_is_named(made: World, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"found no occlu_fer\.lock"):
        rebuild(tmp_path, {}, (), tmp_path / "out")
    recipe = tmp_path / "recipe"
    index_and_lock(made, recipe)
    path = recipe / "index/train-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(GateError, match=r"found sha256 \w+, expected \w+ as in occlu_fer\.lock"):
        rebuild(recipe, {}, (), tmp_path / "out")
    path.unlink()
    with pytest.raises(MissingError, match="no such file, expected the index"):
        rebuild(recipe, {}, (), tmp_path / "out")


def test_a_recipe_that_has_lost_its_authors_is_refused(made: World, tmp_path: Path) -> None:
    recipe = index_and_lock(made, tmp_path / "recipe")
    lock = json.loads((recipe / "occlu_fer.lock").read_text(encoding="utf-8"))
    lock["sources"]["drawn"]["own_attribution"] = 3
    (recipe / "occlu_fer.lock").write_text(json.dumps(lock), encoding="utf-8")
    with pytest.raises(MissingError, match=r"ATTRIBUTION\.md: no such file, .* of 3 samples"):
        run(recipe, made.sources, tmp_path / "occlu_fer")
    (recipe / "ATTRIBUTION.md").write_text("# nobody\n", encoding="utf-8")
    with pytest.raises(GateError, match=r"ATTRIBUTION\.md: found another file"):
        run(recipe, made.sources, tmp_path / "occlu_fer")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "../elsewhere", "found the name '../elsewhere', expected a name within"),
        ("name", "/elsewhere", "found the name '/elsewhere', expected"),
        ("shards", {"../x": {"train": 1}}, "found the config '../x', expected"),
        ("shards", {"default": {"../x": 1}}, "found the split '../x', expected"),
        ("shards", {"data": {"train": 1}}, "found the config 'data', expected"),
    ],
)
def test_a_recipe_that_would_write_elsewhere_is_refused(
    made: World, tmp_path: Path, field: str, value: Any, message: str
) -> None:
    recipe = index_and_lock(made, tmp_path / "recipe")
    told = json.loads((recipe / LOCK_NAME).read_text(encoding="utf-8"))
    told[field] = {**told[field], **value} if isinstance(value, dict) else value
    (recipe / LOCK_NAME).write_text(json.dumps(told), encoding="utf-8")
    before = sorted(tmp_path.parent.rglob("*"))
    with pytest.raises(GateError, match=re.escape(message)):
        rebuild(recipe, {}, (), tmp_path / "out")
    assert sorted(tmp_path.parent.rglob("*")) == before


def spoilt(value: Any) -> list[Any]:
    """What may stand in the place of a value."""
    return [other for other in (None, 7, -1, "x", [], {}, [None], {"x": None}) if other != value]


def places_in(value: Any, depth: int = 3) -> list[tuple[Any, ...]]:
    """The keys that lead to every value of a JSON object, as deep as this."""
    if not isinstance(value, (dict, list)) or not depth:
        return [()]
    keys = value if isinstance(value, dict) else range(len(value))
    return [(), *((key, *rest) for key in keys for rest in places_in(value[key], depth - 1))]


def test_a_lock_with_anything_in_it_is_refused_in_one_line_or_rebuilt(
    made: World, tmp_path: Path
) -> None:
    recipe = index_and_lock(made, tmp_path / "recipe")
    told = json.loads((recipe / LOCK_NAME).read_text(encoding="utf-8"))
    for keys in places_in(told)[1:]:
        for other in spoilt(told):
            changed = json.loads(json.dumps(told))
            place = changed
            for key in keys[:-1]:
                place = place[key]
            place[keys[-1]] = other
            (recipe / LOCK_NAME).write_text(json.dumps(changed), encoding="utf-8")
            with contextlib.suppress(OccluferError):
                read = read_recipe(recipe)
                check_lock(recipe, read.lock)
                open_sources(read.lock, {}, Counter(row.source for row in read.wanted))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: [*rows, rows[0]], "twice in config 'default'"),
        (
            lambda rows: [rows[0] | {"config": "index"}, *rows[1:]],
            "found a row of 'index', 'train'",
        ),
        (lambda rows: [rows[0] | {"split": "test"}, *rows[1:]], "found a row of 'default', 'test'"),
    ],
    ids=["twice", "config", "split"],
)
def test_a_row_that_would_be_written_nowhere_or_twice_is_refused(
    made: World, tmp_path: Path, change: Any, message: str
) -> None:
    recipe = index_and_lock(made, tmp_path / "recipe")
    path = recipe / "index/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(pa.Table.from_pylist(change(table.to_pylist()), schema=table.schema), path)
    told = json.loads((recipe / LOCK_NAME).read_text(encoding="utf-8"))
    told["files"]["index/" + path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (recipe / LOCK_NAME).write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(GateError, match=message):
        run(recipe, made.sources, tmp_path / "occlu_fer")
    assert not (tmp_path / "occlu_fer").exists()


@pytest.mark.parametrize("name", ["label", "rights", "phash", "sha256", "source_id", "crop_box"])
def test_an_index_with_holes_is_refused_in_one_line(made: World, tmp_path: Path, name: str) -> None:
    recipe = index_and_lock(made, tmp_path / "recipe")
    path = recipe / "index/train-00000-of-00001.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index(name)
    kind = table.schema.field(name).type
    others: list[Any] = [None] if name != "crop_box" else [[1, 2, 3]]
    holes = pa.array(others * table.num_rows, kind)
    wrong = {"of another type": pa.array([1.5] * table.num_rows), "with holes": holes}
    for column in wrong.values():
        pq.write_table(table.set_column(place, name, column), path)
        told = json.loads((recipe / LOCK_NAME).read_text(encoding="utf-8"))
        told["files"]["index/" + path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        (recipe / LOCK_NAME).write_text(json.dumps(told), encoding="utf-8")
        with pytest.raises(GateError, match=rf"parquet(, row 0)?: found {name} .*, expected"):
            run(recipe, made.sources, tmp_path / "occlu_fer")
    assert not (tmp_path / "occlu_fer").exists()
