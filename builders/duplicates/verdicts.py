"""Verdicts: what the catalog is told of a sample, and why it is dropped, or related to which."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from occlufer.record import Reject, Result

from .samples import Sample
from .stars import NEARNESS, Drop
from .worlds import World

Verdict = Mapping[str, Any]


def verdict_of(drop: Drop, kept: Sample) -> dict[str, Any]:
    """Return why a sample is dropped, as the catalog keeps it."""
    return {"kept": kept.image, **drop.nearness()}


VERDICT = ("kept", *NEARNESS)


def result_of(
    image: str, group: str, kin: Verdict | None, verdict: Verdict | None, kept_owner: str
) -> Result:
    """Return the result of a sample: its group, its nearest kin, and why it is dropped, if it is.

    `kept_owner` is the record of the sample that it is dropped for.
    """
    value: dict[str, Any] = {"group": group}
    if kin is not None:
        value["related"] = kin
    if verdict is None:
        return Result(image, value)
    detail = (
        f"of {kept_owner} in the view {verdict['view']} (of the {verdict['seen']} one): "
        f"phash64 {verdict['phash64_bits']} bits, phash256 {verdict['phash256_bits']} bits, "
        f"blocks {verdict['block_difference']} grey levels"
    )
    return Result(image, {**value, **verdict}, Reject("duplicate", detail))


def nearest_kin(
    world: World, groups: Sequence[str], dropped: Collection[int]
) -> dict[int, dict[str, Any]]:
    """Return, of kept samples, the kept sample of their group that is nearest, and how near."""
    nearest: dict[int, tuple[tuple[Any, ...], dict[str, Any]]] = {}
    for edge in world.edges:
        if groups[edge.a] != groups[edge.b] or edge.a in dropped or edge.b in dropped:
            continue
        for i, other in ((edge.a, edge.b), (edge.b, edge.a)):
            image = world.samples[other].image
            order = (edge.bits256, edge.bits64, image, edge.seen, edge.taken, edge.a == i)
            if i not in nearest or order < nearest[i][0]:
                bits = {"phash64_bits": edge.bits64, "phash256_bits": edge.bits256}
                nearest[i] = order, {"image": image, "view": edge.view, **bits}
    return {i: kin for i, (_, kin) in nearest.items()}
