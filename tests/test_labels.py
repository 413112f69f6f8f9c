"""Labels are what most raters say; where none is ahead there is none."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.annotation.labels import label_by_sources, label_samples
from occlufer.annotation.wanted import BEFORE_LABELS
from occlufer.record import Facts, Record, Reject, Result, Vote
from occlufer.schema import LABELS
from occlufer.workspace import Workspace


def cast_by(*labels: str) -> list[Record]:
    """The record of an image to which its source's raters have given these labels."""
    votes = tuple(Vote(f"rater_{i}", label) for i, label in enumerate(labels))
    return [Record("faces/i", "faces", "1", Facts(votes=votes), "i")]


def test_the_majority_labels_a_sample() -> None:
    result = label_by_sources("i", cast_by("fear", "fear", "surprise"))
    assert result.reject is None
    assert result.value == {
        "votes": [0, 0, 2, 0, 0, 0, 1, 0],
        "label": "fear",
        "agreement": pytest.approx(2 / 3, abs=1e-4),
    }


@pytest.mark.parametrize(
    ("cast", "detail"),
    [
        ((), "no rater has voted"),
        (("fear", "anger"), "anger and fear have 1 of 2 votes each"),
        (
            ("fear", "fear", "sadness", "sadness", "anger"),
            "fear and sadness have 2 of 5 votes each",
        ),
    ],
    ids=["none", "tie-of-two", "tie-of-five"],
)
def test_without_a_majority_a_sample_is_unlabelled(cast: tuple[str, ...], detail: str) -> None:
    result = label_by_sources("i", cast_by(*cast))
    assert result.reject == Reject("unlabelled", detail)
    assert "label" not in result.value


@given(st.lists(st.sampled_from(LABELS), max_size=12))
def test_the_label_is_the_only_most_frequent_vote(cast: list[str]) -> None:
    result = label_by_sources("i", cast_by(*cast))
    counts = Counter(cast)
    assert result.value["votes"] == [counts[label] for label in LABELS]
    most = [label for label, n in counts.items() if n == max(counts.values())]
    if len(most) == 1:
        assert result.value["label"] == most[0]
        assert result.value["agreement"] == pytest.approx(counts[most[0]] / len(cast), abs=1e-4)
    else:
        assert result.reject is not None


def put(workspace: Workspace, *records: tuple[str, str, str | None]) -> None:
    """Put (source, image, label) and let the images pass all stages before."""
    workspace.catalog.put_records(
        Record(
            f"{source}/{i}",
            source,
            "1",
            Facts(votes=(Vote(f"source:{source}", label),) if label else ()),
            image,
        )
        for i, (source, image, label) in enumerate(records)
    )
    for stage in BEFORE_LABELS:
        images = {image for _, image, _ in records}
        workspace.catalog.put_results(stage, [Result(image) for image in images])


def labelled(workspace: Workspace) -> dict[str, object]:
    return {r.image: r.value.get("label") for r in label_samples(workspace)}


def test_records_with_the_same_bytes_vote_together(workspace: Workspace) -> None:
    put(workspace, ("a", "x", "fear"), ("b", "x", "fear"), ("c", "x", "anger"), ("a", "y", "anger"))
    results = {r.image: r.value for r in label_samples(workspace)}
    assert results["x"]["votes"] == [1, 0, 2, 0, 0, 0, 0, 0]
    assert (results["x"]["label"], results["y"]["label"]) == ("fear", "anger")


def test_one_picture_in_two_class_folders_is_unlabelled(workspace: Workspace) -> None:
    put(workspace, ("a", "x", "fear"), ("a", "x", "anger"))
    assert labelled(workspace) == {"x": None}


def test_one_rater_counts_once_however_often_a_picture_is_listed(workspace: Workspace) -> None:
    put(workspace, ("a", "x", "fear"), ("a", "x", "fear"), ("b", "x", "anger"))
    assert labelled(workspace) == {"x": None}


def test_a_sample_that_was_rejected_before_is_not_labelled(workspace: Workspace) -> None:
    put(workspace, ("a", "x", "fear"), ("a", "y", "fear"))
    workspace.catalog.put_results("dedup", [Result("y", {}, Reject("duplicate"))])
    assert labelled(workspace) == {"x": "fear"}
