"""Weights that are no model's, for the tests of what pulls weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from occlufer.builders.weights import WEIGHTS, Weights, pull
from occlufer.errors import UsageError

# Of two pieces and a half, so that a connection can break in the middle.
TOY = np.random.default_rng(0).integers(0, 256, 160_000, dtype=np.uint8).tobytes()
SHA256 = hashlib.sha256(TOY).hexdigest()
FLIPPED = TOY[:-1] + bytes([TOY[-1] ^ 1])
POINTER = (
    f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize {len(TOY)}\n".encode()
)
PUBLISHED = "https://weights.example/toy.onnx"


def toy(*urls: str) -> Weights:
    return Weights(("toy.onnx", "other.onnx"), urls, SHA256, len(TOY), "MIT", "a toy")


def make_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pin the weights called toy, for a test with a data folder of its own and no proxy."""
    monkeypatch.setitem(WEIGHTS, "toy", toy(PUBLISHED))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def refusal(folder: Path, source: str, kind: type[Exception] = UsageError) -> str:
    """Return what a pull that must fail says; nothing of it may be left."""
    before = sorted(folder.rglob("*")) if folder.is_dir() else []
    with pytest.raises(kind) as caught:
        pull("toy", folder, source)
    assert (sorted(folder.rglob("*")) if folder.is_dir() else []) == before
    said = str(caught.value)
    assert "\n" not in said
    return said
