"""What became of every record: published, unlabelled, or rejected, by which stage and why."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from occlufer.catalog import Catalog
from occlufer.pipeline import STAGES
from occlufer.record import Record, Reject
from occlufer.replacing import replaced

UNLABELLED = "unlabelled"
REJECTED_NAME = "rejected.csv"


@dataclass(frozen=True)
class Outcome:
    """One record and the stage that ended its way; `reject` is None if it was published."""

    record: Record
    stage: str
    reject: Reject | None


def outcomes(catalog: Catalog) -> Iterator[Outcome]:
    """Yield the outcome of every record, in the order of ids; after a whole build each has one."""
    rejects = catalog.rejects()
    published = set(catalog.images_passing(STAGES))
    owners = catalog.owners_of_shared()
    for record in catalog.records():
        image = record.image
        if image is None:
            yield Outcome(record, "gather", record.reject)
        elif owners.get(image, record.id) != record.id:
            yield Outcome(record, "dedup", Reject("same_bytes", f"as {owners[image]}"))
        elif image in rejects:
            yield Outcome(record, *rejects[image])
        elif image in published:
            yield Outcome(record, "publish", None)
        else:
            yield Outcome(record, "", Reject("unfinished", "the build has not come this far"))


def write_rejected(known: Iterable[Outcome], path: Path) -> None:
    """Write every record that is not published, with stage, reason and detail, as CSV."""
    # Names may hold bytes that are no UTF-8: they were written as \xNN when they were listed.
    with replaced(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["record", "stage", "reason", "detail"])
        for outcome in known:
            if outcome.reject is not None:
                reject = outcome.reject
                writer.writerow([outcome.record.id, outcome.stage, reject.reason, reject.detail])
