"""A workspace's images at an address, and sources that lie at one."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from faults import outcome
from numpy.typing import NDArray

from occlufer.build import build, check
from occlufer.builders.gather import gather
from occlufer.builders.sources.mirror import local_copy, mirror_folder
from occlufer.config import BuildConfig, SourceConfig
from occlufer.config_file import load_config
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.images import DamagedImageError
from occlufer.remote_images import RemoteImages
from occlufer.workspace import held, open_workspace

Pixels = NDArray[np.uint8]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An address of an object store that several processes see."""
    return (tmp_path / "bucket").as_uri()


# Images -------------------------------------------------------------------------------------------


def test_an_image_is_kept_once_by_its_content_and_read_back(url: str) -> None:
    store = RemoteImages(url)
    name = store.put(b"a picture")
    assert name == hashlib.sha256(b"a picture").hexdigest() == store.put(b"a picture")
    assert (store.get(name), store.has(name), store.size(name)) == (b"a picture", True, 9)
    files = [path for path in Path(url.removeprefix("file://")).rglob("*") if path.is_file()]
    assert [path.relative_to(path.parents[1]).as_posix() for path in files] == [
        f"{name[:2]}/{name}"
    ]


@pytest.mark.parametrize("state", ["missing", "damaged"])
def test_what_is_gone_or_damaged_there_is_said_and_can_be_put_anew(url: str, state: str) -> None:
    store = RemoteImages(url)
    name = store.put(b"a picture")
    path = Path(url.removeprefix("file://")) / name[:2] / name
    if state == "missing":
        path.unlink()
    else:
        path.write_bytes(b"a pictura")
    with pytest.raises(DamagedImageError, match=f"the stored image is {state}"):
        store.get(name)
    assert not store.has(name)
    with pytest.raises(DamagedImageError, match="the stored image is missing"):
        store.size(name)
    assert store.get(store.put(b"a picture")) == b"a picture"


def test_what_a_store_refuses_is_one_line_that_names_the_address(tmp_path: Path) -> None:
    (tmp_path / "bucket").write_text("a file in the way")
    store = RemoteImages((tmp_path / "bucket").as_uri())
    with pytest.raises(OccluferError, match=r"image_store = file://.*: found no way to write") as e:
        store.put(b"a picture")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("url", "error"), [("nowhere://bucket", UsageError), ("s3://bucket", MissingError)]
)
def test_an_address_that_nothing_here_can_read_is_said_so(url: str, error: type) -> None:
    if url.startswith("s3"):
        pytest.importorskip("fsspec")
        try:
            import s3fs  # type: ignore[import-not-found]  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("s3fs is installed")
    with pytest.raises(error, match=f"image_store = '{url}'"):
        RemoteImages(url)


def test_a_build_with_images_at_an_address_has_the_bytes_of_one_without(
    tmp_path: Path, url: str
) -> None:
    source = SourceConfig("synthetic", "synthetic", {"count": 16, "seed": 5})
    for name, store in (("here", ""), ("there", url)):
        folder = tmp_path / name
        build(BuildConfig((source,), folder / "occlu_fer", folder / "workspace", image_store=store))
    assert outcome(tmp_path / "there", "workspace") == outcome(tmp_path / "here", "workspace")
    assert not (tmp_path / "there/workspace/images").exists()
    # Whoever opens the workspace later need not be told where they are.
    with open_workspace(tmp_path / "there/workspace") as workspace:
        image = workspace.catalog.images_passing(("faces",))[0]
        assert hashlib.sha256(workspace.images.get(image)).hexdigest() == image[:64]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_images_stay_where_they_are(tmp_path: Path, url: str, elsewhere: bool) -> None:
    before = f"{url}_of_before" if elsewhere else ""
    folder = tmp_path / "workspace"
    with open_workspace(folder, images=before) as workspace:
        if not before:
            workspace.images.put(b"a picture")
    place = before or str(folder / "images")
    with (
        pytest.raises(UsageError, match=f"found the images of this workspace at {place}"),
        open_workspace(folder, images=url),
    ):
        pass


# Sources ------------------------------------------------------------------------------------------


class Bucket:
    """A folder of an object store in this process."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.url = f"memory://{secrets.token_hex(8)}/faces"
        self.system, self.root = fsspec.core.url_to_fs(self.url)
        for name, data in files.items():
            self.put(name, data)

    def put(self, name: str, data: bytes) -> None:
        self.system.pipe_file(f"{self.root}/{name}", data)

    def get(self, name: str) -> bytes:
        found: bytes = self.system.cat_file(f"{self.root}/{name}")
        return found

    def remove(self, name: str) -> None:
        self.system.rm_file(f"{self.root}/{name}")


@pytest.fixture
def faces(textured: Callable[..., Pixels], encoded: Callable[..., bytes]) -> Bucket:
    return Bucket({f"{('fear', 'anger')[i % 2]}/{i}.png": encoded(textured(i)) for i in range(6)})


def names(copy: Path) -> set[str]:
    return {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}


def records(workspace_folder: Path, source: SourceConfig) -> tuple[int, dict[str, str]]:
    with open_workspace(workspace_folder) as workspace:
        count = gather((source,), workspace, 1)
        return count, {record.id: str(record.image) for record in workspace.catalog.records()}


def test_a_source_at_an_address_has_the_records_of_a_folder(tmp_path: Path, faces: Bucket) -> None:
    for name in ("fear/0.png", "fear/2.png", "fear/4.png", "anger/1.png", "anger/3.png"):
        (tmp_path / "f" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "f" / name).write_bytes(faces.get(name))
    faces.remove("anger/5.png")
    there = SourceConfig("image_folder", "f", {"path": faces.url})
    here = SourceConfig("image_folder", "f", {"path": str(tmp_path / "f")})
    found = records(tmp_path / "there", there)
    assert found == records(tmp_path / "here", here)
    assert found[0] == 5
    assert records(tmp_path / "there", there)[0] == 0, "nothing is new"


def test_what_changes_there_is_copied_and_nothing_else(faces: Bucket) -> None:
    copy = local_copy(faces.url, "source f")
    before = {name: (copy / name).stat().st_ino for name in names(copy)}
    faces.put("fear/0.png", faces.get("fear/2.png"))
    faces.remove("anger/1.png")
    faces.put("anger/9.png", faces.get("anger/3.png"))
    assert local_copy(faces.url, "source f") == copy
    after = {name: (copy / name).stat().st_ino for name in names(copy)}
    kept = {"fear/2.png", "fear/4.png", "anger/3.png", "anger/5.png"}
    assert {*after} == kept | {"fear/0.png", "anger/9.png"}
    assert {name for name in before if after.get(name) == before[name]} == kept
    for name in after:
        assert (copy / name).read_bytes() == faces.get(name)


def test_what_has_no_stamp_is_copied_each_time(
    faces: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = type(faces.system).find

    def without_times(self: Any, *arguments: Any, **more: Any) -> Any:
        found = find(self, *arguments, **more)
        return {path: {"size": None, "type": "file"} for path in found}

    monkeypatch.setattr(type(faces.system), "find", without_times)
    copy = local_copy(faces.url, "source f")
    same_size = bytes(len(faces.get("fear/0.png")))
    faces.put("fear/0.png", same_size)
    assert (local_copy(faces.url, "source f") / "fear/0.png").read_bytes() == same_size
    assert len(names(copy)) == 6
    stamps = mirror_folder(faces.url) / "stamps.jsonl"
    assert stamps.read_text(encoding="utf-8") == ""


def test_marks_of_folders_are_no_files_and_links_are_left_out(
    faces: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    find = type(faces.system).find

    def as_stores_say(self: Any, root: str, **more: Any) -> Any:
        marks = {
            f"{root}/": {"size": 0, "type": "file", "ETag": "a"},
            f"{root}/fear/": {"size": 0, "type": "file", "ETag": "b"},
            f"{root}/anger": {"size": 0, "type": "file", "ETag": "c"},
            f"{root}/surprise": {"size": 0, "type": "directory"},
            f"{root}/fear/passwd.png": {"size": 9, "type": "link"},
        }
        return marks | find(self, root, **more)

    monkeypatch.setattr(type(faces.system), "find", as_stores_say)
    assert len(names(local_copy(faces.url, "source f"))) == 6
    assert "no files and left out, e.g." in caplog.text


KILLED = """
import os, sys
import fsspec
from occlufer.builders.sources import mirror

files = fsspec.filesystem("memory")
for i in range(40):
    files.pipe_file(f"/store/faces/fear/{i}.png", b"picture %d" % i)
for info in files.store.values():
    from datetime import datetime, timezone
    info.created = info.modified = datetime(2026, 1, 1, tzinfo=timezone.utc)
if sys.argv[1] == "again":
    files.rm_file("/store/faces/fear/3.png")
fetched = 0
get = type(files).get_file

def counted(*arguments, **more):
    global fetched
    fetched += 1
    if sys.argv[1] == "killed" and fetched == 30:
        os._exit(9)
    return get(*arguments, **more)

type(files).get_file = counted
mirror.FILES_AT_ONCE = 1
copy = mirror.local_copy("memory://store/faces", "source f")
print(fetched, len(list(copy.rglob("*.png"))), (copy / "fear/3.png").exists())
"""


def test_a_copy_that_was_killed_goes_on_and_keeps_nothing_that_is_gone() -> None:
    command = [sys.executable, "-c", KILLED]
    assert subprocess.run([*command, "killed"], check=False, timeout=120).returncode == 9
    done = subprocess.run(
        [*command, "again"], check=True, timeout=120, capture_output=True, text=True
    )
    assert done.stdout.split() == ["11", "39", "False"]


def test_a_store_that_breaks_off_is_said_to_have_and_the_next_call_goes_on(
    faces: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(faces.system)
    get = kind.get_file

    def failing(self: Any, path: str, *arguments: Any, **more: Any) -> Any:
        if path.endswith("5.png"):
            raise ConnectionResetError("reset by the store")
        return get(self, path, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(kind, "get_file", failing)
        said = r"source f, memory://.*: found no way to copy it \(reset .*run the same command"
        with pytest.raises(MissingError, match=said):
            local_copy(faces.url, "source f")
    assert len(names(local_copy(faces.url, "source f"))) == 6


@pytest.mark.parametrize("name", ["../../evil.png", "fear/../../../evil.png", "a//evil.png"])
def test_a_name_that_leads_out_of_the_copy_is_refused(
    tmp_path: Path, faces: Bucket, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def hostile(self: object, root: str, **more: object) -> dict[str, object]:
        return {f"{root}/{name}": {"size": 3, "type": "file"}, f"{root}/b.png": {"size": 3}}

    monkeypatch.setattr(type(faces.system), "find", hostile)
    with pytest.raises(UsageError, match=r"evil\.png', which leads out of it"):
        local_copy(faces.url, "source f")
    assert not [*tmp_path.rglob("evil.png")]


def test_one_file_at_an_address_is_a_path_of_its_name() -> None:
    bucket = Bucket({"rows.csv": b"a,b\n"})
    copy = local_copy(f"{bucket.url}/rows.csv", "source t")
    assert (copy.name, copy.read_bytes()) == ("rows.csv", b"a,b\n")


def test_two_builds_do_not_copy_one_source_at_once(faces: Bucket) -> None:
    folder = mirror_folder(faces.url)
    folder.mkdir(parents=True)
    with (
        held(folder / "lock", "the other holds it"),
        pytest.raises(UsageError, match=rf"another build \(process {os.getpid()}\) copies"),
    ):
        local_copy(faces.url, "source f")


def test_what_is_on_this_machine_is_read_where_it_lies(tmp_path: Path) -> None:
    assert local_copy(tmp_path.as_uri(), "source f") == tmp_path


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("memory://nothing/here", MissingError, "found nothing there"),
        ("file:///nothing/here", MissingError, "no such folder"),
        ("nowhere://bucket", UsageError, "nowhere"),
    ],
)
def test_what_is_not_there_ends_the_build_before_it_begins(
    tmp_path: Path, url: str, error: type[OccluferError], said: str
) -> None:
    config = tmp_path / "occlufer.toml"
    config.write_text(f'[[sources]]\nkind = "image_folder"\npath = {json.dumps(url)}\n')
    with pytest.raises(error, match=said):
        check(load_config(config))


def test_an_address_that_is_mistyped_is_not_kept(tmp_path: Path, url: str) -> None:
    with (
        pytest.raises(UsageError, match="nowhere://bucket"),
        open_workspace(tmp_path / "workspace", images="nowhere://bucket"),
    ):
        pass
    with open_workspace(tmp_path / "workspace", images=f"{url}/") as workspace:
        name = workspace.images.put(b"a picture")
    with open_workspace(tmp_path / "workspace", images=url) as workspace:
        assert workspace.images.get(name) == b"a picture"
    with pytest.raises(ValueError, match=r"image_store: found 's3:/bucket', expected an address"):
        BuildConfig((SourceConfig("synthetic", "s", {}),), image_store="s3:/bucket")
