"""Auditing a folder: what is found of planted faults, and how fast, beside CleanVision.

Copies of several kinds, blank, dark and broken files are planted among faces. Ours reads the folder
as a build does (what is no picture, or blank) and looks for duplicates in it; CleanVision looks for
all of its issues. Both are whole processes, the start of Python included. The faces are real ones
where OCCLUFER_REAL_DATA has them, drawn ones elsewhere.

CleanVision has an environment of its own in .cache, made on the first run.
`python benchmarks/auditing.py 60` takes fewer faces.
"""

from __future__ import annotations

import io
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from _bars import Bar, at_least, finish
from _environment import PINS, MissingPeerError, Ran, measured, python_of
from PIL import Image, ImageOps

COUNT, REPEATS, SIDE_PX = 1_000, 3, 224
# One face in so many has a planted file of each kind.
PLANTED = 10
Audit = Callable[[Path, Path], Ran]
"""Looks at a folder, with another one to work in."""
OURS, THEIRS = "occlufer", "cleanvision"

OUR_AUDIT = """
import json, sys
from pathlib import Path
from occlufer.builders.folder import find_in_folder
from occlufer.builders.gather import gather
from occlufer.config import DedupConfig, SourceConfig
from occlufer.workspace import open_workspace
folder, place = Path(sys.argv[1]), Path(sys.argv[2])
source = SourceConfig("image_folder", "audit", {"path": str(folder), "labels": "none"})
with open_workspace(place) as workspace:
    gather((source,), workspace, 0)
    records = workspace.catalog.records()
    bad = {record.source_id: record.reject.reason for record in records if record.reject}
found = find_in_folder(folder, DedupConfig()).to_json()
sets = [[s["kept"], *(row["path"] for row in s["dropped"])] for s in found["duplicates"]]
flagged = {name: [reason] for name, reason in bad.items()}
seen = [path.name for path in folder.iterdir()]
print("FOUND " + json.dumps({"flagged": flagged, "sets": sets, "seen": seen}))
"""
THEIR_AUDIT = """
import json, sys
from pathlib import Path
from cleanvision import Imagelab
folder = Path(sys.argv[1])
if __name__ == "__main__":
    lab = Imagelab(data_path=str(folder))
    lab.find_issues(verbose=False)
    def named(path):
        return str(Path(path).relative_to(folder))
    columns = [c for c in lab.issues.columns if c.startswith("is_") and "duplicates" not in c]
    flagged = {
        named(path): [c.removeprefix("is_").removesuffix("_issue") for c in columns if row[c]]
        for path, row in lab.issues.iterrows()
    }
    kinds = ("exact_duplicates", "near_duplicates")
    sets = [[*map(named, s)] for kind in kinds for s in lab.info[kind]["sets"]]
    seen = [named(path) for path in lab.issues.index]
    print("FOUND " + json.dumps({"flagged": flagged, "sets": sets, "seen": seen}))
"""


def main() -> None:
    count = next((int(word) for word in sys.argv[1:] if word.isdigit()), COUNT)
    details: dict[str, Any] = {"faces": count, "planted_of_each_kind": -(-count // PLANTED)}
    audits: dict[str, Audit] = {OURS: audit_by_ours}
    try:
        audits[THEIRS] = partial(audit_by_theirs, python_of(THEIRS))
        details["peers"] = PINS[THEIRS]
    except MissingPeerError as error:
        details["missing"] = f"{error}; its bars fail"
    with tempfile.TemporaryDirectory() as place:
        for name, kinds in FOLDERS.items():
            folder = Path(place).resolve() / name
            details["of"] = plant(folder, count, kinds)
            details[name] = audited(folder, audits)
    finish("auditing", bars_of(details), details)


def bars_of(details: dict[str, Any]) -> list[Bar]:
    """Return the ratio to the peer, and what is found of each kind."""
    ours, theirs = (details["readable"].get(name) for name in (OURS, THEIRS))
    able = theirs is not None and "failed" not in theirs
    ratio = theirs["seconds"] / ours["seconds"] if able else 0.0
    return [
        at_least("seconds of an audit, times as fast as CleanVision", ratio, 0.5),
        *(
            at_least(f"share found of planted {kind}", details["all"][OURS]["found"][kind], bound)
            for kind, bound in KINDS_FOUND.items()
        ),
    ]


def audited(folder: Path, audits: dict[str, Audit]) -> dict[str, Any]:
    """Return what each audit of a folder took and found, in turns."""
    names = sorted(path.name for path in folder.iterdir())
    runs: dict[str, list[Ran]] = {name: [] for name in audits}
    for _, (name, audit) in itertools.product(range(REPEATS), audits.items()):
        with tempfile.TemporaryDirectory() as out:
            runs[name].append(audit(folder, Path(out)))
    return {"files": len(names)} | {name: figures_of(r, names) for name, r in runs.items()}


def audit_by_ours(folder: Path, out: Path) -> Ran:
    return measured([sys.executable, "-c", OUR_AUDIT, folder, out / "workspace"], out)


def audit_by_theirs(python: Path, folder: Path, out: Path) -> Ran:
    # It starts processes of its own, which read the program's file.
    (out / "audit.py").write_text(THEIR_AUDIT)
    return measured([python, "audit.py", folder], out)


def figures_of(runs: list[Ran], names: list[str]) -> dict[str, Any]:
    """Return the time of an audit and the share that it found of every kind."""
    (first, *_) = runs
    seconds = statistics.median(ran.wall_s for ran in runs)
    figures: dict[str, Any] = {
        "seconds": round(seconds, 2),
        "all_seconds": [round(ran.wall_s, 2) for ran in runs],
        "images_per_s": round(len(names) / seconds, 1),
        "peak_mb": round(first.peak_mb or 0),
    }
    if first.status != 0:
        return {**figures, "failed": (first.err.splitlines() or ["no word"])[-1]}
    found = json.loads(first.out.rpartition("FOUND ")[2])
    return {**figures, **judged(found, names)}


# What is planted ----------------------------------------------------------------------------------


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def cut(image: Image.Image) -> Image.Image:
    """Return a picture without a tenth of its width, at one side."""
    return image.crop((image.width // 10, 0, image.width, image.height))


COPIES: dict[str, Callable[[Image.Image, bytes], bytes]] = {
    "copies of the very bytes": lambda image, data: data,
    "copies compressed anew": lambda image, data: jpeg(image, 50),
    "copies of half the size": lambda image, data: jpeg(image.reduce(2)),
    "mirrored copies": lambda image, data: jpeg(ImageOps.mirror(image)),
    "copies cut at one side": lambda image, data: jpeg(cut(image)),
}
FAULTS: dict[str, Callable[[Image.Image, bytes], bytes]] = {
    "blank pictures": lambda image, data: jpeg(
        Image.new("RGB", image.size, image.getpixel((0, 0)))
    ),
    "dark pictures": lambda image, data: jpeg(image.point(lambda value: value // 16)),
    "files cut in the middle": lambda image, data: data[: len(data) // 2],
    "pages that are called pictures": lambda image, data: b"<!DOCTYPE html><title>Sign in</title>",
}
KINDS = (*COPIES, *FAULTS)
# CleanVision ends with an error where a file cannot be decoded, so there is a folder without.
BROKEN = ("files cut in the middle", "pages that are called pictures")
FOLDERS = {"all": KINDS, "readable": tuple(kind for kind in KINDS if kind not in BROKEN)}
# Dark ones are pictures still; copies cut at one side are found in part, see docs/duplicates.md.
KINDS_FOUND = {
    "copies of the very bytes": 1.0,
    "copies compressed anew": 0.95,
    "copies of half the size": 0.95,
    "mirrored copies": 0.95,
    "blank pictures": 1.0,
    "files cut in the middle": 1.0,
    "pages that are called pictures": 1.0,
}


def plant(folder: Path, count: int, kinds: Collection[str]) -> str:
    """Write faces and what of these kinds is planted among them; return what the faces are.

    What is planted is named by its kind's place in KINDS and the face that it was made of.
    """
    kind, faces = faces_of(count)
    folder.mkdir()
    for number, image in enumerate(faces):
        data = jpeg(image)
        planted = {**COPIES, **FAULTS} if number % PLANTED == 0 else {}
        (folder / f"face_{number:06d}.jpg").write_bytes(data)
        for place, (name, make) in enumerate(planted.items()):
            if name not in kinds:
                continue
            (folder / f"{place}_{number:06d}.jpg").write_bytes(make(image, data))
    return kind


def faces_of(count: int) -> tuple[str, Iterable[Image.Image]]:
    """Return what they are, and so many faces of SIDE_PX."""
    from _faces import chosen, fer8_faces, real_data

    size = (SIDE_PX, SIDE_PX)
    if real_data().is_dir():
        faces = chosen(fer8_faces(real_data()), count, seed=0)
        return "real faces of fer8", (f.image.resize(size, Image.Resampling.BICUBIC) for f in faces)
    from occlufer.builders.synthetic import FacePlan, draw_face
    from occlufer.schema import LABELS

    plans = (FacePlan(LABELS[i % len(LABELS)], i, i) for i in range(count))
    return "drawn faces", (Image.fromarray(draw_face(plan).image_rgb) for plan in plans)


# What is found ------------------------------------------------------------------------------------


def judged(found: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the share found of each kind of the files `names`, and what is said of others.

    A copy is found if it is in one set with the face that it was made of, or with another copy of
    that; a fault if the file is flagged, or left out, for whatever reason.
    """
    together: set[str] = set()
    strangers = 0
    for same in found["sets"]:
        for a, b in itertools.combinations(same, 2):
            if origin(a) == origin(b):
                together |= {a, b}
            else:
                strangers += 1
    flagged = {name for name, reasons in found["flagged"].items() if reasons}
    flagged |= {*names} - {*found["seen"]}
    seen = {}
    for place, kind in enumerate(KINDS):
        of_kind = [name for name in names if name.startswith(f"{place}_")]
        hits = {*of_kind} & (together if kind in COPIES else flagged)
        if of_kind:
            seen[kind] = round(len(hits) / len(of_kind), 3)
    faces = [name for name in names if name.startswith("face_")]
    return {
        "found": seen,
        "pairs_of_different_faces_in_a_set": strangers,
        "faces_flagged": len({*faces} & flagged),
    }


def origin(name: str) -> str:
    """Return the face that a file was made of."""
    return name.partition("_")[2]


if __name__ == "__main__":
    main()
