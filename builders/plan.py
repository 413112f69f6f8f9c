"""The plan: which cells of class, occlusion and source fall short of the quotas, before labelling.

A class's quota is wanted from the cells as they come: in the shares that they have among what is
of the class, or may still turn out to be, for nobody has labelled it yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from occlufer.config import BuildConfig
from occlufer.election import elect_by_sources
from occlufer.errors import MissingError
from occlufer.outcome import UNLABELLED
from occlufer.pipeline import stages_before
from occlufer.schema import SPLITS, TABLE_1_QUOTAS
from occlufer.workspace import Workspace

from .split import samples_of
from .splitting.assign import count_classes, read_quotas
from .splitting.cells import read_candidates
from .splitting.program import Integers
from .splitting.quotas import least_short, room_of
from .splitting.shortage import shortage_text

UNKNOWN = "unknown"
ANY = "any"


@dataclass(frozen=True)
class ClassPlan:
    """One class against its quotas."""

    label: str
    wanted: dict[str, int]
    """{split: samples}"""
    known: int
    """Samples that are labelled so by now."""
    short: dict[str, int]
    """{split: samples missing}, groups never being divided."""


@dataclass(frozen=True)
class CellPlan:
    """One cell that falls short."""

    label: str
    occlusion: str
    source: str
    wanted: int
    known: int
    unknown: int
    """Samples without a label that are of this source, and occluded so."""
    short: int


@dataclass(frozen=True)
class Plan:
    """What is there of what the quotas want."""

    quota: str
    """As the config has it: only "exact" has to be met."""
    met: bool
    """Whether the labels that are known are enough."""
    within_reach: bool
    """Whether they are if those who label find in the others what is missing."""
    candidates: int
    unknown: int
    shortage: str
    """What is out of reach, in words; "" if nothing is."""
    classes: list[ClassPlan]
    cells: list[CellPlan]
    """Those that fall short, the largest shortage first."""

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON has it."""
        return asdict(self)


def plan(workspace: Workspace, config: BuildConfig) -> Plan:
    """Return the plan for what is in the catalog so far.

    Raises MissingError if no sample has come as far as the labels.
    """
    labels = known_labels(workspace)
    if not labels:
        raise MissingError(
            f"{workspace.folder}: found no sample that is measured and deduplicated, expected the "
            "workspace of a build; run `occlufer build`, and stop it where it asks for labels"
        )
    if config.labels == "source":  # nobody will label what the sources leave open
        labels = {image: label for image, label in labels.items() if label != UNKNOWN}
    found = samples_of(workspace, labels, config)
    quotas = {s: getattr(config.split, s) or TABLE_1_QUOTAS[s] for s in SPLITS}
    return plan_table(found.table, quotas, config.split.quota, found.tested)


def known_labels(workspace: Workspace) -> dict[str, str]:
    """Return {image: its class, or "unknown"} of all that may be labelled.

    The last word of the stage labels counts, and where it has not looked that of the sources.
    """
    catalog = workspace.catalog
    images = catalog.images_passing(stages_before("labels"))
    decided = {result.image: result for result in catalog.results("labels")}
    asked = [image for image in images if image not in decided]
    said = catalog.holders_of(asked)
    known = {}
    for image in images:
        if image in decided:
            reject = decided[image].reject
            if reject is None or reject.reason == UNLABELLED:
                known[image] = str(decided[image].value.get("label") or UNKNOWN)
        else:
            known[image] = elect_by_sources(said[image]).label or UNKNOWN
    return known


def plan_table(
    table: Mapping[str, Sequence[Any]],
    quotas: Mapping[str, Mapping[str, int]],
    quota: str,
    validating: Collection[str] = (),
) -> Plan:
    """Return the plan for a table as assign_splits takes it; the class may be "unknown"."""
    classes, wanted = read_quotas(quotas)
    candidates = read_candidates(table, [*classes, UNKNOWN], ("occlusion", "source"))
    counted = count_classes(candidates, [*classes, UNKNOWN], set(validating), 0)
    room = room_of(counted)
    now, best = least_short(room, wanted), least_short(room, wanted, unknown=True)
    there: Counter[tuple[Any, ...]] = Counter((one.label, *one.strata) for one in candidates)
    return Plan(
        quota=quota,
        met=not now.short.any(),
        within_reach=not best.short.any(),
        candidates=len(candidates),
        unknown=int(room.both[-1]),
        shortage=shortage_text(best, counted, classes, wanted) if best.short.any() else "",
        classes=[
            ClassPlan(
                label,
                {split: int(wanted[side, place]) for side, split in enumerate(SPLITS)},
                int(room.both[place]),
                {split: int(now.short[side, place]) for side, split in enumerate(SPLITS)},
            )
            for place, label in enumerate(classes)
        ],
        cells=_cells(there, classes, wanted),
    )


def _cells(
    there: Mapping[tuple[Any, ...], int], classes: Sequence[str], wanted: Integers
) -> list[CellPlan]:
    """Return the cells that fall short; `there` is {(class, occlusion, source): samples}."""
    unknown = len(classes)
    kinds = sorted({key[1:] for key in there})
    cells = []
    for label, quota in enumerate(wanted.sum(axis=0).tolist()):
        weights = {
            kind: there.get((label, *kind), 0) + there.get((unknown, *kind), 0) for kind in kinds
        }
        if not any(weights.values()):  # nothing is known of where it could come from
            weights = {(ANY, ANY): 1}
        for kind, share in apportioned(quota, weights).items():
            known = there.get((label, *kind), 0)
            if share > known:
                open_ = there.get((unknown, *kind), 0)
                cells.append(CellPlan(classes[label], *kind, share, known, open_, share - known))
    order = {label: place for place, label in enumerate(classes)}
    return sorted(cells, key=lambda c: (-c.short, order[c.label], c.occlusion, c.source))


def apportioned(total: int, weights: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Return whole numbers that sum to `total`, in the shares of `weights`.

    What rounding down leaves goes to the largest remainders, of which equal ones by name.
    """
    of = sum(weights.values())
    shares = {key: total * weight // of for key, weight in weights.items()}
    left = total - sum(shares.values())
    order = sorted(weights, key=lambda key: (-(total * weights[key] % of), key))
    for key in order[:left]:
        shares[key] += 1
    return shares
