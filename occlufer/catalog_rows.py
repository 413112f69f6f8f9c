"""Rows of the catalog's tables, and what they say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from occlufer.damage import read_json
from occlufer.record import Facts, Record, Reject, Result

RECORD_COLUMNS = "id, source, stamp, facts, image, reason, detail, rank"


def record_of(row: tuple[Any, ...]) -> Record:
    """Return what a row of RECORD_COLUMNS says."""
    reject = None if row[5] is None else Reject(row[5], row[6])
    return Record(
        row[0], row[1], row[2], Facts.from_json(read_json(row[3])), row[4], reject, row[7]
    )


def result_of(image: str, value: str, reason: str | None, detail: str) -> Result:
    """Return what these columns of a row of `results` say."""
    return Result(image, read_json(value), None if reason is None else Reject(reason, detail))


def result_rows(stage: str, results: Iterable[Result]) -> list[tuple[Any, ...]]:
    """Return the rows of `results` that say what a stage found out."""
    return [(stage, r.image, *reject_columns(r.reject), in_json(r.value)) for r in results]


def reject_columns(reject: Reject | None) -> tuple[str | None, str | None]:
    """Return reason and detail as the tables keep them."""
    if reject is None:
        return None, None
    # Names of files may hold bytes that are no UTF-8.
    return reject.reason, reject.detail.encode("utf-8", "backslashreplace").decode()


def in_json(value: Mapping[str, Any]) -> str:
    """Return it as the tables keep it: one text for what is equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
