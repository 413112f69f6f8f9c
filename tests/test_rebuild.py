"""Rebuilding: the published bytes again out of an index and one's own copies of the sources."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bad_images
import fsspec
import pyarrow.parquet as pq
import pytest
from PIL import Image
from rebuilding import (
    CROPS,
    LISTED,
    PHOTOGRAPHS,
    World,
    crop,
    crop_name,
    index_and_lock,
    jpeg,
    photograph,
    photograph_name,
    recompress,
    run,
    world,
)

from occlufer import cli
from occlufer.builders.metadata import without_metadata
from occlufer.builders.pixels import decode_rgb
from occlufer.builders.publishing.attribution import attribution_lines
from occlufer.builders.publishing.census import Published
from occlufer.builders.rebuild import rebuild as rebuild_module
from occlufer.builders.rebuild.attribution import write_attribution
from occlufer.builders.rebuild.lock import Tally, lock_of_part
from occlufer.builders.rebuild.rebuild import rebuild
from occlufer.builders.rebuild.recipe import Recipe
from occlufer.builders.rebuild.sources import _settings, open_sources, paths_given
from occlufer.builders.sources.adapters import ADAPTERS
from occlufer.builders.tombstones import (
    TAKEDOWN_NAME,
    Tombstone,
    read_tombstones,
    write_tombstones,
)
from occlufer.builders.verify.verify import verify
from occlufer.commands.rebuild import KINDS
from occlufer.errors import MissingError, UsageError
from occlufer.lock import LOCK_NAME, MAIN, Lock
from occlufer.record import Facts, Record
from occlufer.workspace import held

Content = Callable[[Path], dict[str, bytes]]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world(tmp_path_factory)


@pytest.fixture
def copies(made: World, tmp_path: Path) -> dict[str, Path]:
    """One's own copies of the sources, to be spoilt."""
    for name, path in made.sources.items():
        shutil.copytree(path, tmp_path / "copies" / name)
    return {name: tmp_path / "copies" / name for name in made.sources}


def index_of(folder: Path) -> list[Row]:
    """Every row of the index, by plain pyarrow."""
    paths = sorted((folder / "index").glob("*.parquet"))
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


def pictures_of(folder: Path) -> dict[tuple[str, str, str], Row]:
    """{(config folder, source, source_id): row} of every shard but the index."""
    return {
        (path.parent.name, row["source"], row["source_id"]): row
        for path in sorted(folder.glob("*/*.parquet"))
        if path.parent.name != "index"
        for row in pq.read_table(path).to_pylist()
    }


def reasons_of(folder: Path) -> Counter[tuple[str, str]]:
    """How often which (source_id, reason) stands in missing.csv."""
    with (folder / "missing.csv").open(encoding="utf-8", newline="") as file:
        return Counter((row["source_id"], row["reason"]) for row in csv.DictReader(file))


def beside(out: Path) -> list[str]:
    """What lies beside a rebuilt folder and its lock, which stays."""
    names = {path.name for path in out.parent.iterdir()}
    return sorted(names - {out.name, f".{out.name}.lock"})


# Whole --------------------------------------------------------------------------------------------


def without_shards(made: World, place: Path) -> Path:
    shutil.copytree(made.config.out, place)
    for path in place.glob("*/*.parquet"):
        if path.parent.name != "index":
            path.unlink()
    return place


RECIPES: dict[str, Callable[[World, Path], Path]] = {
    "what-was-uploaded": lambda made, place: made.recipe,
    "its-own-shards-deleted": without_shards,
    "index-and-lock-alone": index_and_lock,
}


@pytest.mark.parametrize("kind", RECIPES)
def test_all_pixels_deleted_and_rebuilt_give_the_very_bytes(
    made: World, tmp_path: Path, content: Content, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = RECIPES[kind](made, tmp_path / "recipe")
    before = {name: content(path) for name, path in made.sources.items()}
    out = tmp_path / "mine" / "occlu_fer"
    coverage = run(recipe, made.sources, out)
    assert content(out) == content(made.config.out)
    assert coverage.missing == {}
    assert coverage.version == coverage.recipe_version
    assert {name: content(path) for name, path in made.sources.items()} == before
    assert beside(out) == []
    assert "not, to the byte" not in caplog.text


def test_the_recipe_has_what_makes_it_hard(made: World) -> None:
    rows = index_of(made.recipe)
    assert Counter((row["source"], row["config"]) for row in rows) == {
        ("raf_db", "default"): CROPS,
        ("raf_db", "raf_db_occlu"): len(LISTED),
        ("photographs", "default"): PHOTOGRAPHS,
        ("drawn", "default"): sum(row["source"] == "drawn" for row in rows),
    }
    assert any(row["source"] == "drawn" for row in rows)
    cut = {row["source_id"] for row in rows if row["crop_box"]}
    assert {photograph_name(i) for i in range(PHOTOGRAPHS) if i % 3} & cut  # lying on their side
    kept = [row for row in pictures_of(made.recipe).values() if row["image"] is not None]
    assert {row["source"] for row in kept} == {"drawn"}


def test_a_square_of_a_turned_photograph_is_the_published_crop(made: World) -> None:
    rows = [row for row in index_of(made.recipe) if row["crop_box"]]
    published = pictures_of(made.config.out)
    for row in rows:
        upright = photograph(int(Path(row["source_id"]).stem))
        x0, y0, x1, y1 = row["crop_box"]
        square = upright.crop((x0, y0, x1, y1)).resize((224, 224), Image.Resampling.BILINEAR)
        data = published["data", row["source"], row["source_id"]]["image"]["bytes"]
        difference = abs(decode_rgb(data).astype(int) - decode_rgb(jpeg(square, 95)).astype(int))
        assert difference.mean() < 8
    assert len(rows) >= PHOTOGRAPHS // 2


# In part ------------------------------------------------------------------------------------------


def spoil(copies: dict[str, Path]) -> tuple[set[str], set[str]]:
    """Remove 10 % of the files and recompress 5 %; return the names of these and of those."""
    names = {
        **{crop_name(i): copies["raf_db"] / crop_name(i) for i in range(CROPS)},
        **{photograph_name(i): copies["photographs"] / photograph_name(i) for i in range(20)},
    }
    removed = {crop_name(2), crop_name(16), photograph_name(4), photograph_name(11)}
    recompressed = {crop_name(18), photograph_name(7)}
    assert (len(removed), len(recompressed)) == (len(names) // 10, len(names) // 20)
    for name in removed:
        names[name].unlink()
    for name in recompressed:
        recompress(names[name])
    return removed, recompressed


def with_exact_quotas(recipe: Path, place: Path) -> Path:
    """A recipe whose lock asks for exactly as many samples as there are."""
    shutil.copytree(recipe, place)
    lock = Lock.from_text((place / "occlu_fer.lock").read_text(encoding="utf-8"))
    split = {**lock.config["split"], "quota": "exact", **lock.counts}
    lock = dataclasses.replace(lock, config={**lock.config, "split": split})
    (place / "occlu_fer.lock").write_text(lock.to_text(), encoding="utf-8")
    return place


def test_coverage_is_right_to_the_image(
    made: World, copies: dict[str, Path], tmp_path: Path, content: Content
) -> None:
    removed, recompressed = spoil(copies)
    recipe = with_exact_quotas(made.recipe, tmp_path / "recipe")
    out = tmp_path / "occlu_fer"
    coverage = run(recipe, copies, out)
    # Counted here once more, row by row, from the recipe and what was done to the files.
    expected: dict[tuple[str, str], Counter[str]] = {}
    for row in index_of(made.recipe):
        name = row["source_id"]
        kind = "lost" if name in removed else "other" if name in recompressed else "exact"
        expected.setdefault((row["config"], row["split"]), Counter())[kind] += 1
    assert {
        (config, split): (one.wanted, one.exact, one.recompressed, one.rebuilt)
        for config, splits in coverage.splits.items()
        for split, one in splits.items()
    } == {
        place: (n.total(), n["exact"], n["other"], n["exact"] + n["other"])
        for place, n in expected.items()
    }
    assert coverage.missing == {  # crop 16 is in a subset too
        "photographs": {"no_such_file": 2},
        "raf_db": {"no_such_file": 3},
    }
    assert reasons_of(out) == Counter(
        (row["source_id"], "no_such_file")
        for row in index_of(made.recipe)
        if row["source_id"] in removed
    )
    check_rows(made, out, removed, recompressed)
    verdict = verify(out)
    assert verdict.faults == []
    assert verdict.rows == sum(n["exact"] + n["other"] for n in expected.values())


def check_rows(made: World, out: Path, removed: set[str], recompressed: set[str]) -> None:
    """Check that rows are the published ones, in their order, but for what was recompressed."""
    published, there = pictures_of(made.config.out), pictures_of(out)
    assert [*there] == [key for key in published if key[2] not in removed]
    for key, row in there.items():
        assert hashlib.sha256(row["image"]["bytes"]).hexdigest() == row["sha256"]
        if key[2] not in recompressed:
            assert row == published[key]
            continue
        assert row["sha256"] != published[key]["sha256"]
        changed = {name for name in row if row[name] != published[key][name]}
        assert {"image", "sha256"} <= changed <= {"image", "sha256", "phash"}
        size = Image.fromarray(decode_rgb(row["image"]["bytes"])).size
        assert size == Image.fromarray(decode_rgb(published[key]["image"]["bytes"])).size
    sources = {key[2]: key[1] for key in there if key[2] in recompressed}
    for row in index_of(out):
        if row["source_id"] in sources:
            original = made.sources[row["source"]] / row["source_id"]
            assert row["source_sha256"] != hashlib.sha256(original.read_bytes()).hexdigest()


def test_what_is_rebuilt_in_part_can_be_trained_on(
    made: World, copies: dict[str, Path], tmp_path: Path
) -> None:
    import datasets

    removed, _ = spoil(copies)
    run(made.recipe, copies, tmp_path / "occlu_fer")
    loaded = datasets.load_dataset(str(tmp_path / "occlu_fer"), cache_dir=str(tmp_path / "cache"))
    wanted = Counter(
        row["split"]
        for row in index_of(made.recipe)
        if row["config"] == "default" and row["source_id"] not in removed
    )
    assert {split: len(rows) for split, rows in loaded.items()} == wanted
    assert all(row["image"] is not None for rows in loaded.values() for row in rows)


def test_the_lock_of_a_part_says_of_what_it_is_a_part(
    made: World, copies: dict[str, Path], tmp_path: Path
) -> None:
    spoil(copies)
    coverage = run(made.recipe, copies, tmp_path / "occlu_fer")
    lock = Lock.from_text((tmp_path / "occlu_fer/occlu_fer.lock").read_text(encoding="utf-8"))
    assert lock.config["rebuilt"] == {
        "of": coverage.recipe_version,
        "missing": 5,
        "recompressed": 3,  # crop 18 is in a subset too
    }
    assert lock.version == coverage.version != coverage.recipe_version
    assert lock.subsets["raf_db_occlu"]["matched"] == len(LISTED) - 1


def test_a_source_that_is_not_at_hand_is_left_out_with_its_subset(
    made: World, tmp_path: Path
) -> None:
    out = tmp_path / "occlu_fer"
    coverage = run(made.recipe, {"photographs": made.sources["photographs"]}, out)
    assert coverage.missing == {"raf_db": {"no_such_source": CROPS + len(LISTED)}}
    assert verify(out).faults == []
    assert not (out / "raf_db_occlu").exists()
    assert {key[1] for key in pictures_of(out)} == {"photographs", "drawn"}


def test_without_any_source_what_may_be_passed_on_is_rebuilt(made: World, tmp_path: Path) -> None:
    coverage = run(made.recipe, {}, tmp_path / "occlu_fer")
    assert {key[1] for key in pictures_of(tmp_path / "occlu_fer")} == {"drawn"}
    assert coverage.missing["photographs"] == {"no_such_source": PHOTOGRAPHS}


# Copies of other names, and others of the same ---------------------------------------------------


def test_files_that_changed_names_are_found_by_content(
    made: World, copies: dict[str, Path], tmp_path: Path, content: Content
) -> None:
    for names in (
        [copies["raf_db"] / crop_name(i) for i in (0, 4, 8)],
        [copies["photographs"] / photograph_name(i) for i in (1, 5, 9)],
    ):
        data = [path.read_bytes() for path in names]
        for path, other in zip(names, [*data[1:], data[0]], strict=True):
            path.write_bytes(other)
    out = tmp_path / "occlu_fer"
    assert run(made.recipe, copies, out).missing == {}
    assert content(out) == content(made.config.out)


def test_a_copy_that_lost_its_metadata_is_exact(
    made: World, copies: dict[str, Path], tmp_path: Path, content: Content
) -> None:
    path = copies["raf_db"] / crop_name(3)
    clean = without_metadata(path.read_bytes())
    assert clean != path.read_bytes()
    path.write_bytes(clean)
    coverage = run(made.recipe, copies, tmp_path / "occlu_fer")
    assert coverage.missing == {}
    assert content(tmp_path / "occlu_fer") == content(made.config.out)


def test_recompressed_copies_of_other_names_are_found_by_their_looks(
    made: World, copies: dict[str, Path], tmp_path: Path
) -> None:
    moved = {
        copies["raf_db"] / crop_name(3): copies["raf_db"] / "train/7/train_9003_aligned.jpg",
        copies["photographs"] / photograph_name(5): copies["photographs"] / "fear/905.jpg",
    }
    for old, new in moved.items():
        old.rename(new)
        recompress(new)
    out = tmp_path / "occlu_fer"
    coverage = run(made.recipe, copies, out)
    assert coverage.missing == {}
    assert sum(one.recompressed for one in coverage.splits["default"].values()) == 2
    assert verify(out).faults == []


def test_another_picture_of_the_right_name_is_not_taken(
    made: World, copies: dict[str, Path], tmp_path: Path
) -> None:
    (copies["raf_db"] / crop_name(5)).write_bytes(jpeg(crop(777), 92))
    (copies["photographs"] / photograph_name(6)).write_bytes(jpeg(photograph(777), 92))
    # A copy of another row's picture is not this row's either.
    shutil.copyfile(copies["raf_db"] / crop_name(1), copies["raf_db"] / crop_name(9))
    out = tmp_path / "occlu_fer"
    coverage = run(made.recipe, copies, out)
    assert coverage.missing == {
        "photographs": {"another_picture": 1},
        "raf_db": {"another_picture": 2},
    }
    names = (crop_name(5), photograph_name(6), crop_name(9))
    assert reasons_of(out) == {(name, "another_picture"): 1 for name in names}
    assert verify(out).faults == []


def test_a_file_that_is_no_picture_is_unreadable(
    made: World, copies: dict[str, Path], tmp_path: Path
) -> None:
    path = copies["raf_db"] / crop_name(5)
    path.write_bytes(path.read_bytes()[:300])
    (copies["photographs"] / photograph_name(6)).write_bytes(b"no picture")
    coverage = run(made.recipe, copies, tmp_path / "occlu_fer")
    assert coverage.missing == {"photographs": {"unreadable": 1}, "raf_db": {"unreadable": 1}}


@pytest.mark.parametrize("name", ["raf_db", "photographs"])
def test_broken_pictures_in_a_source_are_passed_over(
    made: World, copies: dict[str, Path], tmp_path: Path, name: str
) -> None:
    own = {"raf_db": crop_name(3), "photographs": photograph_name(5)}
    recompress(copies[name] / own[name])  # so that looks are taken at all of them, too
    bad_images.write((copies[name] / own[name]).parent / "bad")
    coverage = run(made.recipe, copies, tmp_path / "occlu_fer")
    assert coverage.missing == {}
    assert sum(one.recompressed for one in coverage.splits["default"].values()) == 1


# Taken down ---------------------------------------------------------------------------------------


def test_what_was_taken_down_does_not_come_back(
    made: World, copies: dict[str, Path], tmp_path: Path
) -> None:
    from occlufer.builders.hashes import look
    from occlufer.builders.tombstones import views_of

    by_file = hashlib.sha256((copies["raf_db"] / crop_name(3)).read_bytes()).hexdigest()
    mirrored = jpeg(crop(7).transpose(Image.Transpose.FLIP_LEFT_RIGHT), 92)
    stones = [Tombstone(sha256=(by_file,)), Tombstone(pictures=(views_of(look(mirrored).hashes),))]
    takedown = tmp_path / "takedown.jsonl"
    takedown.write_text("".join(stone.to_line() for stone in stones), encoding="utf-8")
    out = tmp_path / "occlu_fer"
    coverage = run(made.recipe, copies, out, takedown=takedown)
    assert coverage.missing == {"raf_db": {"taken_down": 2}}
    # Whom it was about stands in no file that may be passed on.
    assert not reasons_of(out)
    for path in out.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert crop_name(3).encode() not in data, path
            assert crop_name(7).encode() not in data, path
    assert verify(out).faults == []
    with pytest.raises(MissingError, match=r"typo\.jsonl: no such file, expected tombstones"):
        run(made.recipe, copies, out, takedown=tmp_path / "typo.jsonl")
    # What was rebuilt carries the tombstones: of it, too, nothing comes back.
    again = tmp_path / "again"
    assert run(out, copies, again).missing == {}
    assert (again / "takedown.jsonl").read_bytes() == (out / "takedown.jsonl").read_bytes()


# What cannot be done ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "named", "text"),
    [
        ({"expw": Path()}, [], r"--expw: found no source of this kind, expected one of raf_db \("),
        ({}, ["other=x"], r"--source other=x: found no source 'other', expected one of raf_db"),
        ({}, ["raf_db"], r"--source: found 'raf_db', expected NAME=PATH or NAME\.KEY=PATH"),
        ({}, ["raf_db.licence=x"], r"found the key 'licence', expected path or fer2013"),
    ],
    ids=["kind", "name", "no-path", "no-key-that-is-a-path"],
)
def test_what_the_recipe_does_not_have_is_refused(
    made: World, tmp_path: Path, kinds: dict[str, Path], named: list[str], text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        rebuild(made.recipe, kinds, named, tmp_path / "occlu_fer")
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_is_not_there_is_named(made: World, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"nowhere: no such folder"):
        rebuild(made.recipe, {"raf_db": tmp_path / "nowhere"}, (), tmp_path / "occlu_fer")


def test_photographs_of_a_list_are_read_without_the_list(made: World, tmp_path: Path) -> None:
    lock = Lock.from_text((made.recipe / "occlu_fer.lock").read_text(encoding="utf-8"))
    table = {"kind": "web", "name": "web", "service": "urls", "path": "not from a lock"}
    lock = dataclasses.replace(lock, config={"sources": [table]})
    paths = paths_given(lock, {"web": tmp_path}, ())
    with pytest.raises(MissingError, match=r"`occlufer fetch` fetches the photographs") as caught:
        open_sources(lock, paths, Counter(["web"]))
    assert str(caught.value).startswith(f"{tmp_path}: found no ")


def test_one_option_does_not_do_for_several_sources_of_a_kind(made: World) -> None:
    lock = Lock.from_text((made.recipe / "occlu_fer.lock").read_text(encoding="utf-8"))
    tables = [{"kind": "image_folder", "name": name} for name in ("a", "b")]
    lock = dataclasses.replace(lock, config={"sources": tables})
    with pytest.raises(UsageError, match=r"found 2 sources .* --source a=PATH, --source b=PATH"):
        paths_given(lock, {"image_folder": Path("x")}, ())
    paths = paths_given(lock, {}, ["a=x", "b=y", "b.urls=z"])
    assert {name: sorted(given) for name, given in paths.items()} == {
        "a": ["path"],
        "b": ["path", "urls"],
    }


def test_a_copy_at_an_address_is_brought_here(
    made: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fsspec.filesystem("memory").pipe("/far/anger/1.jpg", b"picture")
    lock = Lock.from_text((made.recipe / "occlu_fer.lock").read_text(encoding="utf-8"))
    address = "memory://far"
    for kinds, named, name in (
        ({}, [f"photographs={address}"], "photographs"),
        ({"raf_db": address}, [], "raf_db"),
    ):
        here = paths_given(lock, kinds, named)[name]["path"]
        assert (here / "anger/1.jpg").read_bytes() == b"picture"
    with pytest.raises(MissingError, match="--source photographs, memory://nowhere: found nothing"):
        paths_given(lock, {}, ["photographs=memory://nowhere"])


def test_two_rebuilds_of_one_folder_do_not_meet(made: World, tmp_path: Path) -> None:
    out = tmp_path / "occlu_fer"
    work = tmp_path / ".occlu_fer.partial"
    work.mkdir()
    with (
        held(tmp_path / ".occlu_fer.lock", "{}"),
        pytest.raises(UsageError, match=r"another rebuild .* works at the same --out; wait for it"),
    ):
        run(made.recipe, {}, out)
    assert work.exists()
    run(made.recipe, {}, out)
    assert beside(out) == []


def test_other_things_are_not_replaced(made: World, tmp_path: Path) -> None:
    out = tmp_path / "occlu_fer"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(UsageError, match=r"found other things, expected nothing or a dataset"):
        run(made.recipe, made.sources, out)
    assert (out / "thesis.txt").read_text(encoding="utf-8") == "years of work"
    with pytest.raises(UsageError, match="lies with source raf_db; give a place apart"):
        run(made.recipe, made.sources, made.sources["raf_db"] / "train/occlu_fer")
    with pytest.raises(UsageError, match="lies with the recipe"):
        run(made.recipe, made.sources, made.recipe)


def test_a_build_of_ones_own_is_not_replaced_nor_the_whole_by_a_part(
    made: World, copies: dict[str, Path], tmp_path: Path, content: Content
) -> None:
    out = tmp_path / "occlu_fer"
    shutil.copytree(made.config.out, out)
    rows = CROPS + PHOTOGRAPHS + len(LISTED)
    with pytest.raises(UsageError, match=rf"found all of version .* {rows} rows could not be re"):
        run(made.recipe, {}, out)
    recompress(copies["raf_db"] / crop_name(3))
    with pytest.raises(UsageError, match=r"found all of version .* 1 rows could not be rebuilt to"):
        run(made.recipe, copies, out)
    assert content(out) == content(made.config.out)
    told = json.loads((out / LOCK_NAME).read_text(encoding="utf-8"))
    told["files"]["index/train-00000-of-00001.parquet"] = "ab" * 32
    (out / LOCK_NAME).write_text(json.dumps(told), encoding="utf-8")
    mine = content(out)
    with pytest.raises(UsageError, match=r"found version \w+ of 'occlu_fer', expected nothing"):
        run(made.recipe, made.sources, out)
    assert content(out) == mine
    assert beside(out) == ["copies"]


def test_a_former_rebuild_is_replaced(
    made: World, copies: dict[str, Path], tmp_path: Path, content: Content
) -> None:
    out = tmp_path / "occlu_fer"
    run(made.recipe, {}, out)
    run(made.recipe, made.sources, out)
    assert content(out) == content(made.config.out)


@pytest.mark.parametrize("where", ["look_through", "write", "swap_into_place"])
def test_an_interrupt_leaves_the_former_folder_and_nothing_else(
    made: World,
    copies: dict[str, Path],
    tmp_path: Path,
    content: Content,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    out = tmp_path / "mine" / "occlu_fer"
    run(made.recipe, {}, out)
    former = content(out)
    spoil(copies)

    def interrupted(*_: Any) -> None:
        assert len(beside(out)) == 2  # work
        raise KeyboardInterrupt

    monkeypatch.setattr(rebuild_module, where, interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(made.recipe, copies, out)
    assert content(out) == former
    assert beside(out) == []


# The command --------------------------------------------------------------------------------------


def test_every_kind_of_source_that_lies_somewhere_has_an_option() -> None:
    lying = [
        kind
        for kind, adapter in ADAPTERS.items()
        if "path" in {field.name for field in dataclasses.fields(adapter.Settings)}
    ]
    assert list(KINDS) == lying


def test_the_command_ends_with_the_coverage(
    made: World,
    copies: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    spoil(copies)
    arguments = ["rebuild", str(made.recipe), "--raf-db", str(copies["raf_db"])]
    arguments += ["--image-folder", str(copies["photographs"])]
    assert cli.main([*arguments, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert cli.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    train = told["splits"]["default"]["train"]
    kinds = f"{train['exact']} exact" + (
        f", {train['recompressed']} from recompressed copies" if train["recompressed"] else ""
    )
    assert f"{train['rebuilt']} of {train['wanted']} train rebuilt ({kinds})" in lines
    assert "2 of 3 raf_db_occlu rebuilt (1 exact, 1 from recompressed copies)" in lines
    assert "  photographs  no_such_file  2" in lines
    assert "  raf_db       no_such_file  3" in lines
    assert lines[-1] == f"dataset: {tmp_path / 'occlu_fer'}, version {told['version']}"
    assert told["missing"]["raf_db"] == {"no_such_file": 3}


def test_where_nothing_can_be_rebuilt_the_status_is_3(
    made: World, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = index_and_lock(made, tmp_path / "recipe")
    lock = json.loads((recipe / "occlu_fer.lock").read_text(encoding="utf-8"))
    lock["config"]["sources"] = [s for s in lock["config"]["sources"] if s["name"] != "drawn"]
    (recipe / "occlu_fer.lock").write_text(json.dumps(lock), encoding="utf-8")
    assert cli.main(["rebuild", str(recipe)]) == 3
    printed = capsys.readouterr()
    assert "found no picture of it, so nothing was written" in printed.err
    assert "0 of" in printed.out
    assert beside(tmp_path / "occlu_fer") == ["recipe"]


# Pieces -------------------------------------------------------------------------------------------


def test_authors_are_named_for_what_is_there_and_for_nothing_else(
    made: World, tmp_path: Path
) -> None:
    lock = Lock.from_text((made.recipe / "occlu_fer.lock").read_text(encoding="utf-8"))
    shown = [
        Published(
            Record(
                f"web/{title}", "web", "1", Facts(evidence={"title": title, "author": "An`n"}), "i"
            ),
            hashlib.sha256(title.encode()).hexdigest(),
            "publishable",
            only_in_subsets=False,
        )
        for title in ("one", "t`w`o", "three")
    ]
    text = "".join(attribution_lines(lock.sources, shown))
    recipe, fresh = Recipe(tmp_path / "recipe", lock, (), ()), tmp_path / "fresh"
    for folder in (recipe.folder, fresh):
        folder.mkdir()
    (recipe.folder / "ATTRIBUTION.md").write_text(text, encoding="utf-8")
    hashes = {one.sha256: one.sha256 for one in shown}
    write_attribution(fresh, recipe, lock.sources, hashes)
    assert (fresh / "ATTRIBUTION.md").read_text(encoding="utf-8") == text
    del hashes[shown[0].sha256]
    hashes[shown[1].sha256] = "c" * 64  # a recompressed copy
    write_attribution(fresh, recipe, lock.sources, hashes)
    lines = text.replace(shown[1].sha256, "c" * 64).splitlines()
    expected = [line for line in lines if shown[0].sha256 not in line]
    assert (fresh / "ATTRIBUTION.md").read_text(encoding="utf-8").splitlines() == expected
    assert len(expected) == len(lines) - 1


def test_who_gave_the_labels_of_a_part_is_not_made_up(made: World) -> None:
    lock = Lock.from_text((made.recipe / "occlu_fer.lock").read_text(encoding="utf-8"))
    labels = {"from": "label_studio", "by": {"people": 50, "sources": 7}, "answers": 200}
    lock = dataclasses.replace(lock, labels=labels)
    part = lock_of_part(lock, Tally(), [None] * 57)
    assert part.labels == {"from": "label_studio", "by": {"untold": 0}, "answers": 200}


def test_a_record_in_both_configs_counts_in_the_default_one_whichever_comes_first() -> None:
    row = {
        "source": "s",
        "source_id": "a",
        "label": 0,
        "rights": "index_only",
        "sha256": "aa",
        "occlusion_types": [],
    }
    rows = [row | {"config": c, "split": s} for c, s in (("a_subset", "test"), (MAIN, "train"))]
    for order in (rows, rows[::-1]):
        tally = Tally()
        for one in order:
            tally.add(one, "aa")
        counts = tally.of_source("s")
        assert (counts["samples"], counts["only_in_subsets"]) == (1, 0)


def test_a_source_of_the_hub_is_read_from_a_path_instead() -> None:
    table = {"kind": "huggingface", "name": "h", "repository": "a/b", "revision": "c"}
    assert _settings(table, {"path": Path("here")}) == {"path": "here"}
    assert _settings(table, {}) == {"repository": "a/b", "revision": "c"}


def test_tombstones_of_the_folder_that_is_replaced_stay(made: World, tmp_path: Path) -> None:
    out = tmp_path / "occlu_fer"
    run(made.recipe, made.sources, out)
    row = next(row for row in index_of(made.recipe) if row["source"] == "raf_db")
    write_tombstones(out / TAKEDOWN_NAME, [Tombstone((row["source_sha256"],)).to_line()])
    coverage = run(made.recipe, made.sources, out)
    assert coverage.missing["raf_db"]["taken_down"] >= 1
    assert read_tombstones(out / TAKEDOWN_NAME).files.keys() == {row["source_sha256"]}
