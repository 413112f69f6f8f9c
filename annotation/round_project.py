"""The project of a round: found or made on the server, and as our template has it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from occlufer.config import BuildConfig
from occlufer.errors import OccluferError
from occlufer.replacing import replaced
from occlufer.vote_log import ADJUDICATION, LABELLING, Project
from occlufer.workspace import Workspace

from .connect import server_name
from .studio import BLIND, Studio, server_time
from .template import INSTRUCTION, check_template, template_sha256, template_text

log = logging.getLogger(__name__)

TITLES = {LABELLING: "", ADJUDICATION: " (adjudication)"}
IDENTITY = "workspace_id"


def overlap(config: BuildConfig, round_name: str) -> int:
    """Return how many people answer each task of a round: one adjudicator decides."""
    return config.annotation.overlap if round_name == LABELLING else 1


@dataclass(frozen=True)
class Found:
    """A round's project, and what the server says of it."""

    project: Project
    settings: Mapping[str, Any]


def ending_of(project: Project, settings: Mapping[str, Any]) -> str:
    """Return "/N of TIME": how the project's name ends in the log, "SERVER/N of TIME".

    The time when a project was made tells it from all others, whatever the server is called by
    now, and also if it has begun anew and gives out its numbers again.
    """
    return f"/{project.number} of {server_time(settings['created_at'])}"


def find_project(
    studio: Studio, workspace: Workspace, config: BuildConfig, round_name: str
) -> Found | None:
    """Return the round's project on this server, None if it has not begun there.

    A kill may have come between making a project and noting it: it is known by its description.
    """
    server = server_name(config)
    known = workspace.catalog.project(round_name)
    if known is not None and known.server == server:
        settings = studio.project(known.number)
        if settings is not None:
            return Found(known, settings)
        log.warning(
            "%s: the project is gone from the server, or not shown to this token's user; the round "
            "begins anew, what was pulled is kept",
            known.name,
        )
    elif known is not None:
        log.warning(
            "%s: labelling goes on at %s; answers there that were not pulled stay there",
            known.name,
            server,
        )
    number = studio.find_project(description(workspace.folder, round_name))
    return None if number is None else _made(studio, server, number)


def _made(studio: Studio, server: str, number: int) -> Found:
    """Return a project of which the catalog does not know yet."""
    name = f"{server}/{number}"
    settings = studio.project(number)
    if settings is None:
        raise OccluferError(f"{name}: the project was deleted just now; run the same again")
    # Without tasks it was made by a push that was killed: whatever its page, it is ours to set.
    text = template_text() if settings["task_number"] else str(settings["label_config"])
    return Found(Project(server, number, template_sha256(text)), settings)


def open_project(
    studio: Studio, workspace: Workspace, config: BuildConfig, round_name: str, found: Found | None
) -> Project:
    """Return the round's project, made if none was found, noted, and set as it should be.

    Raises GateError if somebody has changed its labelling page on the server.
    """
    text = template_text()
    if found is None:
        number = studio.create_project(
            config.annotation.project + TITLES[round_name],
            text,
            overlap(config, round_name),
            INSTRUCTION,
            description(workspace.folder, round_name),
        )
        found = _made(studio, server_name(config), number)
    project = found.project
    kept = workspace.folder / "label_config.xml"
    kept.write_text(text + "\n", encoding="utf-8")
    wrong = changes_due(found.settings, project, overlap(config, round_name), kept)
    if wrong:
        studio.change_project(project.number, wrong)
    project = replace(project, template_sha256=template_sha256(text))
    if project != workspace.catalog.project(round_name):
        workspace.catalog.log_answers((), round_name, project)
    return project


def changes_due(
    settings: Mapping[str, Any], project: Project, people: int, kept: Path
) -> dict[str, Any]:
    """Return what is to be set anew on the server: {setting: value}.

    A label config that we have put there ourselves, by an older template, is brought up to date.
    Raises GateError for one that somebody else has changed; `kept` is a file with the template.
    """
    text, found = template_text(), str(settings["label_config"])
    due = {**BLIND, "maximum_annotations": people, "expert_instruction": INSTRUCTION}
    if template_sha256(found) != template_sha256(text):
        check_template(found, project.template_sha256, project.name, kept)
        due["label_config"] = text
    return {name: value for name, value in due.items() if settings.get(name) != value}


def description(folder: Path, round_name: str) -> str:
    """Return the text by which a round's project is found again, different in every workspace."""
    path = folder / IDENTITY
    if not path.exists():
        with replaced(path) as part:
            part.write_text(secrets.token_hex(8), encoding="utf-8")
    return f"Made by occlufer: {round_name} of workspace {path.read_text(encoding='utf-8')}"
