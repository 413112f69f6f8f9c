"""Which samples need people, and which of them first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from occlufer.config import AnnotationConfig, BuildConfig
from occlufer.election import Election, elect_by_sources
from occlufer.pipeline import stages_before
from occlufer.record import Record
from occlufer.workspace import Workspace

from .template import NO_OCCLUSION

BEFORE_LABELS = stages_before("labels")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Candidate:
    """A sample, as far as it counts for when people get to see it."""

    image: str
    label: str = UNKNOWN
    """What its sources call it: a class, or UNKNOWN if nothing, no class, or two equally often."""
    types: tuple[str, ...] = ()
    """Its occlusion types."""
    disagreement: float = 0.0
    """The share of its sources' votes that are for something else than the answer of the most."""


def wanted_images(workspace: Workspace, config: BuildConfig) -> list[str]:
    """Return the samples that need people, sorted: all whose sources do not agree enough."""
    return [
        image
        for image, election in source_elections(workspace)
        if not agreed(election, config.annotation)
    ]


def agreed(election: Election, settings: AnnotationConfig) -> bool:
    """Return whether the sources' votes are enough and of one mind, so that nobody need be asked.

    Votes for what is no expression take part: pictures that all call no face need no people either.
    """
    return (
        0 < settings.agreed_votes <= election.total
        and len(election.winners) == 1
        and election.most >= settings.agreed_share * election.total
    )


def source_elections(workspace: Workspace) -> Iterator[tuple[str, Election]]:
    """Yield (image, the count of its sources' votes) of every sample before the stage "labels"."""
    passing = set(workspace.catalog.images_passing(BEFORE_LABELS))
    for image, records in workspace.catalog.holders():
        if image in passing:
            yield image, elect_by_sources(records)


def priority(images: Sequence[str], workspace: Workspace) -> list[str]:
    """Return the images in the order in which people should get them, see `ordered`."""
    catalog = workspace.catalog
    holders = catalog.holders_of(images)
    types = {image: value["types"] for image, value in catalog.values("occlusion", images)}
    return ordered(
        _candidate(image, holders.get(image, ()), types.get(image, ())) for image in images
    )


def _candidate(image: str, records: Iterable[Record], types: Iterable[str]) -> Candidate:
    election = elect_by_sources(records)
    disagreement = 1 - election.most / election.total if election.total else 0.0
    return Candidate(image, election.label or UNKNOWN, tuple(types), disagreement)


def ordered(candidates: Iterable[Candidate]) -> list[str]:
    """Return the images: rare cells of class and occlusion type first, then uncertain samples.

    A cell that is half as large as another comes before it. Cells of about one size take turns,
    each with the sample first on which its sources disagree most: else raters would meet one class
    after the other, and know it without looking. The order depends on nothing but the candidates.
    """
    candidates = sorted(candidates, key=lambda candidate: candidate.image)
    sizes = Counter(cell for candidate in candidates for cell in cells(candidate))

    def rarest(candidate: Candidate) -> tuple[str, str]:
        return min(cells(candidate), key=lambda cell: (sizes[cell], cell))

    uncertain_first = sorted(candidates, key=lambda candidate: -candidate.disagreement)
    turns = Counter[tuple[str, str]]()
    keys: dict[str, tuple[int, int, str]] = {}
    for candidate in uncertain_first:
        cell = rarest(candidate)
        keys[candidate.image] = (sizes[cell].bit_length(), turns[cell], candidate.image)
        turns[cell] += 1
    return sorted(keys, key=lambda image: keys[image])


def cells(candidate: Candidate) -> list[tuple[str, str]]:
    """Return the cells of class and occlusion type that a sample lies in."""
    return [(candidate.label, kind) for kind in candidate.types or (NO_OCCLUSION,)]
