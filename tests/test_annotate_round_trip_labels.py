"""What a round trip of labelling publishes and tells, against another program's figures."""

from __future__ import annotations

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import own_aggregation
import pytest
from own_aggregation import CLASSES, SAID, STATES
from round_trip import BENTS, TYPES
from trip import Trip

pytestmark = pytest.mark.slow

# What is published ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What a sample's row must say of its label."""

    label: str
    votes: list[int]
    agreement: float
    soft_label: list[float]


def expected(
    votes: own_aggregation.Votes,
    chances: Mapping[str, list[float]],
    gold: Mapping[str, str],
    decided: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Row]:
    """Return what must be published, `chances` being what the votes come to, per CLASSES first."""
    found = {}
    for image, some in votes.items():
        counts = own_aggregation.counted(some)
        known = decided.get(image) or gold.get(image)
        answer = known or likeliest(counts, chances[image])
        if answer not in CLASSES:
            continue
        of_classes = chances[image][: len(CLASSES)]
        soft = [chance / sum(of_classes) for chance in of_classes] if sum(of_classes) else []
        if image in gold and image not in decided:
            soft = [float(answer == one) for one in CLASSES]
        agreement = counts[SAID.index(answer)] / sum(counts)
        found[image] = Row(answer, counts[: len(CLASSES)], agreement, soft)
    return found


def likeliest(counts: list[int], chances: list[float]) -> str | None:
    """Return the answer that is likeliest, None where none is, or none by half."""
    unsure = counts[SAID.index("uncertain")]
    if unsure > max(n for word, n in zip(SAID, counts, strict=True) if word != "uncertain"):
        return None
    first, second = sorted(chances, reverse=True)[:2]
    if first < 0.5 or first - second < 1e-6:
        return None
    words = SAID if len(chances) == len(SAID) else STATES
    return words[chances.index(first)]


def published(folder: Path) -> dict[str, dict[str, Any]]:
    """Return {image: its row} as plain `datasets` reads a published folder."""
    script = (
        "import json, sys; from datasets import load_dataset; found = load_dataset(sys.argv[1]);"
        "print(json.dumps([{**row, 'image': None, 'label': split.features['label'].int2str("
        "row['label'])} for split in found.values() for row in split]))"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder.parent / "cache")}
    command = [sys.executable, "-c", script, folder.name]
    done = subprocess.run(
        command, cwd=folder.parent, env=environment, capture_output=True, text=True, check=True
    )
    rows_ = json.loads(done.stdout.splitlines()[-1])
    found = {row["sha256"]: row for row in rows_}
    assert len(found) == len(rows_)
    return found


def test_labels_by_majority_are_the_counted_ones(trip: Trip) -> None:
    votes = trip.votes()
    wanted = expected(votes, own_aggregation.majority(votes), trip.gold)
    found = published(trip.folder / "by_majority")
    assert {image: row["label"] for image, row in found.items()} == {
        image: row.label for image, row in wanted.items()
    }
    assert 200 < len(wanted) < len(votes), "some have a label, some have none"
    for image, row in wanted.items():
        assert found[image]["votes"] == row.votes
        assert found[image]["agreement"] == pytest.approx(row.agreement, abs=1e-4)
        assert found[image]["soft_label"] == pytest.approx(row.soft_label, abs=1e-5)


def test_what_people_see_on_the_faces_is_published_as_they_said(trip: Trip) -> None:
    seen: dict[str, Counter[str]] = {image: Counter() for image in trip.tasks}
    for entry in trip.ledger.standing().values():
        if entry.label is not None:
            seen[entry.image].update(kind for kind in entry.occlusion if kind != "none")
    for image, row in published(trip.folder / "by_majority").items():
        assert row["occlusion_votes"] == {kind: seen[image][kind] for kind in TYPES}


def test_labels_by_dawid_and_skene_are_those_of_another_program(trip: Trip) -> None:
    """Soft labels are made less sure by one number, which is taken from what is published."""
    votes = trip.votes()
    chances = own_aggregation.dawid_skene(votes, trip.gold)
    found = published(trip.folder / "occlu_fer")
    degree = softened(found, chances, trip.gold)
    assert 0.5 <= degree <= 5
    softer = {image: soften(row, degree) for image, row in chances.items()}
    check_rows(found, votes, softer, trip.gold)


def softened(
    found: Mapping[str, Any], chances: Mapping[str, list[float]], gold: Mapping[str, str]
) -> float:
    """Return by how much the published soft labels are less sure than `chances`: the median."""
    degrees = []
    for image in sorted({*found} - {*gold}):
        ours, theirs = chances[image][:8], found[image]["soft_label"]
        first, second = sorted(range(8), key=lambda k: -ours[k])[:2]
        if 1e-4 < theirs[second] < 0.4 and ours[second] > 1e-12:
            ratio = math.log(theirs[first] / theirs[second])
            degrees.append(math.log(ours[first] / ours[second]) / ratio)
    assert len(degrees) > 20
    return statistics.median(degrees)


def soften(chances: list[float], degree: float) -> list[float]:
    powers = [chance ** (1 / degree) for chance in chances]
    return [power / sum(powers) for power in powers]


def check_rows(
    found: Mapping[str, Any],
    votes: own_aggregation.Votes,
    chances: Mapping[str, list[float]],
    gold: Mapping[str, str],
    decided: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Compare published rows with the expected ones, but for the label where two are as likely."""
    wanted = expected(votes, chances, gold, decided)
    close = {
        image
        for image, row in chances.items()
        if image not in {*gold, *decided} and abs(max(row) - 0.5) < 0.02
    }
    assert len(close) < 0.05 * len(votes)
    assert {*found} - close == {*wanted} - close
    for image in {*wanted} - close:
        row = found[image]
        assert row["label"] == wanted[image].label
        assert row["votes"] == wanted[image].votes
        assert row["agreement"] == pytest.approx(wanted[image].agreement, abs=1e-4)
        assert row["soft_label"] == pytest.approx(wanted[image].soft_label, abs=0.02)


# What is decided --------------------------------------------------------------------------------


def test_what_is_in_doubt_goes_to_the_second_project_once(trip: Trip) -> None:
    """By the count of the votes, and else what is least probable; the known answers are not used.

    How much less sure the model is made without them is not published: only the order is compared.
    """
    votes = trip.votes()
    chances = own_aggregation.dawid_skene(votes, {})
    sent = [task["data"]["occlufer_id"] for task in trip.snapshots["in doubt"]]
    assert len(sent) == len({*sent}) == trip.snapshots["due"]["due"]
    clear_by_count = set()
    for image in votes.keys() - trip.gold.keys():
        counts = own_aggregation.counted(votes[image])
        first, second = sorted(counts, reverse=True)[:2]
        faces, total = sum(counts[: len(CLASSES)]), sum(counts)
        if first - second > 1 and not (0 < faces < total and abs(2 * faces - total) <= 1):
            clear_by_count.add(image)
    assert votes.keys() - trip.gold.keys() - clear_by_count <= {*sent}
    sure = {
        image: math.log(max(chances[image]) / (1 - max(chances[image]) + 1e-12))
        for image in chances
    }
    least = [sure[image] for image in clear_by_count if image in sent]
    most = [sure[image] for image in clear_by_count if image not in sent]
    assert max(least, default=-1e9) <= min(most) + 0.3
    assert min(most) > math.log(0.8 / 0.2) / 2, "0.8 by the least that is ever taken off"
    known = [
        image
        for image in trip.gold
        if likeliest(own_aggregation.counted(votes[image]), chances[image]) != trip.gold[image]
    ]
    assert {*sent} & trip.gold.keys() == {*known}
    assert 5 < len(sent) < len(votes) / 2
    assert trip.snapshots["due again"]["sent"]["new"] == 0
    assert trip.snapshots["due again"]["due"] == trip.snapshots["due"]["due"]


def test_what_was_decided_is_published_and_changes_no_vote(trip: Trip) -> None:
    decided = trip.snapshots["decisions"]
    assert len(decided) > 5
    before, after = published(trip.folder / "occlu_fer"), published(trip.folder / "decided")
    votes = trip.votes()
    for image, label in decided.items():
        assert (image in after) == (label in CLASSES)
        if image in after:
            assert after[image]["label"] == label
            assert after[image]["votes"] == own_aggregation.counted(votes[image])[: len(CLASSES)]
    assert {image: row["label"] for image, row in before.items() if image not in decided} == {
        image: row["label"] for image, row in after.items() if image not in decided
    }
    assert trip.snapshots["log after decisions"] == trip.snapshots["log at the end"]
    assert any(
        before[image]["label"] != after[image]["label"] for image in before if image in after
    )


# What is told of the raters ----------------------------------------------------------------------


def test_the_status_counts_what_the_ledger_has(trip: Trip) -> None:
    told = trip.snapshots["status"]
    standing = trip.ledger.standing().values()
    assert told["progress"]["wanted"] == told["progress"]["answered"] == len(trip.tasks)
    assert told["progress"]["given"] == sum(entry.label is not None for entry in standing)
    assert told["progress"]["skipped"] == sum(entry.label is None for entry in standing)
    names = trip.pseudonyms()
    assert {row["rater"] for row in told["raters"]} == {names[entry.email] for entry in standing}
    for row in told["raters"]:
        mine = {e.image: e.label for e in standing if names[e.email] == row["rater"] and e.label}
        known = [label == trip.gold[image] for image, label in mine.items() if image in trip.gold]
        assert (row["gold"]["count"], row["gold"]["total"]) == (sum(known), len(known))
        assert row["rows"]["answers"] == len(mine)


def test_the_agreement_is_krippendorffs_alpha_of_the_pairs_in_the_ledger(trip: Trip) -> None:
    by_image: dict[str, list[str]] = {}
    for entry in trip.ledger.standing().values():
        if entry.label is not None:
            by_image.setdefault(entry.image, []).append(entry.label)
    pairs: dict[tuple[str, str], float] = {}
    for labels in by_image.values():
        for a, b in itertools.permutations(labels, 2):
            pairs[a, b] = pairs.get((a, b), 0) + 1 / (len(labels) - 1)
    totals = {a: sum(weight for pair, weight in pairs.items() if pair[0] == a) for a in SAID}
    n = sum(totals.values())
    differing = sum(weight for (a, b), weight in pairs.items() if a != b)
    by_chance = sum(totals[a] * totals[b] for a in totals for b in totals if a != b) / (n - 1)
    told = trip.snapshots["status"]["overall"]
    assert told["alpha"] == pytest.approx(1 - differing / by_chance, abs=1e-9)
    assert told["samples"] == sum(len(labels) > 1 for labels in by_image.values())


def test_who_guesses_stands_out(trip: Trip) -> None:
    """The shares of right answers, by the truth that the scripted raters were given."""
    names = {trip.pseudonyms()[trip.people[name].email]: name for name in BENTS}
    matrices = {
        names[row["rater"]]: row["dawid_skene"]
        for row in trip.snapshots["status"]["raters"]
        if row["rater"] in names
    }
    right = {
        name: statistics.mean(matrix[word][SAID.index(word)] for word in CLASSES)
        for name, matrix in matrices.items()
    }
    assert right["ada"] > right["cleo"] > right["eve"]
    assert right["ada"] > 0.6
    assert right["eve"] < 0.35
    surprise = SAID.index("surprise")
    assert matrices["cleo"]["fear"][surprise] > 2 * matrices["ada"]["fear"][surprise]
