"""Loading a published dataset, offline first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from occlufer.errors import MissingError
from occlufer.lock import LOCK_NAME


def load_dataset(
    path: str | Path = "occlu_fer", split: str | None = None, streaming: bool = False
) -> Any:
    """Return the dataset in the folder `path` as `datasets.load_dataset` gives it.

    Without `split` a DatasetDict with train and validation. Nothing is looked up on the Hub.
    Raises MissingError if the folder holds no published dataset.
    """
    folder = Path(path)
    if not (folder / LOCK_NAME).is_file():
        raise MissingError(
            f"{folder}: found no {LOCK_NAME}, expected the folder that `occlufer build` publishes"
        )
    import datasets

    return datasets.load_dataset(str(folder.resolve()), split=split, streaming=streaming)
