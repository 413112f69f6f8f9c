"""The command line: exit codes, one clear line for each mistake, JSON for machines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from occlufer import cli
from occlufer.schema import LABELS

Run = Callable[..., subprocess.CompletedProcess[str]]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that the command runs in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def faces(
    place: Path,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> Path:
    """Six small pictures in the class folders `happy` and `sad`."""
    files = {
        f"{'happy' if i % 2 else 'sad'}/{i}.png": encoded(textured(i, 48, 48)) for i in range(6)
    }
    return write_tree(place / "faces", files)


# A thread is in C++ and comes back to Python half a second later, while that shuts down.
LEFT_RUNNING = """
import sys, threading, time
import torch

class Slow(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return 2 * x

    @staticmethod
    def backward(context, gradient):
        time.sleep(0.5)
        return gradient

class Last:
    def __del__(self, sleep=time.sleep):
        sleep(1)

last = Last()
step = Slow.apply(torch.ones(1, requires_grad=True)).backward
threading.Thread(target=step, daemon=True).start()
time.sleep(0.2)
from occlufer.cli import run
run()
"""


@pytest.mark.parametrize(("words", "status"), [(["completion", "bash"], 0), (["verify", "no"], 3)])
def test_a_thread_of_a_library_that_still_runs_does_not_change_the_status(
    tmp_path: Path, words: list[str], status: int
) -> None:
    command = [sys.executable, "-c", LEFT_RUNNING, *words]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == status, done.stderr
    assert len(done.stdout.splitlines()) > 10 if status == 0 else len(done.stderr.splitlines()) == 1


HEAVY = ("torch", "datasets", "numpy", "pandas", "cv2", "PIL", "pyarrow", "numba", "scipy")
LOOK = """
import sys
from occlufer import cli
try:
    cli.main(sys.argv[1:])
except SystemExit:
    pass
print("loaded:", *sorted(sys.modules))
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["build", "--help"], ["--version"], ["completion", "bash"]]
)
def test_help_imports_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-c", LOOK, *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    assert "occlufer.cli" in loaded
    assert not loaded & set(HEAVY)


def failure(arguments: list[str], capsys: Capture) -> tuple[int, str]:
    """Run the command and return its status and the one line that it says."""
    status = cli.main(arguments)
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("occlufer: ")
    return status, line


FOLDER = '[[sources]]\nkind = "image_folder"\npath = "faces"\n'


@pytest.mark.parametrize(
    ("config", "folders", "status", "words"),
    [
        (None, [], 3, ("occlufer.toml", "no such config", "occlufer init")),
        ("x = = 1", [], 2, ("occlufer.toml", "not valid TOML")),
        ("sed = 1\n" + FOLDER, [], 2, ("unknown key 'sed'", "did you mean 'seed'?")),
        (FOLDER + "lable_map = {}\n", ["happy/"], 2, ("'lable_map'", "'label_map'")),
        (FOLDER, [], 3, ("faces", "no such folder", "expected a folder of images")),
        (FOLDER, ["happy/"], 3, ("faces", "found no file in it")),
        (FOLDER, ["grumpy/"], 2, ("faces/grumpy", "'grumpy'", "expected one of anger")),
        (FOLDER, ["3/"], 2, ("faces/3", "the class '3'", "label_map")),
        (FOLDER.replace("image_folder", "imgs"), [], 2, ("'imgs'", "image_folder")),
        (FOLDER.replace("image_folder", "fer2013"), ["x/"], 3, ("faces", "fer2013.csv")),
        ('[faces]\ndetector = "yunet"\n' + FOLDER, ["happy/"], 3, ("YuNet", "OpenCV Zoo")),
    ],
    ids=[
        *("missing-config", "bad-toml", "unknown-key", "unknown-source-key", "missing-folder"),
        *("empty-source", "unknown-class", "numeric-class", "unknown-kind", "other-layout"),
        "missing-weights",
    ],
)
@pytest.mark.parametrize("dry", [False, True], ids=["build", "dry-run"])
def test_every_mistake_gives_its_status_and_one_clear_line(
    place: Path,
    capsys: Capture,
    config: str | None,
    folders: list[str],
    status: int,
    words: tuple[str, ...],
    dry: bool,
) -> None:
    if config is not None:
        (place / "occlufer.toml").write_text(config)
    for name in folders:
        (place / "faces" / name).mkdir(parents=True)
    arguments = ["build", "--config", "occlufer.toml", *(["--dry-run"] if dry else [])]
    found, line = failure(arguments, capsys)
    assert found == status
    assert all(word in line for word in words), line
    assert not (place / "occlu_fer").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--workers", "-1"), ("--workers", "5000"), ("--out", "my set")],
)
def test_a_wrong_value_on_the_command_line_gives_status_2(
    place: Path, capsys: Capture, option: str, value: str
) -> None:
    status, line = failure(["build", option, value, "--dry-run"], capsys)
    assert status == 2
    assert value in line


@pytest.mark.parametrize("command", [["verify"], ["rebuild", "recipe"], ["dedup", "faces"]])
def test_fewer_workers_than_none_give_status_2(command: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([*command, "--workers", "-1"])
    assert caught.value.code == 2
    assert "found '-1', expected a whole number" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("to", "status", "said"), [("| true", 1, ""), ("> /dev/full", 1, "No space")]
)
def test_output_that_nobody_takes_ends_without_a_traceback(
    tmp_path: Path, to: str, status: int, said: str
) -> None:
    command = f"{sys.executable} -m occlufer.cli sources list {to}; echo ${{PIPESTATUS[0]}}"
    shell = ["bash", "-c", f"trap '' PIPE; {command}"]
    done = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=False)
    # A short list may have been taken by the pipe before its reader went.
    assert int(done.stdout.splitlines()[-1]) in {status, 0 if "true" in to else status}
    assert said in done.stderr
    assert len(done.stderr.splitlines()) <= 1


def test_an_unknown_option_gives_status_2(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["build", "--wokers", "3"])
    assert caught.value.code == 2


def test_a_workspace_that_is_a_file_gives_status_2(place: Path, capsys: Capture) -> None:
    (place / "ws").write_text("x")
    status, line = failure(["build", "--workspace", "ws"], capsys)
    assert status == 2
    assert "ws: found a file, expected a folder" in line


def test_a_damaged_catalog_gives_status_1(place: Path, capsys: Capture) -> None:
    (place / "ws").mkdir()
    (place / "ws/catalog.sqlite").write_bytes(b"no database" * 400)
    status, line = failure(["build", "--workspace", "ws"], capsys)
    assert status == 1
    assert "ws/catalog.sqlite" in line


@pytest.mark.usefixtures("faces")
def test_json_ends_with_one_object_that_accounts_for_everything(place: Path, run_cli: Run) -> None:
    (place / "occlufer.toml").write_text(FOLDER)
    (place / "faces/sad/zero.jpg").write_bytes(b"")
    done = run_cli("build", "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert {"files_read", "published", "rejected", "unlabelled", "splits", "out"} <= set(found)
    assert (found["files_read"], found["published"], found["unlabelled"]) == (7, 6, 0)
    assert found["rejected"] == {"empty_file": 1}
    assert Path(found["out"]) == place / "occlu_fer"
    assert set(found["splits"]) == {"train", "validation"}
    assert all(list(counts) == sorted(LABELS) for counts in found["splits"].values())
    assert sum(sum(counts.values()) for counts in found["splits"].values()) == 6


@pytest.mark.usefixtures("faces")
def test_options_say_where_things_go(place: Path, capsys: Capture) -> None:
    (place / "c.toml").write_text(FOLDER)
    arguments = ["--config", "c.toml", "--out", "a/my_set", "--workspace", "w", "--workers", "1"]
    assert cli.main(["build", *arguments]) == 0
    said = capsys.readouterr().out
    assert f"dataset: {place / 'a/my_set'}" in said
    assert "6 published" in said
    assert (place / "a/my_set/README.md").is_file()
    assert (place / "w/catalog.sqlite").is_file()
    assert not (place / ".occlufer").exists()


@pytest.mark.usefixtures("faces")
def test_a_dry_run_writes_nothing(place: Path, capsys: Capture) -> None:
    (place / "occlufer.toml").write_text(FOLDER)
    before = sorted(place.rglob("*"))
    assert cli.main(["build", "--dry-run"]) == 0
    assert capsys.readouterr().out == "image_folder: 6 records\n"
    assert cli.main(["build", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"image_folder": 6}
    assert sorted(place.rglob("*")) == before


@pytest.mark.usefixtures("place")
def test_without_a_config_the_built_in_set_is_built(capsys: Capture) -> None:
    assert cli.main(["build", "--dry-run"]) == 0
    assert capsys.readouterr().out == "synthetic: 1500 records\n"


def test_init_writes_a_config_that_build_accepts(place: Path, faces: Path, capsys: Capture) -> None:
    assert cli.main(["init", str(faces)]) == 0
    said = capsys.readouterr().out
    assert f"{faces}: 2 class folders: happy, sad" in said
    assert "wrote occlufer.toml" in said
    assert cli.main(["build", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["published"] == 6
    assert (place / "occlu_fer/README.md").is_file()


@pytest.mark.usefixtures("faces")
def test_init_without_folders_looks_around(capsys: Capture) -> None:
    assert cli.main(["init"]) == 0
    assert "faces: 2 class folders" in capsys.readouterr().out
    assert cli.main(["build", "--dry-run"]) == 0


def test_init_does_not_write_over_a_config(place: Path, faces: Path, capsys: Capture) -> None:
    (place / "occlufer.toml").write_text("mine")
    status, line = failure(["init", str(faces)], capsys)
    assert (status, "is there already; --force" in line) == (2, True)
    assert (place / "occlufer.toml").read_text() == "mine"
    assert cli.main(["init", str(faces), "--force"]) == 0
    assert "[[sources]]" in (place / "occlufer.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["none"], 3, "none: no such folder"),
        (["empty"], 3, "empty: found no folder with images in it"),
        (["file"], 2, "file: found a file, expected a folder"),
    ],
)
def test_init_says_what_it_cannot_use(
    place: Path, capsys: Capture, arguments: list[str], status: int, words: str
) -> None:
    (place / "empty").mkdir()
    (place / "file").write_text("x")
    found, line = failure(["init", *arguments], capsys)
    assert (found, words in line) == (status, True)
    assert not (place / "occlufer.toml").exists()
