"""A push that was cut short, or failed, loses nothing, doubles nothing and tells no secret."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from lossy_gateway import LossyGateway
from pushing import STAGES, VARIABLE, names_on, ready, request, samples, tasks_on, told

from occlufer.annotation import push as push_module
from occlufer.annotation.push import push
from occlufer.annotation.studio import Studio, StudioError
from occlufer.annotation.template import template_text
from occlufer.build import BuildSummary
from occlufer.config import BuildConfig
from occlufer.errors import OccluferError
from occlufer.workspace import open_workspace


@pytest.fixture
def config(built: BuildSummary, built_config: BuildConfig, tmp_path: Path) -> BuildConfig:
    return ready(built_config, tmp_path)


@pytest.fixture
def remote(config: BuildConfig, studio_server: Any, monkeypatch: pytest.MonkeyPatch) -> BuildConfig:
    """The tests' server as one of the user's: it sees no file of the workspace."""
    monkeypatch.setenv(VARIABLE, studio_server.connection.token)
    return told(config, url=studio_server.connection.url)


@pytest.mark.slow
def test_a_lost_answer_to_an_import_doubles_nothing(
    remote: BuildConfig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(push_module, "SETTLE_S", 0.1)
    monkeypatch.setattr("occlufer.annotation.tasks.BATCH_TASKS", 50)
    gateway = LossyGateway(remote.annotation.url, "/import")
    with contextlib.closing(gateway):
        summary = push(told(remote, url=gateway.url))
    assert gateway.lost == 1
    assert "looking what has arrived" in caplog.text
    assert (summary.removed, summary.doubled) == (0, ())  # not sent twice and then mended
    assert names_on(remote, summary.project) == Counter(samples(remote))


@pytest.mark.slow
def test_an_import_that_lands_late_is_found_and_removed(
    remote: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_before = Studio.import_tasks
    late: list[Any] = []

    def import_twice(self: Studio, project: int, tasks: Any) -> Any:
        if not late:  # what a push that was killed has left with the server
            late.extend(tasks[:5])
            push_before(self, project, late)
        return push_before(self, project, tasks)

    monkeypatch.setattr(Studio, "import_tasks", import_twice)
    summary = push(remote)
    assert (summary.removed, len(summary.doubled)) == (5, 5)
    assert names_on(remote, summary.project) == Counter(samples(remote))


# Each kills the process of a push at another moment: {name: what is done before}.
KILLS = {
    "project-made-not-noted": "kill_after(Studio, 'create_project', 1)",
    "before-a-batch": "kill_before(Studio, 'import_tasks', 2)",
    "after-a-batch": "kill_after(Studio, 'import_tasks', 2)",
    "all-is-there": "kill_after(Studio, 'import_tasks', 3)",
}
KILLED_PUSH = """
import dataclasses, os, pickle, signal, sys
from occlufer.annotation import tasks
from occlufer.annotation.push import push
from occlufer.annotation.studio import Studio

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def counted(cls, name, count, before):
    real, calls = getattr(cls, name), []
    def method(*arguments, **named):
        calls.append(1)
        if before and len(calls) == count:
            kill()
        result = real(*arguments, **named)
        if len(calls) == count:
            kill()
        return result
    setattr(cls, name, method)

def kill_before(cls, name, count): counted(cls, name, count, True)
def kill_after(cls, name, count): counted(cls, name, count, False)

tasks.BATCH_TASKS = 50
config = pickle.load(sys.stdin.buffer)
exec(sys.argv[1])
push(config)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", KILLS)
def test_a_push_that_is_killed_goes_on_where_it_stopped(
    remote: BuildConfig, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = samples(remote)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_PUSH, KILLS[moment]],
        input=pickle.dumps(remote),
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    newer = template_text().replace("How sure are you", "Sure")  # and there is a new release
    monkeypatch.setattr("occlufer.annotation.round_project.template_text", lambda: newer)
    summary = push(remote)
    assert names_on(remote, summary.project) == Counter(wanted)
    assert request(remote, "GET", f"/api/projects/{summary.project}/")["label_config"] == newer
    assert summary.there + summary.new == len(wanted)
    expected = {"project-made-not-noted": 0, "before-a-batch": 50, "after-a-batch": 100}
    assert summary.there == expected.get(moment, len(wanted))
    with open_workspace(remote.workspace) as workspace:
        mark = (workspace.folder / "workspace_id").read_text()
    found = request(remote, "GET", "/api/projects/?page_size=1000&include=id,description")
    assert [p["id"] for p in found["results"] if mark in p["description"]] == [summary.project]


@pytest.mark.slow
def test_a_crop_that_is_gone_is_said_to_be_and_read_anew_by_the_next_build(
    remote: BuildConfig,
) -> None:
    with open_workspace(remote.workspace) as workspace:
        image = workspace.catalog.images_passing(STAGES)[5]
        crop = workspace.catalog.value("faces", image)["crop"]
        (workspace.folder / "images" / crop[:2] / crop).unlink()
    with pytest.raises(OccluferError, match=r"missing.*`occlufer build`, then push again"):
        push(remote)
    with open_workspace(remote.workspace) as workspace:
        assert image not in workspace.catalog.images_passing(STAGES)


@pytest.mark.slow
def test_nothing_that_a_failed_push_says_holds_the_token(
    remote: BuildConfig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("DEBUG")
    push(remote)
    token = os.environ[VARIABLE]
    monkeypatch.setenv(VARIABLE, token[:-1] + ("0" if token[-1] != "0" else "1"))
    with pytest.raises(StudioError, match="status 401") as caught:
        push(remote)
    for secret in (token, os.environ[VARIABLE]):
        assert secret not in caplog.text
        assert secret not in str(caught.value)
        for path in remote.workspace.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


@pytest.fixture
def embedded(config: BuildConfig, label_studio: Path) -> Any:
    from occlufer.annotation.server.server import start, stop

    yield start(config.workspace)
    stop(config.workspace)


@pytest.mark.slow
def test_the_embedded_server_shows_the_crops_where_they_lie(
    config: BuildConfig, embedded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = push(config)
    monkeypatch.setenv(VARIABLE, embedded.connection.token)
    here = told(config, url=embedded.connection.url)
    assert names_on(here, summary.project) == Counter(samples(config))
    headers = {"Authorization": f"Token {embedded.connection.token}"}
    with open_workspace(config.workspace) as workspace, httpx.Client(headers=headers) as api:
        for task in tasks_on(here, summary.project)[:5]:
            address = task["data"]["image"]
            assert address.startswith("/data/local-files/?d=images/")
            reply = api.get(embedded.connection.url + address)
            crop = workspace.catalog.value("faces", task["data"]["occlufer_id"])["crop"]
            assert reply.status_code == 200
            assert reply.content == workspace.images.get(crop)
        # Nothing else of the workspace is handed out, to nobody.
        for path in ("catalog.sqlite", "../credentials.json", "images/../../credentials.json"):
            reply = api.get(f"{embedded.connection.url}/data/local-files/", params={"d": path})
            assert reply.status_code >= 400, path
    storages = request(here, "GET", f"/api/storages/localfiles/?project={summary.project}")
    assert len(storages) == 1
    assert push(config).new == 0
    assert request(here, "GET", f"/api/storages/localfiles/?project={summary.project}") == storages
