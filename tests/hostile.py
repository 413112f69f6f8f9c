"""A build of sources in which every text that others write is meant to do harm, built once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mixed import picture
from PIL import Image

from occlufer.build import build
from occlufer.builders.leaks import register
from occlufer.config import BuildConfig, LeaksConfig, SourceConfig
from occlufer.vote_log import LABELLING, Project
from occlufer.workspace import open_workspace

HTML = "\"'><img src=x onerror=window.ran=1><svg onload=window.ran=1>&amp;"
"""It can be the name of a file: there is no slash in it."""
CLOSING = "</td></style></script><script>window.ran=1</script><a href=javascript:window.ran=1>x</a>"
FORGED = "a\nocclufer: forged\rline\x1b[2J\x1b]0;title\x07\x9b31m"
TURNED = "\u202egnp.exe"
YAML = 'title: "x": [yaml\n---\n- ]]>'
FORMULA = "=cmd|' C calc'!A1"
TEMPLATE = "{{7*7}}${7*7}{0.__class__}%s%n$name"
ADDRESS = "javascript:window.ran=1"
TEXTS = (HTML, CLOSING, FORGED, TURNED, YAML, FORMULA, TEMPLATE, ADDRESS)
NAMES = tuple(text for text in TEXTS if "/" not in text)
"""Those that a file may be called."""
_built: dict[str, BuildConfig] = {}


def hostile_build(factory: pytest.TempPathFactory) -> BuildConfig:
    """The config of the build; nobody changes its folders."""
    if not _built:
        folder = factory.mktemp("hostile")
        sources = (_folder(folder / "folder"), _table(folder / "table"))
        config = BuildConfig(
            sources,
            folder / "occlu_fer",
            folder / "workspace",
            workers=1,
            leaks=LeaksConfig(action="report"),
        )
        register(config.workspace, "tests", _test_set(folder / "tests"))
        build(config)
        with open_workspace(config.workspace) as workspace:
            project = Project(CLOSING, 4, "sha", FORGED)
            workspace.catalog.log_answers([], LABELLING, project)
        _built["config"] = config
    return _built["config"]


def _test_set(path: Path) -> Path:
    """Pictures near those of the folder below, by such names."""
    path.mkdir()
    for i, name in enumerate(NAMES):
        picture(i).resize((44, 44)).save(path / f"{i}{name}.png")
    return path


def _folder(path: Path) -> SourceConfig:
    """Class folders and files with such names, in them pictures, copies and what is no picture."""
    labels = dict(zip(NAMES, ("anger", "fear", "unlabelled"), strict=False))
    for number, word in enumerate(labels):
        for i, name in enumerate(NAMES):
            place = path / word / f"{i}{name}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            exif = Image.Exif()
            exif[0x010E] = exif[0x013B] = HTML
            picture(100 * number + i).save(place, exif=exif)
        picture(100 * number).resize((44, 44)).save(path / word / f"copy{HTML}.png")
        (path / word / f"{NAMES[1]}.txt").write_bytes(HTML.encode())
    settings = {"path": str(path), "label_map": labels, "rights": "publishable"}
    return SourceConfig(
        "image_folder", "folder", {**settings, "licence": CLOSING, "attribution": HTML}
    )


def _table(path: Path) -> SourceConfig:
    """A row for every text, two of a subject; every other one is a test."""
    path.mkdir()
    rows: list[dict[str, str]] = [{"image": f"../{HTML}", "label": "fear"}]
    for i, text in enumerate(TEXTS):
        name, is_test = f"{i}{NAMES[i % len(NAMES)]}.png", i % 2 == 1
        picture(1000 + i).save(path / name)
        said = {"licence": text, "attribution": text, "subject": TEXTS[i // 4]}
        tested = {"split": "test", "test_set": text} if is_test else {}
        rows.append({"image": name, "label": "fear", "rights": "publishable", **said, **tested})
    (path / "table.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return SourceConfig("table", "table", {"path": str(path)})
