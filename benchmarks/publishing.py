"""Publishing: images/s and bytes beside plain `datasets`, of the same pictures in the same run.

The peer is what its documentation says: ImageFolder, the pictures embedded, Parquet. It writes
pictures and classes; ours writes some 24 columns of facts beside them, the index, the lock, the
card, the datasheet and Croissant, hashes every file, and puts it in place by one rename.

The pictures are drawn faces of 224 px, as JPEG. `python benchmarks/publishing.py 200` takes fewer.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from _bars import at_least, at_most, finish
from _timing import Timed, spreads, timed

from occlufer.builders import publish
from occlufer.config import BuildConfig, SourceConfig
from occlufer.schema import LABELS
from occlufer.workspace import open_workspace

COUNT, REPEATS = 3_000, 3


def main() -> None:
    count = next((int(word) for word in sys.argv[1:] if word.isdigit()), COUNT)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        config = built(folder, count)
        samples = lay_out(config, folder / "tree")
        ours: list[Timed[None]] = []
        theirs: list[Timed[None]] = []
        for turn in range(REPEATS + 1):  # the first one warms up
            ours.append(timed(lambda: published(config)))
            theirs.append(timed(lambda n=turn: by_datasets(folder, n)))  # type: ignore[misc]
        ours_bytes = size_of(config.out)
        data_bytes = size_of(config.out / "data")
        theirs_bytes = size_of(folder / "peer" / "0")
        pixels_bytes = size_of(folder / "tree")
    ours, theirs = ours[1:], theirs[1:]
    seconds = {name: spreads(runs) for name, runs in (("occlufer", ours), ("datasets", theirs))}
    medians = {name: found["wall_s"]["median"] for name, found in seconds.items()}
    details: dict[str, Any] = {
        "images": samples,
        "seconds": seconds,
        "images_per_s": {name: round(samples / took, 1) for name, took in medians.items()},
        "bytes": {
            "the files": pixels_bytes,
            "datasets": theirs_bytes,
            "occlufer, its shards of pictures": data_bytes,
            "occlufer, all": ours_bytes,
        },
    }
    bars = [
        at_least(
            "images/s published, times as fast as ImageFolder to Parquet",
            statistics.median(t.wall_s / o.wall_s for o, t in zip(ours, theirs, strict=True)),
            0.1,
        ),
        at_most("bytes of the shards, times those of ImageFolder", data_bytes / theirs_bytes, 1.2),
    ]
    finish("publishing", bars, details)


def built(folder: Path, count: int) -> BuildConfig:
    """Build drawn faces up to the end, and return the config."""
    source = f'[[sources]]\nkind = "synthetic"\nname = "drawn"\ncount = {count}\n'
    (folder / "occlufer.toml").write_text(source)
    command = [sys.executable, "-m", "occlufer.cli", "build"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    sources = (SourceConfig("synthetic", "drawn", {"count": count}),)
    return BuildConfig(sources, folder / "occlu_fer", folder / ".occlufer")


def published(config: BuildConfig) -> None:
    """Publish what is built once more, and leave it in place."""
    with open_workspace(config.workspace) as workspace:
        rows = list(publish.stage(config).function(workspace))
    assert rows


def lay_out(config: BuildConfig, tree: Path) -> int:
    """Write the pictures that are published as files, in a folder for each class; return how many.

    The folders of all classes are there, also of one that has no picture.
    """
    for label in LABELS:
        (tree / label).mkdir(parents=True)
    with open_workspace(config.workspace) as workspace:
        catalog = workspace.catalog
        images = catalog.images_passing(publish.AFTER)
        for image in images:
            crop = catalog.value("faces", image)["crop"]
            path = tree / catalog.value("labels", image)["label"] / f"{image}.jpg"
            path.write_bytes(workspace.images.get(crop))
    return len(images)


def by_datasets(folder: Path, turn: int) -> None:
    """Write Parquet of the folders as `datasets` does, with nothing of it cached."""
    from datasets import disable_progress_bars, load_dataset
    from datasets.table import embed_table_storage

    disable_progress_bars()
    cache = str(folder / "cache" / str(turn))
    found = load_dataset("imagefolder", data_dir=str(folder / "tree"), cache_dir=cache)["train"]
    kind = found.format
    embedded = found.with_format("arrow").map(embed_table_storage, batched=True, batch_size=1000)
    path = folder / "peer" / str(turn) / "train.parquet"
    path.parent.mkdir(parents=True)
    embedded.with_format(**kind).to_parquet(str(path))


def size_of(path: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


if __name__ == "__main__":
    main()
