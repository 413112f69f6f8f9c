"""ATTRIBUTION.md: whom to name for what is published, sources, and photographs one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from occlufer.record import Record

from ..markdown import address, escape, table
from .census import Published, has_own

# On the Hub and in editors a file of this ending is shown with its links.
FILE_NAME = "ATTRIBUTION.md"
# What a service says of one photograph.
OWN = ("title", "author", "page", "licence", "licence_url")

HEAD = """# Attribution

Whom to name for the samples of this dataset. Every sample keeps the terms of its source.

## Sources

"""
PHOTOGRAPHS = """
## Photographs

Samples that may be passed on under licences of their own, in the order of the rows. Faces were cut
out of photographs and scaled, and metadata taken out. At the end of a line stand the sha256 of the
sample and its record, as in the columns sha256, source and source_id.

"""


def attribution_lines(
    sources: Mapping[str, Mapping[str, Any]], published: Iterable[Published]
) -> Iterator[str]:
    """Yield the file piece by piece; `sources` is the lock's."""
    yield HEAD
    rows = ((escape(name), *_source_cells(terms)) for name, terms in sources.items())
    yield table(("source", "samples", "licence", "attribution"), rows) + "\n"
    head = PHOTOGRAPHS
    for one in published:
        if one.rights == "publishable" and has_own(one.record.facts):
            yield head + photograph_line(one.record, one.sha256) + "\n"
            head = ""


def _source_cells(terms: Mapping[str, Any]) -> tuple[str, str, str]:
    whom = [escape(text) for text in terms["attributions"]]
    if terms["own_attribution"]:
        count = terms["own_attribution"]
        whom.append(f"{count} samples have their own: in the column, and below if publishable")
    samples = terms["samples"] + terms["only_in_subsets"]
    licences = "; ".join(map(escape, terms["licences"]))
    return f"{samples}", licences, "; ".join(whom) or "none was stated"


def photograph_line(record: Record, sha256: str) -> str:
    """Return one line of a Markdown list: title, author, page, licence, sample."""
    told = {key: value for key in OWN if (value := (record.facts.evidence or {}).get(key))}
    title = f'"{escape(told["title"])}"' if "title" in told else "without a title"
    pieces = [f"{title} by {escape(told.get('author', 'an unknown author'))}"]
    if "page" in told:
        pieces.append(address(told["page"]))
    licence = escape(told.get("licence", record.facts.licence))
    pieces.append(licence + (f" {address(told['licence_url'])}" if "licence_url" in told else ""))
    return f"- {', '.join(pieces)}; `{sha256}`, {escape(record.id)}"
