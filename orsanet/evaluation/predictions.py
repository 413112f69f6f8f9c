"""Predictions: what a model says of samples, read from a table that anybody's model can write.

A line is a sample: `id`, its sha256 as the dataset has it, and `predicted`, a class, or `not_found`
where the model has found no face; or a column for each of the eight classes with its probability,
from which the largest is taken; or both, where the one has to be the largest of the others.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from occlufer.errors import MissingError, UsageError
from occlufer.schema import LABEL_SYNONYMS, LABELS

from ..metrics import Floats, Ids
from .samples import Samples
from .scores import NOT_FOUND

ID, PREDICTED, NO_FACE = "id", "predicted", "not_found"
SUM_TOLERANCE = 1e-3
# So much may the largest probability be above that of the class that is named: ties, rounded.
TIE = 1e-6
# So many places of one kind are named.
NAMED = 5


@dataclass(frozen=True)
class Row:
    """One line of the table, {column: text}, and where it begins in the file."""

    line: int
    fields: dict[str, str]


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
    header, rows = _read(path)
    has_words, has_shares = PREDICTED in header, {*LABELS} <= {*header}
    if ID not in header or not (has_words or has_shares):
        expected = f"{ID}, and {PREDICTED} or the eight classes ({', '.join(LABELS)})"
        found = ", ".join(header) or "none"
        hint = "; fields are parted by commas" if ";" in found or "\t" in found else ""
        raise UsageError(f"{path}: found the columns {found}, expected {expected}{hint}")
    order = _order(path, rows, samples.ids)
    shares = _shares(path, rows) if has_shares else None
    predicted = _classes(path, rows) if has_words else _largest(shares)
    if shares is not None:
        _check_agreement(path, rows, predicted, shares)
        shares = shares[order]
    return Predictions(path.stem, predicted[order], shares)


def _read(path: Path) -> tuple[list[str], list[Row]]:
    """Return the names of the columns and the rows."""
    rows, line = list[Row](), 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            line = reader.line_num + 1
            for fields in reader:
                if any(fields):
                    rows.append(_row(path, line, header, fields))
                line = reader.line_num + 1
    except FileNotFoundError:
        raise MissingError(f"{path}: no such file, expected a CSV of predictions") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: found no CSV in UTF-8 ({error}), near line {line}") from None
    doubled = [name for name, number in Counter(header).items() if number > 1 and name]
    if doubled:
        raise UsageError(f"{path}: found the column {doubled[0]!r} twice, expected it once")
    return header, rows


def _row(path: Path, line: int, header: Sequence[str], fields: Sequence[str]) -> Row:
    if len(fields) != len(header):
        raise UsageError(
            f"{path}, line {line}: found {len(fields)} fields, expected {len(header)}, as the "
            "header has"
        )
    return Row(line, {name: text.strip() for name, text in zip(header, fields, strict=True)})


def _order(path: Path, rows: Sequence[Row], ids: Sequence[str]) -> Ids:
    """Return the row of each sample, (N,).

    A subset may hold a picture several times, once for each record: its lines are taken in turn, or
    one line for all.
    """
    places: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        places.setdefault(row.fields[ID], []).append(number)
    wanted = Counter(ids)
    doubled = {n: at for n, at in places.items() if n in wanted and len(at) > max(1, wanted[n])}
    _refuse(path, "an id twice", [(_lines(rows, at), name) for name, at in doubled.items()])
    unknown = [(_lines(rows, at), name) for name, at in places.items() if name not in wanted]
    _refuse(path, "an id that is not of the split", unknown)
    missing = [name for name in wanted if name not in places]
    if missing:
        raise UsageError(
            f"{path}: found no line for {len(missing)} of {len(wanted)} samples, expected one each "
            f"({PREDICTED} = {NO_FACE} where no face was found): {_some(missing)}"
        )
    taken = Counter[str]()
    order = []
    for name in ids:
        at = places[name]
        order.append(at[min(taken[name], len(at) - 1)])
        taken[name] += 1
    return np.array(order, dtype=np.int64)


def _classes(path: Path, rows: Sequence[Row]) -> Ids:
    found = [class_of(row.fields[PREDICTED]) for row in rows]
    wrong = [
        (f"line {row.line}", row.fields[PREDICTED])
        for row, label in zip(rows, found, strict=True)
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
    """Return the probabilities of all rows, (N, 8); zeros where all eight fields are empty."""
    shares = np.zeros((len(rows), len(LABELS)))
    wrong = []
    for number, row in enumerate(rows):
        texts = [row.fields[name] for name in LABELS]
        if any(texts):
            try:
                shares[number] = [float(text) for text in texts]
            except ValueError:
                shares[number] = np.nan
            if not are_probabilities(shares[number]):
                wrong.append((f"line {row.line}", ", ".join(texts)))
    _refuse(path, "what are no probabilities, expected eight from 0 to 1 that sum to 1", wrong)
    return shares


def are_probabilities(shares: Floats) -> bool:
    """Return whether numbers are from 0 to 1 and sum to 1, rounding aside."""
    whole = np.isfinite(shares).all() and (shares >= 0).all()
    return bool(whole and abs(shares.sum() - 1) <= SUM_TOLERANCE)


def _largest(shares: Floats | None) -> Ids:
    assert shares is not None
    return np.where(shares.any(axis=1), shares.argmax(axis=1), NOT_FOUND).astype(np.int64)


def _check_agreement(path: Path, rows: Sequence[Row], predicted: Ids, shares: Floats) -> None:
    """Raise UsageError where the class is not of the largest probability, or one lacks the other.

    The calibration error would be of other predictions than the accuracy.
    """
    told = shares.any(axis=1)
    own = np.where(predicted == NOT_FOUND, 0, shares[np.arange(len(rows)), predicted])
    fits = (told == (predicted != NOT_FOUND)) & (own >= shares.max(axis=1, initial=0) - TIE)
    wrong = [
        (f"line {row.line}", row.fields.get(PREDICTED, ""))
        for row, one in zip(rows, fits, strict=True)
        if not one
    ]
    _refuse(path, "a class that is not the one of the largest probability", wrong)


# Words --------------------------------------------------------------------------------------------


def _refuse(path: Path, what: str, found: Sequence[tuple[str, str]]) -> None:
    """Raise UsageError if anything was found, naming where."""
    if found:
        places = _some([f"{place}: {name!r:.80}" for place, name in found])
        raise UsageError(f"{path}: found {what}; {len(found)} times: {places}")


def _lines(rows: Sequence[Row], at: Sequence[int]) -> str:
    """Return where some rows begin in their file."""
    numbers = " and ".join(str(rows[place].line) for place in at[:NAMED])
    return f"lines {numbers}" if len(at) > 1 else f"line {numbers}"


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
            row += ["" if label == NOT_FOUND else f"{share:.9f}" for share in shares]
        yield row
