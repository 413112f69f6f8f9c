"""The tutorial, to the letter: its commands in order, and what it quotes of what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import stand_ins
from blocks import Said, blocks, dialogue, says
from hub_server import TOKEN, Hub
from people import People

from occlufer.annotation.server import installation
from occlufer.annotation.server.server import stop

PAGE = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"
STATUS = "echo $?"


class Reader:
    """Somebody who does what the tutorial says, in an empty folder."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.folder = home / "mine"
        self.folder.mkdir()
        self.config = self.folder / "occlufer.toml"
        self.people = People(self.folder / ".occlufer")
        self._environment = environment
        self._last = ""
        # What people do that the page only tells.
        self._then: dict[str, Callable[[], None]] = {
            "occlufer annotate start": self._invite,
            "occlufer annotate push": self.people.label,
            "occlufer annotate adjudicate": self.people.decide,
        }

    def do(self, language: str, text: str) -> None:
        """Do what a block says: run it, write it down, or compare what was said."""
        if language == "console":
            self._converse(dialogue(text))
        elif language == "python":
            self._run([sys.executable, "-c", text], 0)
        elif language == "toml":  # at the top of the config, as the page says
            self.config.write_text(text + self.config.read_text())
        else:
            assert language == "text"
            self._compare(text.splitlines(), "python")

    def _converse(self, said: Sequence[Said]) -> None:
        for place, one in enumerate(said):
            if one.command == STATUS:
                continue
            after = said[place + 1] if place + 1 < len(said) else None
            told = after.quoted[0] if after is not None and after.command == STATUS else "0"
            self._run(["bash", "-c", one.command], int(told))
            self._compare(one.quoted, one.command)
            self._then.get(one.command, lambda: None)()

    def _run(self, command: list[str], status: int) -> None:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        self._last = done.stdout
        assert done.returncode == status, f"{command}: {done.returncode}: {done.stdout[-2000:]}"

    def _compare(self, quoted: Sequence[str], command: str) -> None:
        """Hold what is quoted against what was said, line by line and in order."""
        lines = iter(self._last.splitlines())
        for line in quoted:
            found = any(says(line, other) for other in lines)
            assert found, f"{command}: {line!r} is not said, or not in this order:\n{self._last}"

    def _invite(self) -> None:
        line = next(line for line in self._last.splitlines() if "raters sign up" in line)
        self.people.come(line.split()[-1])


@pytest.fixture
def hub() -> Iterator[Hub]:
    started = Hub()
    yield started
    started.stop()


@pytest.fixture
def reader(tmp_path: Path, hub: Hub, label_studio: Path) -> Iterator[Reader]:
    stand_ins.raf_db(tmp_path / "data")
    stand_ins.affectnet(tmp_path / "data")
    own = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_DATASETS_CACHE": str(tmp_path / "hf" / "datasets"),
        "HF_ENDPOINT": hub.endpoint,
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        installation.VARIABLE: str(label_studio),
    }
    started = Reader(tmp_path, {**os.environ, **own})
    yield started
    stop(started.folder / ".occlufer")


@pytest.mark.slow
def test_the_tutorial_is_what_happens(reader: Reader, hub: Hub) -> None:
    for block in blocks(PAGE):
        reader.do(block.language, block.text)
    repository = hub.repositories["you/occlu_fer"]
    assert repository.private
    assert repository.gated == "manual"
    assert any(name.startswith("index/") for name in repository.files)


def test_a_quoted_line_that_is_not_said_is_found(tmp_path: Path) -> None:
    reader = Reader(tmp_path, {**os.environ})
    reader.do("console", "$ printf 'one\\ntwo\\n'\none\ntwo\n$ exit 3\n$ echo $?\n3\n")
    for wrong in ("$ echo one\ntwo\n", "$ printf 'one\\ntwo\\n'\ntwo\none\n", "$ exit 3\n"):
        with pytest.raises(AssertionError):
            reader.do("console", wrong)
