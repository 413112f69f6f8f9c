"""Predictions: what a model says of samples, read from a table that anybody's model can write.

A line is a sample: `id`, its sha256 as the dataset has it, and `predicted`, a class, or `not_found`
where the model has found no face; or a column for each of the eight classes with its probability,
from which the largest is taken; or both.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occlufer.errors import MissingError, UsageError
from occlufer.schema import LABEL_SYNONYMS, LABELS

from .samples import Samples
from .scores import NOT_FOUND, Floats, Ids

ID, PREDICTED, NO_FACE = "id", "predicted", "not_found"
SUM_TOLERANCE = 1e-3
# So many faults of one kind are named.
NAMED = 5
Row = dict[str, str]


@dataclass(frozen=True)
class Predictions:
    """What one model says of N samples, in their order."""

    name: str
    predicted: Ids
    """(N,), ids of LABELS, or NOT_FOUND."""
    probabilities: Floats | None
    """(N, 8) in the order of LABELS; zeros where no face was found. None if they are not told."""


def read_predictions(path: Path, samples: Samples) -> Predictions:
    """Return the predictions in a CSV file, in the order of the samples.

    Raises MissingError without the file, UsageError naming the lines of what is wrong: another
    encoding, ids that are missing, doubled or unknown, words that are no class, probabilities that
    are none.
    """
    rows = _read(path)
    header = set(rows[0]) if rows else set()
    has_words, has_shares = PREDICTED in header, {*LABELS} <= header
    if ID not in header or not (has_words or has_shares):
        expected = f"{ID}, and {PREDICTED} or the eight classes ({', '.join(LABELS)})"
        found = ", ".join(sorted(filter(None, header))) or "no line"
        raise UsageError(f"{path}: found the columns {found}, expected {expected}")
    order = _order(path, rows, samples.ids)
    shares = _shares(path, rows) if has_shares else None
    predicted = _classes(path, rows) if has_words else _largest(shares)
    if shares is not None:
        shares = np.where(predicted[:, None] == NOT_FOUND, 0, shares)[order]
    return Predictions(path.stem, predicted[order], shares)


def _read(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file, restval="", strict=True))
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file, expected a CSV of predictions") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: found no CSV in UTF-8 ({error})") from None


def _order(path: Path, rows: Sequence[Row], ids: Sequence[str]) -> Ids:
    """Return the row of each sample, (N,)."""
    places: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        places.setdefault(row[ID].strip(), []).append(number)
    known = set(ids)
    doubled = [(f"lines {_lines(at)}", name) for name, at in places.items() if len(at) > 1]
    unknown = [(f"line {_lines(at)}", name) for name, at in places.items() if name not in known]
    _refuse(path, "an id twice", doubled)
    _refuse(path, "an id that is not of the split", unknown)
    missing = [name for name in ids if name not in places]
    if missing:
        raise UsageError(
            f"{path}: found no line for {len(missing)} of {len(ids)} samples, expected one each "
            f"({PREDICTED} = {NO_FACE} where no face was found): {_some(missing)}"
        )
    return np.array([places[name][0] for name in ids], dtype=np.int64)


def _classes(path: Path, rows: Sequence[Row]) -> Ids:
    found = [class_of(row[PREDICTED]) for row in rows]
    wrong = [
        (f"line {_lines([number])}", rows[number][PREDICTED])
        for number, label in enumerate(found)
        if label is None
    ]
    _refuse(path, f"a word that is no class, expected {', '.join(LABELS)} or {NO_FACE}", wrong)
    return np.array(found, dtype=np.int64)


def class_of(word: str) -> int | None:
    """Return the id of the class that a word means, or NOT_FOUND; None if it means none."""
    word = word.strip().lower()
    if word == NO_FACE:
        return NOT_FOUND
    return LABELS.index(LABEL_SYNONYMS[word]) if word in LABEL_SYNONYMS else None


def _shares(path: Path, rows: Sequence[Row]) -> Floats:
    """Return the probabilities of all rows, (N, 8); empty ones are those of no face."""
    shares = np.zeros((len(rows), len(LABELS)))
    wrong = []
    for number, row in enumerate(rows):
        texts = [row[name].strip() for name in LABELS]
        if any(texts):
            try:
                shares[number] = [float(text) for text in texts]
            except ValueError:
                shares[number] = np.nan
            if not are_probabilities(shares[number]):
                wrong.append((f"line {_lines([number])}", ", ".join(texts)))
    _refuse(path, "what are no probabilities, expected eight from 0 to 1 that sum to 1", wrong)
    return shares


def are_probabilities(shares: Floats) -> bool:
    """Return whether numbers are from 0 to 1 and sum to 1, rounding aside."""
    whole = np.isfinite(shares).all() and (shares >= 0).all()
    return bool(whole and abs(shares.sum() - 1) <= SUM_TOLERANCE)


def _largest(shares: Floats | None) -> Ids:
    assert shares is not None
    return np.where(shares.any(axis=1), shares.argmax(axis=1), NOT_FOUND).astype(np.int64)


# Words --------------------------------------------------------------------------------------------


def _refuse(path: Path, what: str, found: Sequence[tuple[str, str]]) -> None:
    """Raise UsageError if anything was found, naming where."""
    if found:
        places = _some([f"{place}: {name!r:.80}" for place, name in found])
        raise UsageError(f"{path}: found {what}; {len(found)} times: {places}")


def _lines(rows: Sequence[int]) -> str:
    """Return the lines of rows in their file, whose first line is the header."""
    return " and ".join(str(row + 2) for row in rows[:NAMED])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return "; ".join(names[:NAMED]) + more


def write_predictions(path: Path, samples: Samples, predictions: Predictions) -> None:
    """Write the table that `read_predictions` reads."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([ID, PREDICTED, *(LABELS if predictions.probabilities is not None else ())])
        writer.writerows(_told(samples, predictions))


def _told(samples: Samples, predictions: Predictions) -> Iterator[list[str]]:
    for place, name in enumerate(samples.ids):
        label = int(predictions.predicted[place])
        row = [name, NO_FACE if label == NOT_FOUND else LABELS[label]]
        if predictions.probabilities is not None:
            shares = predictions.probabilities[place]
            row += ["" if label == NOT_FOUND else f"{share:.6f}" for share in shares]
        yield row
