"""What raters have said in tests that need no server: written into the vote log as a pull does."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from occlufer.annotation.wanted import BEFORE_LABELS
from occlufer.config import AnnotationConfig, BuildConfig, SourceConfig
from occlufer.record import Facts, Record, Result, Vote
from occlufer.schema import ANSWERS, OCCLUSION_TYPES
from occlufer.vote_log import ADJUDICATION, GIVEN, LABELLING, SKIPPED, Answer
from occlufer.workspace import Workspace

NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Said:
    """One answer, as who counts by hand knows it."""

    image: str
    rater: str
    label: str | None
    types: tuple[str, ...] = ()


def answer(image: str, rater: str, label: str | None, **changed: Any) -> Answer:
    """What a rater says of an image, later than all before; None: she skips it."""
    number = next(NUMBERS)
    time = f"2026-01-01T00:00:00.{number:06d}Z"
    said = Answer(
        round=LABELLING,
        project="embedded/1",
        annotation=number,
        task=number,
        image=image,
        rater=rater,
        state=SKIPPED if label is None else GIVEN,
        label=label,
        occlusion_types=(),
        confidence=None,
        lead_time_s=3.0,
        created_at=time,
        updated_at=time,
        edited_by=None,
    )
    return dataclasses.replace(said, **changed)


def decision(image: str, label: str | None, rater: str = "rater_09", **changed: Any) -> Answer:
    """What an adjudicator says."""
    return answer(image, rater, label, round=ADJUDICATION, project="embedded/2", **changed)


def log(workspace: Workspace, *answers: Answer) -> None:
    """Write the answers into the vote log."""
    for name in (LABELLING, ADJUDICATION):
        workspace.catalog.log_answers([a for a in answers if a.round == name], name)


def put(workspace: Workspace, **sources: str | None) -> None:
    """Put {image: what its source calls it} and let them pass all stages before the labels."""
    workspace.catalog.put_records(
        Record(
            f"faces/{image}",
            "faces",
            "1",
            Facts(votes=(Vote("source:faces", label),) if label else ()),
            image,
        )
        for image, label in sources.items()
    )
    crop = workspace.images.put(b"\x89PNG\r\n\x1a\n")
    values: dict[str, dict[str, Any]] = {"faces": {"crop": crop}, "occlusion": {"types": []}}
    for name in BEFORE_LABELS:
        results = [Result(image, values.get(name, {})) for image in sources]
        workspace.catalog.put_results(name, results)


def asking(**settings: Any) -> BuildConfig:
    """A config that asks people; by majority, so that one can count along."""
    annotation = AnnotationConfig(**{"aggregation": "majority", **settings})
    synthetic = SourceConfig("synthetic", "synthetic", {})
    return BuildConfig((synthetic,), labels="label_studio", annotation=annotation)


def simulated(
    sources: Mapping[str, str], raters: Sequence[str], overlap: int, seed: int = 5
) -> list[Said]:
    """Return what some of the raters say of every image: mostly what its source does."""
    rng = random.Random(seed)
    said = []
    for image, label in sorted(sources.items()):
        for rater in rng.sample(raters, overlap):
            chance = rng.random()
            word = label if chance < 0.65 else rng.choice(ANSWERS) if chance < 0.93 else None
            types = tuple(kind for kind in OCCLUSION_TYPES if rng.random() < 0.3)
            said.append(Said(image, rater, word, types if word else ()))
    return said
