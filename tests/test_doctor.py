"""`occlufer doctor`: what of this machine is found, and what to do where something is not."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from occlufer.builders.weights_by_hand import BY_HAND
from occlufer.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]
Capture = pytest.CaptureFixture[str]


def told(capsys: Capture, *arguments: str) -> dict[str, dict[str, str]]:
    assert main(["doctor", "--json", *arguments]) == 0
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)}


def test_what_is_there_is_told_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OCCLUFER_LABEL_STUDIO", raising=False)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "yunet_s_640.onnx").write_bytes(b"another network")
    (tmp_path / "occlufer.toml").write_text(
        'weights_dir = "weights"\n[[sources]]\nkind = "synthetic"\ncount = 1\n', encoding="utf-8"
    )
    found = told(capsys)
    assert f"torch {torch.__version__}" in found["packages"]["told"]
    versions = found["packages"]["told"].split(", ")
    names = {one.split()[0] for one in versions}
    assert {"torch", "datasets", "pillow", "imagehash", "pandas", "requests"} <= names
    assert not {"pytest", "onnx"} & names  # of the extras
    assert all(importlib.metadata.version(one.split()[0]) == one.split()[1] for one in versions)
    assert found["device"]["state"] == ("ok" if torch.cuda.is_available() else "optional")
    assert found["yunet"]["state"] == "optional"
    assert "weights pull yunet" in found["yunet"]["told"]
    assert set(BY_HAND) <= set(found)
    assert found["Label Studio"]["state"] == "optional"
    assert "GB free" in found["workspace"]["told"]


def test_a_package_that_is_too_old_ends_with_status_3(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "0.1" if name == "pandas" else real(name)
    )
    assert main(["doctor"]) == 3
    said = capsys.readouterr()
    assert "!! packages       pandas: found 0.1, expected >=2.2" in said.out
    assert said.err == "occlufer: packages: pandas: found 0.1, expected >=2.2\n"


def test_a_place_that_cannot_be_written_to_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.access", lambda place, mode: Path(place) != tmp_path)
    assert main(["doctor"]) == 3
    assert f"{tmp_path} cannot be written to" in capsys.readouterr().err


def test_it_runs_where_there_is_no_config_and_writes_nothing(tmp_path: Path, run_cli: Run) -> None:
    done = run_cli("doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok occlufer ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", None])
def test_chromium_is_named_and_asked_of_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path, name: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    if name is not None:
        (tmp_path / name).touch(mode=0o755)
    found = told(capsys)["chromium"]
    if name is None:
        assert found["state"] == "optional"
        assert "no command needs it" in found["told"]
    else:
        assert (found["state"], found["told"]) == ("ok", str(tmp_path / name))


def test_a_package_that_is_not_there_is_a_finding_like_any_other(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "torch", None)  # as Python notes what cannot be imported
    assert main(["doctor"]) == 3
    said = capsys.readouterr()
    assert "!! device         found no package torch" in said.out
    assert "GB free" in said.out
    assert "found no package torch" in said.err
