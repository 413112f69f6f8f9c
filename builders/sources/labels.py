"""From a source's own words for the expressions to ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from occlufer.errors import UsageError
from occlufer.record import Reject, Vote
from occlufer.schema import LABEL_SYNONYMS, LABELS, NO_CLASS

UNLABELLED = "unlabelled"


def read_label_map(label_map: Mapping[str, str]) -> dict[str, str]:
    """Return the map with its keys in lower case; ValueError for a target that is no label."""
    for word, label in label_map.items():
        if label not in (*LABELS, UNLABELLED):
            expected = ", ".join((*LABELS, UNLABELLED))
            raise ValueError(f"label_map, {word!r}: found {label!r}, expected one of {expected}")
    return {word.lower(): label for word, label in label_map.items()}


def label_of(word: str, label_map: Mapping[str, str], place: str) -> str | None:
    """Return our label for a source's `word`, None if the map says it is unlabelled.

    The map counts before the known spellings. Raises UsageError, naming `place`, for a word that
    neither knows; a number is never guessed, for every set counts in an order of its own.
    """
    label = label_map.get(word.lower()) or LABEL_SYNONYMS.get(word.lower())
    if label is None:
        raise UsageError(
            f"{place}: found the class {word!r}, expected one of {', '.join(LABELS)} or a usual "
            f'spelling; say what it means with label_map = {{ {quoted(word)} = "..." }} '
            f'(a class, or "{UNLABELLED}"), or labels = "none" if no folder is a class'
        )
    return None if label == UNLABELLED else label


def said(source: str, words: Mapping[str, int]) -> dict[str, Any]:
    """Return the fields `votes` and `no_class` of Facts for what a set says of one picture.

    `words` is {a label, or a word of schema.NO_CLASS: how many said so}; zeros are left out. The
    rater is named after the source.
    """
    votes = tuple(
        Vote(f"source:{source}", label, words[label]) for label in LABELS if words.get(label)
    )
    no_class = {word: words[word] for word in NO_CLASS if words.get(word)}
    return {"votes": votes, "no_class": no_class or None}


def rejected(words: Mapping[str, int]) -> Reject | None:
    """Return why the picture is not used if most of `words` say so, see schema.NO_CLASS."""
    for word, becomes in NO_CLASS.items():
        most = max(words.values(), default=0)
        if becomes == "rejected" and most and words.get(word, 0) == most:
            return Reject(word, f"{words[word]} of {sum(words.values())} votes in its set")
    return None


def quoted(text: str) -> str:
    """Return the text in quotes, as TOML has it."""
    return json.dumps(text, ensure_ascii=False)
