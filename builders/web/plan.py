"""The plan of a search: which words photographs are looked for with."""

from __future__ import annotations

from collections.abc import Iterable

from occlufer.errors import UsageError

# Words that people write under such pictures, by the class that they look for, see schema.LABELS.
EXPRESSIONS = {
    "anger": "angry face",
    "disgust": "disgusted face",
    "fear": "scared face",
    "happiness": "laughing face",
    "neutral": "serious face",
    "sadness": "crying face",
    "surprise": "surprised face",
    "contempt": "smirking face",
}
# And by what covers the face, see schema.OCCLUSION_TYPES.
OCCLUSIONS = {
    "mask": "face mask",
    "hand": "hand over mouth",
    "eyewear": "sunglasses",
    "hair": "hair in face",
    "object": "drinking from cup",
    "extraneous_face": "crowd",
}


def plan(expressions: Iterable[str] = (), occlusions: Iterable[str] = ()) -> list[str]:
    """Return the words of a search for each expression with each occlusion, in the order given.

    They are no label: nobody votes by them. Where nothing is given the words of EXPRESSIONS or
    OCCLUSIONS are taken. Words that are given twice count once; raises UsageError for blank ones.
    """
    faces = _words("expressions", expressions, EXPRESSIONS.values())
    covers = _words("occlusions", occlusions, OCCLUSIONS.values())
    return [joined(face, cover) for face in faces for cover in covers]


def joined(first: str, second: str) -> str:
    """Return both texts as one; what ends the first and begins the second stands there once."""
    head, tail = first.split(), second.split()
    longest = min(len(head), len(tail))
    shared = next(n for n in range(longest, -1, -1) if head[len(head) - n :] == tail[:n])
    return " ".join([*head, *tail[shared:]])


def _words(key: str, given: Iterable[str], default: Iterable[str]) -> list[str]:
    words = [" ".join(text.split()) for text in given]
    if "" in words:
        raise UsageError(f"{key}: found blank words, expected e.g. {next(iter(default))!r}")
    return list(dict.fromkeys(words)) or list(default)
