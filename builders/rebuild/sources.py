"""The sources of a rebuild: settings of the lock, paths of whoever rebuilds."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from occlufer.config import SOURCE_PATHS, SOURCE_PRIVATE, SourceConfig, is_address
from occlufer.errors import UsageError
from occlufer.lock import Lock

from ..gather import open_source
from ..sources.adapters import adapter_of
from ..sources.entry import Entry
from ..sources.mirror import local_copy

Paths = Mapping[str, Mapping[str, Path]]
"""{source: {"path", or another key of the source that is a path: where it is here}}"""


@dataclass(frozen=True)
class Opened:
    """A source that can be listed."""

    name: str
    kind: str
    settings: Any

    def entries(self) -> Iterator[Entry]:
        """Yield what it lists, in the same order every time."""
        return adapter_of(self.kind, self.name).entries(self.settings, self.name)


def paths_given(
    lock: Lock, kinds: Mapping[str, Path | str], named: Iterable[str]
) -> dict[str, dict[str, Path]]:
    """Return the paths by source; `named` are texts "NAME=PATH" or "NAME.KEY=PATH".

    What lies at an address is copied to this machine, as a build does.
    Raises UsageError for a kind or a name that the recipe does not have, and for a kind that
    several sources have.
    """
    tables = _tables(lock)
    paths: dict[str, dict[str, Path]] = {}
    for kind, path in kinds.items():
        option = f"--{kind.replace('_', '-')}"
        names = [name for name, table in tables.items() if table["kind"] == kind]
        if not names:
            raise UsageError(f"{option}: found no source of this kind, expected {_told(tables)}")
        if len(names) > 1:
            more = ", ".join(f"--source {name}=PATH" for name in names)
            raise UsageError(f"{option}: found {len(names)} sources of this kind, expected {more}")
        paths[names[0]] = {"path": _at_hand(str(path), option)}
    for text in named:
        name, key, path = _read(text)
        if name not in tables:
            raise UsageError(f"--source {text}: found no source {name!r}, expected {_told(tables)}")
        paths.setdefault(name, {})[key] = _at_hand(path, f"--source {name}")
    return paths


def open_sources(lock: Lock, paths: Paths, needed: Counter[str]) -> list[Opened]:
    """Return the sources that can be read, those that rows are `needed` of.

    What needs no path is read without one. Raises MissingError or UsageError for a path that is
    wrong.
    """
    opened = []
    for name, table in _tables(lock).items():
        fields = {f.name for f in dataclasses.fields(adapter_of(table["kind"], name).Settings)}
        given = paths.get(name, {})
        # A dataset of the Hub may be in the cache of `datasets`.
        if needed[name] and ("path" not in fields or given or table.get("repository")):
            source = SourceConfig(table["kind"], name, _settings(table, given))
            opened.append(Opened(name, source.kind, open_source(source)))
    return opened


# What a lock says of a source beside the settings of its adapter. Of paths it should say nothing.
NOT_FROM_A_LOCK = ("kind", "name", *SOURCE_PATHS, *SOURCE_PRIVATE)


def _settings(table: Mapping[str, Any], given: Mapping[str, Path]) -> dict[str, Any]:
    settings = {key: value for key, value in table.items() if key not in NOT_FROM_A_LOCK}
    if settings.get("service") == "urls" and "urls" not in given:
        del settings["service"]  # the list was for fetching; what was fetched is read without
    if "path" in given:
        for key in ("repository", "revision"):
            settings.pop(key, None)
    return settings | {key: str(path) for key, path in given.items()}


def _tables(lock: Lock) -> dict[str, dict[str, Any]]:
    found = lock.config.get("sources")
    tables = found if isinstance(found, list) else []
    return {str(table["name"]): table for table in tables}


def _told(tables: Mapping[str, Mapping[str, Any]]) -> str:
    return "one of " + ", ".join(f"{name} (kind {t['kind']})" for name, t in tables.items())


def _at_hand(path: str, option: str) -> Path:
    """Return the path, or that of a copy on this machine if it is an address."""
    return local_copy(path, option) if is_address(path) else Path(path).expanduser().absolute()


def _read(text: str) -> tuple[str, str, str]:
    """Return (source, key, path) of a text on the command line."""
    left, equals, path = text.partition("=")
    name, _, key = left.partition(".")
    if not (equals and name and path):
        raise UsageError(f"--source: found {text!r}, expected NAME=PATH or NAME.KEY=PATH")
    if (key or "path") not in SOURCE_PATHS:
        expected = " or ".join(SOURCE_PATHS)
        raise UsageError(f"--source {text}: found the key {key!r}, expected {expected}")
    return name, key or "path", path
