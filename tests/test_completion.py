"""Completion at the Tab key: real shells offer the commands, options and choices there are."""

from __future__ import annotations

import argparse
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from occlufer.cli import COMMANDS
from occlufer.completion import places, script

LIMIT_S = 30
CASES = [
    ("bui", {"build"}),
    ("", {*COMMANDS}),
    ("annotate sta", {"start", "status"}),
    ("build --eng", {"--engine"}),
    ("build --workers 2 --sc", {"--scheduler"}),
    ("build --engine ", {"local", "dask"}),
    ("evaluate --table ", {"2", "3", "4", "5", "6"}),
    ("annotate start --", {"--help", "--config", "--workspace", "--json"}),
    ("sources list --j", {"--json"}),
    ("completion ", {"bash", "zsh", "fish"}),
    ("leaks register list --work", {"--workers", "--workspace"}),
    ("inspect a_file_of_mine", set()),
    ("no_such_command", set()),
]
"""What is typed after the command's name, and what is offered; of files the shell knows."""
ASK_BASH = """
source "$1"; shift
COMP_WORDS=(occlufer "$@") COMP_CWORD=$#
_occlufer
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a script for each shell, as the command prints it."""
    folder = tmp_path_factory.mktemp("scripts")
    for shell in ("bash", "zsh", "fish"):
        command = [sys.executable, "-m", "occlufer.cli", "completion", shell]
        done = subprocess.run(command, capture_output=True, timeout=60, check=True)
        (folder / shell).write_bytes(done.stdout)
    return folder


def program(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"there is no {shell} here")
    return found


def said(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(("typed", "offered"), CASES, ids=[typed for typed, _ in CASES])
def test_bash_offers_what_can_stand_there(scripts: Path, typed: str, offered: set[str]) -> None:
    ask = [program("bash"), "--norc", "-c", ASK_BASH, "ask", str(scripts / "bash")]
    assert set(said([*ask, *typed.split(" ")])) - {""} == offered


@pytest.mark.parametrize(("typed", "offered"), CASES, ids=[typed for typed, _ in CASES])
def test_fish_offers_what_can_stand_there(scripts: Path, typed: str, offered: set[str]) -> None:
    ask = [program("fish"), "--no-config", "-c", "source $argv[1]; complete -C $argv[2]"]
    found = said([*ask, str(scripts / "fish"), f"occlufer {typed}"])
    assert {line.split("\t")[0] for line in found} == offered


@pytest.mark.parametrize(
    "start", [("bash", "--norc", "-i"), ("zsh", "-f", "-i")], ids=lambda s: s[0]
)
def test_a_shell_completes_a_line_at_the_tab_key(
    scripts: Path, tmp_path: Path, start: tuple[str, ...]
) -> None:
    """Three Tabs: an action, an option, and, where a value is free, a file."""
    shell = program(start[0])
    (tmp_path / "mine.toml").touch()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        own = {"HOME": str(tmp_path), "TERM": "dumb", "PATH": os.environ["PATH"]}
        os.execve(shell, start, own)
    try:
        setting = f"source {scripts / start[0]}; occlufer() {{ echo ran: $*; }}; echo rea''dy\n"
        answer(terminal, setting, "ready")
        answer(
            *(terminal, "occlufer annot\tstatu\t--conf\tmi\t\n"),
            "ran: annotate status --config mine.toml",
        )
    finally:
        os.close(terminal)  # hangs up
        os.waitpid(pid, 0)


def answer(terminal: int, typed: str, expected: str) -> None:
    """Type, and wait for what is expected."""
    os.write(terminal, typed.encode())
    out, end = "", time.monotonic() + LIMIT_S
    while expected not in out:
        assert time.monotonic() < end, out
        if select.select([terminal], [], [], 1)[0]:
            out += os.read(terminal, 65536).decode(errors="replace")


def test_a_help_that_has_quotes_is_one_word_of_fish() -> None:
    parser = argparse.ArgumentParser(prog="occlufer")
    parser.add_argument("--at", help="the rater's \\ own")
    assert r"-l at -r -F -d 'the rater\'s \\ own'" in script(parser, "fish")


def test_every_command_and_action_has_its_place(scripts: Path) -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for name, module in COMMANDS.items():
        module.add(commands.add_parser(name))
    for shell in ("bash", "zsh", "fish"):
        text = (scripts / shell).read_text(encoding="utf-8")
        assert all(f"'{place.path}'" in text for place in places(parser) if place.path)
