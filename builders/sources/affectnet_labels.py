"""What both releases of AffectNet share: the order of the labels, the terms, the facts."""

from __future__ import annotations

from occlufer.record import Facts

from .labels import said
from .terms import Terms

# The number in `expression` and in the _exp.npy files is the position here.
LABELS = (
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
    # The first release goes on with what is no expression, see schema.NO_CLASS.
    "none",
    "uncertain",
    "not_a_face",
)
CLASSES = {str(number): label for number, label in enumerate(LABELS[:8])}
WORDS = {str(number): label for number, label in enumerate(LABELS)}
# Its own test was never given out: people compare on its validation set.
TEST_SETS = {"validation": "AffectNet validation"}
TERMS = Terms(
    title="AffectNet",
    licence="AffectNet (research, signed for by the head of a lab; no redistribution)",
    attribution="Mollahosseini, Hasani and Mahoor, AffectNet: A Database for Facial Expression, "
    "Valence, and Arousal Computing in the Wild, IEEE Transactions on Affective Computing, 2017",
    where="ask its authors for AffectNet at mohammadmahoor.com",
    must_accept=True,
)


def facts(source: str, number: str | None, picture: str | None, split: str) -> Facts:
    """Return the facts of a picture by its label's number and its name without suffix."""
    return Facts(
        **said(source, {WORDS[number]: 1} if number else {}),
        source_label=number,
        source_name=picture,
        source_split=split,
        test_set=TEST_SETS.get(split),
        licence=TERMS.licence,
        attribution=TERMS.attribution,
        rights=TERMS.rights,
    )
