"""A pull follows a server that has lost something, and loses no answer itself."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pull_bench import SOURCE, TOKEN, PullBench

from occlufer.annotation.server import server
from occlufer.config import AnnotationConfig, BuildConfig
from occlufer.errors import MissingError
from occlufer.vote_log import LABELLING, standing

pytestmark = pytest.mark.slow

New = Callable[..., PullBench]


@pytest.fixture
def new(studio_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> New:
    """Makes a workspace with its project."""
    monkeypatch.setenv(TOKEN, studio_server.connection.token)
    return lambda *images: PullBench(studio_server, tmp_path / "workspace", images)


def test_answers_to_deleted_tasks_are_deleted_by_a_full_pull(new: New) -> None:
    bench = new("a", "b", "c")
    bench.vote("ada", "a", "fear")
    lost = bench.vote("ada", "b", "anger")
    bench.vote("ada", "c", "fear")
    bench.pull()
    bench.studio.delete_tasks(bench.number, [bench.tasks["b"]])
    assert bench.pull().counts.deleted == 0
    assert bench.pull(full=True).counts.deleted == 1
    assert [a.annotation for a in bench.log() if a.state == "deleted"] == [lost]
    assert bench.pull(full=True).counts.deleted == 0


def test_if_the_last_change_is_gone_every_task_is_looked_at(new: New) -> None:
    bench = new("a", "b")
    bench.vote("ada", "a", "fear")
    bench.vote("ada", "b", "anger")
    bench.pull()
    bench.studio.delete_tasks(bench.number, [bench.tasks["b"]])
    found = bench.pull()
    assert found.counts.deleted == 1
    assert found.notes == (
        "labelling: the task that changed last is gone; every task was looked at",
    )
    assert bench.pull().notes == ()


def test_answers_deleted_in_bulk_are_deleted(new: New) -> None:
    """By the Data Manager, which goes round the server's own bookkeeping."""
    bench = new("a", "b")
    bench.vote("ada", "a", "fear")
    bench.vote("ben", "a", "anger")
    bench.vote("ada", "b", "anger")
    bench.pull()
    body = {"selectedItems": {"all": False, "included": [bench.tasks["a"]]}}
    path = f"/api/dm/actions?id=delete_tasks_annotations&project={bench.number}"
    bench.ask("POST", path, json=body)
    assert bench.pull().counts.deleted == 2
    assert [a.image for a in bench.log() if a.state == "given"] == ["b"]


def test_a_server_with_another_address_is_the_same_server(new: New) -> None:
    bench = new("a", "b")
    bench.vote("ada", "a", "fear")
    bench.pull()
    before = bench.log()
    bench.url = bench.url.replace("127.0.0.1", "localhost")
    bench.note_project()  # as the next push does
    bench.vote("ada", "b", "fear")
    bench.pull()
    bench.pull(full=True)
    assert bench.found() == bench.expected()
    assert [a for a in bench.history() if a.image == "a"] == before
    assert {a.rater for a in bench.log()} == {"rater_01"}


def test_a_project_that_was_deleted_takes_no_answer_with_it(new: New) -> None:
    bench = new("a")
    bench.vote("ada", "a", "fear")
    bench.pull()
    bench.ask("DELETE", f"/api/projects/{bench.number}/")
    found = bench.pull()
    assert found.counts.deleted == 0
    assert found.notes[0].startswith(f"labelling: project {bench.number} is gone from the server")
    assert "the 1 answers that were pulled are kept" in found.notes[0]
    assert found.notes[0].endswith("run `occlufer annotate push`, which makes it anew")
    with bench.catalog() as catalog:
        assert catalog.project(LABELLING) is None
    with pytest.raises(MissingError, match="run `occlufer annotate push`"):
        bench.pull(full=True)
    assert [a.label for a in standing(bench.log())] == ["fear"]


def test_a_rater_who_was_deleted_keeps_the_answers(new: New) -> None:
    bench = new("a", "b")
    bench.vote("ada", "a", "fear")
    bench.pull()
    expected = bench.found()
    bench.vote("ada", "b", "anger")
    bench.ask("DELETE", f"/api/users/{bench.person('ada').user}/")
    found = bench.pull(full=True)
    kept = {a.annotation: a for a in bench.log() if a.annotation in expected}
    assert {a.rater for a in kept.values()} == {"rater_01"}
    assert bench.found() == expected
    assert found.refused == 1
    assert "its rater is gone from the server; kept aside, no vote" in found.notes[0]


@pytest.fixture
def own(label_studio: Path, tmp_path: Path) -> Iterator[Any]:
    """A server that may be stopped and put back to an older state."""
    workspace = tmp_path / "own"
    workspace.mkdir()
    yield server.start(workspace)
    server.stop(workspace)


def test_a_server_that_is_put_back_to_a_backup_is_followed(
    own: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(TOKEN, own.connection.token)
    bench = PullBench(own, tmp_path / "workspace", ("a", "b", "c"))
    bench.note_project(server="embedded")
    monkeypatch.setattr(PullBench, "config", property(embedded))
    (tmp_path / "workspace" / "label_studio").symlink_to(tmp_path / "own" / "label_studio")
    first = bench.vote("ada", "a", "fear")
    bench.pull()
    early = [(a.annotation, a.label, a.state) for a in bench.log()]
    data = tmp_path / "own" / "label_studio" / "data"
    server.stop(tmp_path / "own")
    shutil.copytree(data, tmp_path / "backup")
    bench.move(server.start(tmp_path / "own"))
    bench.person("ada").edit(first, "anger")
    lost = bench.vote("ada", "b", "disgust")
    bench.pull()
    assert len(standing(bench.log())) == 2
    server.stop(tmp_path / "own")
    data.rename(tmp_path / "lost")
    shutil.copytree(tmp_path / "backup", data)
    bench.move(server.start(tmp_path / "own"))
    found = bench.pull()  # it notices
    assert (found.counts.changed, found.counts.deleted) == (1, 1)
    assert [(a.annotation, a.label, a.state) for a in bench.log() if a.state == "given"] == early
    again = bench.vote("ada", "c", "sadness")
    assert again == lost  # the server gives out its numbers again
    bench.pull()
    assert {a.image: a.label for a in standing(bench.log())} == {"a": "fear", "c": "sadness"}
    labels = [(a.image, a.label, a.state) for a in bench.history() if a.annotation == lost]
    assert labels == [
        ("b", "disgust", "given"),
        ("b", "disgust", "deleted"),
        ("c", "sadness", "given"),
    ]


def embedded(bench: PullBench) -> BuildConfig:
    return BuildConfig(sources=(SOURCE,), workspace=bench.folder, annotation=AnnotationConfig())


@pytest.mark.parametrize("full", [False, True], ids=["changes", "full"])
def test_a_project_of_the_same_number_on_a_server_begun_anew_is_another_one(
    new: New, tmp_path: Path, full: bool
) -> None:
    """What was pulled from the old one stays, though its numbers are given out again."""
    bench = new("a", "b")
    number = bench.vote("ada", "a", "fear")
    bench.pull()
    (known,) = bench.log()
    project = f"{known.project.partition(' of ')[0]} of 2020-01-01T00:00:00.000000Z"
    bench.folder = tmp_path / "later"
    bench.begin_workspace()
    with bench.catalog() as catalog:
        old = replace(known, project=project, image="b", label="anger")
        catalog.log_answers([old], LABELLING)
    bench.note_project(cursor=datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    bench.pull(full)
    found = {(a.image, a.label, a.annotation, a.state) for a in bench.log()}
    assert found == {("a", "fear", number, "given"), ("b", "anger", number, "given")}
