"""A photograph of the web, as a service or a list describes it before it is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from .plain_text import plain

# Tags by which owners say that machines are not to learn from a picture, without blanks and marks:
# Flickr writes no_cv ("no computer vision") as nocv.
OPT_OUT_TAGS = frozenset(
    ("nocv", "noai", "noaitraining", "noimageai", "nomachinelearning", "nofacerecognition")
)


@dataclass(frozen=True)
class Photograph:
    """What a service, or a list, says of one photograph before it is fetched."""

    url: str
    """Of the picture itself."""
    service: str
    """"openverse", "commons", "flickr", "internet_archive" or "urls"."""
    page: str = ""
    """Where people look at it."""
    licence: str = ""
    """By its name in builders.licences; "" if it is not known."""
    licence_url: str = ""
    author: str = ""
    """Plain text, as is the title."""
    title: str = ""
    query: str = ""
    """The words that found it; no label."""
    sha1: str = ""
    """Of the file as its owner left it, where the service says so; `url` may be of a smaller
    rendition."""
    opted_out: str = ""
    """Why its owner does not want it used, e.g. "tag no_cv"."""
    said: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """The service's own words on licence and rendition: evidence."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without the fields that say nothing."""
        fields = {name: value for name, value in vars(self).items() if value}
        return {**fields, "said": dict(self.said)} if self.said else fields

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> Photograph:
        """Return the photograph that `to_json` wrote."""
        return Photograph(**fields)


def opt_out_tag(tags: Iterable[str]) -> str:
    """Return why a picture with these tags is not used, e.g. "tag no_cv"; "" if they allow it."""
    for tag in tags:
        if re.sub(r"[\W_]", "", tag).lower() in OPT_OUT_TAGS:
            return f"tag {plain(tag)}"
    return ""
