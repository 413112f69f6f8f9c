"""The command `occlufer weights`: where it looks, what it prints, its mistakes in one line."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from occlufer import cli
from occlufer.builders.weights import WEIGHTS, Weights

Capture = pytest.CaptureFixture[str]
TOY = b"a toy's weights"
SHA256 = hashlib.sha256(TOY).hexdigest()
SOURCE = '[[sources]]\nkind = "synthetic"\n'


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the command runs in, with `stick`, a file of the weights called toy."""
    pinned = Weights(("toy.onnx",), ("https://weights.example/toy.onnx",), SHA256, 15, "MIT", "toy")
    monkeypatch.setitem(WEIGHTS, "toy", pinned)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stick").write_bytes(TOY)
    return tmp_path


PULL = ["weights", "pull", "toy", "--from", "stick"]


def test_weights_go_where_builds_look(place: Path, capsys: Capture) -> None:
    (place / "other.toml").write_text(f'weights_dir = "of_other"\n{SOURCE}')
    folders = {
        "data/occlufer/weights": [],
        "of_other": ["--config", "other.toml"],
        "named": ["--weights-dir", "named"],
        "both": ["--config", "gone.toml", "--weights-dir", "both"],  # nothing is asked of it
    }
    for folder, options in folders.items():
        assert cli.main([*PULL, *options]) == 0
        said = capsys.readouterr().out
        assert (place / folder / "toy.onnx").read_bytes() == TOY
        assert f"toy: fetched from stick, sha256 {SHA256}\n  {place / folder}/toy.onnx\n" in said
        in_config = f'weights_dir = "{place / folder}" in their config'
        assert (in_config in said) == ("--weights-dir" in options)
        assert ("builds find it there from now on" in said) == ("--weights-dir" not in options)
        assert cli.main([*PULL, *options]) == 0
        assert "is there already" in capsys.readouterr().out
    (place / "occlufer.toml").write_text(f'weights_dir = "here"\n{SOURCE}')
    assert cli.main(PULL) == 0
    assert (place / "here/toy.onnx").read_bytes() == TOY


def test_a_pull_for_machines_says_where_it_is(place: Path, capsys: Capture) -> None:
    expected = {"name": "toy", "path": str(place / "data/occlufer/weights/toy.onnx")}
    expected["sha256"] = SHA256
    for source in ("stick", None):
        assert cli.main([*PULL, "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == expected | {"source": source}


def test_the_list_says_what_is_there_and_how_to_get_the_rest(place: Path, capsys: Capture) -> None:
    (place / "named").mkdir()
    (place / "named/toy.onnx").write_bytes(TOY)
    options = ["weights", "list", "--weights-dir", "named"]
    assert cli.main(options) == 0
    said = capsys.readouterr().out
    assert f"  there: {place / 'named/toy.onnx'}" in said
    assert "  missing: `occlufer weights pull yunet" in said
    assert cli.main([*options, "--json"]) == 0
    found = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert (found["toy"]["state"], found["toy"]["sha256"]) == ("there", SHA256)
    assert (found["yunet"]["state"], found["yunet"]["licence"]) == ("missing", "MIT")
    assert found["yunet"]["urls"]


def test_a_wrong_file_is_listed_and_gives_status_2(place: Path, capsys: Capture) -> None:
    (place / "toy.onnx").write_bytes(b"other")
    assert cli.main(["weights", "list", "--weights-dir", "."]) == 2
    said = capsys.readouterr()
    assert f"  wrong: {place / 'toy.onnx'}" in said.out
    (line,) = said.err.splitlines()
    assert line.startswith(f"occlufer: {place / 'toy.onnx'}: found sha256 ")
    assert f"expected {SHA256} (5 bytes of 15)" in line


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["pull", "yolo"], 2, "found 'yolo', expected one of yunet"),
        (["pull", "toy", "--from", "gone"], 3, "gone: no such file"),
        (["pull", "toy", "--from", "wrong"], 2, "wrong: found sha256"),
        (["pull", "toy", "--config", "gone.toml"], 3, "gone.toml: no such config"),
        (["list", "--config", "gone.toml"], 3, "gone.toml: no such config"),
    ],
)
def test_every_mistake_is_one_line(
    place: Path, capsys: Capture, arguments: list[str], status: int, words: str
) -> None:
    (place / "wrong").write_bytes(b"other weights!!")
    assert cli.main(["weights", *arguments]) == status
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert words in line
    assert not (place / "data/occlufer/weights/toy.onnx").exists()


LOOK = """
import sys
from occlufer import cli
try:
    cli.main(sys.argv[1:])
except SystemExit:
    pass
print("loaded:", *sorted(sys.modules))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["pull", "--help"], ["list", "--help"]])
def test_help_imports_nothing_heavy(tmp_path: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-c", LOOK, "weights", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.splitlines()[-1].split()[1:])
    assert "occlufer.commands.weights" in loaded
    heavy = {"numpy", "cv2", "torch", "requests", "PIL"}
    assert not loaded & (heavy | {"occlufer.builders"})
