"""The command `occlufer annotate`: its actions, its mistakes in one line, what Ctrl-C leaves."""

from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from occlufer import cli
from occlufer.annotation.server import server
from occlufer.build import BuildSummary
from occlufer.commands import annotate as annotate_command
from occlufer.commands.annotate import ACTIONS
from occlufer.config import BuildConfig
from occlufer.vote_log import LABELLING, Project
from occlufer.workspace import open_workspace

Capture = pytest.CaptureFixture[str]

NAMES = ("start", "stop", "push", "pull", "status", "adjudicate")
SOURCE = '[[sources]]\nkind = "synthetic"\ncount = 12\n'
PEOPLE = 'labels = "label_studio"\n' + SOURCE
TOKEN = "OCCLUFER_TEST_TOKEN"
REMOTE = f'[annotation]\ntoken_env = "{TOKEN}"\nurl = '


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the command runs in, with a config that asks people."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "occlufer.toml").write_text(PEOPLE)
    return tmp_path


def failure(arguments: list[str], capsys: Capture) -> tuple[int, str]:
    """Run the command and return its status and the one line that it says."""
    status = cli.main(["annotate", *arguments])
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("occlufer: ")
    return status, line


def test_the_actions_are_those_of_the_documentation() -> None:
    assert tuple(ACTIONS) == NAMES


LOOK = """
import sys
from occlufer import cli
try:
    cli.main(sys.argv[1:])
except SystemExit:
    pass
print("loaded:", *sorted(sys.modules))
"""


@pytest.mark.parametrize("arguments", [["annotate", "--help"], ["annotate", "push", "--help"]])
def test_help_imports_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-c", LOOK, *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    assert "occlufer.commands.annotate" in loaded
    heavy = {"numpy", "pandas", "torch", "label_studio_sdk", "httpx", "requests", "PIL"}
    assert not loaded & (heavy | {"occlufer.annotation", "occlufer.builders", "occlufer.config"})


@pytest.mark.parametrize("name", NAMES)
def test_every_action_says_what_it_does(name: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["annotate", name, "--help"])
    assert caught.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"{ACTIONS[name].summary}." in said
    options = {"push": {"--dry-run"}, "adjudicate": {"--dry-run"}, "pull": {"--full"}}
    for option in ("--dry-run", "--full"):
        assert (option in said) == (option in options.get(name, set()))
    assert all(option in said for option in ("--config", "--workspace", "--json"))


# What is handed on -------------------------------------------------------------------------------


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[BuildConfig]:
    """The configs that `status` was called with, in place of what it does."""
    found: list[BuildConfig] = []

    def hear(_: object, config: BuildConfig) -> tuple[dict[str, Any], str]:
        found.append(config)
        return {"b": 1, "a": 2}, "text"

    for name in ("status", "push"):
        replaced = dataclasses.replace(ACTIONS[name], function=hear)
        monkeypatch.setitem(annotate_command.ACTIONS, name, replaced)
    return found


def test_the_config_and_the_workspace_are_those_of_the_build(
    place: Path, heard: list[BuildConfig], capsys: Capture
) -> None:
    (place / "other.toml").write_text(f'workspace = "there"\n{PEOPLE}')
    assert cli.main(["annotate", "status"]) == 0
    assert cli.main(["annotate", "status", "--config", "other.toml"]) == 0
    assert cli.main(["annotate", "status", "--config", "other.toml", "--workspace", "ws"]) == 0
    assert capsys.readouterr().out == "text\n" * 3
    assert [config.workspace for config in heard] == [
        *(Path(".occlufer"), place / "there", Path("ws")),
    ]
    assert all(config.labels == "label_studio" for config in heard)
    assert cli.main(["annotate", "status", "--json"]) == 0
    assert capsys.readouterr().out == '{"a": 2, "b": 1}\n'


def test_a_server_may_be_given_on_the_command_line(
    place: Path, heard: list[BuildConfig], capsys: Capture
) -> None:
    (place / "occlufer.toml").write_text(
        PEOPLE + REMOTE + '"https://one.example.org"\noverlap = 5\n'
    )
    assert cli.main(["annotate", "push"]) == 0
    assert cli.main(["annotate", "push", "--url", "https://two.example.org"]) == 0
    assert [c.annotation.url for c in heard] == [
        "https://one.example.org",
        "https://two.example.org",
    ]
    assert [c.annotation.overlap for c in heard] == [5, 5]
    capsys.readouterr()
    status, line = failure(["push", "--url", "two.example.org"], capsys)
    assert status == 2
    assert "command line, --url: found what is no address of a server, expected http" in line


# Mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["push", "adjudicate"])
def test_a_config_that_asks_nobody_says_how_to_change_that(
    place: Path, capsys: Capture, name: str
) -> None:
    (place / "occlufer.toml").write_text(SOURCE)
    status, line = failure([name], capsys)
    assert status == 2
    assert 'found "source", which asks nobody; write labels = "label_studio"' in line
    assert not (place / ".occlufer").exists()


def test_start_leaves_a_server_of_one_s_own_alone(place: Path, capsys: Capture) -> None:
    address = "https://example.org"
    (place / "occlufer.toml").write_text(PEOPLE + REMOTE + f'"{address}"\n')
    status, line = failure(["start"], capsys)
    assert status == 2
    assert "url" in line
    assert "occlufer annotate push" in line


SECRET = "hunter2secret"
GIVING_AWAY = (
    f"https://me:{SECRET}@example.org",
    f"https://{SECRET}@example.org/path",
    f"https://example.org/?token={SECRET}",
    f"https://example.org/#{SECRET}",
    f"ftp://me:{SECRET}@example.org",
    f"https://me:{SECRET}/@example.org",
    f"https://me:12/{SECRET}@example.org",
    f"https://{SECRET}#x@example.org",
    f"https://[{SECRET}@example.org",
    f"me:{SECRET}@example.org",
    SECRET,
)


@pytest.mark.parametrize("address", GIVING_AWAY)
@pytest.mark.parametrize("name", ["push", "pull", "adjudicate"])
def test_an_address_with_a_secret_is_refused_and_not_shown(
    built_place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str, address: str
) -> None:
    monkeypatch.setenv(TOKEN, "0123456789" * 4)
    status, line = failure([name, "--url", address], capsys)
    assert (status, SECRET in line) == (2, False)
    assert "command line, --url: found" in line
    (built_place / "occlufer.toml").write_text(PEOPLE + REMOTE + f'"{address}"\n')
    status, line = failure([name], capsys)
    assert (status, SECRET in line) == (2, False)
    assert "[annotation]: url: found" in line


def test_where_nothing_runs_stop_says_so(place: Path, capsys: Capture) -> None:
    assert cli.main(["annotate", "stop"]) == 0
    assert capsys.readouterr().out == "no server of this workspace runs\n"
    assert cli.main(["annotate", "stop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"stopped": False}


@pytest.mark.parametrize("name", ["push", "pull", "status", "adjudicate"])
def test_before_a_build_an_action_says_what_is_missing(
    place: Path, capsys: Capture, name: str
) -> None:
    status, line = failure([name], capsys)
    assert status == 3
    assert line.endswith(
        ".occlufer: found no catalog, expected the workspace of a build; run `occlufer build`"
    )
    assert not (place / ".occlufer").exists()


@pytest.fixture
def built_place(place: Path, built: BuildSummary, built_config: BuildConfig) -> Path:
    """The folder with the workspace of a build in it, whose samples have labels already."""
    shutil.copytree(built_config.workspace, place / ".occlufer")
    return place


def free_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@pytest.mark.parametrize("options", [["push"], ["push", "--dry-run"]])
def test_without_a_token_or_a_server_one_line_says_so(
    built_place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    address = f"{'http'}://127.0.0.1:{free_port()}"
    (built_place / "occlufer.toml").write_text(PEOPLE + REMOTE + f'"{address}"\n')
    monkeypatch.delenv(TOKEN, raising=False)
    status, line = failure(options, capsys)
    assert (status, TOKEN in line) == (3, True)
    monkeypatch.setenv(TOKEN, "0123456789" * 4)
    status, line = failure(options, capsys)
    assert status == 1
    assert f"{address}: no server answers there" in line
    assert "0123456789" not in line
    status, line = failure([*options, "--url", ""], capsys)
    assert (status, "occlufer annotate start" in line) == (3, True)


def test_the_status_of_a_build_that_nobody_has_labelled(built_place: Path, capsys: Capture) -> None:
    assert cli.main(["annotate", "status"]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[0] == "no project yet"
    assert said.splitlines()[-1].startswith("next: run `occlufer annotate start`")
    assert cli.main(["annotate", "status", "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert table["progress"]["wanted"] > 50
    assert (table["overall"]["samples"], table["raters"]) == (0, [])
    assert cli.main(["report"]) == 0
    assert 'id="agreement"' not in (built_place / "report.html").read_text(encoding="utf-8")


# What is due after a start -----------------------------------------------------------------------


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that starts nothing; what is said of it is looked at here."""
    connection = SimpleNamespace(url=f"{'http'}://127.0.0.1:8001")
    one = SimpleNamespace(connection=connection, invite="i", credentials="c", log="l")
    monkeypatch.setattr(server, "start", lambda _: one)
    monkeypatch.setattr(server, "running", lambda _: one)


def said_by_start(capsys: Capture) -> list[str]:
    assert cli.main(["annotate", "start"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("started")
def test_start_says_what_is_due(
    place: Path, built: BuildSummary, built_config: BuildConfig, capsys: Capture
) -> None:
    last = said_by_start(capsys)[-1]
    assert last == "next: run `occlufer build`, then `occlufer annotate push`"
    assert not (place / ".occlufer").exists()
    shutil.copytree(built_config.workspace, place / ".occlufer")
    assert said_by_start(capsys)[-1] == "next: run `occlufer annotate push`"
    with open_workspace(place / ".occlufer") as workspace:
        assert "works in this workspace" in said_by_start(capsys)[-1]
        workspace.catalog.log_answers((), LABELLING, Project("embedded", 1, "0" * 64))
    assert said_by_start(capsys)[-1] == "next: run `occlufer annotate pull`"
    (place / "occlufer.toml").write_text(SOURCE)
    assert 'write labels = "label_studio"' in said_by_start(capsys)[-1]


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "names a CSV with the columns"), ("a,b\n", "gold.csv, line 1: found 'a,b'")],
    ids=["no file", "no such columns"],
)
def test_start_says_what_else_is_in_the_way(
    built_place: Path, capsys: Capture, text: str | None, message: str
) -> None:
    (built_place / "occlufer.toml").write_text(PEOPLE + '[annotation]\ngold = "gold.csv"\n')
    if text is not None:
        (built_place / "gold.csv").write_text(text)
    last = said_by_start(capsys)[-1]
    assert message in last
    assert last.endswith("; then run `occlufer annotate status`")


@pytest.mark.usefixtures("started")
def test_start_says_when_the_address_has_changed(place: Path, capsys: Capture) -> None:
    kept = place / ".occlufer" / "label_studio" / "port"
    kept.parent.mkdir(parents=True)
    kept.write_text("8001\n")
    assert "changed" not in "".join(said_by_start(capsys))
    kept.write_text("8000\n")
    assert "its address has changed, another program has its port 8000" in said_by_start(capsys)[1]


# Ctrl-C ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_ctrl_c_says_what_is_true_then(
    place: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def interrupt(*_: object) -> tuple[dict[str, Any], str]:
        raise KeyboardInterrupt

    replaced = dataclasses.replace(ACTIONS[name], function=interrupt)
    monkeypatch.setitem(annotate_command.ACTIONS, name, replaced)
    status, line = failure([name], capsys)
    assert status == 130
    assert line == f"occlufer: interrupted; {ACTIONS[name].going_on}"
