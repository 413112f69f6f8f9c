"""Weights that a person fetches: told where they are, and read before they are believed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from occlufer import cli
from occlufer.orsanet.mobilefacenet import MobileFaceNet
from occlufer.orsanet.segface import build_segface

Capture = pytest.CaptureFixture[str]


def test_the_list_says_how_to_get_them_and_what_is_there(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "ir50.pth").write_bytes(b"anything")
    assert cli.main(["weights", "list", "--weights-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"there: {tmp_path / 'ir50.pth'}; `occlufer weights verify ir50` reads it" in said
    assert "segface: SegFace for LaPa" in said
    assert f"and put it at {tmp_path / 'segface_lapa.pt'}" in said
    assert cli.main(["weights", "list", "--weights-dir", str(tmp_path), "--json"]) == 0
    found = {one["name"]: one["state"] for one in json.loads(capsys.readouterr().out)}
    assert (found["ir50"], found["mobilefacenet"]) == ("there", "missing")


def test_verifying_reads_every_tensor(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "mobilefacenet.pth"
    verify = ["weights", "verify", "mobilefacenet", "--weights-dir", str(tmp_path), "--json"]
    assert cli.main(verify) == 3
    assert f"put it at {tmp_path / 'mobilefacenet_model_best.pth.tar'}" in capsys.readouterr().err
    state = MobileFaceNet().state_dict()
    torch.save({"state_dict": {f"module.{name}": x for name, x in state.items()}}, path)
    assert cli.main(verify) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    torch.save({"state_dict": state | {"conv1.bn.weight": torch.zeros(3)}}, path)
    assert cli.main(verify) == 2
    assert "found conv1.bn.weight with shape (3,), expected (64,)" in capsys.readouterr().err
    quantised = {name: x.to(torch.int8) for name, x in state.items()}
    torch.save({"state_dict": quantised}, path)
    assert cli.main(verify) == 2
    assert "of torch.int8, expected torch.float32" in capsys.readouterr().err
    assert cli.main(["weights", "verify", "yolo", "--weights-dir", str(tmp_path)]) == 2
    assert "found 'yolo', expected one of ir50" in capsys.readouterr().err


def test_pulling_them_says_that_a_person_has_to(tmp_path: Path, capsys: Capture) -> None:
    assert cli.main(["weights", "pull", "segface", "--weights-dir", str(tmp_path)]) == 3
    assert "segface: fetch it yourself, linked from the README" in capsys.readouterr().err


def test_a_segface_of_another_set_is_refused(tmp_path: Path, capsys: Capture) -> None:
    with torch.device("meta"):
        state = build_segface(19).state_dict()
    tensors = {name: torch.zeros(x.shape, dtype=x.dtype) for name, x in state.items()}
    torch.save({"state_dict_backbone": tensors}, tmp_path / "segface_lapa.pt")
    assert cli.main(["weights", "verify", "segface", "--weights-dir", str(tmp_path)]) == 2
    assert "found a SegFace of 19 classes (CelebAMask-HQ)" in capsys.readouterr().err
