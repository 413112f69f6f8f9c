"""Memory kept between steps: it stays with the process until the setting is taken back."""

from __future__ import annotations

import subprocess
import sys

import pytest

# In a process of its own, for the setting is the whole process's.
FAULTS = """
import resource, sys
import torch
from occlufer.orsanet.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

assert keep_freed_memory(sys.argv[1] == "keep")
faults()
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc alone has the setting")
def test_memory_that_is_kept_is_not_cleared_by_the_system_again() -> None:
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", FAULTS, word]))
        for word in ("keep", "default")
    )
    # 64 MB are 16 384 pages, or 32 huge ones.
    assert given_back >= 10 * 32
    assert kept <= given_back / 10
