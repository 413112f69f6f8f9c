"""One rename puts a finished folder in the place of the former one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from occlufer.builders.publishing import swap
from occlufer.builders.publishing.swap import restore, swap_into_place

Write = Callable[[Path, Mapping[str, bytes]], Path]
Content = Callable[[Path], dict[str, bytes]]


def folders(tmp_path: Path, write_tree: Write) -> tuple[Path, Path]:
    fresh = write_tree(tmp_path / ".out.partial", {"data/new": b"new", "README.md": b"2"})
    out = write_tree(tmp_path / "out", {"data/old": b"old", "README.md": b"1"})
    return fresh, out


NEW = {"data/new": b"new", "README.md": b"2"}
OLD = {"data/old": b"old", "README.md": b"1"}


@pytest.fixture(params=["exchange", "two-renames"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "two-renames":
        monkeypatch.setattr(swap, "_exchange", lambda a, b: False)


@pytest.mark.usefixtures("_way")
def test_the_new_folder_takes_the_place_of_the_former_one(
    tmp_path: Path, write_tree: Write, content: Content
) -> None:
    swap_into_place(*folders(tmp_path, write_tree))
    assert content(tmp_path / "out") == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.usefixtures("_way")
def test_the_first_folder_needs_no_former_one(
    tmp_path: Path, write_tree: Write, content: Content
) -> None:
    fresh, out = folders(tmp_path, write_tree)
    shutil.rmtree(out)
    swap_into_place(fresh, out)
    assert content(out) == NEW
    assert not fresh.exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="renameat2 is Linux's")
def test_exchange_is_one_step_on_linux(tmp_path: Path, write_tree: Write, content: Content) -> None:
    fresh, out = folders(tmp_path, write_tree)
    assert swap._exchange(fresh, out)
    assert (content(out), content(fresh)) == (NEW, OLD)


@pytest.mark.parametrize("stop", ["between-the-renames", "before-the-clearing"])
def test_a_kill_between_two_renames_is_mended(
    tmp_path: Path, write_tree: Write, monkeypatch: pytest.MonkeyPatch, stop: str, content: Content
) -> None:
    monkeypatch.setattr(swap, "_exchange", lambda a, b: False)
    renames = 0

    def rename(self: Path, target: Path) -> None:
        nonlocal renames
        renames += 1
        if renames == 2 and stop == "between-the-renames":
            raise KeyboardInterrupt
        os.rename(self, target)  # noqa: PTH104

    def rmtree(path: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise KeyboardInterrupt

    fresh, out = folders(tmp_path, write_tree)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        patch.setattr(shutil, "rmtree", rmtree)
        with pytest.raises(KeyboardInterrupt):
            swap_into_place(fresh, out)
    restore(out)
    assert content(out) == (OLD if stop == "between-the-renames" else NEW)
    again = write_tree(tmp_path / ".out.partial", NEW)
    swap_into_place(again, out)
    assert content(out) == NEW
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_restoring_changes_nothing_where_nothing_is_amiss(
    tmp_path: Path, write_tree: Write, content: Content
) -> None:
    _, out = folders(tmp_path, write_tree)
    restore(out)
    restore(tmp_path / "none")
    assert content(out) == OLD
    assert not (tmp_path / "none").exists()
