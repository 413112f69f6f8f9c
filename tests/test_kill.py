"""A build that is killed at any moment goes on, and ends with the bytes of an undisturbed one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import CONFIG, leftovers, outcome
from forked import Ended, forks

Run = Callable[..., subprocess.CompletedProcess[str]]

CATALOG = "occlufer.catalog:Catalog"
PUBLISH = "occlufer.builders.publish"
MOMENTS = {
    "reading-a-picture": ("occlufer.images:Path.replace", "", 9, "before"),
    "gather": (f"{CATALOG}.put_records", "", 3, "before"),
    "gather-inside-a-transaction": (f"{CATALOG}._bump", "gather", 4, "after"),
    "faces": (f"{CATALOG}.put_results", "faces", 2, "after"),
    "faces-before-its-mark": (f"{CATALOG}.put_mark", "faces", 1, "before"),
    "occlusion": (f"{CATALOG}.put_results", "occlusion", 3, "before"),
    "hashes-inside-a-transaction": (f"{CATALOG}._bump", "hashes", 2, "before"),
    "dedup": (f"{CATALOG}.replace_results", "dedup", 1, "before"),
    "dedup-inside-a-transaction": (f"{CATALOG}._bump", "dedup", 1, "before"),
    "labels": (f"{CATALOG}.replace_results", "labels", 1, "after"),
    "split": (f"{CATALOG}.replace_results", "split", 1, "before"),
    "leaks": (f"{CATALOG}.replace_results", "leaks", 1, "before"),
    "publish-between-shards": (f"{PUBLISH}:_write_shard", "", 2, "before"),
    "publish-before-the-swap": (f"{PUBLISH}:swap_into_place", "", 1, "before"),
    "publish-before-the-clearing": (
        "occlufer.builders.publishing.swap:shutil.rmtree",
        "",
        1,
        "before",
    ),
    "publish-after-the-swap": (f"{PUBLISH}:swap_into_place", "", 1, "after"),
    "publish-after-the-commit": ("occlufer.build:write_rejected", "", 1, "before"),
}


Build = Callable[..., Ended]


@pytest.fixture(scope="module")
def build_in() -> Iterator[Build]:
    """Run a build in a folder, in a process of its own that may be killed at a moment."""
    with forks() as forked:

        def run(folder: Path, moment: str | None = None, sent: str = "SIGKILL") -> Ended:
            return forked.run(folder, "build", moment=(*MOMENTS[moment], sent) if moment else None)

        yield run


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "occlufer.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "occlufer.cli", "build"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return outcome(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "occlufer.toml").write_text(CONFIG)
    return tmp_path


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_build_goes_on_and_ends_as_if_undisturbed(
    folder: Path, undisturbed: dict[str, str], build_in: Build, moment: str
) -> None:
    former = folder / "occlu_fer"
    former.mkdir()
    (former / "former").write_text("whole")
    (former / "occlu_fer.lock").write_text("of a former build")
    killed = build_in(folder, moment)
    assert killed.status == -signal.SIGKILL, killed.stderr
    # Whoever loads it meanwhile finds the former dataset or the new one, never a part.
    names = {path.relative_to(folder).as_posix() for path in former.rglob("*") if path.is_file()}
    before = {"occlu_fer/former", "occlu_fer/occlu_fer.lock"}
    assert names in (before, undisturbed.keys() - {".occlufer/rejected.csv"})
    again = build_in(folder)
    assert again.status == 0, again.stderr
    assert outcome(folder) == undisturbed
    assert leftovers(folder) == []


def test_the_plain_command_goes_on_after_a_kill_and_does_nothing_twice(
    folder: Path, undisturbed: dict[str, str], build_in: Build, run_cli: Run
) -> None:
    build_in(folder, "dedup")
    again = run_cli("build", cwd=folder)
    assert again.returncode == 0, again.stderr
    lines = [line.split(maxsplit=1) for line in again.stderr.splitlines()]
    said = {words[0]: words[1] for words in lines if len(words) == 2}
    for stage in ("gather", "faces", "parts", "occlusion", "hashes"):
        assert said[stage] == "nothing to do"
    assert said["dedup"] != "nothing to do"
    assert outcome(folder) == undisturbed


@pytest.mark.parametrize("moment", ["gather", "faces", "publish-between-shards"])
def test_an_interrupted_build_says_so_in_one_line_and_goes_on(
    folder: Path, undisturbed: dict[str, str], build_in: Build, moment: str
) -> None:
    ended = build_in(folder, moment, "SIGINT")
    assert (ended.status, ended.stdout) == (130, "")
    assert "Traceback" not in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last == "occlufer: interrupted; what is done is kept, run the same command to go on"
    assert build_in(folder).status == 0
    assert outcome(folder) == undisturbed


def test_control_c_from_outside_stops_a_long_build_soon(tmp_path: Path) -> None:
    (tmp_path / "occlufer.toml").write_text(CONFIG.replace("24", "5000"))
    command = [sys.executable, "-m", "occlufer.cli", "build"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not list(tmp_path.glob(".occlufer/images/*/*")):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert said.splitlines() == [
        "occlufer: interrupted; what is done is kept, run the same command to go on"
    ]
