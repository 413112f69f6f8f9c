"""While a build works, nobody else builds in its workspace; what others do beside it is kept."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from faults import CONFIG, outcome, told
from forked import Ended, Forks, Within, forks
from numpy.typing import NDArray

LIMIT_S = 120.0
WORK = (("build",), ("annotate", "pull"), ("report", "--out", "report.html"), ("plan",))


@pytest.fixture(scope="module")
def forked() -> Iterator[Forks]:
    with forks() as started:
        yield started


@pytest.fixture(scope="module")
def held() -> Iterator[Forks]:
    """Another one, for a build that stands still."""
    with forks() as started:
        yield started


class Standing:
    """A build that stands still at the begin of a stage, until it may go on."""

    def __init__(self, held: Forks, folder: Path, stage: str) -> None:
        self._ended: list[Ended] = []
        moment = Within(stage, operation=0, sent="SIGSTOP")

        def build() -> None:
            self._ended.append(held.run(folder, "build", within=[moment]))

        self._thread = threading.Thread(target=build)
        self._thread.start()
        self.process = self._stopped(folder / ".occlufer/lock")

    def _stopped(self, lock: Path) -> int:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline and self._thread.is_alive():
            text = lock.read_text() if lock.is_file() else ""
            status = Path("/proc") / (text or "none") / "stat"
            if (
                text
                and status.is_file()
                and status.read_text().rpartition(")")[2].split()[0] == "T"
            ):
                return int(text)
            time.sleep(0.02)
        raise AssertionError("the build did not come to the stage")

    def go_on(self) -> Ended:
        os.kill(self.process, signal.SIGCONT)
        self._thread.join()
        return self._ended[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if not Path("/proc/self/stat").is_file():
        pytest.skip("whether a process stands still is read in /proc, which is not here")
    (tmp_path / "occlufer.toml").write_text(CONFIG)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, forked: Forks) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "occlufer.toml").write_text(CONFIG)
    assert forked.run(folder, "build").status == 0
    return outcome(folder)


@pytest.mark.parametrize("stage", ["gather", "hashes", "publish"])
def test_a_second_build_is_refused_by_name_and_the_first_ends_undisturbed(
    folder: Path, forked: Forks, held: Forks, undisturbed: dict[str, str], stage: str
) -> None:
    standing = Standing(held, folder, stage)
    try:
        second = forked.run(folder, "build")
    finally:
        ended = standing.go_on()
    assert second.status == 2
    assert told(second.stderr) == (
        f".occlufer: another build (process {standing.process}) works in this workspace; "
        "wait for it or give another --workspace"
    )
    assert ended.status == 0, ended.stderr
    assert outcome(folder) == undisturbed


def test_what_works_on_the_workspace_is_refused_while_a_build_does(
    folder: Path, forked: Forks, held: Forks, undisturbed: dict[str, str]
) -> None:
    standing = Standing(held, folder, "dedup")
    try:
        refused = {words: forked.run(folder, *words) for words in WORK}
    finally:
        ended = standing.go_on()
    for words, one in refused.items():
        assert (one.status, f"(process {standing.process})" in told(one.stderr)) == (2, True), words
    assert ended.status == 0, ended.stderr
    assert outcome(folder) == undisturbed


@pytest.mark.parametrize("stage", ["gather", "leaks", "publish"])
def test_test_sets_and_tombstones_that_come_during_a_build_count_in_the_next(
    folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
    forked: Forks,
    held: Forks,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    stage: str,
) -> None:
    (tests := tmp_path_factory.mktemp("tests")).joinpath("a.png").write_bytes(
        encoded(textured(7, 80, 80))
    )
    commands = (
        ("leaks", "register", "others", str(tests)),
        ("takedown", "add", "0" * 64),
    )
    alone = tmp_path_factory.mktemp("alone")
    (alone / "occlufer.toml").write_text(CONFIG)
    for words in commands:
        assert forked.run(alone, *words).status == 0
    assert forked.run(alone, "build").status == 0
    standing = Standing(held, folder, stage)
    try:
        done = [forked.run(folder, *words) for words in commands]
    finally:
        ended = standing.go_on()
    for one in done:
        assert one.status == 0 or f"(process {standing.process})" in told(one.stderr), one
    assert ended.status == 0, ended.stderr
    for words in commands:
        assert forked.run(folder, *words).status == 0
    assert forked.run(folder, "build").status == 0
    assert outcome(folder) == outcome(alone)
