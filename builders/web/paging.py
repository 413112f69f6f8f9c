"""Results page by page: what can be read is passed on, what cannot is left out and counted."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from occlufer.errors import UsageError

from .answers import Answer
from .errors import ServiceError
from .photograph import Photograph

logger = logging.getLogger(__name__)

# A search in which so many results were left out is given up: (at least, per photograph wanted).
MAX_LEFT_OUT = (200, 10)
MIN_PAGE_SIZE = 20
MALFORMED = "malformed"
REPEATED = "repeated"


class LeftOut(Exception):  # noqa: N818 - no error: a result that is not wanted
    """A result is no photograph that could be used."""

    def __init__(self, reason: str) -> None:
        """Take the reason to count by."""
        super().__init__(reason)
        self.reason = reason


def photographs(
    place: str,
    pages: Iterable[list[Answer]],
    identity: str,
    read: Callable[[Answer], Photograph],
    limit: int,
) -> Iterator[Photograph]:
    """Yield what `read` makes of the results, at most `limit`; no page is asked for in advance.

    Ends early, too, where hardly anything can be used, see MAX_LEFT_OUT.

    `identity` is the field that tells results apart. A result without it, or whose reading raises
    LeftOut or ServiceError, is left out; how many were, and why, is logged. Raises ServiceError
    for a page that brings only what was there before, if nothing of the first can be read, and
    one that may go well another time.
    """
    search = _Search(identity, read)
    most = max(MAX_LEFT_OUT[0], MAX_LEFT_OUT[1] * limit)
    try:
        for number, page in enumerate(pages, 1):
            before = search.left_out[REPEATED]
            for result in page:
                photograph = search.result(result)
                if photograph is not None:
                    yield photograph
                    search.found += 1
                if search.found == limit or search.left_out.total() >= most:
                    return
            if page and search.left_out[REPEATED] - before == len(page):
                raise ServiceError(f"{place}: found page {number} once more, expected new results")
            if number == 1 and 1 < search.left_out[MALFORMED] == len(page):
                raise ServiceError(search.example)
    finally:
        search.log(place)


class _Search:
    """What has come of a search so far."""

    def __init__(self, identity: str, read: Callable[[Answer], Photograph]) -> None:
        self.found = 0
        self.left_out: Counter[str] = Counter()
        self.example = ""
        self._identity, self._read = identity, read
        self._seen: set[str] = set()

    def result(self, result: Answer) -> Photograph | None:
        """Return the photograph; None if it is left out, and counted."""
        try:
            key = result.word(self._identity)
            if key in self._seen:
                raise LeftOut(REPEATED)
            self._seen.add(key)
            return self._read(result)
        except LeftOut as left_out:
            self.left_out[left_out.reason] += 1
        except ServiceError as error:
            if error.again:
                raise  # nothing is wrong with the result
            self.left_out[MALFORMED] += 1
            self.example = self.example or str(error)
        return None

    def log(self, place: str) -> None:
        """Say how many results were left out, and why."""
        if not self.left_out:
            return
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.left_out.most_common())
        example = f" ({self.example})" if self.example else ""
        level = logging.WARNING if self.left_out[MALFORMED] else logging.INFO
        count = self.left_out.total()
        logger.log(level, "%s: left out %d results: %s%s", place, count, reasons, example)


def page_size(most: int, limit: int) -> int:
    """Return how many results to ask for at a time: no more than are wanted, but not one by one."""
    return min(most, max(limit, MIN_PAGE_SIZE))


def codes_of(service: str, wanted: Iterable[str], codes: Mapping[str, str]) -> list[str]:
    """Return the service's own codes for the licences that are wanted, where it has one.

    `codes` is {name in licences.FAMILIES: code}. Raises UsageError if it has none of them.
    """
    wanted = list(wanted)
    found = [codes[name] for name in codes if name in wanted]
    if not found:
        raise UsageError(
            f"{service}, licences: found {', '.join(wanted) or 'none'}, expected one that it has: "
            f"{', '.join(codes)}"
        )
    return found
