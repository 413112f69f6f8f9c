"""A workspace is held by one build at a time, and let go however that build ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from occlufer.errors import UsageError
from occlufer.workspace import open_workspace

HOLD = """
import sys
from pathlib import Path
from occlufer.workspace import open_workspace
with open_workspace(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the workspace `ws`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "ws")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_build_on_one_workspace_is_refused(
    holder: subprocess.Popen[str],
    tmp_path: Path,
    run_cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = run_cli("build", "--workspace", "ws", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"another build (process {holder.pid}) works in this workspace" in line
    assert not (tmp_path / "occlu_fer").exists()


def test_a_killed_build_lets_its_workspace_go(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="another build"), open_workspace(tmp_path / "ws"):
        pass
    holder.kill()
    holder.wait()
    with open_workspace(tmp_path / "ws") as opened:
        assert opened.catalog.sources() == []


def test_opening_makes_the_folder_and_sweeps_what_a_kill_left(tmp_path: Path) -> None:
    with open_workspace(tmp_path / "a" / "b") as opened:
        name = opened.images.put(b"data")
        assert opened.images.folder is not None
        part = opened.images.folder / name[:2] / "x.1-1.part"
        part.write_bytes(b"da")
    with open_workspace(tmp_path / "a" / "b") as opened:
        assert not part.exists()
        assert opened.images.get(name) == b"data"
