"""What was taken down is in no later build, nor are copies of it; other photographs stay."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from numpy.typing import NDArray
from PIL import Image

from occlufer import cli
from occlufer.annotation.wanted import wanted_images
from occlufer.build import BuildSummary, build
from occlufer.builders.hub import public_copy
from occlufer.builders.matching import match_lists
from occlufer.builders.publishing.occlusion_lists import FORMS, OcclusionList, read_lines
from occlufer.builders.publishing.subsets import subset_samples
from occlufer.builders.sources.rows import Line
from occlufer.builders.takedown import AFTER, TAKEN_DOWN, find_taken_down, follow
from occlufer.builders.takedown_add import add, named_by
from occlufer.builders.takedown_check import check_folder, check_workspace
from occlufer.builders.tombstones import TAKEDOWN_NAME, Tombstone, Tombstones, read_tombstones
from occlufer.builders.verify.verify import verify
from occlufer.config import BuildConfig, SourceConfig
from occlufer.config_file import load_config
from occlufer.errors import MissingError, UsageError
from occlufer.pipeline import stages_before
from occlufer.record import Facts, Record, Reject, Result, Vote
from occlufer.stages import Changes, FollowingStage, run_stage
from occlufer.workspace import Workspace, open_workspace

Pixels = NDArray[np.uint8]
Textured = Callable[..., Pixels]
Encoded = Callable[..., bytes]
Write = Callable[[Path, Mapping[str, bytes]], Path]
Rows = dict[str, list[dict[str, Any]]]

PERSON = 0
PICTURES = 9
CLASSES = ("happy", "sad", "fear")


def resized(pixels: Pixels, side: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.LANCZOS))


EDITS: dict[str, Callable[[Pixels], Pixels]] = {
    "itself": lambda p: p,
    "mirrored": lambda p: p[:, ::-1],
    "smaller": lambda p: resized(p, 64),
    "cropped": lambda p: p[8:-8, 8:-8],
    "cropped at a side": lambda p: p[:, 8:],
    "cropped unevenly": lambda p: p[4:-9, 11:-2],
    "cropped at a corner and mirrored": lambda p: p[12:, :-12][:, ::-1],
}


def copies_of(pixels: Pixels, encoded: Encoded) -> dict[str, bytes]:
    """Return the picture's copies as files: each edit, once as PNG and once as JPEG."""
    edited = {name: np.ascontiguousarray(edit(pixels)) for name, edit in EDITS.items()}
    # Its very bytes once more would be told as such, not as taken down.
    files = {f"happy/{name}.png": encoded(p) for name, p in edited.items() if name != "itself"}
    return files | {
        f"happy/{name}.jpg": encoded(p, "JPEG", quality=80) for name, p in edited.items()
    }


@pytest.fixture(scope="module")
def first(
    tmp_path_factory: pytest.TempPathFactory,
    textured: Textured,
    encoded: Encoded,
    write_tree: Write,
) -> BuildConfig:
    """A build of nine pictures, which nobody changes."""
    folder = tmp_path_factory.mktemp("first")
    files = {f"{CLASSES[i % 3]}/{i}.png": encoded(textured(i)) for i in range(PICTURES)}
    path = write_tree(folder / "faces", files)
    config = BuildConfig(
        (SourceConfig("image_folder", "faces", {"path": str(path)}),),
        folder / "occlu_fer",
        folder / "workspace",
        takedown=folder / TAKEDOWN_NAME,
        workers=1,
    )
    assert build(config).published == PICTURES
    return config


@pytest.fixture
def config(first: BuildConfig, tmp_path: Path) -> BuildConfig:
    """The same nine pictures, not yet built."""
    return dataclasses.replace(
        first,
        out=tmp_path / "occlu_fer",
        workspace=tmp_path / "workspace",
        takedown=tmp_path / TAKEDOWN_NAME,
    )


@pytest.fixture
def built_once(first: BuildConfig, config: BuildConfig) -> BuildConfig:
    """A copy of the build of nine pictures."""
    shutil.copytree(first.workspace, config.workspace)
    shutil.copytree(first.out, config.out)
    return config


def person_of(config: BuildConfig) -> Path:
    return Path(config.sources[0].settings["path"]) / f"happy/{PERSON}.png"


def with_copies(config: BuildConfig, files: Mapping[str, bytes], write: Write) -> BuildConfig:
    """Return the config with one source more, of these files."""
    path = write(config.out.parent / "copies", files)
    more = SourceConfig("image_folder", "copies", {"path": str(path)})
    return dataclasses.replace(config, sources=(*config.sources, more))


def reasons(summary: BuildSummary) -> dict[str, str]:
    """Return {record: why it was left out}."""
    with summary.rejected_list.open(encoding="utf-8", newline="") as file:
        return {row["record"]: row["reason"] for row in csv.DictReader(file)}


def names_in(out: Path) -> set[str]:
    """Return the records in a published folder, read by plain `datasets`."""
    found = load_dataset(str(out), cache_dir=str(out.parent / "cache"))
    return {
        f"{row['source']}/{row['source_id']}"
        for split in found.values()
        for row in split.remove_columns("image")
    }


# Copies and siblings ------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["there before", "come later"])
def test_copies_of_what_was_taken_down_go_and_other_photographs_stay(
    config: BuildConfig, textured: Textured, encoded: Encoded, write_tree: Write, when: str
) -> None:
    copies = copies_of(textured(PERSON), encoded)
    both = with_copies(config, copies, write_tree)
    assert build(both if when == "there before" else config).published == PICTURES
    add(both, [str(person_of(config))])
    after = build(both)
    gone = {"faces/happy/0.png"} | {f"copies/{name}" for name in copies}
    assert {r for r, why in reasons(after).items() if why == "taken_down"} == gone
    assert names_in(both.out) == {
        f"faces/{CLASSES[i % 3]}/{i}.png" for i in range(PICTURES) if i != PERSON
    }
    assert verify(both.out, workers=1).faults == []


def test_real_copies_go_and_siblings_of_the_same_person_stay(
    real_data: Path, tmp_path: Path, encoded: Encoded, write_tree: Write
) -> None:
    people = defaultdict(list)
    for path in sorted((real_data / "fer8").glob("*/*.jpg")):
        people[path.stem.rpartition("_")[0]].append(path)
    siblings = [paths for paths in people.values() if len(paths) > 1][:12]
    assert len(siblings) == 12
    taken = [paths[0] for paths in siblings]
    files = {f"{p.parent.name}/{p.name}": p.read_bytes() for paths in siblings for p in paths}
    copies = {}
    for path in taken:
        pixels = np.asarray(Image.open(path).convert("RGB"))
        side = min(pixels.shape[:2])
        changed = {
            "mirrored": pixels[:, ::-1],
            "cropped": pixels[side // 12 : -side // 12, side // 12 : -side // 12],
            "both": pixels[side // 10 :, : -side // 10][:, ::-1],
            "uneven": pixels[side // 33 : -side // 11, side // 12 : -side // 50],
        }
        for name, one in changed.items():
            data = encoded(np.ascontiguousarray(one), "JPEG", quality=85)
            copies[f"{path.parent.name}/{path.stem}-{name}.jpg"] = data
    config = BuildConfig(
        tuple(
            SourceConfig("image_folder", name, {"path": str(write_tree(tmp_path / name, tree))})
            for name, tree in (("people", files), ("copies", copies))
        ),
        tmp_path / "occlu_fer",
        tmp_path / "workspace",
        takedown=tmp_path / TAKEDOWN_NAME,
    )
    add(config, [str(path) for path in taken])  # before any build: by the hashes alone
    summary = build(config)
    gone = {f"people/{path.parent.name}/{path.name}" for path in taken}
    gone |= {f"copies/{name}" for name in copies}
    assert {r for r, why in reasons(summary).items() if why == "taken_down"} == gone


def test_the_crop_of_a_photograph_goes_with_the_photograph(
    real_data: Path, config: BuildConfig, tmp_path: Path, write_tree: Write
) -> None:
    from occlufer.builders.detectors import open_detector
    from occlufer.builders.takedown_add import cut_of

    photograph = real_data / "clean/astronaut.png"
    crop, whole = cut_of(photograph.read_bytes(), open_detector("mtcnn", None).detect, config.faces)
    assert crop is not None
    assert whole
    file = io.BytesIO()
    Image.open(io.BytesIO(crop)).save(file, "JPEG", quality=85)
    both = with_copies(config, {"happy/crop.jpg": file.getvalue()}, write_tree)
    faces = write_tree(tmp_path / "photographs", {"sad/whole.png": photograph.read_bytes()})
    third = SourceConfig("image_folder", "web", {"path": str(faces), "content": "photograph"})
    config = dataclasses.replace(both, sources=(*both.sources, third))
    add(config, [str(photograph)])
    left_out = reasons(build(config))
    assert left_out == {"copies/happy/crop.jpg": "taken_down", "web/sad/whole.png": "taken_down"}


def test_a_duplicate_that_only_its_pixels_tell_is_named_by_its_bytes(
    config: BuildConfig, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    copies = copies_of(textured(PERSON), encoded)
    both = with_copies(config, copies, write_tree)
    build(both)
    add(both, [str(person_of(config))])
    (stone,) = read_tombstones(both.takedown).stones
    assert {hashlib.sha256(data).hexdigest() for data in copies.values()} <= {*stone.sha256}


def test_a_duplicate_does_not_take_the_place_of_what_was_taken_down(
    config: BuildConfig, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    # Named by its exact bytes alone, from a workspace that knows it: the copy goes all the same.
    both = with_copies(config, {"happy/mirrored.png": encoded(textured(0)[:, ::-1])}, write_tree)
    assert reasons(build(both)) in (
        {"copies/happy/mirrored.png": "duplicate"},
        {"faces/happy/0.png": "duplicate"},
    )
    add(both, [hashlib.sha256(person_of(config).read_bytes()).hexdigest()])
    assert reasons(build(both)) == {
        "copies/happy/mirrored.png": "taken_down",
        "faces/happy/0.png": "taken_down",
    }


# Hashes and addresses -----------------------------------------------------------------------------


def test_the_hash_of_a_published_crop_takes_its_copies_down_too(
    built_once: BuildConfig, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    config = built_once
    row = next(
        row
        for path in (config.out / "data").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
        if row["source_id"] == "happy/0.png"
    )
    (added,) = add(config, [row["sha256"].upper()])
    assert (added.new, added.records) == (True, ["faces/happy/0.png"])
    assert added.pictures > 0
    both = with_copies(config, copies_of(textured(PERSON), encoded), write_tree)
    assert build(both).rejected == {"taken_down": 2 * len(EDITS)}


def test_a_hash_that_nobody_knows_stands_for_its_exact_bytes(
    config: BuildConfig, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    copies = {"happy/itself.png": encoded(textured(77)), "sad/other.png": encoded(textured(78))}
    (added,) = add(config, [hashlib.sha256(copies["happy/itself.png"]).hexdigest()])
    assert (added.pictures, added.records) == (0, [])
    assert reasons(build(with_copies(config, copies, write_tree))) == {
        "copies/happy/itself.png": "taken_down"
    }


def test_a_record_takes_the_same_down_as_its_file(
    built_once: BuildConfig, config: BuildConfig
) -> None:
    # A reader of the card knows source and source_id, and has neither file nor hash.
    (added,) = add(built_once, ["faces/happy/0.png"])
    by_record = read_tombstones(built_once.takedown)
    assert (added.new, added.records) == (True, ["faces/happy/0.png"])
    (again,) = add(built_once, [str(person_of(config))])
    assert not again.new
    assert read_tombstones(built_once.takedown) == by_record
    with pytest.raises(MissingError, match=r"faces/happy/999.png: .* or a record of the workspace"):
        add(built_once, ["faces/happy/999.png"])


def test_a_record_whose_picture_came_to_nothing_is_known_by_its_bytes(config: BuildConfig) -> None:
    with open_workspace(config.workspace) as workspace:
        workspace.catalog.put_records([Record("s/1", "s", "1", Facts(), "ab" * 32)])
    (added,) = add(config, ["s/1"])
    assert added.pictures == 0
    assert read_tombstones(config.takedown).files.keys() == {"ab" * 32}


def put_web(workspace: Workspace, sha256: str, url: str, page: str = "") -> None:
    """Put a web record that has come through all stages before takedown."""
    facts = Facts(evidence={"url": url, "page": page})
    workspace.catalog.put_records([Record(f"web/{sha256}", "web", "1", facts, sha256)])
    words = {"views64": "0" * 16 * 36, "views256": "0" * 64 * 36}
    values = {"faces": {"crop": sha256}, "hashes": words}
    for stage in AFTER:
        workspace.catalog.put_results(stage, [Result(sha256, values.get(stage, {}))])


@pytest.mark.parametrize(
    "asked",
    [
        "https://Example.org/a b.jpg#face",
        "https://example.org/a%20b.jpg",
        "https://example.org/page",
    ],
)
def test_an_address_takes_down_what_came_from_it(tmp_path: Path, asked: str) -> None:
    config = BuildConfig(
        (SourceConfig("synthetic", "s", {}),), takedown=tmp_path / "t", workspace=tmp_path / "none"
    )
    add(config, [asked])
    tombstones = read_tombstones(config.takedown)
    assert "example" not in config.takedown.read_text(encoding="utf-8").lower()
    with open_workspace(tmp_path / "workspace") as workspace:
        put_web(workspace, "aa", "https://example.org/a b.jpg", "https://example.org/page")
        put_web(workspace, "bb", "https://example.org/b.jpg", "https://example.org/another")
        results = list(find_taken_down(workspace, "", tombstones))
        assert named_by(workspace, tombstones) == ["web/aa"]
    assert [(r.image, r.reject and r.reject.detail) for r in results] == [
        ("aa", "the same address"),
        ("bb", None),
    ]


def test_the_same_bytes_go_whichever_record_holds_them(config: BuildConfig) -> None:
    add(config, ["https://example.org/a.jpg"])
    with open_workspace(config.workspace) as workspace:
        put_web(workspace, "aa", "https://example.org/else.jpg")
        put_web(workspace, "aa.photograph", "https://example.org/a.jpg")
        put_web(workspace, "bb", "https://example.org/b.jpg")
        tombstones = read_tombstones(config.takedown)
        found = list(find_taken_down(workspace, "", tombstones))
        told = named_by(workspace, tombstones)
        checked = check_workspace(workspace, tombstones)
    assert [r.reject is not None for r in found] == [True, True, False]
    assert told == [one.where for one in checked] == ["web/aa", "web/aa.photograph"]


# The file -----------------------------------------------------------------------------------------


def test_adding_again_changes_nothing(built_once: BuildConfig) -> None:
    config = built_once
    add(config, [str(person_of(config))], "person")
    first = config.takedown.read_bytes()
    (again,) = add(config, [str(person_of(config))], "again")
    assert not again.new
    assert config.takedown.read_bytes() == first
    assert len(first.splitlines()) == 1


def test_hashes_of_another_version_are_kept_and_bytes_and_addresses_still_count(
    built_once: BuildConfig, caplog: pytest.LogCaptureFixture
) -> None:
    config = built_once
    add(config, [str(person_of(config))])
    told = json.loads(config.takedown.read_text(encoding="utf-8"))
    told |= {"hashes": "0", "pictures": [["ab" * 8, "cd" * 32]]}
    config.takedown.write_text(json.dumps(told) + "\n", encoding="utf-8")
    tombstones = read_tombstones(config.takedown)
    assert "1 tombstones hold the hashes of another version" in caplog.text
    assert len(tombstones.views) == 0
    (added,) = add(config, ["ab" * 32])  # writes the file anew
    assert added.new
    assert json.loads(config.takedown.read_text(encoding="utf-8").splitlines()[0]) == told
    assert reasons(build(config)) == {"faces/happy/0.png": "taken_down"}


def test_a_tombstone_stands_for_no_look_by_another_version(tmp_path: Path) -> None:
    pictures = (("ab" * 8, "cd" * 32),)
    old = Tombstone(("ab" * 32,), pictures=pictures, hashes="0")
    new = dataclasses.replace(old, hashes="1")
    assert Tombstones((old,)).missing([new]) == [new]
    assert Tombstones((old,)).missing([dataclasses.replace(new, pictures=())]) == []
    assert Tombstones((old,)).missing([old]) == []


def test_a_file_that_an_editor_has_marked_as_utf_8_is_read(tmp_path: Path) -> None:
    path = tmp_path / TAKEDOWN_NAME
    path.write_text(Tombstone(("ab" * 32,)).to_line(), encoding="utf-8-sig")
    assert read_tombstones(path).files.keys() == {"ab" * 32}


def test_of_several_all_are_added_or_none(config: BuildConfig, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no picture", encoding="utf-8")
    for wrong, error in (("nowhere.jpg", MissingError), (str(text), UsageError)):
        with pytest.raises(error, match="expected a picture, a sha256 of 64 hex digits, an addr"):
            add(config, [str(person_of(config)), "ab" * 32, wrong])
        assert not config.takedown.exists()
    assert len(add(config, [str(person_of(config)), "ab" * 32])) == 2
    assert len(read_tombstones(config.takedown)) == 2


def test_a_line_that_is_deleted_brings_its_sample_back(
    built_once: BuildConfig, caplog: pytest.LogCaptureFixture
) -> None:
    config = built_once
    add(config, [str(person_of(config))])
    add(config, [str(person_of(config).with_name("3.png"))])
    assert build(config).rejected == {"taken_down": 2}
    _, second = config.takedown.read_text(encoding="utf-8").splitlines(keepends=True)
    config.takedown.write_text(second, encoding="utf-8")
    assert set(reasons(build(config))) == {"faces/happy/3.png"}
    assert f"takedown: 1 tombstones of {config.out} are not in" in caplog.text
    config.takedown.unlink()
    assert build(config).published == PICTURES
    assert not (config.out / TAKEDOWN_NAME).exists()


def test_a_new_tombstone_has_nothing_measured_again(built_once: BuildConfig) -> None:
    config = built_once
    assert not any(build(config).worked_on.values())
    add(config, ["ab" * 32])
    work = build(config).worked_on
    assert [stage for stage, count in work.items() if count] == ["takedown", "publish"]
    add(config, [str(person_of(config))])
    work = build(config).worked_on
    assert not any(work[stage] for stage in ("gather", *AFTER))
    assert not any(build(config).worked_on.values())


def test_tombstones_outlive_the_workspace_and_hold_no_place(built_once: BuildConfig) -> None:
    config = built_once
    add(config, [str(person_of(config))], "person")
    shutil.rmtree(config.workspace)
    shutil.rmtree(config.out)
    assert set(reasons(build(config))) == {"faces/happy/0.png"}
    line = json.loads(config.takedown.read_text(encoding="utf-8"))
    assert set(line) == {"sha256", "pictures", "hashes", "added", "reason"}


def test_tombstones_lie_beside_the_config_wherever_one_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "project/occlufer.toml"
    place.parent.mkdir()
    place.write_text('[[sources]]\nkind = "synthetic"\n', encoding="utf-8")
    assert load_config(place).takedown == place.parent / "takedown.jsonl"


def test_tombstones_in_the_folder_that_builds_replace_are_refused(config: BuildConfig) -> None:
    inside = dataclasses.replace(config, takedown=config.out / "mine.jsonl")
    for work in (lambda: build(inside), lambda: add(inside, ["ab" * 32])):
        with pytest.raises(UsageError, match="which every build replaces; expected a place apart"):
            work()
    assert not config.out.exists()


# The stage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["come", "go", "another address"])
def test_following_ends_where_all_would(tmp_path: Path, change: str) -> None:
    config = BuildConfig((SourceConfig("synthetic", "s", {}),), takedown=tmp_path / "t")
    add(config, ["https://example.org/taken.jpg"])
    tombstones = read_tombstones(config.takedown)
    whole_runs = []

    def whole(workspace: Workspace, state: str) -> list[Result]:
        whole_runs.append(state)
        return list(find_taken_down(workspace, state, tombstones))

    def update(workspace: Workspace, changes: Changes) -> Any:
        return follow(workspace, changes, tombstones)

    stage = FollowingStage("takedown", AFTER, {}, whole, update)
    with open_workspace(tmp_path / "workspace") as workspace:
        put_web(workspace, "aa", "https://example.org/taken.jpg")
        put_web(workspace, "bb", "https://example.org/other.jpg")
        run_stage(stage, workspace)
        if change == "come":
            put_web(workspace, "cc", "https://example.org/taken.jpg")
            put_web(workspace, "bb.photograph", "https://example.org/taken.jpg")
        elif change == "go":
            workspace.catalog.forget_records(["web/aa"])
        else:
            put_web(workspace, "aa", "https://example.org/free.jpg")
        assert run_stage(stage, workspace) >= (change != "go")
        known = list(workspace.catalog.results("takedown"))
        assert known == list(find_taken_down(workspace, "", tombstones))
    assert len(whole_runs) == 1
    rejected = {result.image for result in known if result.reject}
    expected = {"come": {"aa", "bb", "bb.photograph", "cc"}, "go": set(), "another address": set()}
    assert rejected == expected[change]


def test_nobody_is_asked_to_label_what_was_taken_down(built_once: BuildConfig) -> None:
    config = built_once
    with open_workspace(config.workspace) as workspace:
        before = wanted_images(workspace, config)
    add(config, [str(person_of(config))])
    build(config)
    with open_workspace(config.workspace) as workspace:
        after = wanted_images(workspace, config)
    assert set(before) - set(after) == {hashlib.sha256(person_of(config).read_bytes()).hexdigest()}
    assert len(after) == PICTURES - 1


def test_no_evaluation_subset_holds_what_was_taken_down(workspace: Workspace) -> None:
    lines = [Line(number, f"test_000{number}") for number in (1, 2)]
    one = OcclusionList("raf_db_occlu", "list.txt", "00", read_lines(lines, FORMS["raf_db_occlu"]))
    for number, image in enumerate(("aa", "bb"), start=1):
        facts = Facts((Vote("source:raf", "anger"),), source_name=f"test_000{number}")
        workspace.catalog.put_records([Record(f"raf/{image}", "raf", "1", facts, image)])
        for stage in stages_before("dedup"):
            reject = Reject(TAKEN_DOWN) if (stage, image) == ("takedown", "aa") else None
            workspace.catalog.put_results(stage, [Result(image, {}, reject)])
    results = list(match_lists(workspace, (one,), {"raf": "raf_db"}))
    workspace.catalog.replace_results("lists", results, "any")
    assert {k: [s.image for s in v] for k, v in subset_samples(workspace).items()} == {
        "raf_db_occlu": ["bb"]
    }


# The published folder -----------------------------------------------------------------------------


@pytest.fixture
def taken(built_once: BuildConfig) -> BuildConfig:
    """A build with two tombstones, one of which names nothing in it."""
    config = built_once
    add(config, [str(person_of(config)), "https://example.org/x.jpg"], "person")
    build(config)
    return config


def test_the_published_folder_carries_the_hashes_alone(taken: BuildConfig) -> None:
    lock = json.loads((taken.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    text = (taken.out / TAKEDOWN_NAME).read_text(encoding="utf-8")
    assert lock["files"][TAKEDOWN_NAME] == hashlib.sha256(text.encode()).hexdigest()
    assert lock["config"]["takedown"]["tombstones"] == 2
    assert "person" not in text
    assert "added" not in text
    published = read_tombstones(taken.out / TAKEDOWN_NAME)
    ours = read_tombstones(taken.takedown)
    assert published.digest() == ours.digest()
    assert ours.missing(published.stones) == published.missing(ours.stones) == []
    for name in ("README.md", "DATASHEET.md"):
        words = " ".join((taken.out / name).read_text(encoding="utf-8").split())
        assert "Pictures that were taken down: 2." in words
    assert verify(taken.out, workers=1).faults == []


def test_what_is_uploaded_carries_them_too(taken: BuildConfig) -> None:
    copy = public_copy(taken.out)
    assert TAKEDOWN_NAME in copy.lock.files
    assert verify(copy.folder, workers=1).faults == []


def test_without_a_tombstone_nothing_is_said_of_any(built_once: BuildConfig) -> None:
    config = built_once
    assert not (config.out / TAKEDOWN_NAME).exists()
    assert "takedown" not in (config.out / "occlu_fer.lock").read_text(encoding="utf-8")
    assert "taken down" not in (config.out / "README.md").read_text(encoding="utf-8")


def pin(folder: Path, stones: Tombstones, told: Tombstones) -> None:
    """Put tombstones into a published folder, and into its lock that it has `told`."""
    from occlufer.builders.publishing.documents import write_documents
    from occlufer.builders.takedown import params
    from occlufer.lock import Lock

    data = "".join(stones.bare_lines()).encode()
    (folder / TAKEDOWN_NAME).write_bytes(data)
    lock = json.loads((folder / "occlu_fer.lock").read_text(encoding="utf-8"))
    lock["files"][TAKEDOWN_NAME] = hashlib.sha256(data).hexdigest()
    lock["sizes"][TAKEDOWN_NAME] = len(data)
    lock["config"]["takedown"] = params(told)
    made = Lock(**lock)
    (folder / "occlu_fer.lock").write_text(made.to_text(), encoding="utf-8")
    write_documents(folder, made)


PLANTED = {
    "its bytes": lambda picture, textured: [hashlib.sha256(picture.read_bytes()).hexdigest()],
    "its picture": lambda picture, textured: [str(picture)],
}


@pytest.mark.parametrize("name", PLANTED)
def test_verify_names_the_rows_that_a_tombstone_of_the_folder_names(
    built_once: BuildConfig, textured: Textured, name: str
) -> None:
    config = built_once
    shutil.rmtree(config.workspace)
    add(config, PLANTED[name](person_of(config), textured))
    stones = read_tombstones(config.takedown)
    pin(config.out, stones, stones)
    faults = verify(config.out, workers=1).faults
    assert {fault.what for fault in faults} == {"takedown"}
    rows = [fault.where.partition("-")[0] for fault in faults]
    assert sorted({row.partition("/")[0] for row in rows}) == ["data", "index"]
    assert len(faults) == 2


def test_verify_names_a_copy_by_its_look(
    built_once: BuildConfig, textured: Textured, encoded: Encoded, tmp_path: Path
) -> None:
    config = built_once
    shutil.rmtree(config.workspace)
    mirrored = tmp_path / "mirrored.jpg"
    mirrored.write_bytes(encoded(np.ascontiguousarray(textured(0)[8:, ::-1]), "JPEG", quality=80))
    add(config, [str(mirrored)])
    stones = read_tombstones(config.takedown)
    pin(config.out, stones, stones)
    (fault,) = verify(config.out, workers=1).faults
    assert fault.where.startswith("data/")
    assert "view" in fault.found
    assert "mirror" in fault.found


def test_verify_names_tombstones_that_are_no_more_or_none(taken: BuildConfig) -> None:
    stones = read_tombstones(taken.takedown)
    pin(taken.out, Tombstones(stones.stones[:1]), stones)
    assert [fault.what for fault in verify(taken.out, workers=1).faults] == ["takedown"]
    (taken.out / TAKEDOWN_NAME).write_text("{}\n", encoding="utf-8")
    assert "tombstones" in {fault.what for fault in verify(taken.out, workers=1).faults}


# The command --------------------------------------------------------------------------------------

Run = Callable[..., subprocess.CompletedProcess[str]]


def write_config(config: BuildConfig) -> Path:
    path = config.out.parent / "occlufer.toml"
    faces = person_of(config).parents[1]
    text = f'[[sources]]\nkind = "image_folder"\nname = "faces"\npath = "{faces}"\n'
    path.write_text(f'out = "occlu_fer"\nworkspace = "workspace"\n{text}', encoding="utf-8")
    return path


def test_the_command_adds_checks_and_fails_for_a_folder_that_holds_one(
    built_once: BuildConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    config = built_once
    path = str(write_config(config))
    assert cli.main(["takedown", "check", "--config", path, "--data", str(config.out)]) == 0
    capsys.readouterr()
    what = str(person_of(config))
    assert cli.main(["takedown", "add", what, "--config", path, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["added"][0]["records"] == ["faces/happy/0.png"]
    assert cli.main(["takedown", "check", "--config", path]) == 0
    assert "faces/happy/0.png: the same file" in capsys.readouterr().out
    status = cli.main(["takedown", "check", "--config", path, "--data", str(config.out), "--json"])
    out, err = capsys.readouterr()
    assert status == 4
    assert {row["where"].partition("/")[0] for row in json.loads(out)["found"]} == {"data", "index"}
    assert "found 2 rows that were taken down, expected none" in err
    build(load_config(Path(path)))
    assert cli.main(["takedown", "check", "--config", path, "--data", str(config.out)]) == 0


def test_the_command_says_what_it_cannot_find(
    config: BuildConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write_config(config))
    assert cli.main(["takedown", "add", "ab" * 32, "--config", path]) == 0
    assert "by its exact bytes or address alone" in capsys.readouterr().out
    assert cli.main(["takedown", "add", "x", "--reason", "two words", "--config", path]) == 2
    assert "--reason: found 'two words', expected one word" in capsys.readouterr().err
    assert cli.main(["takedown", "check", "--config", path]) == 3
    assert cli.main(["takedown", "check", "--config", path, "--data", "nowhere"]) == 3


def test_what_a_folder_carries_is_checked_without_a_config_of_ones_own(taken: BuildConfig) -> None:
    assert check_folder(taken.out, Tombstones(), workers=1) == []
    with open_workspace(taken.workspace) as workspace:
        found = check_workspace(workspace, read_tombstones(taken.out / TAKEDOWN_NAME))
    assert [one.where for one in found] == ["faces/happy/0.png"]
