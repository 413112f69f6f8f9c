"""Memory of a training step on a CPU: kept between steps, as a GPU's allocator keeps its own."""

from __future__ import annotations

import ctypes
import sys

# mallopt's parameters (glibc, malloc.h), what they are set to here, and by default.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_KEPT = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: -1}
_DEFAULT = {_M_MMAP_MAX: 65536, _M_TRIM_THRESHOLD: 128 << 10}


def keep_freed_memory(keep: bool = True) -> bool:
    """Keep what is freed for what is allocated next, in this whole process; return whether it does.

    By default glibc gives every large array back to the system, which then clears each page anew:
    an eighth of the time of a step. Elsewhere than on Linux with glibc nothing changes.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(name, value) == 1 for name, value in (_KEPT if keep else _DEFAULT).items())
