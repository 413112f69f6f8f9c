"""Work for other processes, which import it by this name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from occlufer.builders.detectors import Detector
from occlufer.face_parser import FaceParser
from occlufer.images import DamagedImageError


def seven_times(x: int) -> int:
    return 7 * x


def pid_after(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def damaged_at_37(item: int) -> int:
    if item == 37:
        raise DamagedImageError("ab12", Path("images/ab/ab12"), "missing")
    return item


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def parsed(parser: FaceParser, faces_rgb: Any) -> Any:
    return parser.parse(faces_rgb)


def detected(detector: Detector, image_rgb: Any) -> Any:
    return detector.detect(image_rgb)


def slowly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what the function does, late: so there is a middle of a task to be killed in."""
    time.sleep(0.1)
    return function(*arguments)


def busy_workers(dask_scheduler: Any) -> list[str]:
    return [address for address, worker in dask_scheduler.workers.items() if worker.processing]
