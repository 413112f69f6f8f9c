"""Columns of Arrow tables: their cells as texts, and pictures in the ways they are stored there."""

from __future__ import annotations

import json
import math
from typing import Any

from ..pixels import BadImageError

# How pictures are stored: by the path of a file; as bytes; as {"bytes", "path"} with one of them.
PATH, BYTES, STRUCT = "path", "bytes", "struct"


def storage_of(kind: Any) -> str | None:
    """Return how a column of the Arrow type `kind` stores pictures; None if it cannot."""
    import pyarrow as pa

    kind = _value_type(kind)
    if _is_text(kind):
        return PATH
    if kind in (pa.binary(), pa.large_binary(), pa.binary_view()):
        return BYTES
    if pa.types.is_struct(kind):
        names = {kind.field(i).name for i in range(kind.num_fields)}
        return STRUCT if "bytes" in names else None
    return None


def is_plain(kind: Any) -> bool:
    """Return whether `texts` can read a column of the Arrow type: it holds texts or numbers."""
    import pyarrow as pa

    kind = _value_type(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_null(kind)
    return bool(_is_text(kind) or is_number)


def texts(cells: Any) -> list[str]:
    """Return the cells of an Arrow array of texts or numbers; "" for null.

    A whole number is written as one, even where nulls have made decimals of a column. Bytes that
    are no UTF-8 are written as backslash, x, hex.
    """
    import pyarrow as pa

    kind = _value_type(cells.type)
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    if _is_text(kind):
        binary = cells.cast(pa.large_binary())
        return [(cell or b"").decode("utf-8", "backslashreplace") for cell in binary.to_pylist()]
    return ["" if cell is None else number_text(cell) for cell in cells.to_pylist()]


def number_text(number: float) -> str:
    """Return the number, without decimals if it is a whole one; "" for what is none."""
    if isinstance(number, float):
        if math.isnan(number):
            return ""
        return str(int(number)) if number.is_integer() else str(number)
    return str(number)


def class_names(schema: Any, column: str) -> list[str] | None:
    """Return the names of a column's numbers, if `datasets` has written them into the schema."""
    try:
        said = json.loads((schema.metadata or {})[b"huggingface"])
        names = said["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    is_names = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if is_names else None


def name_of_number(text: str, names: list[str] | None) -> str:
    """Return the class that a cell of class numbers names, "" for none, which -1 is too.

    Without `names` the text is returned as it is. Raises ValueError for a number that has no name.
    """
    if names is None:
        return text
    if text in ("", "-1"):
        return ""
    if text.isascii() and text.isdigit() and len(text) < 10 and int(text) < len(names):
        return names[int(text)]
    raise ValueError(f"found the class number {text[:20]!r}, expected 0 to {len(names) - 1} or -1")


def word_of(text: str, names: list[str] | None) -> tuple[str, str]:
    """Return the word of a cell, a class number by its name, and why it has none, if so."""
    try:
        return name_of_number(text.strip(), names), ""
    except ValueError as error:
        return "", str(error)


def pictures_held(cells: Any) -> list[tuple[bool, str]]:
    """Return (whether it has bytes, its path) of every picture in an Arrow array.

    The bytes are not looked at: an array that is mapped from a file is not read either.
    """
    kind = storage_of(cells.type)
    if kind == PATH:
        return [(False, path) for path in texts(cells)]
    if kind == BYTES:
        return [(there, "") for there in cells.is_valid().to_pylist()]
    inner = {field.name: part for field, part in zip(cells.type, cells.flatten(), strict=True)}
    there = inner["bytes"].is_valid().to_pylist()
    paths = texts(inner["path"]) if "path" in inner else [""] * len(there)
    return list(zip(there, paths, strict=True))


def stored(picture: Any) -> tuple[bytes | None, str | None]:
    """Return (bytes, path) of a picture as Arrow gives it; bytes count before a path.

    Raises BadImageError if there is neither.
    """
    found = picture if isinstance(picture, dict) else {}
    data = picture if isinstance(picture, bytes) else found.get("bytes")
    path = picture if isinstance(picture, str) else found.get("path")
    if data is not None:
        return data, None
    if path:
        return None, path
    raise BadImageError("missing_file", "found neither bytes nor a path, expected a picture")


def _value_type(kind: Any) -> Any:
    import pyarrow as pa

    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return kind in (pa.string(), pa.large_string(), pa.string_view())
