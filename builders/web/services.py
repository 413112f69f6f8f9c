"""The services that photographs are found by, and those that are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from occlufer.errors import UsageError

from . import commons, flickr, internet_archive, openverse
from .answers import Client, SearchSettings
from .photograph import Photograph

Search = Callable[[str, Client, SearchSettings], Iterator[Photograph]]

SERVICES: dict[str, Search] = {
    "openverse": openverse.search,
    "commons": commons.search,
    "flickr": flickr.search,
    "internet_archive": internet_archive.search,
}
URLS = "urls"  # no service: a list of the user's own, see url_list
REFUSED = {
    "pexels": "its terms forbid gathering its photographs into a dataset and training on them",
    "unsplash": "its terms forbid gathering its photographs into a dataset and training on them",
}


def search_of(service: str) -> Search:
    """Return the function that searches a service.

    Raises UsageError for one that is refused, with the reason, or that is not known.
    """
    if service in REFUSED:
        raise UsageError(f"service: {service} is refused: {REFUSED[service]}")
    if service not in SERVICES:
        expected = ", ".join((*SERVICES, URLS))
        raise UsageError(f"service: found {service!r}, expected one of {expected}")
    return SERVICES[service]
