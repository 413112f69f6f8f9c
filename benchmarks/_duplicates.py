"""What deduplication makes of real faces, of edited copies and of masked faces."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from _anchors import imagededup_encoding, imagededup_encodings, imagededup_near
from _edits import FAMILIES, Edit, jpeg, masked, on_the_grid
from _faces import Face, pairs_of_strangers
from _timing import spread
from PIL import Image

from occlufer.builders.dedup import Clusters, find_duplicates, hash_images
from occlufer.builders.duplicates.clusters import difference_by
from occlufer.builders.duplicates.edges import first_alike, limits_of, near_edges
from occlufer.builders.hashes import grey_of
from occlufer.builders.hashing.search import distances
from occlufer.builders.hashing.sketches import sketch_of
from occlufer.config import DedupConfig
from occlufer.engine import map_local

SHOWN = 20
# Recall is shown of as many disjoint draws of the faces, for the spread.
DRAWS = 3
BITS = 10  # of 64: imagededup's default, shown beside the project's rule


# False duplicates --------------------------------------------------------------------------------


def false_drops(faces: Sequence[Face]) -> dict[str, Any]:
    """Return how many faces are dropped for another person's, and how large stars become."""
    found = find_duplicates([face.data for face in faces])
    wrong = [
        {
            "dropped": f"{faces[i].name} ({faces[i].identity})",
            "kept": f"{faces[drop.kept].name} ({faces[drop.kept].identity})",
            "view": drop.edge.view,
            "bits64": drop.edge.bits64,
            "bits256": drop.edge.bits256,
            "block_difference": round(drop.block_difference, 1),
        }
        for i, drop in found.dropped.items()
        if faces[i].identity != faces[drop.kept].identity
    ]
    stars = Counter(drop.kept for drop in found.dropped.values())
    return {
        "dropped": len(found.dropped),
        "false_drops": len(wrong),
        "per_million": round(1e6 * len(wrong) / pairs_of_strangers(faces), 4),
        "largest_star": 1 + max(stars.values(), default=0),
        "largest_group": max(Counter(found.groups).values()),
        "false": wrong[:SHOWN],
    }


def verified_pairs(faces: Sequence[Face]) -> dict[str, Any]:
    """Return how many pairs pass every limit of a duplicate, whether one is dropped or not.

    Faces with the very same hashes as an earlier one are counted apart, as `same_hashes`.
    """
    settings = DedupConfig()
    table = hash_images([face.data for face in faces], views=True)
    rows = np.flatnonzero(first_alike(table) == np.arange(len(table)))
    every = np.arange(len(table))
    edges = near_edges(table, limits_of(settings), rows, np.ones(rows.size, dtype=bool), every)
    sketches = list(map_local(lambda face: sketch_of(grey_of(face.data)), faces, 0))
    difference = difference_by(lambda position: sketches[position])
    verified = {
        (min(edge.a, edge.b), max(edge.a, edge.b))
        for edge in edges
        if not edge.of_a_part and difference(edge) <= settings.block_difference
    }
    wrong = sum(faces[a].identity != faces[b].identity for a, b in verified)
    return {
        "same_hashes": len(table) - rows.size,
        "verified": len(verified),
        "false_verified": wrong,
        "per_million": round(1e6 * wrong / pairs_of_strangers(faces), 4),
    }


def imagededup_pairs(faces: Sequence[Face]) -> dict[str, Any]:
    """Return what imagededup makes of the same faces, with its default threshold."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = [f"{i}.jpg" for i in range(len(faces))]
    files = {name: face.data for name, face in zip(names, faces, strict=True)}
    encodings = imagededup_encodings(files)
    place = {name: i for i, name in enumerate(names)}
    ends = [
        (place[name], place[other])
        for name, others in imagededup_near(encodings).items()
        for other in others
        if place[name] < place[other]
    ]
    wrong = sum(faces[a].identity != faces[b].identity for a, b in ends)
    a, b = np.array(ends, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(a.size), (a, b)), shape=(len(faces), len(faces)))
    components = connected_components(graph, directed=False)[1]
    return {
        "pairs": len(ends),
        "false_pairs": wrong,
        "per_million": round(1e6 * wrong / pairs_of_strangers(faces), 4),
        "largest_component": int(np.bincount(components).max()),
    }


# Recall on edits ---------------------------------------------------------------------------------


def recall(faces: Sequence[Face], anchor: bool) -> dict[str, Any]:
    """Return the share of edited copies that are found, of each edit and as means of families.

    Each edit is a call of its own on the faces and their copies, so that no edit helps another.
    """
    images = [face.image for face in faces]
    known = [imagededup_encoding(image) for image in images] if anchor else None
    edits: dict[str, Any] = {}
    means: dict[str, Any] = {}
    for family, members in FAMILIES.items():
        for name, edit in members.items():
            edits[f"{family}: {name}"] = recall_of(faces, images, edit, known)
        of_family = [edits[f"{family}: {name}"] for name in members]
        means[family] = mean_of(of_family)
    off_grid = [
        edits[f"one-sided crops: {name}"]
        for name, edit in FAMILIES["one-sided crops"].items()
        if not on_the_grid(edit)
    ]
    means["one-sided crops off the grid alone"] = mean_of(off_grid)
    return {"faces": len(faces), "families": means, "edits": edits}


def recall_of(
    faces: Sequence[Face], images: list[Image.Image], edit: Edit, known: list[str] | None
) -> dict[str, Any]:
    count = len(images)
    copies = list(map_local(edit, images, 0))
    clusters = find_duplicates([*images, *copies])
    owner = [face.identity for face in (*faces, *faces)]
    found = [same_star(clusters, i, count + i) for i in range(count)]
    wrong = sum(owner[i] != owner[drop.kept] for i, drop in clusters.dropped.items())
    draws = [statistics.fmean(found[first::DRAWS]) for first in range(DRAWS)]
    figures = {
        "recall": round(statistics.fmean(found), 4),
        "draws": spread(draws),
        "false_drops": wrong,
    }
    if known is not None:
        figures["imagededup"] = imagededup_recall(known, copies)
    return figures


def imagededup_recall(known: list[str], copies: list[Image.Image]) -> float:
    encodings = {f"{i}": encoding for i, encoding in enumerate(known)}
    encodings |= {f"copy {i}": imagededup_encoding(copy) for i, copy in enumerate(copies)}
    near = imagededup_near(encodings)
    return round(statistics.fmean(f"copy {i}" in near[f"{i}"] for i in range(len(known))), 4)


def mean_of(edits: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return the mean recall of some edits, each as much as any other, and the weakest one's."""
    means = {
        "recall": round(statistics.fmean(edit["recall"] for edit in edits), 4),
        "weakest": min(edit["recall"] for edit in edits),
        "false_drops": sum(edit["false_drops"] for edit in edits),
    }
    if all("imagededup" in edit for edit in edits):
        means["imagededup"] = round(statistics.fmean(edit["imagededup"] for edit in edits), 4)
    return means


def same_star(clusters: Clusters, a: int, b: int) -> bool:
    """Return whether one is dropped for the other, or both for a third picture."""
    kept = [clusters.dropped[i].kept if i in clusters.dropped else i for i in (a, b)]
    return kept[0] == kept[1]


# Masks -------------------------------------------------------------------------------------------


def masked_pairs(faces: Sequence[Face], templates: Sequence[Image.Image]) -> dict[str, Any]:
    """Return what becomes of pairs of a face and the same face with a mask pasted on it."""
    count = len(faces)
    images = [face.image for face in faces]
    worn = [
        jpeg(masked(image, face.points, templates[i % len(templates)]), 90)
        for i, (image, face) in enumerate(zip(images, faces, strict=True))
    ]
    clusters = find_duplicates([*images, *worn])
    pairs = [(i, count + i) for i in range(count)]
    hashes = hash_images([*images, *worn]).phash64
    bits64 = distances(hashes[:count], hashes[count:])
    return {
        "faces": count,
        "dropped": statistics.fmean(same_star(clusters, a, b) for a, b in pairs),
        "one_group": statistics.fmean(clusters.groups[a] == clusters.groups[b] for a, b in pairs),
        f"phash64_within_{BITS}": float((bits64 <= BITS).mean()),
        "largest_group": max(Counter(clusters.groups).values()),
        "groups": len(set(clusters.groups)),
        "strangers_in_one_group": strangers_together(clusters.groups[:count], faces),
    }


def strangers_together(groups: Sequence[str], faces: Sequence[Face]) -> float:
    """Return the share of pairs of different people that are in one group."""
    people = [face.identity for face in faces]
    together = sum(
        groups[a] == groups[b] and people[a] != people[b]
        for a in range(len(faces))
        for b in range(a)
    )
    return together / pairs_of_strangers(faces)
