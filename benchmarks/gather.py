"""Gathering a tree of 300 000 files in AffectNet's layouts: memory, files/s, a run without news.

`python benchmarks/gather.py 30000` takes fewer of them.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _bars import Bar, at_most, finish
from PIL import Image

FILES = next((int(word) for word in sys.argv[1:] if word.isdigit()), 300_000)
SIDE_PX = 24
PER_FOLDER = 1_000
MEMORY_MB = 600

# In a process of its own: the peak is that of gathering, not of writing the tree.
GATHER = """
import json, resource, sys, time
from pathlib import Path
from occlufer.builders.gather import gather
from occlufer.config import SourceConfig
from occlufer.workspace import open_workspace
source = SourceConfig("affectnet", "affectnet", {"path": sys.argv[1]})
with open_workspace(Path(sys.argv[2])) as workspace:
    started = time.perf_counter()
    count = gather((source,), workspace, 0)
    seconds = time.perf_counter() - started
    rejected = sum(record.reject is not None for record in workspace.catalog.records())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"read": count, "s": seconds, "peak_mb": peak, "rejected": rejected}))
"""
LAYOUTS = ("first release", "later release")


def main() -> None:
    bars: list[Bar] = []
    details: dict[str, float] = {"files": FILES}
    for layout in LAYOUTS:
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / "affectnet"
            WRITERS[layout](tree)
            first, second = (gathered(tree, Path(folder) / "workspace") for _ in range(2))
        assert (first["read"], first["rejected"], second["read"]) == (FILES, 0, 0), (first, second)
        bars.append(at_most(f"MB at the peak, {layout}", first["peak_mb"], MEMORY_MB))
        bars.append(at_most(f"MB at the peak, no news, {layout}", second["peak_mb"], MEMORY_MB))
        details[f"{layout}: files/s"] = round(FILES / first["s"])
        details[f"{layout}: seconds of a run without news"] = round(second["s"], 1)
    finish("gather", bars, details)


def gathered(tree: Path, workspace: Path) -> dict[str, float]:
    command = [sys.executable, "-c", GATHER, str(tree), str(workspace)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def picture(number: int) -> bytes:
    """A JPEG that no other number gives."""
    pixels = np.random.default_rng(number).integers(0, 256, (SIDE_PX, SIDE_PX), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=50)
    return file.getvalue()


def write_first(tree: Path) -> None:
    """`training.csv`, and folders of a thousand pictures each."""
    images = tree / "Manually_Annotated_Images"
    landmarks = ";".join(["12.5"] * 136)
    with (make(tree) / "training.csv").open("w") as table:
        table.write(
            "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,"
            "expression,valence,arousal\n"
        )
        for number in range(FILES):
            name = f"{number // PER_FOLDER}/{number:056x}.jpg"
            if number % PER_FOLDER == 0:
                make((images / name).parent)
            (images / name).write_bytes(picture(number))
            table.write(f"{name},2,2,20,20,{landmarks},{number % 8},0.1,-0.2\n")


def write_later(tree: Path) -> None:
    """`train_set/`, a picture and a label for each."""
    images, labels = make(tree / "train_set/images"), make(tree / "train_set/annotations")
    for number in range(FILES):
        (images / f"{number}.jpg").write_bytes(picture(number))
        np.save(labels / f"{number}_exp.npy", np.array(str(number % 8)))


def make(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


WRITERS = dict(zip(LAYOUTS, (write_first, write_later), strict=True))

if __name__ == "__main__":
    main()
