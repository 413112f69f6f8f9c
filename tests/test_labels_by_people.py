"""Labels by people: what they answer becomes the label, with the sources' own votes."""

from __future__ import annotations

import dataclasses
import random
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from vote_logs import NUMBERS, Said, answer, asking, decision, log, put

from occlufer.annotation.labels import label_samples, label_with_people, stage
from occlufer.errors import GateError, MissingError
from occlufer.label_account import LabelAccount, read_account
from occlufer.outcome import outcomes
from occlufer.record import Result
from occlufer.schema import ANSWERS, LABELS, OCCLUSION_TYPES
from occlufer.stages import run_stage
from occlufer.vote_log import DELETED, GIVEN
from occlufer.workspace import Workspace, open_workspace


def labelled(workspace: Workspace, **settings: Any) -> dict[str, Result]:
    return {r.image: r for r in label_with_people(workspace, asking(**settings))}


# What becomes of the answers ---------------------------------------------------------------------


def test_people_and_the_source_vote_together(workspace: Workspace) -> None:
    put(workspace, a="anger")
    log(workspace, answer("a", "rater_01", "fear"), answer("a", "rater_02", "fear"))
    value = labelled(workspace)["a"].value
    assert value["votes"] == [1, 0, 2, 0, 0, 0, 0, 0]
    assert (value["label"], value["by"]) == ("fear", "people")
    assert value["agreement"] == pytest.approx(2 / 3, abs=1e-4)


def test_a_sample_without_an_answer_keeps_its_source_s_label(workspace: Workspace) -> None:
    put(workspace, a="anger", b="fear", c=None, d="sadness")
    log(workspace, answer("a", "rater_01", "fear"), answer("d", "rater_01", None))
    found = labelled(workspace)
    sources = {result.image: result for result in label_samples(workspace)}
    for image in "bcd":
        assert found[image] == sources[image]
    assert found["b"].value["label"] == "fear"
    assert found["c"].reject is not None
    assert found["a"].value != sources["a"].value


@pytest.mark.parametrize("word", ["uncertain", "not_a_face"])
def test_what_most_call_no_expression_is_unlabelled(workspace: Workspace, word: str) -> None:
    put(workspace, a="anger")
    log(workspace, answer("a", "rater_01", word), answer("a", "rater_02", word))
    result = labelled(workspace)["a"]
    assert result.reject is not None
    assert result.reject.reason == "unlabelled"
    what = {"uncertain": "has", "not_a_face": "is likeliest with probability 0.667,"}[word]
    assert result.reject.detail == f"{word} {what} 2 of 3 votes"
    assert result.value["votes"] == [1, 0, 0, 0, 0, 0, 0, 0]


def test_what_is_not_probable_enough_is_unlabelled(workspace: Workspace) -> None:
    put(workspace, a=None)
    votes = ("anger", "fear", "fear", "sadness", "disgust")
    log(workspace, *(answer("a", f"rater_{i}", label) for i, label in enumerate(votes)))
    assert labelled(workspace, min_posterior=0.1)["a"].value["label"] == "fear"
    result = labelled(workspace, min_posterior=0.9)["a"]
    assert result.reject is not None
    assert "fear is likeliest with probability 0." in result.reject.detail
    assert result.reject.detail.endswith(", 2 of 5 votes; min_posterior 0.9")


def test_an_adjudicator_decides_and_the_votes_stay(workspace: Workspace) -> None:
    put(workspace, a="anger", b="anger", c="anger")
    votes = [answer(i, f"rater_{r}", "fear") for i in "abc" for r in range(2)]
    log(workspace, *votes)
    before = labelled(workspace)
    log(workspace, decision("a", "anger"), decision("b", "not_a_face"), decision("c", None))
    after = labelled(workspace)
    assert after["a"].value == {
        **before["a"].value,
        "label": "anger",
        "by": "adjudicator",
        "agreement": pytest.approx(1 / 3, abs=1e-4),
    }
    assert after["b"].reject is not None
    assert after["b"].reject.detail == "not_a_face is the adjudicator's answer"
    assert after["c"] == before["c"]  # who skips decides nothing


def test_of_several_decisions_the_newest_counts(workspace: Workspace) -> None:
    put(workspace, a="anger")
    log(workspace, decision("a", "fear", "rater_01"), decision("a", "sadness", "rater_02"))
    assert labelled(workspace)["a"].value["label"] == "sadness"
    log(workspace, decision("a", "disgust", "rater_01"))
    assert labelled(workspace)["a"].value["label"] == "disgust"


def test_a_known_answer_is_the_label(workspace: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_text("record,label\nfaces/a,sadness\nfaces/b,uncertain\n", encoding="utf-8")
    put(workspace, a="anger", b="anger", c="anger")
    log(workspace, answer("a", "rater_01", "anger"), answer("a", "rater_02", "anger"))
    found = labelled(workspace, gold=path)
    assert (found["a"].value["label"], found["a"].value["by"]) == ("sadness", "gold")
    assert found["a"].value["votes"] == [3, 0, 0, 0, 0, 0, 0, 0]
    assert found["a"].value["soft_label"] == [float(label == "sadness") for label in LABELS]
    assert found["b"].reject is not None
    assert found["c"].value["label"] == "anger"


@pytest.mark.parametrize("coverage", [1.0, 0.0])
def test_a_missing_file_of_gold_is_named_once_the_labels_are_due(
    workspace: Workspace, tmp_path: Path, coverage: float
) -> None:
    path = tmp_path / "none.csv"
    labels = stage(asking(gold=path, coverage=coverage))  # the names for it come from a build
    put(workspace, a="anger")
    with pytest.raises(MissingError, match=r"none\.csv: no such file; \[annotation\] gold names"):
        run_stage(labels, workspace)
    path.write_text("record,label\nfaces/a,fear\n", encoding="utf-8")
    run_stage(stage(asking(gold=path, coverage=0.0)), workspace)
    assert workspace.catalog.value("labels", "a")["label"] == "fear"


def test_while_answers_are_missing_no_sample_is_called_unlabelled(workspace: Workspace) -> None:
    put(workspace, a=None, b="fear")
    # What the sources alone came to, before people were asked, is no outcome either.
    run_stage(stage(dataclasses.replace(asking(), labels="source")), workspace)
    assert [one.stage for one in outcomes(workspace.catalog)] == ["labels", ""]
    for _ in range(2):  # or a second build would pass
        with pytest.raises(GateError, match="0 of 2 samples labelled"):
            run_stage(stage(asking(overlap=1)), workspace)
        reasons = [one.reject and one.reject.reason for one in outcomes(workspace.catalog)]
        assert reasons == ["unfinished", "unfinished"]
    log(workspace, answer("a", "rater_01", "fear"), answer("b", "rater_01", "fear"))
    assert run_stage(stage(asking(overlap=1)), workspace) == 2
    assert run_stage(stage(asking(overlap=1)), workspace) == 0
    with pytest.raises(GateError, match="0 of 2 samples labelled"):  # though nothing is to be done
        run_stage(stage(asking(overlap=2)), workspace)


def test_what_all_its_raters_have_skipped_says_so(workspace: Workspace) -> None:
    put(workspace, a=None, b=None, c=None, d="fear")
    skips = [("a", "rater_01"), ("a", "rater_02"), ("b", "rater_01"), ("d", "rater_01")]
    log(workspace, *(answer(image, rater, None) for image, rater in skips))
    details = {image: r.reject and r.reject.detail for image, r in labelled(workspace).items()}
    assert details == {
        "a": "2 raters skipped it",
        "b": "1 rater skipped it",
        "c": "no rater has voted",
        "d": None,
    }


def test_occlusion_votes_count_the_raters_who_saw_a_type(workspace: Workspace) -> None:
    put(workspace, a="anger", b="anger")
    log(
        workspace,
        answer("a", "rater_01", "anger", occlusion_types=("mask", "hand")),
        answer("a", "rater_02", "fear", occlusion_types=("hand",)),
        answer("a", "rater_04", "fear", occlusion_types=("none",)),
        answer("a", "rater_03", None, occlusion_types=("eyewear",)),
        answer("b", "rater_01", "anger"),
        dataclasses.replace(decision("a", "anger"), occlusion_types=("hair",)),
    )
    found = labelled(workspace)
    seen = dict(zip(OCCLUSION_TYPES, found["a"].value["occlusion_votes"], strict=True))
    assert seen == dict.fromkeys(OCCLUSION_TYPES, 0) | {"mask": 1, "hand": 2}
    assert found["b"].value["occlusion_votes"] == [0] * 6


def test_the_account_counts_and_names_nobody(workspace: Workspace) -> None:
    put(workspace, a="anger", b="anger")
    edited = answer("a", "rater_01", "fear")
    log(
        workspace,
        edited,
        dataclasses.replace(edited, label="anger", updated_at="2026-02"),
        answer("a", "rater_02", "anger"),
        answer("b", "rater_02", None),
        answer("b", "rater_03", "fear", state=DELETED),
        answer("gone", "rater_04", "fear"),
        decision("b", "fear"),
    )
    labelled(workspace)
    # No alpha: where all say the same there is nothing to have agreed on.
    expected = LabelAccount(2, 2, 1, adjudicated=1, gold=0, alpha=None)
    assert read_account(workspace.folder) == expected


# Weighing raters ---------------------------------------------------------------------------------


def test_good_raters_outweigh_careless_ones(workspace: Workspace) -> None:
    rng = random.Random(7)
    truth = {f"image_{i:03d}": LABELS[i % 4] for i in range(160)}
    put(workspace, **dict.fromkeys(truth))
    said = [
        (image, rater, label if rng.random() < right else rng.choice(LABELS[:4]))
        for image, label in truth.items()
        for rater, right in {"good_1": 0.9, "good_2": 0.9, "a": 0.0, "b": 0.0, "c": 0.0}.items()
    ]
    log(workspace, *(answer(*one) for one in said))
    rights = {}
    for aggregation in ("majority", "dawid_skene"):
        found = labelled(workspace, aggregation=aggregation, min_posterior=0.0)
        rights[aggregation] = sum(found[i].value.get("label") == truth[i] for i in truth)
    assert rights["dawid_skene"] > 0.85 * len(truth) > rights["majority"]
    for image, result in found.items():
        votes = Counter(label for where, _, label in said if where == image)
        assert result.value["votes"] == [votes[label] for label in LABELS]
        soft = result.value["soft_label"]
        assert sum(soft) == pytest.approx(1, abs=1e-5)
        assert LABELS[soft.index(max(soft))] == result.value["label"]
        assert result.value["agreement"] == pytest.approx(votes[result.value["label"]] / 5)


def test_known_answers_tell_what_a_rater_s_word_means(workspace: Workspace, tmp_path: Path) -> None:
    """Two raters call every anger fear and every fear sadness: known answers bring it to light."""
    path = tmp_path / "gold.csv"
    gold = {f"anger_{i}": "anger" for i in range(40)} | {f"fear_{i}": "fear" for i in range(40)}
    rows = "".join(f"faces/{image},{label}\n" for image, label in gold.items())
    path.write_text(f"record,label\n{rows}", encoding="utf-8")
    put(workspace, **dict.fromkeys([*gold, "x"]))
    means = {"anger": "fear", "fear": "sadness"}
    for rater in ("rater_01", "rater_02"):
        log(workspace, *(answer(image, rater, means[label]) for image, label in gold.items()))
        log(workspace, answer("x", rater, "fear"))
    settings = {"aggregation": "dawid_skene", "min_posterior": 0.0}
    assert labelled(workspace, **settings)["x"].value["label"] == "fear"
    assert labelled(workspace, gold=path, **settings)["x"].value["label"] == "anger"


def test_samples_that_nobody_was_asked_about_change_no_other_sample(workspace: Workspace) -> None:
    """Where only a source votes nobody contradicts it: it would seem to be always right."""
    put(workspace, **{f"image_{i}": LABELS[i % 3] for i in range(12)})
    for i in range(12):
        for rater in range(3):
            log(workspace, answer(f"image_{i}", f"rater_{rater}", LABELS[(i + i * rater) % 3]))
    before = labelled(workspace, aggregation="dawid_skene")
    put(workspace, **{f"more_{i}": LABELS[i % 3] for i in range(200)})
    after = labelled(workspace, aggregation="dawid_skene")
    assert {image: after[image] for image in before} == before
    assert after["more_7"].value["label"] == LABELS[7 % 3]


# An independent computation ----------------------------------------------------------------------


IMAGES = ("a", "b", "c", "d")
SAID = st.builds(
    Said,
    st.sampled_from(IMAGES),
    st.sampled_from(["rater_01", "rater_02", "rater_03"]),
    st.none() | st.sampled_from(ANSWERS),
    st.lists(st.sampled_from(OCCLUSION_TYPES), unique=True, max_size=2).map(tuple),
)


def by_hand(said: Iterable[Said], sources: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Count the last word of each rater on each image, with the source's, and take the most."""
    last = {(one.image, one.rater): one for one in said}
    found = {}
    for image in {image for image, _ in last}:
        words = [one for (where, _), one in last.items() if where == image and one.label]
        if not words:
            continue
        votes = Counter([one.label for one in words] + [sources[image]])
        (label, most), *others = votes.most_common()
        tie = bool(others) and others[0][1] == most
        found[image] = {
            "votes": [votes[name] for name in LABELS],
            "label": label if not tie and label in LABELS else None,
            "agreement": most / sum(votes.values()),
            "occlusion_votes": [sum(k in one.types for one in words) for k in OCCLUSION_TYPES],
        }
    return found


def fresh(said: Sequence[Said], order: Sequence[int], sources: dict[str, str]) -> dict[str, Result]:
    """The labels in a workspace of its own, the answers logged in this order."""
    answers = []
    for one in said:
        types = one.types if one.label else ()
        answers.append(answer(one.image, one.rater, one.label, occlusion_types=types))
    with tempfile.TemporaryDirectory() as folder, open_workspace(Path(folder)) as workspace:
        put(workspace, **sources)
        for number in order:
            log(workspace, answers[number])
        return labelled(workspace, min_posterior=0.0)


@settings(max_examples=25)
@given(st.lists(SAID, max_size=12), st.data())
def test_labels_are_those_of_a_plain_count_in_whatever_order_answers_come(
    said: list[Said], data: st.DataObject
) -> None:
    sources = dict(zip(IMAGES, ("anger", "fear", "sadness", "anger"), strict=True))
    order = data.draw(st.permutations(range(len(said))))
    found = fresh(said, order, sources)
    expected = by_hand(said, sources)
    for image in IMAGES:
        if image not in expected:
            assert found[image].value["label"] == sources[image]
            continue
        value, wanted = found[image].value, expected[image]
        assert value["votes"] == wanted["votes"]
        assert value["occlusion_votes"] == wanted["occlusion_votes"]
        assert value.get("label") == wanted["label"]
        if wanted["label"]:
            assert value["agreement"] == pytest.approx(wanted["agreement"], abs=1e-4)


@settings(max_examples=15)
@given(st.lists(SAID, min_size=1, max_size=8), st.sampled_from(ANSWERS))
def test_an_edit_counts_once_and_is_the_rater_s_last_word(said: list[Said], label: str) -> None:
    sources = dict.fromkeys(IMAGES, "anger")
    bare = [dataclasses.replace(one, types=()) for one in said]
    edited = dataclasses.replace(bare[0], label=label)
    with tempfile.TemporaryDirectory() as folder, open_workspace(Path(folder)) as workspace:
        put(workspace, **sources)
        first, *rest = (answer(one.image, one.rater, one.label) for one in bare)
        log(workspace, first, *rest)
        later = f"2026-02-01T00:00:00.{next(NUMBERS):06d}Z"
        log(workspace, dataclasses.replace(first, label=label, state=GIVEN, updated_at=later))
        found = labelled(workspace, min_posterior=0.0)
    for image, wanted in by_hand([*bare, edited], sources).items():
        assert found[image].value["votes"] == wanted["votes"]
        assert found[image].value.get("label") == wanted["label"]
