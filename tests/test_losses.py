"""Which of the sources' own labels became no class of ours is counted by their own word."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from occlufer.commands.build import _text
from occlufer.election import elect
from occlufer.losses import TIE, losses, total
from occlufer.record import Facts, Record, Reject, Vote
from occlufer.schema import LABELS, NO_CLASS


def record(
    words: Mapping[str, int], source: str = "s", reject: str | None = None, own: str | None = None
) -> Record:
    votes = tuple(Vote(f"source:{source}", w, n) for w, n in words.items() if w in LABELS)
    no_class = {word: n for word, n in words.items() if word in NO_CLASS}
    facts = Facts(votes, no_class or None, source_label=own)
    if reject is not None:
        return Record(f"{source}/1", source, "1", facts, None, Reject(reject))
    return Record(f"{source}/1", source, "1", facts, "image")


@pytest.mark.parametrize(
    ("given_record", "word", "became"),
    [
        (record({"uncertain": 1}, own="9"), "uncertain", "unlabelled"),
        (record({"none": 1}), "none", "unlabelled"),
        (record({"unknown": 6, "anger": 4}), "unknown", "unlabelled"),
        (record({"not_a_face": 8, "anger": 2}, reject="not_a_face"), "not_a_face", "rejected"),
        (record({"anger": 4, "fear": 4, "unknown": 2}), TIE, "unlabelled"),
        (record({"anger": 5, "unknown": 5}), TIE, "unlabelled"),
        (record({}, own="unsure"), "unsure", "unlabelled"),
    ],
)
def test_what_became_no_class_is_counted(given_record: Record, word: str, became: str) -> None:
    assert losses([given_record]) == {"s": {word: {became: 1}}}


@pytest.mark.parametrize(
    "given_record",
    [
        record({"anger": 1}, own="angry"),
        record({"anger": 6, "unknown": 3, "not_a_face": 1}),
        record({}),  # a folder without labels has none to lose
        record({"anger": 1}, reject="missing_file"),
        record({"uncertain": 1}, reject="undecodable"),
        record({"anger": 1}, reject="duplicate_row"),
    ],
    ids=["a-class", "most-say-a-class", "no-label", "gone", "no-picture", "listed-again"],
)
def test_what_is_a_class_or_was_lost_for_another_reason_is_no_loss(given_record: Record) -> None:
    assert losses([given_record]) == {}


def test_losses_are_counted_by_source_and_word() -> None:
    found = losses(
        [
            *[record({"uncertain": 1}, "b")] * 3,
            record({"not_a_face": 1}, "b", reject="not_a_face"),
            record({"not_a_face": 9, "fear": 1}, "b"),  # a set that does not reject them
            record({"fear": 1}, "a"),
            record({"none": 1}, "c"),
        ]
    )
    assert found == {
        "b": {"not_a_face": {"rejected": 1, "unlabelled": 1}, "uncertain": {"unlabelled": 3}},
        "c": {"none": {"unlabelled": 1}},
    }
    assert total(found) == {"b": {"not_a_face": 2, "uncertain": 3}, "c": {"none": 1}}
    assert list(found) == sorted(found)


WORDS = st.dictionaries(st.sampled_from([*LABELS, *NO_CLASS]), st.integers(1, 10), max_size=5)


@given(st.lists(WORDS, max_size=9))
def test_each_record_is_a_class_a_loss_or_without_a_word(said: list[dict[str, int]]) -> None:
    records = [record(words) for words in said]
    lost = sum(sum(words.values()) for words in total(losses(records)).values())
    classes = sum(elect(r.facts.votes, r.facts.no_class).label is not None for r in records)
    silent = sum(not words for words in said)
    assert lost + classes + silent == len(said)


# Elections ----------------------------------------------------------------------------------------


def test_an_election_counts_by_hand() -> None:
    found = elect([Vote("a", "anger", 3), Vote("b", "anger"), Vote("b", "fear")], {"none": 1})
    assert found.votes == [4, 0, 1, 0, 0, 0, 0, 0]
    assert (found.winners, found.most, found.total) == (["anger"], 4, 6)
    assert (found.label, found.agreement) == ("anger", 0.6667)


def test_the_same_vote_counts_once() -> None:
    found = elect([Vote("a", "fear"), Vote("a", "fear"), Vote("b", "anger")])
    assert (found.label, found.winners) == (None, ["anger", "fear"])


@pytest.mark.parametrize(
    ("votes", "no_class", "winners"),
    [
        ([], {}, []),
        ([], {"unknown": 2}, ["unknown"]),
        ([Vote("a", "fear")], {"unknown": 1}, ["fear", "unknown"]),
    ],
    ids=["nobody", "no-class", "shared"],
)
def test_there_is_no_label_without_a_class_that_won_alone(
    votes: list[Vote], no_class: dict[str, int], winners: list[str]
) -> None:
    found = elect(votes, no_class)
    assert (found.label, found.winners) == (None, winners)


# What the user sees -------------------------------------------------------------------------------


@pytest.fixture
def folder(
    tmp_path: Path,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> Path:
    """A config with a folder whose class "unsure" is no class of ours."""
    names = ("happy/1", "happy/2", "unsure/3", "unsure/4")
    files = {
        f"faces/{name}.png": encoded(textured(i, 48, 48)) for i, name in enumerate(names, start=1)
    }
    write_tree(tmp_path, files)
    (tmp_path / "occlufer.toml").write_text(
        'workers = 1\n[[sources]]\nkind = "image_folder"\npath = "faces"\nname = "mine"\n'
        'label_map = { "unsure" = "unlabelled" }\n',
        encoding="utf-8",
    )
    return tmp_path


def test_the_build_tells_what_became_no_class(
    folder: Path, run_cli: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = run_cli("build", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "labels of mine that are no class: unsure 2" in done.stdout.splitlines()
    again = run_cli("build", "--json", cwd=folder)
    assert json.loads(again.stdout)["losses"] == {"mine": {"unsure": 2}}


def test_many_words_are_cut_short_in_the_text_the_commonest_first() -> None:
    summary = SimpleNamespace(
        files_read=0,
        published=0,
        unlabelled=0,
        rejected={},
        losses={"s": {f"word {i}\n": i for i in range(1, 12)}},
        splits={"train": {"anger": 0}},
        out="out",
        rejected_list="rejected.csv",
    )
    (line,) = [line for line in _text(summary).splitlines() if "no class" in line]
    assert line.startswith("labels of s that are no class: word 11 11, word 10 10, ")
    assert line.endswith("word 4 4 and 3 others")
