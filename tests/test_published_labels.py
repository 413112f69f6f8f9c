"""A build with people: it stops where labels are wanted, and publishes what they come to."""

from __future__ import annotations

import csv
import dataclasses
import json
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vote_logs import Said, answer, simulated

from occlufer.build import BuildSummary, build
from occlufer.config import AnnotationConfig, BuildConfig, SourceConfig
from occlufer.errors import GateError
from occlufer.pipeline import stages_before
from occlufer.schema import LABELS, OCCLUSION_TYPES
from occlufer.vote_log import ADJUDICATION, LABELLING
from occlufer.workspace import open_workspace

Rows = dict[str, list[dict[str, Any]]]
FOLDERS = ("anger", "fear", "happiness", "sadness")
PICTURES = 24
RATERS = ("rater_01", "rater_02", "rater_03", "rater_04")
OVERLAP = 3
# Words that must not be published: pseudonyms, the project, the server.
PRIVATE = (b"rater_0", b"secret title", b"labels.example.org", b"MY_TOKEN")


@dataclass(frozen=True)
class Labelled:
    """A build whose samples people have answered, and their answers."""

    config: BuildConfig
    summary: BuildSummary
    sources: Mapping[str, str]
    """{sha256: the class folder}"""
    said: tuple[Said, ...]
    decided: Mapping[str, str]


def log(config: BuildConfig, said: list[Said], round_name: str = LABELLING) -> int:
    """Write the answers into the vote log, as a pull does; the n-th has the number n."""
    answers = [
        answer(
            *(one.image, one.rater, one.label),
            round=round_name,
            project=f"labels.example.org/{round_name}",
            annotation=number,
            task=number,
            occlusion_types=one.types,
            created_at="2026",
            updated_at=f"2026-01-01T00:00:00.{number:06d}Z",
        )
        for number, one in enumerate(said, start=1)
    ]
    with open_workspace(config.workspace) as workspace:
        return workspace.catalog.log_answers(answers, round_name)


def annotated(config: BuildConfig, **changed: Any) -> BuildConfig:
    annotation = dataclasses.replace(config.annotation, **changed)
    return dataclasses.replace(config, annotation=annotation)


@pytest.fixture(scope="module")
def asked(
    tmp_path_factory: pytest.TempPathFactory,
    textured: Callable[..., NDArray[np.uint8]],
    encoded: Callable[..., bytes],
    write_tree: Callable[[Path, Mapping[str, bytes]], Path],
) -> tuple[BuildConfig, str]:
    """A build that has stopped, and what it said."""
    folder = tmp_path_factory.mktemp("asked")
    files = {
        f"{FOLDERS[i % len(FOLDERS)]}/{i}.png": encoded(textured(i, 64, 64))
        for i in range(PICTURES)
    }
    path = write_tree(folder / "faces", files)
    config = BuildConfig(
        (SourceConfig("image_folder", "faces", {"path": str(path)}),),
        folder / "occlu_fer",
        folder / "workspace",
        labels="label_studio",
        workers=1,
        annotation=AnnotationConfig(
            project="secret title", overlap=OVERLAP, aggregation="majority", token_env="MY_TOKEN"
        ),
    )
    with pytest.raises(GateError) as stopped:
        build(config)
    return config, str(stopped.value)


def elsewhere(config: BuildConfig, folder: Path) -> BuildConfig:
    """The same build with a copy of its workspace."""
    shutil.copytree(config.workspace, folder / "workspace")
    return dataclasses.replace(config, workspace=folder / "workspace", out=folder / "occlu_fer")


def sources_of(config: BuildConfig) -> dict[str, str]:
    """{image: the class folder it lay in} of the samples that came as far as their labels."""
    with open_workspace(config.workspace) as workspace:
        images = workspace.catalog.images_passing(stages_before("labels"))
        return {i: workspace.catalog.owner(i).source_id.split("/")[0] for i in images}


@pytest.fixture(scope="module")
def made(asked: tuple[BuildConfig, str], tmp_path_factory: pytest.TempPathFactory) -> Labelled:
    config = elsewhere(asked[0], tmp_path_factory.mktemp("made"))
    sources = sources_of(config)
    said = simulated(sources, RATERS, OVERLAP)
    log(config, said)
    first, second, *_ = sorted(sources)
    decided = {first: "contempt", second: "not_a_face"}
    log(
        config,
        [Said(image, "rater_09", label, ("hair",)) for image, label in decided.items()],
        ADJUDICATION,
    )
    return Labelled(config, build(config), sources, tuple(said), decided)


# Stopping ----------------------------------------------------------------------------------------


def test_a_build_stops_when_all_before_the_labels_is_done(asked: tuple[BuildConfig, str]) -> None:
    config, stopped = asked
    assert stopped == (
        f"0 of {PICTURES} samples labelled (needs coverage 1.0); run `occlufer annotate start`, "
        "then `occlufer annotate push`, then build again"
    )
    assert not config.out.exists()
    with open_workspace(config.workspace) as workspace:
        for stage in stages_before("labels"):
            assert len(list(workspace.catalog.results(stage))) == PICTURES, stage
        assert not list(workspace.catalog.results("split"))
    with (config.workspace / "rejected.csv").open(encoding="utf-8", newline="") as file:
        assert {row["reason"] for row in csv.DictReader(file)} == {"unfinished"}


def test_the_command_ends_with_status_4_and_one_line(
    asked: tuple[BuildConfig, str],
    tmp_path: Path,
    run_cli: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    config = elsewhere(asked[0], tmp_path)
    path = config.sources[0].settings["path"]
    (tmp_path / "occlufer.toml").write_text(
        f'labels = "label_studio"\nworkspace = "workspace"\n'
        f'[[sources]]\nkind = "image_folder"\nname = "faces"\npath = "{path}"\n',
        encoding="utf-8",
    )
    done = run_cli("build", cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].endswith(asked[1])


def test_what_people_have_said_so_far_does_not_get_lost_by_stopping_again(
    asked: tuple[BuildConfig, str], tmp_path: Path
) -> None:
    config = elsewhere(asked[0], tmp_path)
    said = simulated(sources_of(config), RATERS, OVERLAP)
    log(config, said[: 6 * OVERLAP])
    with pytest.raises(GateError, match=rf"^6 of {PICTURES} samples labelled"):
        build(config)
    assert not config.out.exists()
    enough = annotated(config, coverage=0.25)
    assert build(enough).worked_on["dedup"] == 0
    assert enough.out.is_dir()


def test_where_the_sources_agree_nobody_is_asked(
    asked: tuple[BuildConfig, str], tmp_path: Path, rows_of: Callable[[Path], Rows]
) -> None:
    config = annotated(elsewhere(asked[0], tmp_path), agreed_votes=1)
    assert build(config).published == PICTURES
    for row in every(rows_of(config.out)):
        assert row["source_id"].startswith(LABELS[row["label"]])
        assert row["soft_label"] == [float(i == row["label"]) for i in range(8)]
    lock = json.loads((config.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    assert lock["labels"]["by"] == {"sources": PICTURES}
    assert (lock["labels"]["raters"], lock["labels"]["alpha"]) == (0, None)


# Going on ----------------------------------------------------------------------------------------


def every(rows: Rows) -> list[dict[str, Any]]:
    return rows["train"] + rows["validation"]


def by_hand(made: Labelled) -> dict[str, dict[str, Any]]:
    """{image: what is published of it}, by counting; images without a label are not there."""
    found = {}
    for image, folder in made.sources.items():
        mine = [one for one in made.said if one.image == image and one.label is not None]
        votes = Counter([folder, *(str(one.label) for one in mine)])
        (label, most), *others = votes.most_common()
        if others and others[0][1] == most:
            label = "tie"
        label = made.decided.get(image, label)
        if label not in LABELS:
            continue
        found[image] = {
            "label": LABELS.index(label),
            "votes": [votes[name] for name in LABELS],
            "agreement": votes[label] / sum(votes.values()),
            "soft_label": [votes[name] / sum(votes[n] for n in LABELS) for name in LABELS],
            "occlusion_votes": {
                kind: sum(kind in one.types for one in mine) for kind in OCCLUSION_TYPES
            },
        }
    return found


def test_published_labels_votes_and_agreement_are_those_of_a_plain_count(
    made: Labelled, rows_of: Callable[[Path], Rows]
) -> None:
    expected = by_hand(made)
    rows = {row["sha256"]: row for row in every(rows_of(made.config.out))}
    assert set(rows) == set(expected)
    assert 0 < len(rows) < PICTURES, "some must be labelled, and some not"
    for image, wanted in expected.items():
        row = rows[image]
        assert row["label"] == wanted["label"]
        assert row["votes"] == wanted["votes"]
        assert row["agreement"] == pytest.approx(wanted["agreement"], abs=1e-4)
        assert row["occlusion_votes"] == wanted["occlusion_votes"]
        assert row["soft_label"] == pytest.approx(wanted["soft_label"], abs=1e-5)


def test_what_has_no_label_is_in_the_list_of_what_was_left_out(made: Labelled) -> None:
    with (made.config.workspace / "rejected.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == made.summary.unlabelled == PICTURES - made.summary.published
    assert {row["stage"] for row in rows} == {"labels"}
    assert "not_a_face is the adjudicator's answer" in {row["detail"] for row in rows}
    assert all(row["detail"] for row in rows)


def test_the_lock_says_how_labels_came_and_nobody_s_name(made: Labelled) -> None:
    lock = json.loads((made.config.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    told = lock["labels"]
    given = [one for one in made.said if one.label is not None]
    assert told["answers"] == len(given)
    assert told["skipped"] == len(made.said) - len(given) > 0
    assert told["raters"] == len(RATERS)
    assert told["adjudicated"] == 2
    assert told["by"] == {"adjudicator": 1, "people": made.summary.published - 1}
    assert lock["config"]["annotation"]["overlap"] == OVERLAP
    assert lock["config"]["annotation"]["aggregation"] == "majority"
    for path in made.config.out.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        for word in PRIVATE:
            assert word not in data, path.name


def test_alpha_is_that_of_a_plain_computation(made: Labelled) -> None:
    lock = json.loads((made.config.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    units: dict[str, list[str]] = {}
    for one in made.said:
        if one.label is not None:
            units.setdefault(one.image, []).append(one.label)
    paired = [words for words in units.values() if len(words) > 1]
    total = sum(map(len, paired))
    totals = Counter(word for words in paired for word in words)
    # Krippendorff 2011: observed over expected disagreement, nominal.
    observed = sum(
        sum(a != b for i, a in enumerate(words) for j, b in enumerate(words) if i != j)
        / (len(words) - 1)
        for words in paired
    )
    expected = sum(totals[a] * totals[b] for a in totals for b in totals if a != b) / (total - 1)
    assert lock["labels"]["alpha"] == pytest.approx(1 - observed / expected, abs=1e-4)


def test_the_card_s_figures_are_the_lock_s(made: Labelled) -> None:
    told = json.loads((made.config.out / "occlu_fer.lock").read_text(encoding="utf-8"))["labels"]
    card = " ".join((made.config.out / "README.md").read_text(encoding="utf-8").split())
    assert f"Raters: {told['raters']}; answers that count: {told['answers']}," in card
    assert f"skipped: {told['skipped']}. Samples were handed out until {OVERLAP} had" in card
    assert "waited until 100% of the samples had that" in card
    text = (made.config.out / "README.md").read_text(encoding="utf-8")
    section = text.partition("## How the labels were made")[2].partition("\n## ")[0]
    assert max(len(line) for line in section.splitlines()) <= 100
    assert f"Krippendorff's alpha of the answers is {told['alpha']:.3f}." in card
    assert "| an adjudicator | 1 |" in card
    assert f"| people, with the votes of sources that had some | {told['by']['people']} |" in card
    assert "became labels by majority" in card
    assert "Not asked for were" not in card


def test_raters_that_are_weighed_publish_the_probabilities_of_the_model(
    made: Labelled, tmp_path: Path, rows_of: Callable[[Path], Rows]
) -> None:
    config = annotated(elsewhere(made.config, tmp_path), aggregation="dawid_skene")
    summary = build(config)
    assert {"labels", "publish"} <= worked(summary)
    assert not worked(summary) & {"gather", *stages_before("labels")}
    rows = {row["sha256"]: row for row in every(rows_of(config.out))}
    before = {row["sha256"]: row for row in every(rows_of(made.config.out))}
    decided = next(image for image, label in made.decided.items() if label == "contempt")
    assert rows[decided]["label"] == before[decided]["label"] == LABELS.index("contempt")
    for image in rows.keys() & before.keys():
        assert rows[image]["votes"] == before[image]["votes"]
        soft = rows[image]["soft_label"]
        assert sum(soft) == pytest.approx(1, abs=1e-5)
        if image not in made.decided:
            assert soft.index(max(soft)) == rows[image]["label"]
    assert any(rows[i]["soft_label"] != before[i]["soft_label"] for i in rows.keys() & before)
    card = " ".join((config.out / "README.md").read_text(encoding="utf-8").split())
    assert "became labels by the model of Dawid and Skene (1979)" in card


def test_the_baseline_reads_what_people_have_labelled(made: Labelled, tmp_path: Path) -> None:
    from occlufer.orsanet.data import prepare_cache
    from occlufer.orsanet.priors import built_in_maps, landmark_points

    priors = {"semantic": built_in_maps(), "landmark_features": landmark_points()}
    cache = prepare_cache(made.config.out, tmp_path / "cache", 32, priors)
    assert sum(len(split.labels) for split in cache.splits.values()) == made.summary.published


def test_plain_datasets_gives_soft_labels_and_occlusion_votes(
    made: Labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    from occlufer.loading import load_dataset

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    found = load_dataset(made.config.out, split="train")
    assert np.array(found["soft_label"][:]).shape == (len(found), len(LABELS))
    assert list(found[0]["occlusion_votes"]) == list(OCCLUSION_TYPES)


def worked(summary: BuildSummary) -> set[str]:
    return {stage for stage, count in summary.worked_on.items() if count}


def test_a_pull_makes_the_labels_run_again_and_nothing_before_them(
    made: Labelled, tmp_path: Path, content: Callable[[Path], dict[str, bytes]]
) -> None:
    config = elsewhere(made.config, tmp_path)
    shutil.copytree(made.config.out, config.out)
    before = content(config.out)
    assert worked(build(config)) == set()
    assert log(config, list(made.said)) == 0
    assert worked(build(config)) == set()
    with open_workspace(config.workspace) as workspace:
        image = made.said[0].image
        workspace.catalog.log_answers([answer(image, "rater_05", None)], LABELLING)
    assert worked(build(config)) == {"labels", "publish"}  # a skip changes no label
    lock = json.loads((config.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    told = json.loads(before["occlu_fer.lock"])["labels"]
    assert lock["labels"] == {**told, "skipped": told["skipped"] + 1, "raters": len(RATERS) + 1}
    after = content(config.out)
    assert {name for name in before if before[name] != after[name]} == {
        "occlu_fer.lock",
        "README.md",
        "DATASHEET.md",
        "croissant.json",
    }


def test_the_same_answers_in_another_order_publish_the_same_bytes(
    made: Labelled,
    asked: tuple[BuildConfig, str],
    tmp_path: Path,
    content: Callable[[Path], dict[str, bytes]],
) -> None:
    config = elsewhere(asked[0], tmp_path)
    with (
        open_workspace(made.config.workspace) as known,
        open_workspace(config.workspace) as fresh,
    ):
        for name in (LABELLING, ADJUDICATION):
            answers = list(known.catalog.answers(name))
            random.Random(3).shuffle(answers)
            fresh.catalog.log_answers(answers, name)
    build(config)
    assert content(config.out) == content(made.config.out)


def test_answers_count_for_nothing_where_the_config_asks_for_the_sources_labels(
    made: Labelled, tmp_path: Path, rows_of: Callable[[Path], Rows]
) -> None:
    config = dataclasses.replace(elsewhere(made.config, tmp_path), labels="source")
    assert build(config).published == PICTURES
    for row in every(rows_of(config.out)):
        assert row["source_id"].startswith(LABELS[row["label"]])
        assert set(row["occlusion_votes"].values()) == {0}
    lock = json.loads((config.out / "occlu_fer.lock").read_text(encoding="utf-8"))
    assert lock["labels"] == {"from": "source", "by": {"sources": PICTURES}}
    back = dataclasses.replace(config, labels="label_studio")
    assert build(back).published == made.summary.published
