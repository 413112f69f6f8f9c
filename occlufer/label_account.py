"""The account of labelling by people: what they gave, without who they are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from occlufer.replacing import replaced

ACCOUNT_NAME = "labelling.json"


@dataclass(frozen=True)
class LabelAccount:
    """What the labels of a workspace stand on."""

    raters: int
    """People who have answered or skipped anything."""
    answers: int
    """Their answers: one of each rater to a sample, the newest."""
    skipped: int
    """How often one of them would not say."""
    adjudicated: int
    """Samples on which an adjudicator decided."""
    gold: int
    """Samples whose answer was known before."""
    alpha: float | None
    """Krippendorff's alpha of the answers, nominal; None where no two people saw one sample."""


def write_account(account: LabelAccount, folder: Path) -> None:
    """Write the account into the workspace's folder."""
    with replaced(folder / ACCOUNT_NAME) as part:
        part.write_text(json.dumps(asdict(account), sort_keys=True, indent=1), encoding="utf-8")


def read_account(folder: Path) -> LabelAccount | None:
    """Return what `write_account` wrote; None if there is none, or it is damaged."""
    try:
        text = (folder / ACCOUNT_NAME).read_text(encoding="utf-8")
        return LabelAccount(**json.loads(text))
    except (FileNotFoundError, ValueError, TypeError):
        return None
