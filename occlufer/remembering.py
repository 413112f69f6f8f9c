"""Remembering a build, so that `load_dataset("occlu_fer")` of plain `datasets` works anywhere.

Where no folder of the name is at hand, `datasets` takes the newest build of it from its cache.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

from occlufer.lock import INDEX, LOCK_NAME, MAIN, Lock

log = logging.getLogger(__name__)
NAME = "occlu_fer"
# What `datasets` takes for the version of a dataset that has no script.
VERSION = "0.0.0"


def remember(folder: Path) -> bool:
    """Load a published folder once into the cache of `datasets`, and return whether it is there.

    Quiet, and without the network. A folder of another name is not: a trial should not become what
    the name means. The builds remembered before go, for they may hold pictures that were withdrawn
    since. A cache that cannot be written is a line in the log.
    """
    try:
        text = (folder / LOCK_NAME).read_text(encoding="utf-8")
        lock = Lock.from_text(text)
        if lock.name != NAME:
            return False
        _forget_others(text)
        # The newest is what the bare name means: the default config is the last.
        for config in sorted(lock.shards, key=lambda name: (name == MAIN, name == INDEX)):
            if any(lock.shards[config].values()):
                _prepare(folder, config, text, lock.version)
    except Exception as error:  # the dataset is published: nothing here may undo that
        log.warning("load_dataset(%r) works beside the folder only: %s", NAME, error)
        return False
    return True


def remembered(name: str, config: str) -> list[Path]:
    """Return the folders of the cache that hold this config of a remembered build, newest first."""
    found = [path.parent for path in _root(name).glob(f"{config}/{VERSION}/*/{LOCK_NAME}")]
    return sorted(found, key=lambda place: place.stat().st_mtime, reverse=True)


def _root(name: str) -> Path:
    import datasets

    return Path(datasets.config.HF_DATASETS_CACHE).expanduser() / name


def _forget_others(text: str) -> None:
    """Delete what was remembered under other locks; what users have loaded themselves stays."""
    for path in _root(NAME).glob(f"*/{VERSION}/*/{LOCK_NAME}"):
        if path.read_text(encoding="utf-8") != text:
            shutil.rmtree(path.parent)


def _prepare(folder: Path, config: str, text: str, version: str) -> None:
    """Put one config into the cache, or make it the newest if it is there.

    Each has a folder of its own name: where several configs share one, `datasets` asks which.
    """
    import datasets

    place = _root(NAME) / config / VERSION / f"{version}-{config}"
    if not (place / LOCK_NAME).is_file():
        shutil.rmtree(place, ignore_errors=True)
        with _quiet():
            builder = datasets.load_dataset_builder(str(folder.resolve()), config)
            builder.download_and_prepare(str(place))
    # Written last: it says that the rest is whole, and makes the folder the newest.
    (place / LOCK_NAME).unlink(missing_ok=True)
    (place / LOCK_NAME).write_text(text, encoding="utf-8")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let `datasets` say nothing, and draw no progress bars."""
    import datasets

    level = datasets.utils.logging.get_verbosity()
    shown = not datasets.utils.are_progress_bars_disabled()
    datasets.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.utils.logging.set_verbosity(level)
        if shown:
            datasets.enable_progress_bars()
