"""Several processes train what one does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from occlufer.orsanet.checkpoint import load_checkpoint

SIZE, SAMPLES, BATCH = 112, 160, 8
COMMAND = ("baseline-train", "--device", "cpu", "--epochs", "1")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache of noise; twenty batches to train on."""
    folder = tmp_path / "cache"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for split, count in (("train", SAMPLES), ("validation", 16)):
        labels = np.arange(count) % 8
        arrays = {
            "images": rng.integers(0, 255, (count, SIZE, SIZE, 3), np.uint8),
            "labels": labels,
            "soft_labels": np.eye(8, dtype=np.float32)[labels],
            "landmarks": rng.random((count, 68, 2), np.float32),
            "semantic": rng.random((count, 2, 11, 28, 28), np.float32).astype(np.float16),
            "landmark_features": rng.random((count, 2, 68, 7, 7), np.float32).astype(np.float16),
            "ids": np.array([f"{split}{n}" for n in range(count)]),
        }
        for name, array in arrays.items():
            np.save(folder / f"{split}_{name}.npy", array)
    priors = {"semantic": "noise", "landmark_features": "noise"}
    facts = {"key": "0" * 64, "image_size_px": SIZE, "priors": priors}
    (folder / "cache.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


# In single precision, where sums in another order round otherwise, Adam makes a step of full length
# of a gradient that is nothing but rounding; double precision shows whether the two do the same.
SCRIPT = """
import sys, torch
torch.set_default_dtype(torch.float64)
from occlufer.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("preset", [("demo",), ("demo", "--soft-labels")])
def test_two_processes_match_one_of_the_same_global_batch(
    cache: Path, tmp_path: Path, preset: tuple[str, ...]
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    settings = ("--preset", *preset, "--data", str(cache), "--batch-size", str(BATCH))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    together = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    for name, start in (("one", ()), ("two", together)):
        command = (sys.executable, *start, str(tmp_path / "script.py"), *COMMAND, *settings)
        out = ("--out", str(tmp_path / name))
        subprocess.run((*command, *out), env=environment, check=True, timeout=600)
    one, two = (load_checkpoint(tmp_path / name / "last.pt") for name in ("one", "two"))
    assert one["history"][0]["loss"] == pytest.approx(two["history"][0]["loss"], abs=1e-5)
    assert one["history"][0]["confusion_matrix"] == two["history"][0]["confusion_matrix"]
    distances = {
        name: float((x - two["model"][name]).abs().max()) for name, x in one["model"].items()
    }
    assert max(distances.values()) < 1e-5, max(distances.items(), key=lambda item: item[1])
