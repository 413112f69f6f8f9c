"""Datasets in folders as `datasets` writes and reads them: their pieces, and which are missing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeGuard

from occlufer.errors import MissingError, UsageError
from occlufer.lock import LOCK_NAME, config_folder

from .arrow_columns import BYTES, STRUCT, storage_of
from .files import fault, folders, name_of
from .row_facts import IMAGE_NAMES, SPLIT_WORDS

DICT_FILE, STATE_FILE, INFO_FILE = "dataset_dict.json", "state.json", "dataset_info.json"
SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})(\..+)")
# A folder may hold a great many configs.
FOLDERS_LOOKED_AT = 20


def saved_what(path: Path) -> str | None:
    """Return what of `save_to_disk`'s layout lies at `path`, in words, whole or in part."""
    if (path / DICT_FILE).is_file():
        return "a saved dataset of several splits"
    if _holds_state(path):
        return "a saved dataset"
    splits = _split_folders(path)
    return f"a saved dataset, {', '.join(splits)} without {DICT_FILE}" if splits else None


def saved_files(path: Path) -> dict[str, list[Path]]:
    """Return {split, "" if there is but one: its files} of a dataset that was saved at `path`.

    Raises MissingError for a missing piece, UsageError for files that say another thing.
    """
    if not (path / DICT_FILE).is_file():
        lost = [] if _holds_state(path) else _split_folders(path)
        if lost:
            raise _missing(path / DICT_FILE, f"which names {', '.join(lost)}")
        return {"": _split_files(path)}
    splits = _json(path / DICT_FILE).get("splits")
    if not isinstance(splits, list) or not splits or not all(map(_is_name, splits)):
        raise UsageError(f'{path / DICT_FILE}: found no names of splits, expected {{"splits": []}}')
    return {split: _split_files(path / split) for split in splits}


def check_lock(path: Path, config: str) -> None:
    """Raise MissingError if a published dataset lacks a file of its lock; other folders pass."""
    lock = path / LOCK_NAME
    folder = config_folder(config or "default")
    files = _json(lock, "`occlufer build`").get("files") if lock.is_file() else None
    for name in files if isinstance(files, dict) else ():
        if name.startswith(f"{folder}/") and not (path / name).is_file():
            raise MissingError(f"{path}: found no {name}, which {LOCK_NAME} names; copy it anew")


def check_shards(files: list[Path]) -> None:
    """Raise MissingError if one of files called as "train-00000-of-00002.parquet" is not there."""
    groups = set()
    for path in files:
        if match := SHARD.fullmatch(path.name):
            groups.add((path.parent, match[1], match[2], match[3]))
    for folder, begin, of, end in groups:
        for number in range(int(of)):
            name = f"{begin}-{number:05d}-of-{of}{end}"
            if not (folder / name).exists():
                raise MissingError(
                    f"{folder}: found no {name}, one of {int(of)} shards; copy it too"
                )


def parquet_of_pictures(path: Path) -> Path | None:
    """Return the first Parquet file of a dataset that lies in `path`, if it holds pictures.

    It is in the folder itself or in data/, or beside a card in a folder that is called by a config:
    without the card, that folder is a dataset of its own.
    """
    inner = folders(path)[:FOLDERS_LOOKED_AT] if (path / "README.md").is_file() else []
    for folder in (path, path / "data", *(path / name for name in inner)):
        first = min(filter(Path.is_file, folder.glob("*.parquet")), default=None)
        if first is not None:
            return first if _holds_pictures(first) else None
    return None


def _split_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise _missing(folder, f"which {DICT_FILE} names")
    for name in (STATE_FILE, INFO_FILE):
        if not (folder / name).is_file():
            raise _missing(folder / name, "which every saved split has")
    files = _json(folder / STATE_FILE).get("_data_files")
    listed = files if isinstance(files, list) else []
    if files == []:  # `datasets` saves such a split, and fails when it opens it
        raise UsageError(
            f"{folder}: found a split without rows, which `datasets` cannot open; leave it out "
            "when you save the dataset"
        )
    said = [file.get("filename") for file in listed if isinstance(file, dict)]
    data = [folder / name for name in said if _is_name(name)]
    if not data or len(data) < len(listed):
        raise UsageError(f"{folder / STATE_FILE}: found no names of files, expected _data_files")
    for path in data:
        if not path.exists():
            raise _missing(path, f"which {STATE_FILE} names")
        if reject := fault(path, folder):
            raise UsageError(f"{path}: {reject.detail}")
    return [folder / STATE_FILE, folder / INFO_FILE, *data]


def _missing(path: Path, why: str) -> MissingError:
    return MissingError(
        f"{path.parent}: found no {name_of(Path(path.name))}, {why}; save the dataset anew, "
        "with save_to_disk of `datasets`, or copy the whole of it"
    )


def _holds_state(path: Path) -> bool:
    """Return whether a split was saved in the folder, be it that a piece is gone."""
    said = [name for name in (STATE_FILE, INFO_FILE) if (path / name).is_file()]
    if said and next(path.glob("data-*.arrow"), None) is not None:
        return True
    try:
        return STATE_FILE in said and "_data_files" in _json(path / STATE_FILE)
    except UsageError:
        return False


def _split_folders(path: Path) -> list[str]:
    names = (name for name in folders(path) if name.lower() in SPLIT_WORDS)
    return [name for name in names if _holds_state(path / name)]


def _holds_pictures(path: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        return False
    kinds = {field.name: storage_of(field.type) for field in schema}
    # Bytes may be anything, if their column is not called as one of pictures is.
    return STRUCT in kinds.values() or any(kinds.get(name) == BYTES for name in IMAGE_NAMES)


def _json(path: Path, writer: str = "`datasets`") -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"{path}: found no JSON object, expected one as {writer} writes it")
    return found


def _is_name(name: Any) -> TypeGuard[str]:
    return isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name
