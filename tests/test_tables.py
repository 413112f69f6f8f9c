"""TOML tables become dataclasses, and what is wrong is named with its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.errors import UsageError
from occlufer.tables import read_table


@dataclass(frozen=True)
class Settings:
    path: Path
    share: float = 0.5
    count: int = 3
    strict: bool = False
    weights: Path | None = None
    words: tuple[str, ...] = ()
    label_map: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"count: found {self.count}, expected 0 or more")


def test_values_arrive_as_the_fields_types() -> None:
    table = {
        "path": "a/b",
        "share": 1,
        "weights": "w",
        "words": ["x", "y"],
        "label_map": {"0": "anger"},
        "strict": True,
    }
    settings = read_table(Settings, table, "here")
    assert settings == Settings(Path("a/b"), 1.0, 3, True, Path("w"), ("x", "y"), {"0": "anger"})
    assert isinstance(settings.share, float)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"path": "a", "shrae": 1}, ("'shrae'", "did you mean 'share'?", "known: ", "label_map")),
        ({"share": 1.0}, ("'path' is missing",)),
        ({"path": 3}, ("path", "found 3", "a path in quotes")),
        ({"path": "a", "share": "half"}, ("share", "found 'half'", "a number")),
        ({"path": "a", "share": True}, ("share", "found True", "a number")),
        ({"path": "a", "count": 1.5}, ("count", "found 1.5", "a whole number")),
        ({"path": "a", "count": True}, ("count", "found True", "a whole number")),
        ({"path": "a", "strict": 1}, ("strict", "found 1", "true or false")),
        ({"path": "a", "words": "xy"}, ("words", "found 'xy'", "a list")),
        ({"path": "a", "words": ["x", 2]}, ("words[1]", "found 2", "a text in quotes")),
        ({"path": "a", "label_map": {"0": 7}}, ("label_map.0", "found 7", "a text in quotes")),
        ({"path": "a", "label_map": ["x"]}, ("label_map", "found ['x']", "a table")),
        ({"path": "a", "count": -1}, ("count: found -1", "expected 0 or more")),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, dict) else None,
)
def test_what_is_wrong_is_named_with_its_place(
    table: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(UsageError) as caught:
        read_table(Settings, table, "file.toml, [here]")
    message = str(caught.value)
    assert message.startswith("file.toml, [here]")
    for word in words:
        assert word in message


# What a TOML file can hold.
VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


def read_or_message(table: dict[str, Any]) -> Settings | str:
    try:
        return read_table(Settings, table, "place")
    except UsageError as error:
        return str(error)


@given(st.dictionaries(st.sampled_from(["path", "share", "count", "words", "x"]), VALUES))
def test_any_table_is_read_or_refused_by_a_usage_error(table: dict[str, Any]) -> None:
    outcome = read_or_message(table)
    if isinstance(outcome, str):
        assert outcome.startswith("place")
    else:
        assert isinstance(outcome.path, Path)
        assert isinstance(outcome.share, float)
        assert isinstance(outcome.words, tuple)
