"""Loading a published dataset, offline first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from occlufer.errors import MissingError
from occlufer.lock import LOCK_NAME


def load_dataset(
    path: str | Path = "occlu_fer",
    split: str | None = None,
    streaming: bool = False,
    name: str | None = None,
) -> Any:
    """Return the dataset in the folder `path` as `datasets.load_dataset` gives it.

    Without `split` a DatasetDict with train and validation, or, of an evaluation subset, with test.
    `name` is a subset, e.g. "raf_db_occlu". Nothing is looked up on the Hub. Raises MissingError if
    the folder holds no published dataset, or none with this subset.
    """
    folder = Path(path)
    if not (folder / LOCK_NAME).is_file():
        raise MissingError(
            f"{folder}: found no {LOCK_NAME}, expected the folder that `occlufer build` publishes"
        )
    subsets = json.loads((folder / LOCK_NAME).read_text(encoding="utf-8")).get("subsets", {})
    if name not in (None, "default", *subsets):
        raise MissingError(
            f"{folder}: found no subset {name!r}, expected one of {', '.join(subsets) or 'none'}; "
            "the config's [lists] make them"
        )
    import datasets

    return datasets.load_dataset(str(folder.resolve()), name, split=split, streaming=streaming)
