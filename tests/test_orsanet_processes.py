"""Several processes train what one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from noise_cache import noise_cache

from occlufer.orsanet.checkpoint import load_checkpoint

SAMPLES, BATCH = 160, 8
COMMAND = ("baseline-train", "--device", "cpu", "--epochs", "1")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache of noise; twenty batches to train on."""
    return noise_cache(tmp_path / "cache", SAMPLES, 16)


# In single precision, where sums in another order round otherwise, Adam makes a step of full length
# of a gradient that is nothing but rounding; double precision shows whether the two do the same.
SCRIPT = """
import sys, torch
torch.set_default_dtype(torch.float64)
from occlufer.cli import run
run()
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
        done = subprocess.run(
            (*command, *out),
            env=environment,
            check=True,
            timeout=600,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert done.stdout.count("validation accuracy") == 1
    one, two = (load_checkpoint(tmp_path / name / "last.pt") for name in ("one", "two"))
    assert one["history"][0]["loss"] == pytest.approx(two["history"][0]["loss"], abs=1e-5)
    assert one["history"][0]["confusion_matrix"] == two["history"][0]["confusion_matrix"]
    distances = {
        name: float((x - two["model"][name]).abs().max()) for name, x in one["model"].items()
    }
    assert max(distances.values()) < 1e-5, max(distances.items(), key=lambda item: item[1])
