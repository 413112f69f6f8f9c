"""What the catalog keeps: records as sources list them, and what stages find out about images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONTENTS = ("crop", "photograph")


@dataclass(frozen=True)
class Reject:
    """Why something is not published: a short reason to count by, and a detail to read."""

    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Vote:
    """One rater's word on one sample; `label` is one of schema.LABELS."""

    rater: str
    label: str
    count: int = 1
    """How many people said so, where the rater is a panel, e.g. the ten of FERPlus."""


@dataclass(frozen=True)
class Facts:
    """What a source says about a record before anybody looks at the pixels."""

    votes: tuple[Vote, ...] = ()
    no_class: Mapping[str, int] | None = None
    """Votes for what is no expression, see schema.NO_CLASS: {word: how many}."""
    source_label: str | None = None
    """The label as it stands in the source, e.g. "7" or "happy"."""
    source_name: str | None = None
    """The picture's name in its set, by which occlusion lists cite it, e.g. "test_0003"."""
    content: str = "crop"
    """What the picture is, of CONTENTS: a "crop", published as it is, or a "photograph", cut to
    its face."""
    source_split: str | None = None
    test_set: str | None = None
    """The benchmark's test set that the sample is of, if any: it never trains."""
    subject: str | None = None
    """Who is shown, if the source says so; its samples stay on one side of the split."""
    licence: str = "unknown"
    attribution: str = ""
    rights: str = "index_only"
    """What may be done with its pixels, one of schema.RIGHTS."""
    evidence: Mapping[str, Any] | None = None
    """Of a web photograph: its address, page, time, headers, and what its owner allows; of what is
    blocked: the sha256 of its bytes, which are not kept."""
    truth: Mapping[str, Any] | None = None
    """What is really there, known of drawn faces only: no stage reads it."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object without the fields that say nothing."""
        fields = {name: value for name, value in vars(self).items() if value}
        if self.votes:
            fields["votes"] = [list(vars(vote).values()) for vote in self.votes]
        return fields

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> Facts:
        """Return the facts that `to_json` wrote."""
        votes = tuple(Vote(*values) for values in fields.get("votes", ()))
        return Facts(**{**fields, "votes": votes})


def image_key(sha256: str, content: str) -> str:
    """Return the name under which stages know the bytes, taken as `content`.

    The same bytes taken as a crop and as a photograph are two images: what stages find out about
    the one says nothing of the other.
    """
    return sha256 if content == "crop" else f"{sha256}.{content}"


def image_sha256(image: str) -> str:
    """Return the sha256 of an image's bytes, by its `image_key`."""
    return image.partition(".")[0]


@dataclass(frozen=True)
class Record:
    """One thing a source listed: either its image (see `image_key`) or why it was rejected."""

    id: str
    source: str
    stamp: str
    facts: Facts
    image: str | None = None
    reject: Reject | None = None
    rank: int = 0
    """The source's position in the config: the record of the lowest rank speaks for an image."""

    @property
    def source_id(self) -> str:
        """The record's name within its source."""
        return self.id[len(self.source) + 1 :]


@dataclass(frozen=True)
class Result:
    """What a stage found out about one image; with `reject` no later stage sees it."""

    image: str
    value: Mapping[str, Any] = field(default_factory=dict)
    reject: Reject | None = None
