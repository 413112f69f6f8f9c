"""The scope: what neither the dataset nor a model of it is for, as the cards say it."""

from __future__ import annotations

OUT_OF_SCOPE = (
    "Inferring emotions of people at work or in education: forbidden by the EU AI Act, "
    "Regulation (EU) 2024/1689, Art. 5(1)(f).",
    "Building or enlarging databases for recognising faces: the Act forbids to make them by "
    "untargeted scraping, Art. 5(1)(e).",
    "Identifying or verifying persons, and computing templates of faces to that end: biometric "
    "data of a special category under the GDPR, Art. 9 and recital 51.",
    "Any decision about a person; diagnosing; detecting lies, intent or character.",
)
