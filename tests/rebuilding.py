"""A published folder of three kinds of source, and copies of it to be rebuilt from."""

from __future__ import annotations

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from occlufer.build import build
from occlufer.builders.hub import public_copy
from occlufer.builders.rebuild.account import Coverage
from occlufer.builders.rebuild.rebuild import rebuild
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.config import BuildConfig, ListsConfig, SourceConfig

CLASSES = ("anger", "fear", "happiness", "neutral")
NUMBERS = (6, 2, 4, 7)  # how RAF-DB calls them
CROPS, PHOTOGRAPHS = 20, 20
LISTED = ("test_0016", "test_0018", "test_0019")
ORIENTATION = 0x0112
# Every third photograph lies on its side, or upside down, and its EXIF says so.
TURNS = {0: None, 1: (6, Image.Transpose.ROTATE_90), 2: (3, Image.Transpose.ROTATE_180)}


@dataclass(frozen=True)
class World:
    """Where everything lies; nobody changes it."""

    config: BuildConfig
    sources: dict[str, Path]
    recipe: Path
    """The copy without pixels that must not be passed on."""


def crop(seed: int) -> Image.Image:
    """A picture unlike any other seed's."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), dtype=np.uint8))
    return coarse.resize((64, 64), Image.Resampling.BICUBIC)


def photograph(seed: int) -> Image.Image:
    """A drawn face somewhere in a picture unlike any other seed's."""
    scene = crop(10_000 + seed).resize((420, 330))
    scene.paste(Image.fromarray(draw_face(FacePlan("neutral", seed, seed)).image_rgb), (90, 60))
    return scene


def jpeg(image: Image.Image, quality: int, turn: int = 0) -> bytes:
    """The picture as a file, lying as `turn` of TURNS says."""
    exif, turned = Image.Exif(), TURNS[turn]
    exif[0x010E] = "written by somebody, somewhere"
    if turned is not None:
        exif[ORIENTATION] = turned[0]
        image = image.transpose(turned[1])
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue()


def recompress(path: Path, quality: int = 60) -> None:
    """Save a picture anew, its metadata included."""
    image = Image.open(io.BytesIO(path.read_bytes()))
    image.save(path, "JPEG", quality=quality, exif=image.getexif())


def crop_name(i: int) -> str:
    """Where a crop lies in RAF-DB, packed again by class number."""
    split = "train" if i < 14 else "test"
    return f"{split}/{NUMBERS[i % 4]}/{split}_{i:04d}_aligned.jpg"


def photograph_name(i: int) -> str:
    return f"{CLASSES[i % 4]}/{i:03d}.jpg"


def _write(folder: Path) -> dict[str, Path]:
    sources = {name: folder / name for name in ("raf_db", "photographs")}
    for i in range(CROPS):
        path = sources["raf_db"] / crop_name(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(crop(i), 92))
    for i in range(PHOTOGRAPHS):
        path = sources["photographs"] / photograph_name(i)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(photograph(i), 92, turn=i % 3))
    return sources


def _tables(sources: dict[str, Path]) -> tuple[SourceConfig, ...]:
    photographs = {"content": "photograph", "rights": "index_only"}
    return (
        SourceConfig("raf_db", "raf_db", {"path": str(sources["raf_db"])}),
        SourceConfig(
            "image_folder", "photographs", {"path": str(sources["photographs"]), **photographs}
        ),
        SourceConfig("synthetic", "drawn", {"count": 12, "seed": 5}),
    )


_made: dict[str, World] = {}


def world(factory: pytest.TempPathFactory) -> World:
    """The published folder, its sources, and its recipe; made once."""
    if not _made:
        folder = factory.mktemp("world")
        sources = _write(folder)
        (folder / "list.txt").write_text("\n".join(LISTED), encoding="utf-8")
        config = BuildConfig(
            _tables(sources),
            accept_terms=("raf_db",),
            out=folder / "occlu_fer",
            workspace=folder / "workspace",
            takedown=folder / "takedown.jsonl",
            lists=ListsConfig(raf_db_occlu=folder / "list.txt"),
            workers=2,
        )
        build(config)
        recipe = folder / "recipe"
        shutil.move(public_copy(config.out).folder, recipe)
        _made["world"] = World(config, sources, recipe)
    return _made["world"]


def run(recipe: Path, sources: dict[str, Path], out: Path, **more: Any) -> Coverage:
    return rebuild(recipe, {}, [f"{name}={path}" for name, path in sources.items()], out, **more)


def index_and_lock(made: World, place: Path) -> Path:
    shutil.copytree(made.recipe / "index", place / "index")
    shutil.copyfile(made.recipe / "occlu_fer.lock", place / "occlu_fer.lock")
    return place
