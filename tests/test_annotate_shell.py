"""The whole command line of labelling, in processes of its own, against the real server.

One play for all tests: a build that waits for people, a server, raters, failures of every kind.
Everything that is printed, logged, written or seen in the list of processes is kept, and no secret
may stand in it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from annotators import PASSWORD, Annotator, Ledger
from failing_proxy import Proxy
from process_list import watched

from occlufer.schema import LABELS

pytestmark = pytest.mark.slow

CONFIG = """labels = "label_studio"
[[sources]]
kind = "synthetic"
count = 30
[annotation]
overlap = 2
token_env = "OCCLUFER_TEST_TOKEN"
"""
TOKEN = "OCCLUFER_TEST_TOKEN"
WRONG = "deadbeef" * 5
RATERS = ("ann", "bea", "cleo")


@dataclass
class Played:
    """What the play has left."""

    folder: Path
    environment: dict[str, str]
    done: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    """{what was done: how it ended}"""
    secrets: dict[str, str] = field(default_factory=dict)
    processes: set[bytes] = field(default_factory=set)
    """Every command line that was seen while it went on."""
    ledger: Ledger = field(default_factory=Ledger)
    users: dict[str, int] = field(default_factory=dict)

    def run(self, name: str, *arguments: str, token: str = "") -> subprocess.CompletedProcess[str]:
        """Run `occlufer` and keep what it says."""
        self.done[name] = subprocess.run(
            [sys.executable, "-m", "occlufer.cli", *arguments],
            cwd=self.folder,
            env=self.environment | ({TOKEN: token} if token else {}),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        return self.done[name]

    def json(self, name: str, *arguments: str, token: str = "") -> Any:
        """Run `occlufer` and return the JSON that it prints."""
        done = self.run(name, *arguments, "--json", token=token)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def played(label_studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Played:
    folder = tmp_path_factory.mktemp("shell")
    (folder / "occlufer.toml").write_text(CONFIG)
    play = Played(folder, dict(os.environ))
    play.environment.pop(TOKEN, None)
    with watched(play.processes):
        try:
            play_all(play)
        finally:
            play.run("stop", "annotate", "stop", "--json")
        play.run("stop again", "annotate", "stop", "--json")
    return play


def play_all(play: Played) -> None:
    """Label a build from its beginning to its end, and let go wrong what can."""
    play.run("build waits", "build")
    shutil.copytree(play.folder / ".occlufer", play.folder / "other")
    started = play.json("start", "annotate", "start")
    play.run("start in words", "annotate", "start")
    kept = json.loads(Path(started["credentials"]).read_text(encoding="utf-8"))
    play.secrets |= {f"the leader's {name}": text for name, text in kept.items() if name != "user"}
    play.json("dry push", "annotate", "push", "--dry-run")
    play.json("push", "annotate", "push")
    play.json("push again", "annotate", "push")
    play.run("status before", "annotate", "status")
    answer(play, started, kept["token"])
    play.json("pull", "annotate", "pull")
    play.json("pull again", "annotate", "pull")
    play.json("full pull", "annotate", "pull", "--full")
    play.json("status", "annotate", "status")
    play.run("status in words", "annotate", "status")
    play.json("adjudicate dry", "annotate", "adjudicate", "--dry-run")
    play.run("adjudicate", "annotate", "adjudicate")
    play.run("report", "report")
    fail_in_every_way(play, started["url"], kept["token"])
    play.run("build", "build")
    play.run("report at last", "report")


def answer(play: Played, started: dict[str, Any], token: str) -> None:
    """Two raters answer everything alike but once each; a third one skips, edits and deletes."""
    url, invite = started["url"], started["invite"].removeprefix(started["url"])
    raters = [Annotator(url, invite, name, play.ledger) for name in RATERS]
    play.users = {rater.email: rater.user for rater in raters}
    play.secrets["the raters' password"] = PASSWORD
    for rater in raters:
        for cookie in rater._session.cookies:
            play.secrets[f"{rater.email}'s cookie {cookie.name}"] = str(cookie.value)
    listing = requests.get(
        f"{url}/api/tasks/",
        params={"project": "1", "page_size": "100", "fields": "all"},
        headers={"Authorization": f"Token {token}"},
        timeout=60,
    ).json()["tasks"]
    ann, bea, cleo = raters
    for place, task in enumerate(sorted(listing, key=lambda task: int(task["id"]))):
        image, label = task["data"]["occlufer_id"], LABELS[place % 8]
        ann.vote(task["id"], image, label, ("mask",), 3)
        given = bea.vote(task["id"], image, "uncertain" if place == 2 else label, ("mask",), 2)
        if place == 3:
            cleo.edit(given, "contempt")
        if place == 4:
            cleo.skip(task["id"], image)
        if place == 5:
            cleo.delete(cleo.vote(task["id"], image, label))


def fail_in_every_way(play: Played, url: str, token: str) -> None:
    """Use the same server as if it were a remote one, through a proxy that fails."""
    proxy = Proxy(url)
    pat, access = personal_tokens(url, token)
    play.secrets |= {"the refresh token": pat, "an access token": access, "a wrong token": WRONG}
    there = ("--workspace", "other", "--url", proxy.url)
    for name, secret, modes in (
        ("a legacy token", token, ("echo", "cut", "half")),
        ("a personal token", pat, ("echo", "cut")),
    ):
        proxy.mode = "pass"
        play.run(f"remote push with {name}", "annotate", "push", *there, token=secret)
        play.run(f"remote pull with {name}", "annotate", "pull", *there, token=secret)
        for mode in modes:
            proxy.mode, proxy.failed = mode, 0
            for action in ("push", "pull"):
                play.run(f"{mode}: {action}, {name}", "annotate", action, *there, token=secret)
            assert proxy.failed
    proxy.mode = "pass"
    for name, secret in (("wrong", WRONG), ("altered", pat[:-3] + "abc")):
        play.run(f"{name} token", "annotate", "push", *there, token=secret)
    proxy.shutdown()
    proxy.server_close()
    play.run("gone: push", "annotate", "push", *there, token=token)
    play.run("gone: pull", "annotate", "pull", *there, token=pat)
    play.secrets |= {f"what passed, {i}": s for i, s in enumerate(sorted(proxy.secrets)) if s}


def personal_tokens(url: str, token: str) -> tuple[str, str]:
    """Return a personal access token of the leader's, which is a refresh token, and an access."""
    headers = {"Authorization": f"Token {token}"}
    settings = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": True}
    done = requests.post(f"{url}/api/jwt/settings", json=settings, headers=headers, timeout=60)
    done.raise_for_status()
    done = requests.post(f"{url}/api/token/", headers=headers, timeout=60)
    done.raise_for_status()
    refresh = str(done.json()["token"])
    done = requests.post(f"{url}/api/token/refresh/", json={"refresh": refresh}, timeout=60)
    done.raise_for_status()
    return refresh, str(done.json()["access"])


# The way through ---------------------------------------------------------------------------------


def test_a_build_waits_until_people_have_answered(played: Played) -> None:
    waits = played.done["build waits"]
    assert waits.returncode == 4
    assert "run `occlufer annotate start`, then `occlufer annotate push`" in waits.stderr
    assert played.done["build"].returncode == 0, played.done["build"].stderr
    assert (played.folder / "occlu_fer" / "README.md").is_file()


def test_start_says_where_everything_is_and_starts_one_server(played: Played) -> None:
    started = json.loads(played.done["start"].stdout)
    words = played.done["start in words"].stdout
    assert all(str(value) in words for value in started.values())
    assert "occlufer annotate push" in words
    assert stat.S_IMODE(Path(started["credentials"]).stat().st_mode) == 0o600


def test_push_sends_what_is_wanted_once(played: Played) -> None:
    dry, first, again = (
        json.loads(played.done[name].stdout) for name in ("dry push", "push", "push again")
    )
    assert dry["new"] == first["new"] == first["wanted"] > 20
    assert (dry["project"], first["project"]) == (None, 1)
    assert (again["new"], again["there"]) == (0, first["new"])
    assert "occlufer annotate pull" in played.done["status before"].stdout.splitlines()[-1]


def test_pull_and_status_say_what_people_have_answered(played: Played) -> None:
    pulled, again, full, status = (
        json.loads(played.done[name].stdout)
        for name in ("pull", "pull again", "full pull", "status")
    )
    entries = [entry for entry in played.ledger.entries() if not entry.deleted]
    given = [entry for entry in entries if entry.label is not None]
    assert pulled["new"] == len(entries)
    assert (again["new"], again["changed"], full["new"], full["changed"]) == (0, 0, 0, 0)
    progress = status["progress"]
    assert (progress["given"], progress["skipped"]) == (len(given), 1)
    assert progress["answered"] == progress["wanted"] == status["overall"]["samples"]
    assert 0.5 < status["overall"]["alpha"] < 1
    counts = sorted(rater["rows"]["answers"] for rater in status["raters"])
    assert counts == sorted(sum(entry.email.startswith(name) for entry in given) for name in RATERS)
    assert sorted(rater["rows"]["edited_by_others"] for rater in status["raters"]) == [0, 0, 1]
    assert sorted(rater["rows"]["edited_others"] for rater in status["raters"]) == [0, 0, 1]
    words = played.done["status in words"].stdout
    assert words.splitlines()[-1].startswith("next: run `occlufer annotate adjudicate`")
    assert max(map(len, words.splitlines())) <= 100


def test_what_is_in_doubt_is_sent_to_be_decided(played: Played) -> None:
    dry = json.loads(played.done["adjudicate dry"].stdout)
    assert dry["due"] >= 1
    assert played.done["adjudicate"].returncode == 0, played.done["adjudicate"].stderr


def test_the_report_shows_the_raters_and_the_server_is_stopped_once(played: Played) -> None:
    page = (played.folder / "report.html").read_text(encoding="utf-8")
    assert 'id="agreement"' in page
    assert "rater_01: confusions" in page
    assert json.loads(played.done["stop"].stdout) == {"stopped": True}
    assert json.loads(played.done["stop again"].stdout) == {"stopped": False}


# What goes wrong ---------------------------------------------------------------------------------

FAILED = re.compile(r"(echo|cut|half|gone): |(wrong|altered) token")


def test_every_failure_is_one_line_and_status_1(played: Played) -> None:
    failures = {name: done for name, done in played.done.items() if FAILED.match(name)}
    assert len(failures) == 14
    for name, done in failures.items():
        assert done.returncode == 1, name
        assert done.stdout == "", name
        assert done.stderr.splitlines()[-1].startswith("occlufer: "), name
        assert "Traceback" not in done.stderr, name
    for name in ("echo: push, a legacy token", "echo: pull, a personal token"):
        assert "status 500: boom" in failures[name].stderr
        assert "***" in failures[name].stderr


def test_a_remote_server_serves_by_either_kind_of_token(played: Played) -> None:
    for name in ("a legacy token", "a personal token"):
        assert played.done[f"remote push with {name}"].returncode == 0, name
        assert played.done[f"remote pull with {name}"].returncode == 0, name


# Secrets -----------------------------------------------------------------------------------------


def pieces(secret: str) -> Iterator[str]:
    """Yield what gives a secret away: each part of it, of a token's that is not always the same."""
    parts = secret.split(".")[1:] if secret.startswith("eyJ") else [secret]
    for part in parts:
        whole = [part[i : i + 16] for i in range(0, len(part) - 15, 16)]
        yield from whole or [part]


def leaks(content: bytes, secrets: dict[str, str]) -> set[str]:
    """Return which secrets stand in the content, in whole or in part."""
    return {
        name
        for name, secret in secrets.items()
        for piece in pieces(secret)
        if piece.encode() in content
    }


def written(play: Played) -> dict[str, bytes]:
    """Return every file that the commands left, but for the server's own data and secrets."""
    own = play.folder / ".occlufer" / "label_studio"
    files = (path for path in play.folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(play.folder)): path.read_bytes()
        for path in files
        if path != own / "credentials.json" and own / "data" not in path.parents
    }


def test_the_search_finds_secrets_where_they_are(played: Played) -> None:
    own = played.folder / ".occlufer" / "label_studio"
    kept = (own / "credentials.json").read_bytes()
    assert leaks(kept, played.secrets) >= {f"the leader's {n}" for n in ("password", "token")}
    database = b"".join(path.read_bytes() for path in (own / "data").glob("label_studio.sqlite3*"))
    assert "the leader's token" in leaks(database, played.secrets)
    assert {"the refresh token", "the raters' password"} <= set(played.secrets)
    assert "ann@example.org's cookie sessionid" in played.secrets
    assert sum(name.startswith("what passed") for name in played.secrets) >= 4
    assert leaks(b"x" + PASSWORD.encode(), played.secrets) == {"the raters' password"}


def test_no_secret_is_printed(played: Played) -> None:
    assert any(done.stderr for done in played.done.values())
    for name, done in played.done.items():
        assert not leaks((done.stdout + done.stderr).encode(), played.secrets), name


def test_no_secret_is_written_beside_the_server_s_own(played: Played) -> None:
    files = written(played)
    names = {Path(name).name for name in files}
    assert names >= {"catalog.sqlite", "lock", "report.html", "rejected.csv", "server.log"}
    assert names >= {"occlu_fer.lock", "README.md"}
    assert any(b"GET /api" in content for content in files.values())
    for name, content in files.items():
        assert not leaks(content, played.secrets), name


def test_no_secret_stands_in_the_list_of_processes(played: Played) -> None:
    assert any(b"--internal-host" in line for line in played.processes)
    assert any(b"annotate\0push" in line for line in played.processes)
    for line in played.processes:
        assert not leaks(line, played.secrets), line
