"""Deduplication: its speed beside faiss, imagededup and imagehash, and its errors on real faces."""

from __future__ import annotations

import io
from typing import Any

from _anchors import imagehash_hashes, missing, versions
from _bars import Bar, at_least, at_most, finish
from _duplicates import false_drops, imagededup_pairs, masked_pairs, recall, verified_pairs
from _faces import chosen, fer8_faces, mask_templates, parser_faces, real_data
from _search import huge_search, one_more, searches
from _timing import spread, timed
from PIL import Image

from occlufer.builders.dedup import hash_images
from occlufer.builders.hashing.hash_table import in_hex
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.schema import LABELS

HASHED = {224: 200, 1000: 60}  # {side in pixels: pictures}
HASH_REPEATS = 9
EDITED_FACES = 300
MASKED_FACES = 400
RECALL_BARS = {"off-grid edits": 0.90, "one-sided crops": 0.8, "flips": 0.98}


def main() -> None:
    huge_bars, huge = huge_search()  # first, while this process is small
    search_bars, search = searches()
    hash_bars, hashing = hash_speed()
    face_bars, faces = real_faces()
    details = {
        "search": search,
        "search_10m": huge,
        "one_more_picture": one_more(),
        "hashing": hashing,
        "faces": faces,
        "peers": versions(),
    }
    finish("dedup", [*search_bars, *huge_bars, *hash_bars, *face_bars], details)


# Hashing ------------------------------------------------------------------------------------------


def hash_speed() -> tuple[list[Bar], dict[str, Any]]:
    bars, details = [], {}
    for side_px, bound in ((224, 2.5), (1000, 1.5)):
        kind, pictures = jpegs(side_px, HASHED[side_px])
        figures = hashed_beside_imagehash(pictures)
        what = f"three hashes of a {side_px} px JPEG: times as fast as imagehash, CPU seconds"
        bars.append(at_least(what, figures["ratio"]["median"], bound))
        details[f"{side_px}_px"] = {"pictures": kind, **figures}
    return bars, details


def hashed_beside_imagehash(pictures: list[bytes]) -> dict[str, Any]:
    """Return the CPU times of hashing, one after the other in turns, having compared the bits."""

    def ours() -> list[tuple[str, str, str]]:
        table = hash_images(pictures, workers=1)
        return [
            (in_hex(a), in_hex(b), in_hex(c))
            for a, b, c in zip(
                table.phash64[:, None], table.phash256, table.dhash64[:, None], strict=True
            )
        ]

    def theirs() -> list[tuple[str, str, str]]:
        return [imagehash_hashes(data) for data in pictures]

    assert ours() == theirs(), "other bits than imagehash's"
    turns = [(timed(ours), timed(theirs)) for _ in range(HASH_REPEATS)]
    per_ms = 1000 / len(pictures)
    return {
        "count": len(pictures),
        "same_bits": True,
        "cpu_ms_each": spread(run.cpu_s * per_ms for run, _ in turns),
        "imagehash_cpu_ms_each": spread(run.cpu_s * per_ms for _, run in turns),
        "ratio": spread(peer.cpu_s / run.cpu_s for run, peer in turns),
    }


def jpegs(side_px: int, count: int) -> tuple[str, list[bytes]]:
    """Return what they show, and pictures as JPEG of quality 90: real faces where there are."""
    if real_data().is_dir():
        kind = "real faces of fer8"
        images = [face.image for face in chosen(fer8_faces(real_data()), count, seed=0)]
    else:
        kind = "drawn faces"
        plans = [FacePlan(LABELS[i % len(LABELS)], i, i) for i in range(count)]
        images = [Image.fromarray(draw_face(plan).image_rgb) for plan in plans]
    files = []
    for image in images:
        file = io.BytesIO()
        resized = image.resize((side_px, side_px), Image.Resampling.BICUBIC)
        resized.save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return kind, files


# Real faces ---------------------------------------------------------------------------------------


def real_faces() -> tuple[list[Bar], dict[str, Any]]:
    folder = real_data()
    if not folder.is_dir():
        return [], {"skipped": f"{folder} is missing (set OCCLUFER_REAL_DATA)"}
    sources = {"fer8": fer8_faces(folder), "parser_faces": parser_faces(folder)}
    faces = [face for of_source in sources.values() for face in of_source]
    absent = missing("imagededup")
    drops = false_drops(faces)
    recalled = recall(chosen(faces, EDITED_FACES, seed=0), anchor=absent is None)
    templates = mask_templates(folder)
    masks = {
        name: masked_pairs(chosen(of_source, MASKED_FACES, seed=1), templates)
        for name, of_source in sources.items()
    }
    bars = [
        at_most("false duplicates per million pairs of strangers", drops["per_million"], 1),
        at_most("pictures in the largest star", drops["largest_star"], 5),
        *(
            at_least(f"recall of {family}", recalled["families"][family]["recall"], bound)
            for family, bound in RECALL_BARS.items()
        ),
        *(bar for name, found in masks.items() for bar in mask_bars(name, found)),
    ]
    return bars, {
        "count": len(faces),
        "people": len({face.identity for face in faces}),
        "repeats": "none, for nothing is timed or drawn anew: every run gives the same figures",
        "drops": drops,
        "verified_pairs": verified_pairs(faces),
        "imagededup": {"missing": absent} if absent else imagededup_pairs(faces),
        "recall": recalled,
        "masks": masks,
    }


def mask_bars(name: str, found: dict[str, Any]) -> list[Bar]:
    pairs = f"pairs of a face of {name} and the same with a mask"
    return [
        at_most(f"share dropped of {pairs}", found["dropped"], 0.04),
        at_least(f"share in one group of {pairs}", found["one_group"], 0.93),
    ]


if __name__ == "__main__":
    main()
