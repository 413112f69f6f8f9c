"""Runs are repeatable, can be resumed to the bit, and say what stops them."""

from __future__ import annotations

import builtins
import json
import os
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.orsanet import figures, train
from occlufer.orsanet.checkpoint import load_checkpoint
from occlufer.orsanet.config import PRESETS, TrainConfig, config_from_preset
from occlufer.orsanet.priors import mirror_landmarks, point_maps
from occlufer.orsanet.setup import settled
from occlufer.orsanet.train import baseline_train
from occlufer.schema import LABELS

SIZE = 112


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny batches gain nothing from a second thread, and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a prepared cache of noise, brighter with the class; 16 to train, 8 to validate."""
    folder = tmp_path_factory.mktemp("cache")
    rng = np.random.default_rng(0)
    for split, count in (("train", 16), ("validation", 8)):
        labels = np.arange(count) % 8
        images = rng.integers(0, 60, (count, SIZE, SIZE, 3)) + 24 * labels[:, None, None, None]
        landmarks = np.repeat((MEAN_FACE68 * 0.6 + 0.2)[None], count, axis=0).astype(np.float32)
        arrays = {
            "images": images.astype(np.uint8),
            "labels": labels.astype(np.int64),
            "landmarks": landmarks,
            "soft_labels": np.eye(8, dtype=np.float32)[labels],
            "semantic": rng.random((count, 2, 11, 28, 28)).astype(np.float16),
            "landmark_features": np.stack(
                [point_maps(landmarks), point_maps(mirror_landmarks(landmarks))], axis=1
            ).astype(np.float16),
            "ids": np.array([f"{split}{n}" for n in range(count)]),
        }
        for name, array in arrays.items():
            np.save(folder / f"{split}_{name}.npy", array)
    priors = {"semantic": "noise", "landmark_features": "points"}
    facts = {"key": "0" * 64, "image_size_px": SIZE, "priors": priors}
    (folder / "cache.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def config(cache: Path, out: Path, epochs: int = 1, optimizer: str = "adam") -> TrainConfig:
    preset = config_from_preset("demo", cache, out, seed=3, device="cpu")
    return replace(preset, epochs=epochs, batch_size=8, optimizer=optimizer)


def weights(out: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = load_checkpoint(out / "last.pt")["model"]
    return model


@pytest.mark.parametrize("optimizer", ["adam", "sam"])
def test_two_epochs_and_two_resumed_are_four_to_the_bit(
    cache: Path, tmp_path: Path, optimizer: str
) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    baseline_train(config(cache, whole, 4, optimizer))
    baseline_train(config(cache, halves, 2, optimizer))
    result = baseline_train(replace(config(cache, halves, 4, optimizer), resume=True))
    ours, expected = weights(halves), weights(whole)
    assert ours.keys() == expected.keys()
    assert all(torch.equal(ours[name], expected[name]) for name in expected)
    assert result.metrics["epochs"] == 4


def test_a_run_leaves_checkpoint_metrics_and_figures(cache: Path, tmp_path: Path) -> None:
    result = baseline_train(config(cache, tmp_path, 2))
    assert result.checkpoint == tmp_path / "best.pt"
    drawn = {"curves.png", "confusion.png"}
    files = {"best.pt", "last.pt", "metrics.json", "metrics.jsonl", "README.md"} | drawn
    assert {path.name for path in tmp_path.iterdir()} == files
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics == result.metrics
    assert metrics["majority_accuracy"] == 1 / 8
    assert np.sum(metrics["confusion_matrix"]) == 8
    assert set(metrics["per_class_recall"]) == set(LABELS)
    assert (metrics["seed"], metrics["device"]) == (3, "cpu")
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_an_interrupted_run_goes_on_from_its_last_epoch(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = train.evaluate, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(train, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        baseline_train(config(cache, tmp_path / "cut", 2))
    assert load_checkpoint(tmp_path / "cut" / "last.pt")["epoch"] == 1
    monkeypatch.setattr(train, "evaluate", real)
    baseline_train(replace(config(cache, tmp_path / "cut", 2), resume=True))
    baseline_train(config(cache, tmp_path / "whole", 2))
    ours, expected = weights(tmp_path / "cut"), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


def test_a_loss_that_is_no_number_stops_with_the_samples(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_loss", lambda *_, **__: lambda logits, _: logits.sum() * np.nan)
    with pytest.raises(OccluferError, match=r"epoch 1: found loss nan.*samples train\d+, train"):
        baseline_train(config(cache, tmp_path))


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_a_run_stopped_within_an_epoch_goes_on_to_the_same_weights(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    real, calls = train._step, []

    def stopping(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(*arguments)

    monkeypatch.setattr(train, "_step", stopping)
    with pytest.raises(KeyboardInterrupt):
        baseline_train(config(cache, tmp_path / "cut", 2, "sam"))
    assert load_checkpoint(tmp_path / "cut" / "last.pt")["step"] in (1, 2)
    monkeypatch.setattr(train, "_step", real)
    with pytest.raises(UsageError, match="found a run that was stopped"):
        baseline_train(config(cache, tmp_path / "cut", 2, "sam"))
    baseline_train(replace(config(cache, tmp_path / "cut", 2, "sam"), resume=True))
    baseline_train(config(cache, tmp_path / "whole", 2, "sam"))
    ours, expected = weights(tmp_path / "cut"), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], expected[name]) for name in expected)
    losses = [
        [entry["loss"] for entry in load_checkpoint(tmp_path / run / "last.pt")["history"]]
        for run in ("cut", "whole")
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize("preset", ["released", "paper"])
def test_presets_take_the_priors_that_a_cache_has_and_say_so(
    preset: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = settled(config_from_preset(preset, cache, Path("out")))
    assert (found.semantic_prior, found.landmark_prior) == ("maps", "points")
    assert "MobileFaceNet" in caplog.text
    assert ("SegFace" in caplog.text) == (preset == "released")


def test_soft_labels_are_what_is_learned(cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "soft"
    shutil.copytree(cache, folder)
    baseline_train(replace(config(folder, tmp_path / "sure"), soft_labels=True))
    for split in ("train", "validation"):
        path = folder / f"{split}_soft_labels.npy"
        np.save(path, np.full_like(np.load(path), 0.125))
    baseline_train(replace(config(folder, tmp_path / "unsure"), soft_labels=True))
    baseline_train(config(cache, tmp_path / "hard"))
    sure, unsure, hard = (weights(tmp_path / name) for name in ("sure", "unsure", "hard"))
    assert all(torch.allclose(sure[name], hard[name], atol=1e-6) for name in hard)
    assert not torch.allclose(unsure["head.linear.weight"], hard["head.linear.weight"], atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_trains_to_nearly_the_same_loss(
    cache: Path, tmp_path: Path, precision: str
) -> None:
    whole = baseline_train(config(cache, tmp_path / "whole", 2, "sam")).metrics
    half = baseline_train(
        replace(config(cache, tmp_path / "half", 2, "sam"), precision=precision)
    ).metrics
    assert half["epochs"] == whole["epochs"] == 2
    losses = [
        load_checkpoint(tmp_path / run / "last.pt")["history"][0]["loss"]
        for run in ("whole", "half")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


def test_resuming_what_does_not_fit_is_refused(cache: Path, tmp_path: Path) -> None:
    asked = replace(config(cache, tmp_path), resume=True)
    with pytest.raises(MissingError, match=r"last\.pt: found nothing"):
        baseline_train(asked)
    (tmp_path / "last.pt").write_bytes(b"no checkpoint")
    with pytest.raises(UsageError, match="found no checkpoint of occlufer"):
        baseline_train(asked)
    baseline_train(config(cache, tmp_path))
    with pytest.raises(UsageError, match="found a run with seed 3, expected 4"):
        baseline_train(replace(asked, seed=4))
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    torch.save(state | {"dataset_key": "f" * 64}, tmp_path / "last.pt")
    with pytest.raises(UsageError, match="found a run on dataset ffffffffffff"):
        baseline_train(asked)
    torch.save(state | {"labels": ["cat", "dog"]}, tmp_path / "last.pt")
    with pytest.raises(UsageError, match=r"found the classes \('cat', 'dog'\)"):
        baseline_train(asked)


def test_a_cache_of_another_size_is_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found pictures of 112 px, expected 224"):
        baseline_train(replace(config(cache, tmp_path), image_size_px=224))


def test_without_matplotlib_there_are_no_figures_but_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert not figures.write_figures(tmp_path, [], np.zeros((8, 8), np.int64), LABELS, 0.1)
    assert "pip install matplotlib" in caplog.text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("size", "huge", "size: found 'huge', expected one of"),
        ("epochs", 0, "epochs: found 0, expected 1 or more"),
        ("seed", -1, "seed: found -1, expected 0 or more"),
        ("decay", 1.5, "decay: found 1.5, expected more than 0, at most 1"),
        ("erase_probability", 2, "erase_probability: found 2, expected 0 to 1"),
    ],
)
def test_values_out_of_range_are_refused(field: str, value: object, message: str) -> None:
    changed: dict[str, Any] = {field: value}
    with pytest.raises(UsageError, match=message):
        replace(TrainConfig(Path("data"), Path("out")), **changed)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_valid_config(preset: str) -> None:
    made = config_from_preset(preset, Path("data"), Path("out"), seed=5)
    assert (made.preset, made.seed) == (preset, 5)


def test_an_unknown_preset_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="preset: found 'mine', expected one of"):
        config_from_preset("mine", Path("data"), Path("out"))
