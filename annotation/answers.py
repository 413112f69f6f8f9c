"""Answers: what the labelling server exports of a task, read as the answers of its raters.

What cannot be read is never dropped, and never a class: the answer is kept aside as "refused", with
what was found in its `detail`. Names and addresses of raters are not looked at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
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
# {control of the page: under which key its answers stand}
KINDS = {EXPRESSION: "choices", OCCLUSION: "choices", CONFIDENCE: "rating"}
FULL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)

Exported = Mapping[str, Any]


@dataclass(frozen=True)
class Reader:
    """What it takes to tell whose answer to what an exported one is."""

    round: str
    project: str
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


def answers_of(task: Exported, reader: Reader) -> list[Answer]:
    """Return the answers to a task as the server exports it; its drafts are none.

    Whether the workspace has the image is not asked: its source may be missing only for now.
    """
    image = image_of(task)
    fault = "" if image else "its task has no occlufer_id"
    return [_answer(given, int(task["id"]), image, fault, reader) for given in task["annotations"]]


def image_of(task: Exported) -> str:
    """Return the image that an exported task shows, the empty text if it does not say."""
    name = task["data"].get("occlufer_id")
    # JSON can hold halves of letters, which no file can.
    return "" if name is None else str(name).encode("utf-8", "backslashreplace").decode()


def _answer(given: Exported, task: int, image: str, fault: str, reader: Reader) -> Answer:
    said = said_in(given)
    rater = _rater(given, reader)
    details = [fault] if fault else []
    if rater == NOBODY:
        details.append("its rater is gone from the server")
    editor = _user(given.get("updated_by"))
    edited_by = None if editor is None else reader.pseudonym(editor)
    return Answer(
        reader.round,
        reader.project,
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


def _rater(given: Exported, reader: Reader) -> str:
    user = _user(given.get("completed_by"))
    if user is not None:
        return reader.pseudonym(user)
    known = reader.known.get(int(given["id"]))
    return NOBODY if known is None else known.rater


def _user(value: Any) -> int | None:
    """Return a user's number; some ways of asking the server put the whole user in its place."""
    number = value.get("id") if isinstance(value, Mapping) else value
    return None if number is None else int(number)


def said_in(given: Exported) -> Said:
    """Return what an exported answer says; what stays of a skipped one on the page says nothing."""
    if given.get("was_cancelled"):
        return Said(SKIPPED)
    chosen = _chosen(given)
    label, fault = _label(chosen[EXPRESSION])
    found = chosen[OCCLUSION]
    confidence, doubt = _confidence(chosen[CONFIDENCE])
    strange = [_shown(kind) for kind in found if kind not in (*OCCLUSION_TYPES, NO_OCCLUSION)]
    if strange:
        expected = ", ".join(OCCLUSION_TYPES)
        doubt = [f"occlusion {', '.join(strange)} is not one of {expected}", *doubt]
    types = tuple(kind for kind in OCCLUSION_TYPES if kind in found)
    if types and NO_OCCLUSION in found:
        doubt = [f"occlusion {NO_OCCLUSION} beside {', '.join(types)}", *doubt]
    return Said(
        REFUSED if fault else GIVEN,
        label,
        (NO_OCCLUSION,) if found == [NO_OCCLUSION] else types,
        confidence,
        (*fault, *doubt),
    )


def _chosen(given: Exported) -> dict[str, list[Any]]:
    """Return what was chosen at each control of the page, each once."""
    chosen: dict[str, list[Any]] = {control: [] for control in KINDS}
    results = given.get("result")
    for item in results if isinstance(results, list) else []:
        control = item.get("from_name") if isinstance(item, Mapping) else None
        if isinstance(control, str) and control in KINDS:
            value = item.get("value")
            found = value.get(KINDS[control]) if isinstance(value, Mapping) else None
            values = chosen[control]
            for one in found if isinstance(found, list) else (found,):
                if one not in values:
                    values.append(one)
    return chosen


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
