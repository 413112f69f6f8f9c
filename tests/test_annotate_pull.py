"""A pull brings the vote log to where the real server is, and says what a person should know."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from annotators import result
from pull_bench import TOKEN, PullBench, record

from occlufer.annotation import pull as pull_module
from occlufer.annotation import studio as studio_module
from occlufer.errors import MissingError, UsageError
from occlufer.vote_log import ADJUDICATION, LABELLING, Project, standing
from occlufer.workspace import open_workspace

pytestmark = pytest.mark.slow

New = Callable[..., PullBench]


@pytest.fixture
def new(studio_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> New:
    """Makes a workspace with its project."""
    monkeypatch.setenv(TOKEN, studio_server.connection.token)
    return lambda *images: PullBench(studio_server, tmp_path / "workspace", images)


def told(bench: PullBench, full: bool = False) -> dict[str, Any]:
    """What a pull says, without the tasks and what is nought."""
    found: dict[str, Any] = bench.pull(full).to_json()
    found.pop("tasks")
    return {name: value for name, value in found.items() if value}


def test_answers_edits_deletions_skips_and_double_votes_end_in_the_log(new: New) -> None:
    bench = new("a", "b", "c", "d")
    first = bench.vote("ada", "a", "fear", ("mask", "none"), 3)
    bench.vote("ben", "a", "anger")
    gone = bench.vote("ada", "b", "disgust", ("hand", "extraneous_face"), 1)
    bench.person("ben").skip(bench.tasks["b"], "b")
    note = f"task {bench.tasks['a']}, annotation {first}: occlusion none beside mask"
    notes = [f"labelling: {note}; the rest counts"]
    assert told(bench) == {"new": 4, "skipped": 1, "notes": notes}
    assert bench.found() == bench.expected()

    bench.person("ada").edit(first, "surprise")
    bench.person("ada").delete(gone)
    double = bench.vote("ben", "a", "contempt")
    bench.vote("eve", "c", "not_a_face")
    assert told(bench) == {"new": 2, "changed": 1, "deleted": 1, "notes": notes}
    assert bench.found() == bench.expected()
    assert [a.label for a in bench.history() if a.annotation == first] == ["fear", "surprise"]
    deleted = [a for a in bench.log() if a.state == "deleted"]
    assert [(a.annotation, a.label) for a in deleted] == [(gone, "disgust")]
    stands = {(a.image, a.rater): a.annotation for a in standing(bench.log())}
    assert stands["a", bench.pseudonym(bench.person("ben").email)] == double
    by_ledger = {(e.image, bench.pseudonym(e.email)) for e in bench.ledger.standing().values()}
    assert set(stands) == by_ledger
    assert told(bench) == told(bench, full=True) == {}


def test_times_are_the_servers_and_the_lead_time_is_kept(new: New) -> None:
    bench = new("a")
    number = bench.vote("ada", "a", "fear")
    exported = bench.ask("GET", f"/api/annotations/{number}/")
    bench.pull()
    found = bench.log()[0]
    assert (found.created_at, found.updated_at) == (exported["created_at"], exported["updated_at"])
    assert found.lead_time_s == 1.5


def test_only_tasks_that_changed_are_looked_at(new: New, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull_module, "SLACK", timedelta(0))
    bench = new(*"abcdefgh")
    assert bench.pull().tasks == 8
    assert bench.pull().tasks == 0
    bench.vote("ada", "c", "fear")
    bench.vote("ada", "e", "fear")
    assert (bench.pull().tasks, bench.pull().tasks) == (2, 0)
    bench.vote("ada", "b", "fear")
    summary = bench.pull(full=True)
    assert (summary.tasks, summary.counts.new) == (3, 1)  # those that somebody has answered
    assert bench.found() == bench.expected()


def test_the_cursor_is_the_servers_last_change_less_some_seconds(new: New) -> None:
    bench = new("a", "b")
    bench.vote("ada", "b", "fear")
    times = [when for _, when in bench.studio.changed_tasks(bench.number)]
    last = datetime.fromisoformat(max(times).replace("Z", "+00:00"))
    for full in (False, True):
        bench.pull(full)
        cursor = datetime.strptime(bench.cursor(), "%Y-%m-%dT%H:%M:%S.%fZ")
        assert cursor.replace(tzinfo=timezone.utc) == last - timedelta(seconds=5)


def test_a_change_that_shows_late_is_found_by_the_next_pull(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It got its time before another one, and could be seen only after that."""
    bench = new("a", "b")
    bench.vote("ada", "a", "fear")
    late = bench.tasks["a"]
    bench.vote("ada", "b", "fear")
    with monkeypatch.context() as patch:
        method = studio_module.Studio.changed_tasks

        def without_the_late_one(*arguments: Any) -> Any:
            return [row for row in method(*arguments) if row[0] != late]

        patch.setattr(studio_module.Studio, "changed_tasks", without_the_late_one)
        assert told(bench) == {"new": 1}
    assert told(bench) == {"new": 1}
    assert bench.found() == bench.expected()


def test_an_answer_given_while_the_server_exports_is_found_by_the_next_pull(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long that takes: the slack does not cover it."""
    monkeypatch.setattr(pull_module, "SLACK", timedelta(0))
    bench = new("a", "b")
    number = bench.vote("ada", "a", "fear")
    method = studio_module.Studio.export

    def slow(studio: Any, project: int, tasks: Any = None) -> Any:
        before = method(studio, project, tasks)  # the task "a" has been read; now she changes it
        bench.person("ada").edit(number, "anger")
        bench.vote("ben", "b", "fear")
        after = method(studio, project, [bench.tasks["b"]])
        return [task for task in before if task["id"] == bench.tasks["a"]] + after

    with monkeypatch.context() as patch:
        patch.setattr(studio_module.Studio, "export", slow)
        assert told(bench, full=True) == {"new": 2}
    assert told(bench) == {"changed": 1}
    assert bench.found() == bench.expected()


def test_who_changed_the_answer_of_another_is_marked(new: New) -> None:
    bench = new("a", "b")
    number = bench.vote("ada", "a", "fear")
    bench.vote("ben", "b", "fear")
    bench.person("ben").edit(number, "anger")
    assert told(bench) == {"new": 2, "edited": 1}
    assert bench.found() == bench.expected()
    bench.person("ada").edit(number, "fear")
    assert told(bench) == {"changed": 1}
    bench.ask("PATCH", f"/api/annotations/{number}/", json={"result": result("anger", (), None)})
    assert told(bench) == {"changed": 1, "edited": 1}
    edited = {a.edited_by for a in bench.log()} - {None}
    assert edited == {f"rater_{len(bench.people) + 1:02d}"}  # the leader has a pseudonym too


def test_a_draft_is_no_answer(new: New) -> None:
    bench = new("a", "b")
    number = bench.vote("ada", "a", "fear")
    draft = {"result": result("anger", (), None), "lead_time": 1}
    bench.ask("POST", f"/api/tasks/{bench.tasks['b']}/drafts", json=draft)
    bench.ask("POST", f"/api/tasks/{bench.tasks['a']}/annotations/{number}/drafts", json=draft)
    assert len(bench.studio.export(bench.number, [bench.tasks["b"]])[0]["drafts"]) == 1
    assert told(bench) == {"new": 1}
    assert bench.found() == bench.expected()


def test_unknown_labels_are_kept_aside_and_named_until_they_are_mended(new: New) -> None:
    bench = new("a", "b")
    task = bench.tasks["a"]
    odd = bench.ask(
        "POST", f"/api/tasks/{task}/annotations/", json={"result": result("joy", ("mask",), 2)}
    )["id"]
    bench.vote("ada", "a", "fear")
    line = f"labelling: task {task}, annotation {odd}: expression 'joy' is not one of anger, "
    for new_ones in ({"new": 2}, {}):
        found = told(bench)
        (note,) = found.pop("notes")
        assert note.startswith(line)
        assert note.endswith("not_a_face; kept aside, no vote")
        assert found == {**new_ones, "refused": 1}
    kept = next(a for a in bench.log() if a.annotation == odd)
    assert (kept.state, kept.label, kept.occlusion_types) == ("refused", None, ("mask",))
    assert [a.label for a in standing(bench.log())] == ["fear"]
    bench.ask("PATCH", f"/api/annotations/{odd}/", json={"result": result("anger", (), None)})
    assert told(bench) == {"changed": 1}
    assert sorted(str(a.label) for a in standing(bench.log())) == ["anger", "fear"]


def test_answers_to_unknown_pictures_are_named_and_count_once_those_are_known(
    new: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_module, "SLACK", timedelta(0))
    bench = new("a")
    bench.add_tasks([{"image": "x", "occlufer_id": "later"}, {"image": "of somebody"}])
    rows = bench.ask("GET", f"/api/tasks/?project={bench.number}&page_size=10")["tasks"]
    stray = next(row["id"] for row in rows if "occlufer_id" not in row["data"])
    bench.vote("ada", "a", "fear")
    bench.vote("ada", "later", "anger")
    lost = bench.person("ada").vote(stray, "", "anger")
    found = told(bench)
    assert [re.sub(r"^labelling: |; kept aside.*", "", note) for note in found.pop("notes")] == [
        f"task {stray}, annotation {lost}: its task has no occlufer_id",
        "1 answers are to images that the workspace does not have now; they are kept, and count "
        "when it has them",
    ]
    assert found == {"new": 3, "refused": 1}
    with open_workspace(bench.folder) as workspace:
        workspace.catalog.put_records([record("later")])
    found = told(bench)
    assert (found.get("changed", 0), found["refused"], len(found["notes"])) == (0, 1, 1)
    assert {a.image: a.label for a in standing(bench.log())} == {"a": "fear", "later": "anger"}


def test_a_changed_labelling_page_is_told_and_the_answers_are_kept(new: New) -> None:
    bench = new("a")
    bench.vote("ada", "a", "fear")
    page = bench.studio.project(bench.number)["label_config"]
    changed = page.replace("</View>", '<TextArea name="more" toName="image"/></View>', 1)
    bench.ask("PATCH", f"/api/projects/{bench.number}/", json={"label_config": changed})
    found = told(bench)
    (note,) = found.pop("notes")
    assert note.startswith("labelling: the labelling page was changed on the server since the push")
    assert "TextArea" in note
    assert found == {"new": 1}
    assert bench.found() == bench.expected()


def test_a_pull_without_a_push_says_what_to_do(new: New, tmp_path: Path) -> None:
    bench = new("a")
    bench.folder = tmp_path / "empty"
    with pytest.raises(MissingError, match=r"found no catalog, .* run `occlufer build`"):
        bench.pull()
    with open_workspace(bench.folder):
        pass
    with pytest.raises(MissingError, match="run `occlufer annotate push`"):
        bench.pull()


def test_a_project_of_another_server_is_not_asked_for_here(new: New) -> None:
    bench = new("a")
    bench.note_project(server="https://labels.example.org")
    with pytest.raises(UsageError, match=r"found the server .*, expected https://labels"):
        bench.pull()


def test_both_rounds_are_pulled(new: New, tmp_path: Path) -> None:
    bench = new("a", "b")
    bench.vote("ada", "a", "fear")
    second = PullBench(bench.server, tmp_path / "other", ("a", "b"))
    second.people = {"ada": bench.person("ada")}
    second.vote("ada", "a", "anger")
    with bench.catalog() as catalog:
        found = catalog.project(LABELLING)
        assert found is not None
        project = Project(found.server, second.number, found.template_sha256)
        catalog.log_answers([], ADJUDICATION, project)
    assert told(bench) == {"new": 2}
    with bench.catalog() as catalog:
        labels = {name: [a.label for a in catalog.answers(name)] for name in pull_module.MADE_BY}
        raters = {a.rater for name in pull_module.MADE_BY for a in catalog.answers(name)}
    assert labels == {LABELLING: ["fear"], ADJUDICATION: ["anger"]}
    assert raters == {"rater_01"}
    assert told(bench) == {}


def test_no_name_or_address_of_a_rater_is_kept_or_said(new: New) -> None:
    bench = new("a", "b")
    bench.vote("ada", "a", "fear")
    bench.vote("ben", "a", "joy")
    bench.person("ben").skip(bench.tasks["b"], "b")
    summary = bench.pull(full=True)
    said = str(summary) + repr(summary.to_json()) + repr(bench.log())
    files = b"".join(path.read_bytes() for path in bench.folder.rglob("*") if path.is_file())
    for word in ("@", "ada", "ben-", "example.org", bench.server.connection.token):
        assert word not in said
    for text in (b"ada-", b"ben-", b"@example.org", bench.server.connection.token.encode()):
        assert text not in files
    assert b"rater_01" in files
