"""The documentation says what the code does."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from blocks import blocks
from PIL import Image

from occlufer.builders.publishing.columns import features
from occlufer.builders.rights import BLOCKED
from occlufer.builders.sources.adapters import ADAPTERS
from occlufer.builders.split import BEYOND_QUOTA
from occlufer.builders.takedown import TAKEN_DOWN
from occlufer.cli import COMMANDS
from occlufer.config import SECTIONS, SOURCE_PATHS, BuildConfig
from occlufer.config_file import load_config
from occlufer.outcome import UNLABELLED
from occlufer.schema import NO_CLASS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "pictures" / "occlufer.png"
# These have no default that a file could state as it is.
LISTS = {"raf_db_occlu", "ferplus_occlu", "affectnet_occlu"}
WITHOUT_STATED_DEFAULT = LISTS | {
    *("path", "name", "label_map", "weights_dir", "sources", "groups", "keep", "gold"),
    *("segface_weights", "train", "validation"),
    *SOURCE_PATHS,
}


def documented_config() -> dict[str, Any]:
    text = (ROOT / "docs/config.md").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])
    return table


def test_the_documented_config_is_accepted(tmp_path: Path) -> None:
    text = (ROOT / "docs/config.md").read_text(encoding="utf-8")
    path = tmp_path / "occlufer.toml"
    path.write_text(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0], encoding="utf-8")
    config = load_config(path)
    assert {source.kind for source in config.sources} == set(ADAPTERS)


def test_every_key_of_the_config_is_documented_with_its_default() -> None:
    table = documented_config()
    assert_documents(table, BuildConfig)
    for name, section in SECTIONS.items():
        assert_documents(table[name], section)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_key_of_a_source_is_documented_with_its_default(kind: str) -> None:
    table = next(
        dict(source) for source in documented_config()["sources"] if source["kind"] == kind
    )
    table.pop("kind")
    table.pop("name", None)
    assert_documents(table, ADAPTERS[kind].Settings)


def assert_documents(table: dict[str, Any], config: Any) -> None:
    fields = {field.name: field for field in dataclasses.fields(config)}
    assert set(table) == set(fields)
    for name in set(fields) - WITHOUT_STATED_DEFAULT - set(SECTIONS):
        default = fields[name].default
        stated = table[name]
        if isinstance(default, float):
            assert stated == pytest.approx(default, abs=1e-3), name
        else:
            assert stated == _as_toml_has_it(default), name


def _as_toml_has_it(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def test_every_column_is_documented() -> None:
    text = (ROOT / "docs/columns.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([a-z0-9_, ]+) \| ", text, re.MULTILINE)[1:]
    documented = [name.strip() for row in rows for name in row.split(",")]
    assert documented == list(features())


def test_every_link_in_the_documentation_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_page_of_commands_shows_a_call_of_each() -> None:
    (calls,) = [b.text for b in blocks(ROOT / "docs/commands.md") if b.language == "sh"]
    for name in COMMANDS:
        assert f"occlufer {name} " in calls, name


def test_the_page_of_commands_names_every_reason_of_a_reject() -> None:
    # A folder that is no source, a rebuild and the web have reasons of their own.
    own = ("builders/folder.py", "builders/rebuild/", "builders/web/")
    code = [
        p for part in ("occlufer", "builders", "annotation") for p in (ROOT / part).rglob("*.py")
    ]
    found = {
        node.args[0].value
        for path in code
        if not path.relative_to(ROOT).as_posix().startswith(own)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("Reject", "BadImageError")
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    found |= {TAKEN_DOWN, BLOCKED, BEYOND_QUOTA, UNLABELLED}
    found |= {word for word, becomes in NO_CLASS.items() if becomes == "rejected"}
    section = (ROOT / "docs/commands.md").read_text(encoding="utf-8").partition("## Reasons")[2]
    named = set(re.findall(r"`(\w+)`", section.partition("<!--")[0]))
    columns = {"rejected", "record", "stage", "reason", "detail", "leaks"}
    columns |= {"test_set", "test_picture", "view", "bits64", "bits256"}
    assert named - columns == found


def script(path: str) -> Any:
    """Return a script that makes a page, as a module."""
    spec = importlib.util.spec_from_file_location(f"_{Path(path).stem}", ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where its dataclasses look for themselves
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("page", "maker"),
    [("docs/commands.md", "docs/commands.py"), ("README.md", "benchmarks/_table.py")],
    ids=["commands", "ratios"],
)
def test_what_is_generated_is_current(page: str, maker: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert script(maker).written(text) == text, "run `make docs`"


def test_the_table_of_ratios_takes_the_newest_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = script("benchmarks/_table.py")
    row = table.RATIOS[-1]
    for day, value in (("2026-01-01", 3.0), ("2026-01-02", 2.0)):
        figures = {"bars": [{"what": row.bar, "value": value}]}
        (tmp_path / f"{row.benchmark}-{day}-2-cores.json").write_text(json.dumps(figures))
    monkeypatch.setattr(table, "RESULTS", tmp_path)
    assert table.value(row) == 0.5
    with pytest.raises(SystemExit, match="found no bar 'another'"):
        table.value(dataclasses.replace(row, bar="another"))
    assert [table.shown(n) for n in (0.94, 6.97, 616.6, 39325.5)] == [
        "0.94",
        "7.0",
        "617",
        "39 326",
    ]


def test_the_picture_is_what_the_script_draws(tmp_path: Path) -> None:
    script("examples/picture.py").main(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as new, Image.open(PICTURE) as kept:
        assert new.size == kept.size
        pairs = np.asarray(new.convert("RGB"), float), np.asarray(kept.convert("RGB"), float)
    # Other versions of Pillow choose another palette, and shape letters otherwise.
    assert np.abs(pairs[0] - pairs[1]).mean() < 3
    assert PICTURE.stat().st_size < 400_000


def test_the_index_names_every_page() -> None:
    text = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((\w+\.md)", text))
    assert linked == {page.name for page in ROOT.glob("docs/*.md")} - {"README.md"}


# What speaks of the released code and does as it does, or only passes on what differs.
AS_RELEASED = {"segface", "mobilefacenet"}


def test_every_module_that_departs_from_the_released_code_has_its_row() -> None:
    word = re.compile(r"released (?:code|model|form|reshape|recipe|ORSANet|dataset)|paper's Eq")
    texts = {p.stem: p.read_text(encoding="utf-8") for p in (ROOT / "orsanet").glob("*.py")}
    named = {name for name, text in texts.items() if word.search(" ".join(text.split()))}
    page = (ROOT / "docs/differences.md").read_text(encoding="utf-8")
    assert named - AS_RELEASED <= set(re.findall(r"`(\w+)\.py`", page))
    assert set(re.findall(r"`(\w+)\.py`", page)) <= set(texts)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_path_of_a_source_is_taken_from_the_config_s_folder(kind: str) -> None:
    hints = get_type_hints(ADAPTERS[kind].Settings)
    paths = {name for name, hint in hints.items() if hint in (Path, Path | None)}
    assert paths <= set(SOURCE_PATHS)


def test_every_kind_of_source_is_described() -> None:
    text = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| ([a-z0-9_]+) \|", text, re.MULTILINE)) >= set(ADAPTERS)
