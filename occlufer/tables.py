"""Frozen dataclasses read from TOML tables; what is wrong is named with its place."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from occlufer.errors import UsageError

T = TypeVar("T")

# How TOML's users call them.
TYPE_NAMES: dict[Any, str] = {
    str: "a text in quotes",
    Path: "a path in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list",
    dict: "a table",
}


def read_table(cls: type[T], table: Mapping[str, Any], place: str) -> T:
    """Return an instance of the dataclass `cls` filled from `table`.

    `place` names the table in messages, e.g. `occlufer.toml, [split]`. Raises UsageError for an
    unknown key, a missing one, a value of another type, and for a ValueError of `__post_init__`.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            raise UsageError(_unknown_key(key, list(fields), place))
    values = {key: _coerce(value, hints[key], f"{place}, {key}") for key, value in table.items()}
    for name, spec in fields.items():
        required = spec.default is spec.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise UsageError(f"{place}: the key {name!r} is missing")
    try:
        return cls(**values)
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None


def _unknown_key(key: str, known: list[str], place: str) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{place}: unknown key {key!r}{hint} (known: {', '.join(sorted(known))})"


def _coerce(value: Any, hint: Any, place: str) -> Any:
    """Return `value` as the field's type wants it; ints pass for floats, lists become tuples."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType or origin is typing.Union:
        if value is None:
            return None
        return _coerce(value, next(a for a in args if a is not type(None)), place)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise UsageError(f"{place}: found a number beyond all bounds") from None
    if hint is Path and isinstance(value, str):
        return Path(value)
    if origin is tuple and isinstance(value, list):
        return tuple(_coerce(v, args[0], f"{place}[{i}]") for i, v in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {str(k): _coerce(v, args[1], f"{place}.{k}") for k, v in value.items()}
    expected = origin or hint
    true_for_number = isinstance(value, bool) and expected is not bool  # True is an int to Python
    if true_for_number or not isinstance(value, expected):
        name = TYPE_NAMES.get(expected, str(hint))
        raise UsageError(f"{place}: found {value!r}, expected {name}")
    return value
