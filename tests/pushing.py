"""What the tests of `push` share: a small build, and a look at the server past our own client."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from occlufer.config import AnnotationConfig, BuildConfig
from occlufer.pipeline import stages_before
from occlufer.vote_log import LABELLING
from occlufer.workspace import open_workspace

VARIABLE = "OCCLUFER_TEST_TOKEN"
STAGES = stages_before("labels")


def ready(built: BuildConfig, folder: Path) -> BuildConfig:
    """Return the config of a copy of a build that has come as far as its labels."""
    shutil.copytree(built.workspace, folder / "workspace")
    return dataclasses.replace(
        built,
        workspace=folder / "workspace",
        labels="label_studio",
        annotation=AnnotationConfig(token_env=VARIABLE, overlap=2),
    )


def told(config: BuildConfig, **settings: Any) -> BuildConfig:
    annotation = dataclasses.replace(config.annotation, **settings)
    return dataclasses.replace(config, annotation=annotation)


def samples(config: BuildConfig) -> list[str]:
    """Return the images that have come as far as their labels."""
    with open_workspace(config.workspace) as workspace:
        return workspace.catalog.images_passing(STAGES)


def tasks_on(config: BuildConfig, project: int | None) -> list[dict[str, Any]]:
    """The project's tasks by the server's own page of them, without our client."""
    headers = {"Authorization": f"Token {os.environ[VARIABLE]}"}
    with httpx.Client(base_url=config.annotation.url, headers=headers, timeout=60) as api:
        params: dict[str, Any] = {"project": project, "page_size": 1000}
        reply = api.get("/api/tasks/", params=params)
        return list(reply.json()["tasks"])


def names_on(config: BuildConfig, project: int | None) -> Counter[str]:
    return Counter(task["data"].get("occlufer_id", "") for task in tasks_on(config, project))


def request(config: BuildConfig, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Token {os.environ[VARIABLE]}"}
    with httpx.Client(base_url=config.annotation.url, headers=headers, timeout=60) as api:
        reply = api.request(method, path, json=body)
        assert reply.is_success, reply.text
        return reply.json() if reply.content else None


def vote(config: BuildConfig, task: int) -> None:
    result = {"from_name": "expression", "to_name": "image", "type": "choices"}
    body = {"result": [result | {"value": {"choices": ["fear"]}}]}
    request(config, "POST", f"/api/tasks/{task}/annotations/", body)


def project_of(config: BuildConfig, round_name: str = LABELLING) -> int:
    with open_workspace(config.workspace) as workspace:
        project = workspace.catalog.project(round_name)
    assert project is not None
    number: int = project.number
    return number
