"""The documentation says what the code does."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from occlufer.builders.columns import features
from occlufer.builders.sources.adapters import ADAPTERS
from occlufer.cli import COMMANDS
from occlufer.config import SECTIONS, SOURCE_PATHS, BuildConfig, load_config

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
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


def test_readme_names_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"occlufer {name}" in text


@pytest.mark.parametrize("kind", ADAPTERS)
def test_every_path_of_a_source_is_taken_from_the_config_s_folder(kind: str) -> None:
    hints = get_type_hints(ADAPTERS[kind].Settings)
    paths = {name for name, hint in hints.items() if hint in (Path, Path | None)}
    assert paths <= set(SOURCE_PATHS)


def test_every_kind_of_source_is_described() -> None:
    text = (ROOT / "docs/sources.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| ([a-z0-9_]+) \|", text, re.MULTILINE)) >= set(ADAPTERS)
