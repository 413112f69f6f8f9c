"""A clock that goes back, leaps or runs wild: nothing is computed wrongly, anew or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from faults import FULL, outcome
from forked import Ended, Forks, Within, forks
from numpy.typing import NDArray

DAY_S = 24 * 3600
YEARS_S = 3652 * DAY_S
CLOCKS = {"a-day-back": [-DAY_S], "ten-years-on": [YEARS_S], "wild": [-DAY_S, YEARS_S, 0]}
CONFIG = """workers = 2
[[sources]]
kind = "image_folder"
path = "faces"
"""

Faces = Callable[[int], dict[str, bytes]]


@pytest.fixture(scope="module")
def forked() -> Iterator[Forks]:
    with forks() as started:
        yield started


@pytest.fixture(scope="module")
def faces(
    textured: Callable[..., NDArray[np.uint8]], encoded: Callable[..., bytes]
) -> Callable[[int], dict[str, bytes]]:
    """Twelve pictures, of which the first is one of several of the same size in bytes."""

    def make(first: int) -> dict[str, bytes]:
        names = [f"{('happy', 'sad', 'fear')[i % 3]}/{i}.bmp" for i in range(12)]
        seeds = [first, *range(1, 12)]
        return {
            name: encoded(textured(seed, 64, 64), "BMP")
            for name, seed in zip(names, seeds, strict=True)
        }

    return make


@pytest.fixture
def new_folder(
    tmp_path: Path, write_tree: Callable[[Path, Mapping[str, bytes]], Path]
) -> Callable[[str, dict[str, bytes]], Path]:
    def make(name: str, files: dict[str, bytes]) -> Path:
        folder = tmp_path / name
        write_tree(folder / "faces", files)
        (folder / "occlufer.toml").write_text(CONFIG)
        return folder

    return make


def worked(ended: Ended) -> set[str]:
    """Return the stages that had something to do."""
    assert ended.status == 0, ended.stderr
    lines = [line.split(maxsplit=1) for line in ended.stderr.splitlines()]
    return {name for name, said in lines if said != "nothing to do"}


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_build_under_another_clock_has_the_same_bytes_and_does_nothing_twice(
    forked: Forks,
    faces: Faces,
    new_folder: Callable[[str, dict[str, bytes]], Path],
    clock: str,
) -> None:
    plain, moved = new_folder("plain", faces(0)), new_folder("moved", faces(0))
    assert forked.run(plain, "build").status == 0
    killed = forked.run(
        moved, "build", within=[Within("hashes", operation=9)], clock_s=CLOCKS[clock]
    )
    assert killed.status < 0
    for path in (moved / ".occlufer").rglob("*"):  # as if written under that clock
        if path.is_file():
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime + CLOCKS[clock][0]))
    assert forked.run(moved, "build", clock_s=CLOCKS[clock]).status == 0
    assert outcome(moved) == outcome(plain)
    for again in ([0], [-YEARS_S], CLOCKS[clock]):
        assert worked(forked.run(moved, "build", clock_s=again)) == set()
        assert outcome(moved) == outcome(plain)


@pytest.mark.parametrize("shift_s", [-YEARS_S, -DAY_S, -1, 1, YEARS_S] if FULL else [-DAY_S, 1])
def test_a_file_that_changes_is_noticed_whichever_way_its_time_goes(
    forked: Forks,
    faces: Faces,
    new_folder: Callable[[str, dict[str, bytes]], Path],
    shift_s: int,
) -> None:
    folder, plain = new_folder("changed", faces(0)), new_folder("plain", faces(99))
    assert forked.run(folder, "build").status == 0
    assert forked.run(plain, "build").status == 0
    assert outcome(folder) != outcome(plain)
    path = folder / "faces/happy/0.bmp"
    before = path.stat()
    path.write_bytes(faces(99)["happy/0.bmp"])
    os.utime(path, (before.st_atime, before.st_mtime + shift_s))
    assert path.stat().st_size == before.st_size
    assert "gather" in worked(forked.run(folder, "build", clock_s=[shift_s]))
    assert outcome(folder) == outcome(plain)


def test_a_file_whose_time_alone_moves_is_read_again_and_changes_nothing(
    forked: Forks, faces: Faces, new_folder: Callable[[str, dict[str, bytes]], Path]
) -> None:
    folder = new_folder("touched", faces(0))
    assert forked.run(folder, "build").status == 0
    before = outcome(folder)
    for path in (folder / "faces").rglob("*.bmp"):
        os.utime(path, (0, path.stat().st_mtime - YEARS_S))
    assert worked(forked.run(folder, "build")) & {"faces", "parts", "occlusion", "hashes"} == set()
    assert outcome(folder) == before
