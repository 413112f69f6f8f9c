"""Publishing to the Hub, by the real client, against a stand-in on the loopback."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hub_server import TOKEN, Hub
from mixed import PICTURES, mixed_build

from occlufer import cli
from occlufer.build import build
from occlufer.builders.hub import public_copy, publish_folder
from occlufer.builders.takedown_add import add
from occlufer.builders.tombstones import TAKEDOWN_NAME, Tombstone, dated, write_tombstones
from occlufer.errors import GateError, MissingError, OccluferError, UsageError
from occlufer.lock import Lock

Content = Callable[[Path], dict[str, bytes]]
REPO = "someone/occlu_fer"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub to which this process's client talks, with a token that may write."""
    from huggingface_hub import constants

    started = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", started.endpoint)
    files = started.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield started
    started.stop()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Path:
    """A published folder of this test's own."""
    place = tmp_path / "occlu_fer"
    shutil.copytree(mixed_build(tmp_path_factory).out, place)
    return place


def lock_of(folder: Path) -> Lock:
    return Lock.from_text((folder / "occlu_fer.lock").read_text(encoding="utf-8"))


def test_what_is_uploaded_is_the_public_copy_private_gated_and_tagged(
    hub: Hub, folder: Path, content: Content
) -> None:
    dry = publish_folder(folder, REPO, public=False, dry_run=True)
    assert (hub.repositories, hub.log) == ({}, [])
    copy = content(Path(str(dry["folder"])))
    told = publish_folder(folder, REPO, public=False, dry_run=False)
    repository = hub.repositories[REPO]
    assert repository.files == copy
    assert (repository.private, repository.gated) == (True, "manual")
    assert repository.tags == {lock_of(folder).version: 0}
    assert (told["rows_with_pixels"], told["rows_without_pixels"]) == (PICTURES, PICTURES)
    assert told["url"] == f"{hub.endpoint}/datasets/{REPO}"
    assert told["folder"] is None
    assert [path.name for path in folder.parent.iterdir()] == ["occlu_fer"]


def test_what_was_taken_down_since_the_build_is_not_uploaded(
    hub: Hub, folder: Path, tmp_path: Path
) -> None:
    takedown = tmp_path / "takedown.jsonl"
    write_tombstones(takedown, [dated(Tombstone(("ab" * 32,)), "asked").to_line()])
    with pytest.raises(GateError, match=r"was built without 1 tombstones of .*; build again"):
        publish_folder(folder, REPO, public=False, dry_run=False, takedown=takedown)
    assert REPO not in hub.repositories
    write_tombstones(takedown, [])
    assert publish_folder(folder, REPO, public=False, dry_run=False, takedown=takedown)["url"]


def test_it_is_public_only_when_all_is_there_and_gated(hub: Hub, folder: Path) -> None:
    publish_folder(folder, REPO, public=True, dry_run=False)
    assert not hub.repositories[REPO].private
    steps = [line for line in hub.log if line.startswith(("made", "set")) or "/commit/" in line]
    assert steps == [
        "made private",
        'set {"gated": "manual"}',
        f"POST /api/datasets/{REPO}/commit/main",
        'set {"visibility": "public"}',
    ]


def test_what_cannot_be_gated_is_not_uploaded(hub: Hub, folder: Path) -> None:
    hub.refuse_gating = True
    with pytest.raises(UsageError, match=r"the Hub refused \(403\)"):
        publish_folder(folder, REPO, public=True, dry_run=False)
    assert hub.repositories[REPO].private
    assert not hub.repositories[REPO].files


def test_a_public_repository_is_not_written_unless_that_is_said(hub: Hub, folder: Path) -> None:
    publish_folder(folder, REPO, public=True, dry_run=False)
    hub.repositories[REPO].files = {}
    with pytest.raises(UsageError, match="is public; say --public"):
        publish_folder(folder, REPO, public=False, dry_run=False)
    assert hub.repositories[REPO].files == {}


def test_how_an_owner_lets_people_in_stays_as_it_is(hub: Hub, folder: Path) -> None:
    publish_folder(folder, REPO, public=False, dry_run=False)
    hub.repositories[REPO].gated = "auto"
    publish_folder(folder, REPO, public=False, dry_run=False)
    assert hub.repositories[REPO].gated == "auto"


def test_an_upload_that_broke_off_goes_on_and_sends_nothing_twice(hub: Hub, folder: Path) -> None:
    hub.refused_after = 1
    with pytest.raises(OccluferError, match="run the same command to go on") as caught:
        publish_folder(folder, REPO, public=False, dry_run=False)
    assert caught.value.exit_code == 1
    assert len(hub.uploads) == 1
    assert not hub.repositories[REPO].files  # one commit: nobody sees a half
    hub.refused_after = None
    publish_folder(folder, REPO, public=False, dry_run=False)
    assert len(hub.uploads) == len(set(hub.uploads)) == 4
    before = list(hub.uploads)
    publish_folder(folder, REPO, public=False, dry_run=False)
    assert hub.uploads == before


def test_shards_of_a_former_version_go_and_what_the_owner_put_there_stays(
    hub: Hub, folder: Path
) -> None:
    publish_folder(folder, REPO, public=False, dry_run=False)
    files = hub.repositories[REPO].files
    files |= {"data/train-00000-of-00002.parquet": b"x", "figure.png": b"y"}
    publish_folder(folder, REPO, public=False, dry_run=False)
    assert "data/train-00000-of-00002.parquet" not in hub.repositories[REPO].files
    assert hub.repositories[REPO].files["figure.png"] == b"y"


def test_without_a_token_the_message_says_how_to_get_one(
    hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(MissingError, match="hf auth login"):
        publish_folder(folder, REPO, public=False, dry_run=False)
    assert hub.repositories == {}


def test_a_hub_out_of_reach_is_one_line(hub: Hub, folder: Path) -> None:
    hub.stop()
    with pytest.raises(
        OccluferError, match=r"the upload failed: .* run the same command to go on"
    ) as caught:
        publish_folder(folder, REPO, public=False, dry_run=False)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("name", ["occlu_fer", "a/b/c", "../x", "a/", ""])
def test_a_name_that_is_none_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(UsageError, match="expected ORG/NAME"):
        publish_folder(folder, name, public=False, dry_run=True)


def test_a_folder_without_a_dataset_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.main(["publish", "--repo-id", REPO, "--data", str(tmp_path / "none")])
    assert status == 3
    assert "found no occlu_fer.lock" in capsys.readouterr().err


LOAD = f"""
import json, sys
import occlufer.loading as loading
found = loading.load_dataset("{REPO}", version=sys.argv[1] if sys.argv[1:] else None)
print(json.dumps({{s: [row["image"] is None for row in found[s]] for s in found}}))
"""


def run(command: list[str], hub: Hub, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    given = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": TOKEN, "HF_HOME": str(home)}
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **given, "HF_HUB_DISABLE_XET": "1", **more},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.slow
def test_the_command_publishes_and_others_load_the_pinned_version_once_and_then_offline(
    hub: Hub, folder: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    command = ["-m", "occlufer.cli", "publish", "--repo-id", REPO, "--data", str(folder), "--json"]
    done = run(command, hub, home)
    assert done.returncode == 0, done.stderr
    version = json.loads(done.stdout.splitlines()[-1])["version"]
    done = run(["-c", LOAD, version], hub, home)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    empty = [one for split in found.values() for one in split]
    assert (len(empty), sum(empty)) == (2 * PICTURES, PICTURES)
    before = len(hub.log)
    again = run(["-c", LOAD, version], hub, home, HF_HUB_OFFLINE="1")
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    assert len(hub.log) == before
    other = run(["-c", LOAD, "0" * 12], hub, home)
    assert "found no dataset of version 000000000000" in other.stderr


@pytest.mark.slow
def test_without_a_version_the_newest_is_loaded_or_the_last_that_was_fetched(
    hub: Hub, folder: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    publish_folder(folder, REPO, public=False, dry_run=False)
    home = tmp_path / "home"
    home.mkdir()

    def rows(**more: str) -> int:
        done = run(["-c", LOAD], hub, home, **more)
        assert done.returncode == 0, done.stderr
        return sum(map(len, json.loads(done.stdout.splitlines()[-1]).values()))

    assert rows() == 2 * PICTURES
    mixed = mixed_build(tmp_path_factory)
    shutil.copytree(mixed.workspace, tmp_path / "workspace")
    workspace, takedown = tmp_path / "workspace", tmp_path / "mine.jsonl"
    config = dataclasses.replace(mixed, out=folder, workspace=workspace, takedown=takedown)
    add(config, ["free/anger/0.png"])
    build(config)
    publish_folder(folder, REPO, public=False, dry_run=False)
    assert rows(HF_HUB_OFFLINE="1") == 2 * PICTURES
    assert rows() == 2 * PICTURES - 1
    hub.stop()
    assert rows() == 2 * PICTURES - 1


def test_tombstones_of_the_repository_are_not_lost(hub: Hub, folder: Path) -> None:
    publish_folder(folder, REPO, public=False, dry_run=False)
    stone = Tombstone(("ab" * 32,)).to_line().encode()
    hub.repositories[REPO].files[TAKEDOWN_NAME] = stone
    with pytest.raises(
        GateError, match=r"found 1 tombstones in its takedown.jsonl that the folder"
    ):
        publish_folder(folder, REPO, public=False, dry_run=False)
    assert hub.repositories[REPO].files[TAKEDOWN_NAME] == stone


def test_tombstones_beside_the_folder_count_without_a_config(hub: Hub, folder: Path) -> None:
    lines = [dated(Tombstone(("ab" * 32,)), "asked").to_line()]
    write_tombstones(folder.with_name(TAKEDOWN_NAME), lines)
    with pytest.raises(GateError, match="was built without 1 tombstones"):
        publish_folder(folder, REPO, public=False, dry_run=False)
    assert REPO not in hub.repositories


def test_a_folder_that_does_not_verify_is_not_uploaded(hub: Hub, folder: Path) -> None:
    shard = folder / "data/train-00000-of-00001.parquet"
    table = pq.read_table(shard)
    pq.write_table(table.append_column("face", pa.array([b"face"] * table.num_rows)), shard)
    told = json.loads((folder / "occlu_fer.lock").read_text(encoding="utf-8"))
    told["files"]["data/" + shard.name] = hashlib.sha256(shard.read_bytes()).hexdigest()
    told["sizes"]["data/" + shard.name] = shard.stat().st_size
    (folder / "occlu_fer.lock").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(GateError, match=r"faults, expected none; the first: .*face"):
        publish_folder(folder, REPO, public=False, dry_run=False)
    assert REPO not in hub.repositories


def without_rights(data: bytes) -> bytes:
    file = io.BytesIO()
    pq.write_table(pq.read_table(io.BytesIO(data)).drop_columns(["rights"]), file)
    return file.getvalue()


@pytest.mark.parametrize(
    "spoil",
    [lambda data: b"no Parquet", lambda data: data[: len(data) // 2], without_rights],
    ids=["no Parquet", "cut off", "without rights"],
)
def test_what_cannot_be_read_to_its_end_is_no_copy_but_a_failed_gate(
    folder: Path, spoil: Callable[[bytes], bytes]
) -> None:
    name = "data/train-00000-of-00001.parquet"
    (folder / name).write_bytes(spoil((folder / name).read_bytes()))
    told = json.loads((folder / "occlu_fer.lock").read_text(encoding="utf-8"))
    told["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "occlu_fer.lock").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(GateError, match=r"train-.*parquet: found no shard that can be read \("):
        public_copy(folder)


def test_a_lock_that_counts_other_shards_than_it_names_fails_the_gate(folder: Path) -> None:
    told = json.loads((folder / "occlu_fer.lock").read_text(encoding="utf-8"))
    told["shards"]["default"]["train"] = 2
    (folder / "occlu_fer.lock").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(GateError, match=r"shards of data/train: found 1 files, expected 2"):
        public_copy(folder)


def test_the_tag_of_a_version_is_on_the_commit_that_was_uploaded_last(
    hub: Hub, folder: Path
) -> None:
    publish_folder(folder, REPO, public=False, dry_run=False)
    publish_folder(folder, REPO, public=False, dry_run=False)
    repository = hub.repositories[REPO]
    assert repository.tags == {lock_of(folder).version: len(repository.commits) - 1}
