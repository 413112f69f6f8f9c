"""The file of a config, and what the command line says in its place."""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from occlufer.config import (
    DEFAULT_CONFIG,
    SECTION_PATHS,
    SECTIONS,
    SOURCE_PATHS,
    BuildConfig,
    SourceConfig,
    is_address,
)
from occlufer.errors import MissingError, UsageError
from occlufer.tables import read_table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_NAME = "occlufer.toml"


def config_at(path: Path | None) -> BuildConfig:
    """Return the config at `path`; where none is given, occlufer.toml's if it is here."""
    if path is None and Path(CONFIG_NAME).exists():
        path = Path(CONFIG_NAME)
    return DEFAULT_CONFIG if path is None else load_config(path)


def load_config(path: Path) -> BuildConfig:
    """Return the config in the TOML file `path`, its paths made absolute.

    Raises MissingError if there is no such file, UsageError if it says what cannot be done.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise MissingError(
            f"{path}: no such config; `occlufer init FOLDER...` writes one, "
            "and without --config the synthetic set is built"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as UTF-8 text ({error})") from None
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}") from None
    return _build_config(table, path)


def _build_config(table: dict[str, Any], path: Path) -> BuildConfig:
    folder = path.resolve().parent
    # From wherever it is built: what was taken down once must not come back elsewhere.
    table = {"takedown": str(BuildConfig.takedown)} | table
    for key in ("out", "workspace", "weights_dir", "takedown"):
        if isinstance(table.get(key), str):
            table[key] = str(_absolute(table[key], folder))
    for name, cls in SECTIONS.items():
        section = table.pop(name, {})
        if not isinstance(section, dict):
            raise UsageError(f"{path}, {name}: found {section!r}, expected a table [{name}]")
        paths = {key: section[key] for key in SECTION_PATHS if isinstance(section.get(key), str)}
        section = section | {key: str(_absolute(text, folder)) for key, text in paths.items()}
        table[name] = read_table(cls, section, f"{path}, [{name}]")
    sources = table.pop("sources", [])
    if not isinstance(sources, list) or not all(isinstance(s, dict) for s in sources):
        raise UsageError(f"{path}, sources: found {sources!r}, expected [[sources]] tables")
    table["sources"] = [_source(s, i, path, folder) for i, s in enumerate(sources, start=1)]
    return read_table(BuildConfig, table, str(path))


def _source(table: dict[str, Any], number: int, path: Path, folder: Path) -> SourceConfig:
    place = f"{path}, [[sources]] {number}"
    settings = dict(table)
    kind = settings.pop("kind", None)
    if not isinstance(kind, str):
        raise UsageError(f'{place}: found kind = {kind!r}, expected e.g. kind = "image_folder"')
    name = settings.pop("name", kind)
    if not isinstance(name, str) or not name.replace("-", "_").isidentifier():
        raise UsageError(
            f"{place}: found name = {name!r}, expected letters, digits, _ and -, no digit first"
        )
    for key in SOURCE_PATHS:
        if isinstance(settings.get(key), str) and not is_address(settings[key]):
            settings[key] = str(_absolute(settings[key], folder))
    return SourceConfig(kind, name, settings)


def _absolute(text: str, folder: Path) -> Path:
    try:
        return Path(os.path.normpath(folder / Path(text).expanduser()))
    except RuntimeError:
        raise UsageError(f"{text}: found no home folder of that name") from None


def with_overrides(
    config: BuildConfig,
    out: Path | None,
    workspace: Path | None,
    workers: int | None,
    engine: str | None = None,
    scheduler: str | None = None,
    leaks: str | None = None,
) -> BuildConfig:
    """Return `config` with what the command line said in place of what the file said."""
    given: dict[str, Any] = {"out": out, "workspace": workspace, "workers": workers}
    given |= {"engine": engine, "scheduler": scheduler}
    try:
        if leaks is not None:
            given["leaks"] = dataclasses.replace(config.leaks, action=leaks)
        return dataclasses.replace(config, **{k: v for k, v in given.items() if v is not None})
    except ValueError as error:
        raise UsageError(f"command line: {error}") from None
