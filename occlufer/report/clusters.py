"""The report's clusters: duplicates beside what was kept, related samples, and leaks."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from occlufer.page import first_of, folded, paragraph, strip, table
from occlufer.record import Result
from occlufer.workspace import Workspace

# The part is named, not imported: the core knows none of them.
LEAK_SETS = "occlufer.builders.leakage.leak_sets"
Pictures = list[tuple[bytes, str]]
CLUSTERS_SHOWN = 40
UNFOLDED = 8
PICTURES_IN_A_STRIP = 10
LEAKS_SHOWN = 200


def duplicates(workspace: Workspace, shown: set[str]) -> str:
    """Return a strip for every sample that was kept for others, the largest first."""
    clusters: dict[str, list[Result]] = {}
    for result in workspace.catalog.results("dedup"):
        if result.reject is not None and {result.image, result.value["kept"]} <= shown:
            clusters.setdefault(result.value["kept"], []).append(result)
    if not clusters:
        return ""
    order = sorted(clusters, key=lambda kept: (-len(clusters[kept]), kept))
    strips = [
        strip(
            [
                (_picture(workspace, kept), f"kept: {_name(workspace, kept)}"),
                *((_picture(workspace, drop.image), _reason(workspace, drop)) for drop in drops),
            ]
        )
        for kept in order[:CLUSTERS_SHOWN]
        for drops in [clusters[kept][: PICTURES_IN_A_STRIP - 1]]
    ]
    count = sum(map(len, clusters.values()))
    lead = (
        f"{count} dropped for {len(clusters)} that were kept; {len(strips)} clusters are shown, "
        "the largest first. Below each: in which view of which of the two they are near, how "
        "many bits their hashes differ in, and by how many grey levels the most different block. "
        "To keep one that was dropped wrongly, name its record in [dedup] keep."
    )
    return paragraph(lead) + first_of(strips, UNFOLDED, "clusters")


def related(workspace: Workspace, shown: set[str]) -> str:
    """Return a strip for every group of two samples or more that stays on one side of the split."""
    groups: dict[str, list[str]] = {}
    why: dict[str, str] = {}
    for result in workspace.catalog.results("dedup"):
        if result.reject is None and result.image in shown:
            groups.setdefault(result.value["group"], []).append(result.image)
            why[result.image] = _likeness(result.value.get("related"))
    several = sorted((g for g in groups.values() if len(g) > 1), key=lambda g: (-len(g), g))
    if not several:
        return ""
    strips = [
        strip(
            [
                (_picture(workspace, image), f"{why[image]}; {_name(workspace, image)}")
                for image in group[:PICTURES_IN_A_STRIP]
            ]
        )
        for group in several[:CLUSTERS_SHOWN]
    ]
    lead = (
        f"{len(several)} groups of two samples or more; {len(strips)} are shown, the largest "
        f"first, {PICTURES_IN_A_STRIP} samples of each at most. They are related (one picture with "
        "and without an occluder, say), of one subject, or of one group of yours: all are kept, "
        "on one side of the split. Below each: how near the nearest other one of its group is, and "
        "in which view or part."
    )
    return paragraph(lead) + first_of(strips, UNFOLDED, "groups")


def leaks(workspace: Workspace, shown: set[str]) -> str:
    """Return the pairs of a training sample and a test picture that are near, some drawn."""
    pairs = [
        (result.image, *hit)
        for result in workspace.catalog.results_with_hits()
        for hit in result.value["hits"]
        if result.image in shown
    ]
    if not pairs:
        return ""
    pairs.sort(key=lambda pair: (pair[5], pair[4], pair))
    pairs, count = pairs[:LEAKS_SHOWN], len(pairs)
    strips = [strip(_pair(workspace, shown, *pair)) for pair in pairs[:CLUSTERS_SHOWN]]
    lead = (
        f"{count} pairs of a training sample and a test picture are near; the nearest "
        f"{len(strips)} are drawn, {len(pairs)} are named. All are in the workspace's leaks.csv. "
        "Of a test set that was registered only hashes are kept: its pictures cannot be drawn."
    )
    header = ("record", "test picture", "test set", "view", "bits of 64", "bits of 256")
    rows = [(_name(workspace, image), name, test, *near) for image, test, name, *near in pairs]
    return (
        paragraph(lead)
        + first_of(strips, UNFOLDED, "pairs")
        + folded(f"the nearest {len(pairs)} pairs by name", table(header, rows))
    )


def _pair(
    workspace: Workspace, shown: set[str], image: str, test_set: str, name: str, *near: str | int
) -> Pictures:
    """Return the training sample, and the test picture if it is at hand."""
    view, bits64, bits256 = near
    likeness = f"{view}: {bits64} of 64 bits, {bits256} of 256"
    drawn = [(_picture(workspace, image), f"trains: {_name(workspace, image)}; {likeness}")]
    record = workspace.catalog.record(name)
    ours = import_module(LEAK_SETS).OUR_VALIDATION
    if record is not None and record.image in shown and (record.facts.test_set or ours) == test_set:
        drawn.append((_picture(workspace, str(record.image)), f"tests: {name} of {test_set}"))
    else:
        drawn[0] = (drawn[0][0], f"{drawn[0][1]}; near {name} of {test_set}")
    return drawn


def with_pictures(workspace: Workspace) -> set[str]:
    """Return the images that can be `shown`: those of which a face was cut out or looked for."""
    # Between two runs of a build that was stopped, a stage may know images that another does not.
    return set(workspace.catalog.images_passing(("faces",)))


def _reason(workspace: Workspace, drop: Result) -> str:
    value = drop.value
    return (
        f"{value['view']} (of the {value['seen']} one): {value['phash64_bits']} of 64 bits, "
        f"{value['phash256_bits']} of 256, {value['block_difference']} grey levels; "
        f"{_name(workspace, drop.image)}"
    )


def _likeness(kin: dict[str, Any] | None) -> str:
    if kin is None:
        return "same subject or group"
    return f"{kin['view']}: {kin['phash64_bits']} of 64 bits, {kin['phash256_bits']} of 256"


def _picture(workspace: Workspace, image: str) -> bytes:
    return workspace.images.get(str(workspace.catalog.value("faces", image)["crop"]))


def _name(workspace: Workspace, image: str) -> str:
    return workspace.catalog.owner(image).id
