"""Local paths: places on somebody's machine, which nothing that is published may name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from .fault import Fault, shown

# Folders with which a path begins on the machines people work on.
ROOTS = (
    *("home", "Users", "root", "tmp", "var", "mnt", "media", "Volumes", "private", "opt", "srv"),
    *("etc", "usr", "data", "work", "workspace", "scratch", "content", "kaggle", "dev", "nfs"),
    *("lustre", "gpfs", "dbfs", "run", "app", "storage"),
)
# Within text of others, e.g. the title of a photograph, only what is unmistakable. What follows a
# letter, a dot, a colon or a slash is the path of an address on the web.
WITHIN_TEXT = re.compile(
    rf"""(?<![\w.:/~%-])(?:
        file:/{{1,3}}[\w%.~-]
        | ~/[\w.-]
        | /(?:{"|".join(ROOTS)})/[\w.~-]
        | [A-Za-z]:(?:\\+|/)[\w.$~-]
        | \\\\+[\w.-]+\\+[\w$]
    )[^\s"'`|<>]*""",
    re.VERBOSE,
)
ABSOLUTE = re.compile(r"/|~[\w-]*[/\\]|[A-Za-z]:[/\\]|\\\\|file:", re.IGNORECASE)
EXPECTED = "no path of the machine that made it"


def path_within(text: str) -> str | None:
    """Return the first local path that stands in a text, None if there is none."""
    found = WITHIN_TEXT.search(text)
    return found.group() if found else None


def local_path(value: str) -> str | None:
    """Return the local path that a value is, or that stands in it; None if there is none.

    For what machines write, e.g. the name of a record: it may not begin as a path does.
    """
    return value if ABSOLUTE.match(value) else path_within(value)


def strings_of(value: Any) -> Iterator[str]:
    """Yield every text in a value as JSON has it, the keys of objects included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from strings_of(key)
            yield from strings_of(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from strings_of(one)


def path_faults(where: str, value: Any, free_text: bool = False) -> Iterator[Fault]:
    """Yield a fault for every local path in a value; `free_text` is what people have written."""
    look = path_within if free_text else local_path
    for text in strings_of(value):
        path = look(text)
        if path is not None:
            yield Fault(where, "local path", shown(path), EXPECTED)


def text_faults(name: str, lines: Iterable[str]) -> Iterator[Fault]:
    """Yield a fault for every line of a text file that names a local path."""
    for number, line in enumerate(lines, start=1):
        yield from path_faults(f"{name}, line {number}", line, free_text=True)
