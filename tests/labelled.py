"""A workspace whose samples people have labelled, without any server."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path
from typing import Any

from occlufer.config import AnnotationConfig, BuildConfig, SourceConfig
from occlufer.pipeline import stages_before
from occlufer.record import Facts, Record, Result, Vote
from occlufer.schema import ANSWERS, LABELS, OCCLUSION_TYPES
from occlufer.vote_log import ADJUDICATION, DELETED, GIVEN, LABELLING, SKIPPED, Answer, Project
from occlufer.workspace import open_workspace

IMAGES = [f"image{i:03d}" for i in range(60)]
RATERS = ("rater_01", "rater_02", "rater_03", "rater_04")
MEASURED = {
    image: OCCLUSION_TYPES[i % 3 : i % 3 + 1] if i % 4 else () for i, image in enumerate(IMAGES)
}
CURSOR = "2026-03-04T05:06:07.000000Z"
URL = "https://labels.example.org"


def config_of(folder: Path, **settings: object) -> BuildConfig:
    return BuildConfig(
        (SourceConfig("image_folder", "s", {}),),
        workspace=folder / "workspace",
        labels="label_studio",
        annotation=AnnotationConfig(**{"url": URL, **settings}),  # type: ignore[arg-type]
    )


def answer(
    number: int, image: str, rater: str, label: str | None, types: tuple[str, ...] = ()
) -> Answer:
    """The answer of this number."""
    state = SKIPPED if label is None else GIVEN
    return Answer(
        *(LABELLING, f"{URL}/4", number, 1, image, rater, state, label, types, None),
        *(1.0, CURSOR, CURSOR, None),
    )


def answers() -> list[Answer]:
    """Three raters for two images of three, two for most others; the last five have none."""
    draw = random.Random(11)
    made: list[Answer] = []
    for i, image in enumerate(IMAGES[:55]):
        true = LABELS[i % 8]
        for rater in RATERS[: 3 if i % 3 else 2] if i % 2 else RATERS[1 : 4 if i % 3 else 3]:
            number = len(made) + 1
            when = f"2026-03-04T05:{number // 60:02d}:{number % 60:02d}.000000Z"
            said = true if draw.random() < 0.7 else draw.choice(ANSWERS)
            types = tuple(kind for kind in OCCLUSION_TYPES[:3] if draw.random() < 0.5)
            skips = draw.random() < 0.1
            one = answer(number, image, rater, None if skips else said, () if skips else types)
            lead_time_s = draw.choice([0.0, 0.5, 3.0, 9.0])
            made.append(
                dataclasses.replace(one, created_at=when, updated_at=when, lead_time_s=lead_time_s)
            )
    return made


def value_of(stage: str, image: str) -> dict[str, Any]:
    """What a stage has found out about a sample, as far as it is read here."""
    values: dict[str, dict[str, Any]] = {
        "occlusion": {"types": list(MEASURED[image])},
        "dedup": {"group": image},
    }
    return values.get(stage, {})


def labelled(folder: Path) -> BuildConfig:
    """The config of a workspace with 60 samples and the answers to them."""
    config = config_of(folder)
    with open_workspace(config.workspace) as workspace:
        catalog = workspace.catalog
        catalog.put_records(
            Record(f"s/{image}", "s", "1", Facts((Vote("source:s", LABELS[i % 8]),)), image)
            for i, image in enumerate(IMAGES)
        )
        for stage in stages_before("labels"):
            catalog.put_results(stage, [Result(image, value_of(stage, image)) for image in IMAGES])
        project = Project(URL, 4, "sha", CURSOR)
        gone = dataclasses.replace(answers()[0], annotation=999, state=DELETED)
        catalog.log_answers([*answers(), gone], LABELLING, project)
        decided = answer(1000, "of another build", "rater_09", "fear")
        catalog.log_answers([dataclasses.replace(decided, round=ADJUDICATION)], ADJUDICATION)
    return config
