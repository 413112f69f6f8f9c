"""The model card says what a run was, with the figures of its metrics and of nobody else's."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.publishing.responsible import OUT_OF_SCOPE
from occlufer.lock import Lock
from occlufer.orsanet.card import card_text, read_card
from occlufer.orsanet.checkpoint import plain_config
from occlufer.orsanet.config import PRESETS, config_from_preset
from occlufer.orsanet.metrics import accuracy, macro_f1, majority_accuracy, per_class_recall
from occlufer.orsanet.records import Records, clear, read_lock
from occlufer.schema import LABELS, OCCLUSION_TYPES, SPLITS

OWN_PRIORS = {
    "semantic": "part maps of the built-in parser",
    "landmark_features": "responses to the dataset's landmarks",
}
AUTHORS_PRIORS = {
    "semantic": "features of SegFace's fourth stage",
    "landmark_features": "features of MobileFaceNet",
}
# A path of a machine, put together here so that no test of the repository's own text finds one.
SECRET = Path("/" + "home/somebody")
Metrics = dict[str, Any]


def lock_of(licence: str = "CC0-1.0", kind: str = "synthetic") -> Lock:
    """The lock of a dataset of one source."""
    source = {"samples": 40, "licences": [licence], "rights": {"publishable": 40}}
    return Lock(
        name="occlu_fer",
        config={"sources": [{"kind": kind, "name": kind}]},
        counts={split: dict.fromkeys(LABELS, 5) for split in SPLITS},
        occlusion_counts=dict.fromkeys(OCCLUSION_TYPES, 3),
        subsets={},
        sources={kind: source},
        made_with={"occlufer": "0"},
        files={"index/train-00000-of-00001.parquet": "0" * 64},
        sizes={},
        shards={},
    )


def metrics_of(confusion: Any, preset: str = "demo", **changes: Any) -> Metrics:
    """The metrics of a run whose best epoch has this confusion matrix."""
    config = config_from_preset(preset, SECRET / "data", SECRET / "out", **changes)
    recall = per_class_recall(confusion)
    return {
        "accuracy": accuracy(confusion),
        "macro_f1": macro_f1(confusion),
        "majority_accuracy": majority_accuracy(confusion),
        "last_accuracy": accuracy(confusion) / 2,
        "best_epoch": 3,
        "epochs": 7,
        "train_samples": 1234,
        "validation_samples": int(confusion.sum()),
        "parameters": 987_654,
        "seed": 5,
        "preset": preset,
        "device": "cpu",
        "labels": list(LABELS),
        "per_class_recall": {
            label: None if np.isnan(share) else float(share)
            for label, share in zip(LABELS, recall, strict=True)
        },
        "confusion_matrix": confusion.tolist(),
        "dataset_key": "a1" * 32,
        "priors": OWN_PRIORS,
        "config": plain_config(config),
    }


@pytest.fixture
def metrics() -> Metrics:
    return metrics_of(np.random.default_rng(0).integers(0, 9, (8, 8)))


def header_of(card: str) -> Any:
    """The metadata of a card, as the Hub's client reads them."""
    return ModelCard(card).data


def rows_of(card: str, heading: str) -> dict[str, list[str]]:
    """The rows of the table whose header begins with a word: {first cell: the others}."""
    lines = card.partition(f"\n| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    assert lines
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


@given(st.lists(st.integers(0, 500), min_size=64, max_size=64).filter(lambda found: sum(found) > 0))
def test_every_figure_is_that_of_the_metrics(cells: list[int]) -> None:
    found = metrics_of(np.array(cells).reshape(8, 8))
    text = card_text(found, lock_of())
    shown = {name: float(value) for name, (value,) in rows_of(text, "figure").items()}
    assert shown == {
        "accuracy": pytest.approx(found["accuracy"], abs=5e-5),
        "macro F1": pytest.approx(found["macro_f1"], abs=5e-5),
        "accuracy after the last epoch": pytest.approx(found["last_accuracy"], abs=5e-5),
        "accuracy of always guessing the commonest class": pytest.approx(
            found["majority_accuracy"], abs=5e-5
        ),
    }
    recall = {label: value for label, (value,) in rows_of(text, "class").items()}
    for label, share in found["per_class_recall"].items():
        if share is None:
            assert recall[label] == "no sample"
        else:
            assert float(recall[label]) == pytest.approx(share, abs=5e-5)
    confusion = rows_of(text, "label")
    assert list(confusion) == list(LABELS)
    assert [list(map(int, row)) for row in confusion.values()] == found["confusion_matrix"]
    results = {r.metric_type: r for r in header_of(text).eval_results or []}
    assert {kind: r.metric_value for kind, r in results.items()} == {
        "accuracy": found["accuracy"],
        "f1": found["macro_f1"],
    }


def test_the_header_is_the_hub_s(metrics: Metrics) -> None:
    lock = lock_of()
    header = header_of(card_text(metrics, lock))
    data = header.to_dict()
    assert data["license"] == "apache-2.0"
    assert data["library_name"] == "occlufer"
    assert data["datasets"] == ["occlu_fer"]
    assert data["metrics"] == ["accuracy", "f1"]
    assert {"facial-expression-recognition", "occlusion"} <= set(data["tags"])
    (result, _) = header.eval_results or []
    assert (result.dataset_split, result.dataset_args) == ("validation", {"version": lock.version})


@pytest.mark.parametrize("known", [True, False], ids=["lock", "no_lock"])
@pytest.mark.parametrize("preset", PRESETS)
def test_no_placeholder_and_no_path_is_left(metrics: Metrics, preset: str, known: bool) -> None:
    found = metrics_of(np.eye(8, dtype=np.int64), preset, size="small", ir50=SECRET / "ir50.pth")
    text = card_text(found, lock_of() if known else None)
    assert "$" not in text
    assert str(SECRET) not in text


def test_facts_of_the_run_stand_in_it(metrics: Metrics) -> None:
    lock = lock_of()
    text = " ".join(card_text(metrics, lock).split())
    for told in (
        f"`occlu_fer`, version `{lock.version}`",
        "1234 training and",
        f"{metrics['validation_samples']} validation samples",
        "after epoch 3 of 7",
        "987654 parameters",
        "preset `demo`, size `demo`, seed 5",
        f"Semantic: {OWN_PRIORS['semantic']}.",
        f"Landmarks: {OWN_PRIORS['landmark_features']}.",
        "was started from random numbers",
        "All of its training data are drawn faces",
    ):
        assert told in text


@pytest.mark.parametrize("sentence", OUT_OF_SCOPE)
def test_what_the_data_are_not_for_the_model_is_not_for(metrics: Metrics, sentence: str) -> None:
    assert sentence in " ".join(card_text(metrics, lock_of()).split())


def test_where_the_lock_is_not_at_hand_the_version_is_said_to_be_unknown(metrics: Metrics) -> None:
    text = card_text(metrics, None)
    assert "version is unknown; the key of its cache is `a1a1a1a1a1a1`" in " ".join(text.split())
    data = header_of(text).to_dict()
    assert "datasets" not in data
    assert data["license"] == "other"


@pytest.mark.parametrize(
    ("licence", "ir50", "expected"),
    [
        ("CC0-1.0", None, ("apache-2.0", None)),
        ("for research", None, ("other", "terms-of-each-source")),
        ("CC0-1.0", Path("ir50.pth"), ("other", "terms-of-each-source")),
    ],
    ids=["free", "research", "weights_of_others"],
)
def test_weights_made_of_others_work_are_under_their_terms(
    licence: str, ir50: Path | None, expected: tuple[str, str | None]
) -> None:
    found = metrics_of(np.eye(8, dtype=np.int64), size="small", ir50=ir50)
    data = header_of(card_text(found, lock_of(licence, "image_folder"))).to_dict()
    assert (data["license"], data.get("license_name")) == expected


def authors(**changes: Any) -> Metrics:
    """The metrics of a run as the authors' code has it, with some of it changed."""
    weights = {name: Path(f"{name}.pth") for name in ("ir50", "segface", "mobilefacenet")}
    fields = changes.pop("config", {})
    found = metrics_of(np.eye(8, dtype=np.int64), "released", **{**weights, **fields})
    return found | {"priors": AUTHORS_PRIORS} | changes


def test_a_run_as_the_authors_have_it_is_told_so() -> None:
    text = " ".join(card_text(authors(), lock_of()).split())
    assert "Its parts, priors and recipe are those of the authors (`released`)" in text
    assert "The weights are not theirs" in text
    assert "not the authors' model" not in text


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"config": {"size": "demo", "ir50": None}}, "Its size, `demo`, is none of the paper's."),
        ({"config": {"ir50": None}}, "Its image backbone was not started from IR-50."),
        ({"config": {"epochs": 30}}, "`epochs` is `30`, not `400` as in the preset `released`."),
        ({"config": {"without": ("multi_scale",)}}, "It was trained without multi_scale."),
        (
            {"priors": OWN_PRIORS},
            "Its semantic prior is not SegFace's, but the part maps of the built-in parser.",
        ),
        (
            {"priors": OWN_PRIORS},
            "Its landmark prior is not MobileFaceNet's, but the responses to the dataset's",
        ),
    ],
    ids=["size", "ir50", "epochs", "without", "semantic", "landmarks"],
)
def test_what_differs_from_the_authors_model_is_named(changes: Metrics, told: str) -> None:
    text = " ".join(card_text(authors(**copy.deepcopy(changes)), lock_of()).split())
    assert "It is not the authors' model:" in text
    assert told in text


# Beside the run ----------------------------------------------------------------------------------


def test_a_run_writes_it_and_the_next_one_replaces_it(tmp_path: Path, metrics: Metrics) -> None:
    lock = lock_of()
    (tmp_path / "set").mkdir()
    (tmp_path / "set/occlu_fer.lock").write_text(lock.to_text(), encoding="utf-8")
    metrics["config"]["data"] = str(tmp_path / "set")
    write_end(tmp_path, metrics)
    kept = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == card_text(kept, lock)
    write_end(tmp_path, metrics | {"seed": 77})
    assert "seed 77" in (tmp_path / "README.md").read_text(encoding="utf-8")
    clear(tmp_path)
    assert not (tmp_path / "README.md").exists()


def test_somebody_elses_readme_is_left_as_it_is_and_that_is_said(
    tmp_path: Path, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "README.md").write_text("# My project\n", encoding="utf-8")
    clear(tmp_path)
    write_end(tmp_path, metrics)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == "# My project\n"
    assert "README.md: found another text than a model card" in caplog.text
    assert read_card(tmp_path / "README.md") is None


def write_end(folder: Path, metrics: Metrics) -> None:
    epoch = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "macro_f1": 0.5}
    Records(folder, writes=True).write_end([epoch], metrics)


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"name": "x"}'])
def test_a_lock_that_is_none_is_told_as_not_at_hand(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "occlu_fer.lock").write_text(text, encoding="utf-8")
    assert read_lock(tmp_path) is None
