"""The built-in source plans the same set whenever it is asked, with every kind in it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer.builders.pixels import decode_rgb, spread
from occlufer.builders.sources.synthetic import KINDS, Settings, entries
from occlufer.schema import LABELS, TABLE_1


def plan(count: int, seed: int = 0) -> list[Any]:
    return list(entries(Settings(count, seed), "s"))


def said(entry: Any) -> tuple[Any, ...]:
    return entry.source_id, entry.stamp, entry.facts


def test_the_plan_is_the_same_every_time() -> None:
    assert [said(e) for e in plan(200)] == [said(e) for e in plan(200)]
    assert [said(e) for e in plan(50, 1)] != [said(e) for e in plan(50, 2)]


def test_a_record_is_drawn_the_same_every_time() -> None:
    for entry, again in zip(plan(12), plan(12), strict=True):
        assert entry.read() == again.read()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(0, 99))
def test_every_record_has_a_name_of_its_own(count: int, seed: int) -> None:
    assert len({entry.source_id for entry in plan(count, seed)}) == count


def test_every_kind_comes_as_often_as_planned() -> None:
    count = 4000
    kinds = Counter(entry.facts.truth["kind"] for entry in plan(count))
    assert set(kinds) == set(KINDS)
    for kind, share in KINDS.items():
        # Four standard deviations of a binomial count.
        assert abs(kinds[kind] - count * share) < 4 * (count * share * (1 - share)) ** 0.5


def test_classes_come_as_often_as_in_table_1() -> None:
    labels = Counter(e.facts.truth.get("label") for e in plan(4000))
    total = sum(labels[label] for label in LABELS)
    for label, wanted in zip(LABELS, TABLE_1["train"], strict=True):
        assert labels[label] / total == pytest.approx(wanted / 6838, abs=0.03)


def test_derived_records_share_family_subject_and_label_with_their_face() -> None:
    found = {entry.source_id: entry.facts for entry in plan(1500)}
    derived = [
        f for f in found.values() if f.truth["kind"] in ("copy", "mirror", "crop", "sibling")
    ]
    assert len(derived) > 50
    for facts in derived:
        face = found[facts.truth["family"]]
        assert face.truth["kind"] == "face"
        assert (facts.subject, facts.truth["label"]) == (face.subject, face.truth["label"])


def test_broken_records_are_broken_as_their_kind_says() -> None:
    first: dict[str, bytes] = {}
    for entry in plan(1500):
        kind = entry.facts.truth["kind"]
        if kind not in first:
            first[kind] = entry.read().data
    assert first["empty"] == b""
    assert first["text"].decode().startswith("not a picture")
    assert spread(decode_rgb(first["blank"])) < 2
    assert first["truncated"].startswith(b"\xff\xd8")
    assert not first["truncated"].endswith(b"\xff\xd9")
    for kind in ("face", "copy", "mirror", "crop", "sibling", "scene"):
        assert spread(decode_rgb(first[kind])) > 10


@pytest.mark.parametrize(("count", "seed"), [(0, 0), (10_000_001, 0), (1, -1)])
def test_numbers_out_of_range_are_refused(count: int, seed: int) -> None:
    with pytest.raises(ValueError, match=r"found .*, expected"):
        Settings(count, seed)
