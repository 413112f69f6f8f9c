"""`occlufer dedup` finds duplicates in any folder and changes nothing in it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from occlufer.builders import folder as folder_module
from occlufer.builders.duplicates.clusters import cluster_looks
from occlufer.builders.folder import find_in_folder
from occlufer.config import DedupConfig

Pixels = NDArray[np.uint8]
Write = Callable[[Path, Mapping[str, bytes]], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(
    tmp_path: Path,
    textured: Callable[..., Pixels],
    encoded: Callable[..., bytes],
    write_tree: Write,
) -> Path:
    covered = textured(1).copy()
    covered[62:] = textured(99)[62:]
    smaller = np.asarray(Image.fromarray(textured(1)).resize((96, 96)))
    files = {
        "a/original.png": encoded(textured(1)),
        "a/same bytes.png": encoded(textured(1)),
        "b/smaller.jpg": encoded(smaller, "JPEG", quality=90),
        "b/mirrored.png": encoded(np.ascontiguousarray(smaller[:, ::-1])),
        "b/covered.png": encoded(covered),
        "other.png": encoded(textured(2)),
        "words.txt": b"words",
        "empty.jpg": b"",
    }
    return write_tree(tmp_path / "pictures", files)


def test_the_command_names_clusters_related_groups_and_rejects_by_path(
    folder: Path, run_cli: Run, content: Callable[[Path], dict[str, bytes]]
) -> None:
    before = content(folder)
    done = run_cli("dedup", folder, "--json", cwd=folder.parent)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["files"] == 8
    (star,) = found["duplicates"]
    assert star["kept"] == "a/original.png"
    rows = {row["path"]: row for row in star["dropped"]}
    assert rows.keys() == {"a/same bytes.png", "b/smaller.jpg", "b/mirrored.png"}
    assert rows["b/mirrored.png"]["view"] == "mirror"
    same = {"path": "a/same bytes.png", "view": "itself", "seen": "kept", "block_difference": 0.0}
    assert rows["a/same bytes.png"] == {**same, "phash64_bits": 0, "phash256_bits": 0}
    assert found["related"] == [["a/original.png", "b/covered.png"]]
    rejected = {row["path"]: row["reason"] for row in found["rejected"]}
    assert rejected == {"words.txt": "not_an_image", "empty.jpg": "empty_file"}
    assert content(folder) == before
    assert not list(folder.parent.glob(".occlufer"))


def test_the_command_says_it_in_words(folder: Path, run_cli: Run) -> None:
    done = run_cli("dedup", folder, cwd=folder.parent)
    lines = done.stdout.splitlines()
    assert lines[0] == "a/original.png is kept for"
    assert "  a/same bytes.png (itself: 0 of 64 bits, 0 of 256, 0.0 grey levels)" in lines
    assert "related, to be kept on one side of a split:" in lines
    assert lines[-1] == "8 files: 3 duplicates, 1 groups of related pictures, 2 no pictures"


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("nowhere", 3, "nowhere: no such folder"),
        ("pictures/other.png", 2, "found a file, expected a folder"),
        ("words", 3, "words: found no picture in 1 files"),
    ],
)
def test_a_folder_without_pictures_is_named(
    folder: Path, run_cli: Run, path: str, status: int, message: str
) -> None:
    (folder.parent / "words").mkdir()
    (folder.parent / "words/w.txt").write_text("words")
    done = run_cli("dedup", path, cwd=folder.parent)
    assert (done.returncode, done.stdout) == (status, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_names_that_are_no_utf8_are_written_out(folder: Path, run_cli: Run) -> None:
    strange = (folder / "other.png").rename(folder / os.fsdecode(b"\xff.png"))
    (folder / "copy.png").write_bytes(strange.read_bytes())
    found = json.loads(run_cli("dedup", folder, "--json", cwd=folder.parent).stdout)
    paths = [{star["kept"], *(r["path"] for r in star["dropped"])} for star in found["duplicates"]]
    assert {r"\xff.png", "copy.png"} in paths


def test_a_name_cannot_pass_for_a_line_of_the_answer(folder: Path, run_cli: Run) -> None:
    forged = "x\nother.png is kept for\x1b[2J.png"
    (folder / forged).write_bytes((folder / "other.png").read_bytes())
    said = run_cli("dedup", folder, cwd=folder.parent).stdout
    assert r"x\nother.png is kept for\x1b[2J.png" in said
    assert "\x1b" not in said
    assert not any(line.startswith("other.png is kept for\x1b") for line in said.splitlines())


def test_a_link_is_no_copy_of_the_file_that_it_leads_to(folder: Path, run_cli: Run) -> None:
    # Whoever deletes what is dropped must be left with the file.
    (folder / "0 first.png").symlink_to("other.png")
    (folder / "0 too").symlink_to("a", target_is_directory=True)
    (folder / "blob").write_bytes((folder / "other.png").read_bytes())
    found = find_in_folder(folder, DedupConfig(), workers=1)
    links = {(path, reason, detail) for path, reason, detail in found.rejected if reason == "link"}
    assert links == {
        ("0 first.png", "link", "a link to other.png"),
        ("0 too/original.png", "link", "a link to a/original.png"),
        ("0 too/same bytes.png", "link", "a link to a/same bytes.png"),
    }
    assert {"other.png", "blob"} <= {*found.paths}


def test_every_picture_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = find_in_folder(folder, DedupConfig(), workers=1)

    def clusters(looks: Any, settings: Any) -> Any:
        for path in folder.rglob("*"):
            if path.is_file():
                path.write_bytes(b"another")
        return cluster_looks(looks, settings)

    monkeypatch.setattr(folder_module, "cluster_looks", clusters)
    assert find_in_folder(folder, DedupConfig(), workers=1) == expected
    assert expected.clusters.dropped


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "mirror": lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "cut": lambda i: i.crop((i.width // 12, 0, i.width, i.height)),
    "small": lambda i: i.resize((96, 96)),
}


def test_copies_of_real_faces_fall_to_their_originals_and_only_they(
    real_data: Path, tmp_path: Path
) -> None:
    originals = sorted((real_data / "fer8" / "contempt").iterdir())
    for path in originals:
        image = Image.open(path).convert("RGB")
        image.save(tmp_path / f"{path.stem} original.png")
        for name, edit in EDITS.items():
            edit(image).save(tmp_path / f"{path.stem} {name}.jpg", quality=80)
    found = find_in_folder(tmp_path, DedupConfig())
    pairs = {
        (found.paths[i].rpartition(" ")[0], found.paths[drop.kept])
        for i, drop in found.clusters.dropped.items()
    }
    assert len(found.clusters.dropped) == len(EDITS) * len(originals)
    assert pairs == {(path.stem, f"{path.stem} original.png") for path in originals}
