"""A published folder whose samples have mixed rights, built once for all tests that read it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from occlufer.build import build
from occlufer.config import BuildConfig, SourceConfig

FOLDERS = ("anger", "fear")
PICTURES = 6
RIGHTS = {"free": "publishable", "held": "index_only", "gone": "blocked"}
"""{source: its rights}; each has as many pictures, of both classes."""
_built: dict[str, BuildConfig] = {}


def picture(seed: int) -> Image.Image:
    """A picture unlike any other seed's."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((48, 48), Image.Resampling.BICUBIC)


def mixed_build(factory: pytest.TempPathFactory) -> BuildConfig:
    """The config of the build; nobody changes its folders."""
    if not _built:
        folder = factory.mktemp("mixed")
        sources = []
        for number, (source, rights) in enumerate(RIGHTS.items()):
            for i in range(PICTURES):
                path = folder / source / FOLDERS[i % len(FOLDERS)] / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture(100 * number + i).save(path)
            settings = {
                "path": str(folder / source),
                "rights": rights,
                "licence": "CC0-1.0" if rights == "publishable" else "for research",
                "attribution": f"the makers of {source}",
            }
            sources.append(SourceConfig("image_folder", source, settings))
        config = BuildConfig(tuple(sources), folder / "occlu_fer", folder / "workspace", workers=1)
        build(config)
        _built["config"] = config
    return _built["config"]
