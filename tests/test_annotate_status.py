"""The status of the labelling says what an independent count of the same answers says."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest
from labelled import IMAGES, MEASURED, RATERS, URL, answer, answers, config_of, labelled

from occlufer.annotation import status as status_module
from occlufer.annotation import tally
from occlufer.annotation.labels import label_with_people
from occlufer.annotation.status import Agreement, Status, status
from occlufer.annotation.status_text import mistakes, status_text
from occlufer.config import BuildConfig
from occlufer.errors import MissingError
from occlufer.pipeline import stages_before
from occlufer.record import Facts, Record, Result
from occlufer.schema import ANSWERS, LABELS, OCCLUSION_TYPES
from occlufer.stages import SetStage, run_stage
from occlufer.vote_log import ADJUDICATION, GIVEN, LABELLING, SKIPPED, Answer, Project
from occlufer.workspace import open_workspace


@pytest.fixture
def config(tmp_path: Path) -> BuildConfig:
    return labelled(tmp_path)


def given(images: Iterable[str] = IMAGES) -> dict[str, list[Answer]]:
    """The answers that say something, by image."""
    found: dict[str, list[Answer]] = defaultdict(list)
    for one in answers():
        if one.state == GIVEN and one.image in set(images):
            found[one.image].append(one)
    return found


def alpha(units: Iterable[list[str]]) -> float:
    """Krippendorff's alpha by his coincidence matrix, pair by pair."""
    coincidences: Counter[tuple[str, str]] = Counter()
    for values in units:
        for one, other in itertools.permutations(values, 2):
            coincidences[one, other] += 1 / (len(values) - 1)  # type: ignore[assignment]
    totals: Counter[str] = Counter()
    for (one, _), count in coincidences.items():
        totals[one] += count
    n = sum(totals.values())
    seen = sum(count for (a, b), count in coincidences.items() if a != b)
    expected = sum(totals[a] * totals[b] for a, b in itertools.permutations(totals, 2)) / (n - 1)
    return 1 - seen / expected


def kappa(units: list[list[str]]) -> float:
    """Fleiss' kappa of the samples with as many answers as most have: of pairs and shares."""
    sizes = Counter(len(values) for values in units if len(values) > 1)
    size = max(sizes, key=lambda size: (sizes[size], size))
    kept = [values for values in units if len(values) == size]
    pairs = [a == b for values in kept for a, b in itertools.combinations(values, 2)]
    said = Counter(value for values in kept for value in values)
    chance = sum((count / (size * len(kept))) ** 2 for count in said.values())
    return (sum(pairs) / len(pairs) - chance) / (1 - chance)


def expected(units: Iterable[list[str]]) -> Agreement:
    several = [values for values in units if len(values) > 1]
    return Agreement(
        len(several),
        sum(map(len, several)),
        pytest.approx(alpha(several)),
        pytest.approx(kappa(several)),
    )


def labels_of(found: dict[str, list[Answer]]) -> list[list[str]]:
    return [[str(answer.label) for answer in values] for values in found.values()]


# Figures -----------------------------------------------------------------------------------------


def test_progress_is_what_a_count_finds(config: BuildConfig) -> None:
    found = status(config).progress
    raters = Counter(answer.image for answer in answers())  # who skips was asked too
    assert found.wanted == 60
    assert found.answered == sum(count >= 3 for count in raters.values())
    assert found.begun == sum(count < 3 for count in raters.values())
    assert 0 < found.answered < 55
    states = Counter(answer.state for answer in answers())
    assert (found.given, found.skipped) == (states[GIVEN], states[SKIPPED])
    assert found.skipped_samples == len({a.image for a in answers() if a.state == SKIPPED})
    assert (found.decided, found.open > 0) == (0, True)


def test_answers_to_samples_that_need_nobody_are_no_progress(config: BuildConfig) -> None:
    agreed = dataclasses.replace(config.annotation, agreed_votes=1)  # each has a source's vote
    found = status(dataclasses.replace(config, annotation=agreed)).progress
    assert (found.wanted, found.answered, found.begun) == (0, 0, 0)
    assert found.given > 100


def test_agreement_is_that_of_an_independent_computation(config: BuildConfig) -> None:
    found = status(config)
    assert found.overall == expected(labels_of(given()))
    for label in LABELS:
        units = [[str(said == label) for said in values] for values in labels_of(given())]
        assert found.classes[label] == expected(units), label
    for kind in OCCLUSION_TYPES[:3]:
        images = [image for image in IMAGES if kind in MEASURED[image]]
        assert found.occluded[kind] == expected(labels_of(given(images))), kind
        units = [
            [str(kind in a.occlusion_types) for a in group if a.occlusion_types]
            for group in given().values()
        ]
        assert found.occlusion[kind] == expected(units), kind
    bare = [image for image in IMAGES if not MEASURED[image]]
    assert found.occluded["none found"] == expected(labels_of(given(bare)))
    assert found.occluded["object"] == Agreement(0, 0, None, None)


def test_confusions_are_counted_against_the_labels(
    config: BuildConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = {image: ANSWERS[i % 9] for i, image in enumerate(IMAGES)}
    monkeypatch.setattr(status_module, "labels", lambda *_: labels)
    found = {rater.rater: rater for rater in status(config).raters}
    assert tuple(found) == RATERS
    said = Counter((a.rater, labels[a.image], a.label) for a in answers() if a.state == GIVEN)
    for rater, label, word in itertools.product(RATERS, ANSWERS, ANSWERS):
        cell = found[rater].confusion[ANSWERS.index(label)][ANSWERS.index(word)]
        assert cell == said[rater, label, word]


@pytest.mark.parametrize("aggregation", ["dawid_skene", "majority"])
def test_known_and_decided_answers_are_the_labels_and_a_tie_is_none(
    tmp_path: Path, aggregation: str
) -> None:
    gold = tmp_path / "gold.csv"
    gold.write_text("record,label\ns/a,contempt\ns/b,contempt\n", encoding="utf-8")
    config = config_of(tmp_path, gold=gold, aggregation=aggregation)
    votes = {"a": ["fear"] * 2, "b": ["fear"] * 2, "c": ["fear", "anger"], "d": ["fear"] * 2}
    votes["e"] = ["uncertain", "uncertain", "anger"]
    number = itertools.count(1)
    with open_workspace(config.workspace) as workspace:
        catalog = workspace.catalog
        catalog.put_records(Record(f"s/{i}", "s", "1", Facts(), i) for i in votes)
        for stage in stages_before("labels"):
            catalog.put_results(
                stage, [Result(image, {"types": [], "crop": "x"}) for image in votes]
            )
        made = [
            answer(next(number), image, rater, label)
            for image, said in votes.items()
            for rater, label in zip(RATERS, said, strict=False)
        ]
        catalog.log_answers(made, LABELLING)
        decided = dataclasses.replace(made[2], round=ADJUDICATION, annotation=500, label="sadness")
        catalog.log_answers([decided], ADJUDICATION)
        said = tally.what_was_said(workspace, config)
        found = tally.opinions(tally.aggregated(workspace, said, config))
        labels = tally.labels(
            tally.evidence(workspace, said, found), config.annotation.min_posterior
        )
        built = {one.image: one for one in label_with_people(workspace, config)}
    assert labels == {"a": "contempt", "b": "sadness", "d": "fear"}
    assert labels == {i: r.value["label"] for i, r in built.items() if r.reject is None}
    first = status(config).raters[0]
    assert (first.gold.count, first.gold.total) == (0, 2)
    # "e" has no label, though anger is likeliest: most say that they cannot tell.
    assert sum(map(sum, first.confusion)) == len(labels)


@pytest.mark.parametrize("aggregation", ["dawid_skene", "majority"])
def test_the_model_s_confusions_are_probabilities_of_people_only(
    config: BuildConfig, aggregation: str
) -> None:
    settings = dataclasses.replace(config.annotation, aggregation=aggregation)
    found = status(dataclasses.replace(config, annotation=settings)).dawid_skene
    assert tuple(found) == RATERS
    for rows in found.values():
        assert set(rows) <= set(ANSWERS)
        for truth, row in rows.items():
            assert len(row) == len(ANSWERS)
            assert sum(row) == pytest.approx(1)
            if truth in LABELS:
                assert max(row) == row[ANSWERS.index(truth)]  # seven of ten are right


def test_a_workspace_without_answers_has_a_status(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with open_workspace(config.workspace):
        pass
    found = status(config)
    assert found.next == "run `occlufer build`"
    assert (found.overall, found.raters) == (Agreement(0, 0, None, None), [])
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["project"] is None
    assert "no project yet" in status_text(found)


# What comes next ---------------------------------------------------------------------------------


def test_what_comes_next_follows_the_labelling(config: BuildConfig) -> None:
    assert status(config).next == "let the raters answer, then run `occlufer annotate pull`"
    enough = dataclasses.replace(config.annotation, coverage=0.1)
    there = status(dataclasses.replace(config, annotation=enough))
    assert there.next == "run `occlufer annotate adjudicate`, or build"
    assert 'labels = "label_studio"' in status(dataclasses.replace(config, labels="source")).next


def test_what_comes_next_around_adjudication(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, overlap=2, aggregation="majority")
    one, other = answer(1, "a", "rater_01", "fear"), answer(2, "a", "rater_02", "anger")
    with open_workspace(config.workspace) as workspace:
        catalog = workspace.catalog
        catalog.put_records([Record("s/a", "s", "1", Facts(), "a")])
        for stage in stages_before("labels"):
            catalog.put_results(stage, [Result("a", {"types": []})])
        catalog.log_answers([one, other], LABELLING, Project(URL, 4, "sha", "2026"))

        def told() -> tuple[str, tuple[int, int]]:
            found = status_module.status_of(workspace, config)
            return found.next, (found.progress.decided, found.progress.open)

        assert told() == ("run `occlufer annotate adjudicate`, or build", (0, 1))
        catalog.log_answers([], ADJUDICATION, Project(URL, 5, "sha"))
        # What has come into doubt since then was sent to nobody.
        waits = (
            "run `occlufer annotate adjudicate`, let the adjudicators answer, "
            "then run `occlufer annotate pull`"
        )
        assert told() == (waits, (0, 1))
        decided = answer(3, "a", "rater_03", "fear")
        decided = dataclasses.replace(decided, round=ADJUDICATION, project=f"{URL}/5")
        catalog.log_answers([decided], ADJUDICATION)
        assert told() == ("run `occlufer build`", (1, 0))
        made = SetStage("publish", (), {}, lambda _: [], watches=("votes",))
        publish = SimpleNamespace(stage=lambda _: made)
        monkeypatch.setattr(status_module, "import_module", lambda _: publish)
        run_stage(made, workspace)
        assert told()[0].startswith("nothing")
        catalog.log_answers([dataclasses.replace(decided, annotation=6)], ADJUDICATION)
        assert told()[0] == "run `occlufer build`"
        catalog.forget_project(LABELLING)
        said = status_module.status_of(workspace, config)
        assert status_text(said).splitlines()[0] == "the project is gone"


@pytest.mark.parametrize(
    ("url", "step"),
    [
        (URL, "run `occlufer annotate push`"),
        ("", "run `occlufer annotate start`, then `occlufer annotate push`"),
    ],
    ids=["a server of one's own", "the embedded one"],
)
def test_before_the_first_push_it_says_what_to_run(tmp_path: Path, url: str, step: str) -> None:
    config = config_of(tmp_path, url=url)
    with open_workspace(config.workspace) as workspace:
        workspace.catalog.put_records([Record("s/a", "s", "1", Facts(), "a")])
        for stage in stages_before("labels"):
            workspace.catalog.put_results(stage, [Result("a")])
    found = status(config)
    assert (found.next, found.project, found.progress.wanted) == (step, None, 1)
    assert status_text(found).splitlines()[0] == "no project yet"


def test_a_project_that_was_never_pulled_says_so(config: BuildConfig) -> None:
    with open_workspace(config.workspace) as workspace:
        workspace.catalog.log_answers([], LABELLING, Project(URL, 4, "sha"))
    found = status(config)
    assert found.pulled_up_to is None
    assert found.next == "run `occlufer annotate pull`"
    assert "not yet pulled" in status_text(found)


def test_a_folder_without_a_build_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"found no catalog.*occlufer build"):
        status(config_of(tmp_path))
    assert not (tmp_path / "workspace").exists()


# Text --------------------------------------------------------------------------------------------


def test_the_text_fits_100_columns_however_large_the_figures_are(config: BuildConfig) -> None:
    found = status(config)
    huge = 12_345_678
    raters = [
        dataclasses.replace(
            rater,
            rater=f"rater_{i + 100}",
            rows=dataclasses.replace(rater.rows, answers=123_456, skips=12_345, double=1_234),
            gold=dataclasses.replace(rater.gold, count=9_999, total=10_000),
            confusion=[[123_456] * 10 for _ in ANSWERS],
            pace=dataclasses.replace(
                rater.pace, median_s=9_999.95, fast_share=1.0, hasty_share=1.0
            ),
            monotony=dataclasses.replace(
                rater.monotony, longest_run=123_456, run_probability=1.234e-123
            ),
        )
        for i, rater in enumerate(found.raters)
    ]
    progress = dataclasses.replace(found.progress, wanted=huge, answered=huge, given=huge)
    large = dataclasses.replace(found, raters=raters, progress=progress)
    for one in (found, large):
        lines = status_text(one).splitlines()
        assert max(map(len, lines)) <= 100, max(lines, key=len)
        assert all(rater.rater in status_text(one) for rater in one.raters)


def test_the_text_says_the_figures(config: BuildConfig) -> None:
    found = status(config)
    lines = [" ".join(line.split()) for line in status_text(found).splitlines()]
    assert lines[:2] == [f"project {URL}/4", "pulled up to 2026-03-04 05:06:07 UTC"]
    assert "60 samples wanted" in lines
    for name, one in {"which answer": found.overall, **found.classes, **found.occluded}.items():
        figures = [f"{v:.3f}" if v is not None else "-" for v in (one.alpha, one.kappa)]
        assert f"{name} {one.samples} {one.answers} {' '.join(figures)}" in lines
    for rater in found.raters:
        work, habits = (line for line in lines if line.startswith(f"{rater.rater} "))
        hits = rater.right.count / rater.right.total
        rows = rater.rows
        told = f"{rows.answers} {rows.skips} {hits * 100:.0f}% - 0 - 0 0 0 {rows.deleted} 0"
        assert work == f"{rater.rater} {told}"
        assert f" {rater.monotony.longest_run} {rater.monotony.run_answer} " in habits
        assert f" {rater.pace.median_s:.1f} {rater.pace.fast_share * 100:.0f}% " in habits
    assert lines[-1] == f"next: {found.next}"


def test_mistakes_are_named_the_commonest_first() -> None:
    confusion = [[0] * 10 for _ in ANSWERS]
    confusion[0][0], confusion[0][3], confusion[2][6], confusion[6][2] = 90, 2, 7, 2
    assert mistakes(confusion) == [
        (7, "fear", "surprise"),
        (2, "anger", "happiness"),
        (2, "surprise", "fear"),
    ]


def test_json_says_everything_and_nothing_that_json_cannot(config: BuildConfig) -> None:
    found = status(config)
    table = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert table["overall"]["alpha"] == found.overall.alpha
    assert [rater["rater"] for rater in table["raters"]] == list(RATERS)
    assert table["raters"][0]["confusion"] == found.raters[0].confusion
    assert table["raters"][0]["dawid_skene"] == found.dawid_skene["rater_01"]
    assert set(table) == {field.name for field in dataclasses.fields(Status)} - {"dawid_skene"}
