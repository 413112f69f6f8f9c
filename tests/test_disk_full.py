"""A full disk stops a build with one line; with room again it goes on."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Run = Callable[..., subprocess.CompletedProcess[str]]
CONFIG = """workers = 2
out = "{out}/occlu_fer"
workspace = "{workspace}"
[[sources]]
kind = "image_folder"
path = "faces"
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """A disk of a given size, or of another if it is asked for again."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def size(size: str) -> Path:
        options = f"size={size}" + (",remount" if disk.is_mount() else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(disk)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=20)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a small disk cannot be mounted here: {error}")
        return disk

    yield size
    if disk.is_mount():
        subprocess.run(["umount", str(disk)], check=True, timeout=20)


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> Path:
    """Thirty noisy pictures, about 300 kB, and what an undisturbed build makes of them."""
    folder = tmp_path_factory.mktemp("roomy")
    files = {
        f"{('happy', 'sad', 'fear')[i % 3]}/{i}.png": encoded(textured(i, 64, 64))
        for i in range(30)
    }
    write_tree(folder / "faces", files)
    (folder / "plain.toml").write_text(CONFIG.format(out="plain", workspace="plain/workspace"))
    command = [sys.executable, "-m", "occlufer.cli", "build", "--config", "plain.toml"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
    return folder


def shards(out: Path) -> dict[str, str]:
    return {
        path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*.parquet")
    }


@pytest.mark.parametrize(
    ("full", "size"),
    [
        ("workspace", "16k"),
        ("workspace", "128k"),
        ("workspace", "400k"),
        ("workspace", "560k"),
        ("out", "64k"),
    ],
    ids=[*("no-catalog", "few-images", "most-images", "some-results"), "no-shards"],
)
def test_a_full_disk_gives_one_line_and_the_next_run_goes_on(
    folder: Path, small_disk: Callable[[str], Path], run_cli: Run, full: str, size: str
) -> None:
    places = {"out": "made", "workspace": f"made/{full}-{size}", full: str(small_disk(size))}
    (folder / "full.toml").write_text(CONFIG.format(**places))
    done = run_cli("build", "--config", "full.toml", cwd=folder)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("occlufer: ")]
    assert errors == done.stderr.splitlines()[-1:]
    causes = ("No space left on device", "disk is full", "disk I/O error")
    assert any(cause in errors[0] for cause in causes)
    assert "run the same command to go on" in errors[0]
    small_disk("100m")
    again = run_cli("build", "--config", "full.toml", cwd=folder)
    assert again.returncode == 0, again.stderr
    out = folder / places["out"] / "occlu_fer"
    assert shards(out) == shards(folder / "plain/occlu_fer")
    assert len(shards(out)) == 4  # two splits, with pixels and in the index
