"""The named peer of aggregation: crowd-kit, used as its own documentation says."""

from __future__ import annotations

import importlib
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from occlufer.annotation.aggregation.ballots import Ballots

CROWD_KIT = "crowd-kit"
METHODS = ("MajorityVote", "DawidSkene", "MACE", "GLAD")


def missing() -> str | None:
    """Return why crowd-kit cannot be measured, None if it can."""
    try:
        importlib.import_module("crowdkit.aggregation")
    except ImportError as error:
        return f"missing, so its bars fail: {error}; pip install 'occlufer[bench]'"
    return None


def versions() -> dict[str, str]:
    return {} if missing() else {CROWD_KIT: version(CROWD_KIT)}


def crowd_kit(method: str, ballots: Ballots) -> NDArray[np.int64]:
    """Return the answer to each item by one of METHODS, all at their defaults."""
    pandas = importlib.import_module("pandas")
    rows = {"task": ballots.item, "worker": ballots.rater, "label": ballots.answer}
    made = getattr(importlib.import_module("crowdkit.aggregation"), method)()
    found = made.fit_predict(pandas.DataFrame(rows))
    return np.asarray(found.reindex(range(len(ballots.items))), dtype=np.int64)
