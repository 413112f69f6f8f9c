"""The image store keeps bytes by their hash and notices damage."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.errors import OccluferError
from occlufer.images import ImageStore


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_the_store_is_by_content(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]
) -> None:
    store = ImageStore(tmp_path_factory.mktemp("store"))
    names = [store.put(piece) for piece in pieces]
    assert names == [hashlib.sha256(piece).hexdigest() for piece in pieces]
    assert [store.get(name) for name in names] == pieces
    files = [path for path in store.folder.rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == sorted(set(names))


def test_many_threads_may_put_the_same_bytes(tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")
    data = b"x" * 100_000
    with ThreadPoolExecutor(8) as pool:
        names = set(pool.map(store.put, [data] * 64))
    assert len(names) == 1
    assert store.get(names.pop()) == data
    assert not list(store.folder.rglob("*.part"))


@pytest.mark.parametrize("state", ["damaged", "cut", "missing"])
def test_a_spoilt_image_is_named_with_a_way_out(tmp_path: Path, state: str) -> None:
    store = ImageStore(tmp_path)
    name = store.put(b"a picture")
    if state == "missing":
        store.path(name).unlink()
    else:
        store.path(name).write_bytes(b"a pictura" if state == "damaged" else b"a pic")
    with pytest.raises(OccluferError) as caught:
        store.get(name)
    assert name in str(caught.value)
    assert ("missing" if state == "missing" else "damaged") in str(caught.value)
    assert "`occlufer build` reads it anew" in str(caught.value)
    store.put(b"a picture")
    assert store.get(name) == b"a picture"


def test_sweeping_takes_only_what_a_killed_build_left(tmp_path: Path) -> None:
    store = ImageStore(tmp_path)
    name = store.put(b"kept")
    store.path(name).with_name(f"{name}.77-1.part").write_bytes(b"ke")
    store.sweep()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]
