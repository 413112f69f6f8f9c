"""ATTRIBUTION.md of a rebuild: the recipe's, less what is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from occlufer.digest import file_sha256
from occlufer.errors import GateError, MissingError
from occlufer.lock import LOCK_NAME

from ..publishing.attribution import FILE_NAME, PHOTOGRAPHS, attribution_lines
from .recipe import Recipe

PHOTOGRAPHS_BEGIN = "\n## Photographs\n"
# A photograph's line ends with its sample and its record.
SAMPLE = re.compile(r".*; `([0-9a-f]{64})`, ")


def check_attribution(recipe: Recipe) -> None:
    """Raise MissingError if the recipe names photographs' authors nowhere but in a lost file."""
    own = sum(terms.get("own_attribution", 0) for terms in recipe.lock.sources.values())
    if own and not (recipe.folder / FILE_NAME).is_file():
        raise MissingError(
            f"{recipe.folder / FILE_NAME}: no such file, expected the recipe's: it names the "
            f"authors of {own} samples"
        )
    expected = recipe.lock.files.get(FILE_NAME)
    if own and file_sha256(recipe.folder / FILE_NAME) != expected:
        raise GateError(f"{recipe.folder / FILE_NAME}: found another file than {LOCK_NAME} names")


def write_attribution(
    fresh: Path,
    recipe: Recipe,
    sources: Mapping[str, Mapping[str, Any]],
    samples: Mapping[str, str],
) -> None:
    """Write the file for these sources; `samples` is {sha256 in the recipe: sha256 here}."""
    pieces = [*attribution_lines(sources, ())]
    photographs = [*_photographs(recipe, samples)]
    if photographs:
        pieces += [PHOTOGRAPHS, *photographs]
    (fresh / FILE_NAME).write_text("".join(pieces), encoding="utf-8", newline="\n")


def _photographs(recipe: Recipe, samples: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of the photographs that are there."""
    path = recipe.folder / FILE_NAME
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for line in text.partition(PHOTOGRAPHS_BEGIN)[2].splitlines(keepends=True):
        found = SAMPLE.match(line)
        if found and found[1] in samples:
            yield line.replace(found[1], samples[found[1]])
