"""Answers: what the labelling server exports of a task, read as the answers of its raters.

What cannot be read is never dropped, and never a class: the answer is kept aside as "refused", with
what was found in its `detail`. Names and addresses of raters are not looked at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

from occlufer.schema import ANSWERS, OCCLUSION_TYPES
from occlufer.vote_log import GIVEN, REFUSED, SKIPPED, Answer

from .studio import server_time
from .template import CONFIDENCE, CONFIDENCE_STEPS, EXPRESSION, NO_OCCLUSION, OCCLUSION

# Who gave an answer that was first seen after its rater was deleted from the server. Two of one
# rater could not be told from two of two: such answers are kept aside.
NOBODY = "nobody"
SHOWN_CHARACTERS = 60
FULL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

Exported = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """What it takes to tell whose answer to what an exported one is."""

    round: str
    project: str
    images: Container[str]
    """The images of the workspace."""
    pseudonym: Callable[[int], str]
    """Gives the rater's name for a user's number."""
    known: Mapping[int, Answer]
    """What the log says of answers, by their numbers."""


@dataclass(frozen=True)
class Said:
    """What an answer says, whoever gave it to whatever."""

    state: str
    label: str | None = None
    occlusion_types: tuple[str, ...] = ()
    confidence: int | None = None
    details: tuple[str, ...] = ()


def answers_of(task: Exported, place: Place) -> list[Answer]:
    """Return the answers to a task as the server exports it; its drafts are none."""
    image, fault = image_of(task), ""
    if not image:
        fault = "its task has no occlufer_id"
    elif image not in place.images:
        fault = f"its task's occlufer_id {_shown(image)} is no image of this workspace"
    return [_answer(given, int(task["id"]), image, fault, place) for given in task["annotations"]]


def image_of(task: Exported) -> str:
    """Return the image that an exported task shows, the empty text if it does not say."""
    name = task["data"].get("occlufer_id")
    # JSON can hold halves of letters, which no file can.
    return "" if name is None else str(name).encode("utf-8", "backslashreplace").decode()


def _answer(given: Exported, task: int, image: str, fault: str, place: Place) -> Answer:
    said = said_in(given)
    rater = _rater(given, place)
    details = [fault] if fault else []
    if rater == NOBODY:
        details.append("its rater is gone from the server")
    editor = _user(given.get("updated_by"))
    edited_by = None if editor is None else place.pseudonym(editor)
    return Answer(
        place.round,
        place.project,
        int(given["id"]),
        task,
        image,
        rater,
        REFUSED if details else said.state,
        said.label,
        said.occlusion_types,
        said.confidence,
        _seconds(given.get("lead_time")),
        _time(given["created_at"]),
        _time(given["updated_at"]),
        None if edited_by == rater else edited_by,
        "; ".join((*details, *said.details)) or None,
    )


def _rater(given: Exported, place: Place) -> str:
    user = _user(given.get("completed_by"))
    if user is not None:
        return place.pseudonym(user)
    known = place.known.get(int(given["id"]))
    return NOBODY if known is None else known.rater


def _user(value: Any) -> int | None:
    """Return a user's number; some ways of asking the server put the whole user in its place."""
    number = value.get("id") if isinstance(value, Mapping) else value
    return None if number is None else int(number)


def said_in(given: Exported) -> Said:
    """Return what an exported answer says; what stays of a skipped one on the page says nothing."""
    if given.get("was_cancelled"):
        return Said(SKIPPED)
    label, fault = _label(_values(given, EXPRESSION, "choices"))
    found = _values(given, OCCLUSION, "choices")
    confidence, doubt = _confidence(_values(given, CONFIDENCE, "rating"))
    strange = [_shown(kind) for kind in found if kind not in (*OCCLUSION_TYPES, NO_OCCLUSION)]
    if strange:
        expected = ", ".join(OCCLUSION_TYPES)
        doubt = [f"occlusion {', '.join(strange)} is not one of {expected}", *doubt]
    return Said(
        REFUSED if fault else GIVEN,
        label,
        tuple(kind for kind in OCCLUSION_TYPES if kind in found),
        confidence,
        (*fault, *doubt),
    )


def _values(given: Exported, control: str, kind: str) -> list[Any]:
    """Return what was chosen at a control of the page, each once."""
    values: list[Any] = []
    results = given.get("result")
    for item in results if isinstance(results, list) else []:
        if isinstance(item, Mapping) and item.get("from_name") == control:
            value = item.get("value")
            found = value.get(kind) if isinstance(value, Mapping) else None
            values += found if isinstance(found, list) else [found]
    return [value for place, value in enumerate(values) if value not in values[:place]]


def _label(values: list[Any]) -> tuple[str | None, list[str]]:
    if not values:
        return None, ["it has no expression"]
    if len(values) > 1:
        return None, [f"{len(values)} expressions: {', '.join(map(_shown, values))}; expected one"]
    if values[0] not in ANSWERS:
        return None, [f"expression {_shown(values[0])} is not one of {', '.join(ANSWERS)}"]
    return str(values[0]), []


def _confidence(values: list[Any]) -> tuple[int | None, list[str]]:
    steps = range(1, CONFIDENCE_STEPS + 1)
    if not values:
        return None, []
    if len(values) > 1 or type(values[0]) is not int or values[0] not in steps:
        found = ", ".join(map(_shown, values))
        return None, [f"confidence {found} is not one of 1 to {CONFIDENCE_STEPS}"]
    return values[0], []


def _time(text: str) -> str:
    """Return a time in the form that sorts as text: on a full second the server has another."""
    return text if FULL_TIME.fullmatch(text) else server_time(text)


def _seconds(value: Any) -> float | None:
    """Return a duration that the catalog can hold."""
    return value if isinstance(value, float) and math.isfinite(value) else None


def _shown(value: Any) -> str:
    """Return a value as a message may hold it: short, in one line, in letters that print."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
