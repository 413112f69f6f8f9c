"""Runs are repeatable, can be resumed to the bit, and say what stops them."""

from __future__ import annotations

import builtins
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from noise_cache import noise_cache

from occlufer.cli import main
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.orsanet import figures, train
from occlufer.orsanet.checkpoint import load_checkpoint
from occlufer.orsanet.config import PRESETS, TrainConfig, config_from_preset
from occlufer.orsanet.processes import Processes
from occlufer.orsanet.setup import settled
from occlufer.orsanet.train import baseline_train, make_cache
from occlufer.schema import LABELS


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny batches gain nothing from a second thread, and lose much on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache of noise; 16 to train, 8 to validate."""
    return noise_cache(tmp_path_factory.mktemp("cache"), 16, 8)


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


def test_a_finished_run_that_goes_on_counts_as_stopped_until_its_end(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline_train(config(cache, tmp_path, 1))

    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        baseline_train(replace(config(cache, tmp_path, 2), resume=True))
    monkeypatch.undo()
    with pytest.raises(UsageError, match="found a run that was stopped"):
        baseline_train(config(cache, tmp_path, 2))
    assert baseline_train(replace(config(cache, tmp_path, 2), resume=True)).metrics["epochs"] == 2


def test_gradients_that_are_never_numbers_stop_a_run_of_half_precision(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(logits: torch.Tensor, _: Any) -> torch.Tensor:
        # The root has no gradient at zero; the loss itself is a number.
        return (logits * 0).sum().clamp(min=0).sqrt() + 1

    monkeypatch.setattr(train, "_loss", lambda *_, **__: overflowing)
    half = replace(config(cache, tmp_path, 30), precision="float16")
    with pytest.raises(OccluferError, match=r"found loss nan, expected a number; samples train"):
        baseline_train(half)


def test_a_stop_before_the_first_step_is_not_swallowed(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the signal did not end it")

    monkeypatch.setattr(train, "opened_cache", stopped)
    command = ["baseline-train", "--data", str(cache), "--out", str(tmp_path / "out")]
    assert main(command) == 130
    assert "interrupted; nothing was learned yet" in capsys.readouterr().err


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
    assert "SegFace" in caplog.text


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
    with pytest.raises(UsageError, match="found a file that cannot be read safely"):
        baseline_train(asked)
    baseline_train(config(cache, tmp_path))
    with pytest.raises(UsageError, match="found a run with seed 3, expected 4"):
        baseline_train(replace(asked, seed=4))
    with pytest.raises(UsageError, match=r"found a run with rho 0\.05, expected 1"):
        baseline_train(replace(asked, seed=4, rho=1, learning_rate=0.1, decay=0.5))
    state = torch.load(tmp_path / "last.pt", weights_only=True)
    torch.save(state | {"dataset_key": "f" * 64}, tmp_path / "last.pt")
    with pytest.raises(UsageError, match="found a run on dataset ffffffffffff"):
        baseline_train(asked)
    torch.save(state | {"labels": ["cat", "dog"]}, tmp_path / "last.pt")
    with pytest.raises(UsageError, match=r"found the classes \('cat', 'dog'\)"):
        baseline_train(asked)


def test_a_run_is_not_resumed_to_fewer_epochs_than_it_has(cache: Path, tmp_path: Path) -> None:
    baseline_train(config(cache, tmp_path, 2))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    shorter = replace(config(cache, tmp_path, 1), resume=True)
    with pytest.raises(UsageError, match=r"found a run of 2 epochs, expected 1 or fewer.*--out"):
        baseline_train(shorter)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_stopped_run_is_refused_before_its_cache_is_touched(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metrics.jsonl").touch()

    def replaced(*_: Any) -> Any:
        raise AssertionError("the cache was opened")

    monkeypatch.setattr(train, "opened_cache", replaced)
    with pytest.raises(UsageError, match="found a run that was stopped"):
        baseline_train(config(cache, tmp_path))


def test_no_cache_is_made_of_a_cache(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found a cache, expected a published dataset"):
        make_cache(config(cache, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_frozen_networks_in_the_loop_want_the_cache_of_a_mobilefacenet(cache: Path) -> None:
    weights = {"segface": Path("s.pt"), "mobilefacenet": Path("m.pth")}
    asked = config_from_preset("released", cache, Path("out"), frozen="in_loop", **weights)
    with pytest.raises(UsageError, match=r"found points, expected the cache of a MobileFaceNet"):
        settled(asked)


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
        ("semantic_prior", "points", "semantic_prior: found 'points', expected one of ('features'"),
        ("without", ("dare",), "without: found ('dare',), expected some of ('segmentation', "),
        ("ir50", Path("ir50.pth"), "ir50: found it with size 'demo', expected small, base or"),
        ("mobilefacenet", Path("m.pth"), "mobilefacenet: found it with landmark_prior 'points'"),
    ],
)
def test_values_out_of_range_are_refused(field: str, value: object, message: str) -> None:
    changed: dict[str, Any] = {field: value}
    with pytest.raises(UsageError, match=re.escape(message)):
        replace(TrainConfig(Path("data"), Path("out")), **changed)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_valid_config(preset: str) -> None:
    made = config_from_preset(preset, Path("data"), Path("out"), seed=5)
    assert (made.preset, made.seed) == (preset, 5)


def test_an_unknown_preset_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="preset: found 'mine', expected one of"):
        config_from_preset("mine", Path("data"), Path("out"))


WITHOUT = """
import sys
for name in ("requests", "PIL", "pyarrow", "datasets", "pandas", "numba", "cv2", "scipy", "tqdm",
             "huggingface_hub", "safetensors", "matplotlib", "imagehash"):
    sys.modules[name] = None
from occlufer.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("preset", PRESETS)
def test_a_cache_trains_where_torch_and_numpy_are_alone(
    preset: str, cache: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(cache, folder)
    size = PRESETS[preset].get("image_size_px", 112)
    for split in ("train", "validation"):
        path = folder / f"{split}_images.npy"
        np.save(path, np.load(path).repeat(size // 112, axis=1).repeat(size // 112, axis=2))
    facts = json.loads((folder / "cache.json").read_text(encoding="utf-8"))
    text = json.dumps({**facts, "image_size_px": size})
    (folder / "cache.json").write_text(text, encoding="utf-8")
    options = ["--data", str(folder), "--out", str(tmp_path / "out"), "--preset", preset]
    options += ["--size", "demo", "--epochs", "1", "--device", "cpu"]
    command = [sys.executable, "-c", WITHOUT, "baseline-train", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "best.pt").is_file()


def test_weights_that_a_cache_has_no_use_for_are_refused(cache: Path) -> None:
    settings = replace(config_from_preset("released", cache, Path("out")), segface=Path("s.pt"))
    with pytest.raises(UsageError, match=r"segface: found s.pt, expected none, for .* is a cache"):
        settled(settings)


def test_a_batch_that_processes_cannot_share_is_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch_size: found 8, expected a multiple of the 3"):
        train.prepared(config(cache, tmp_path), Processes(0, 3))


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        ("missing", MissingError, "train_semantic.npy: found nothing, expected an array"),
        ("cut", UsageError, "train_semantic.npy: found a damaged array"),
        ("fewer", UsageError, "train_semantic.npy: found 15 samples, expected 16"),
        ("older", UsageError, "cache.json: found a cache of version 3, expected"),
        ("half a text", UsageError, "cache.json: found no cache that can be read, make it anew"),
        ("keyless", UsageError, "cache.json: found no cache that can be read, make it anew"),
        ("a list", UsageError, "cache.json: found no cache that can be read, make it anew"),
    ],
)
def test_a_damaged_cache_is_named(
    cache: Path, tmp_path: Path, damage: str, error: type[Exception], message: str
) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(cache, folder)
    path, facts = folder / "train_semantic.npy", folder / "cache.json"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "fewer":
        np.save(path, np.load(path)[:15])
    else:
        told = json.loads(facts.read_text(encoding="utf-8"))
        changed = {
            "older": json.dumps({**told, "version": 3}),
            "half a text": json.dumps(told)[:40],
            "keyless": json.dumps({name: one for name, one in told.items() if name != "key"}),
            "a list": json.dumps([told]),
        }
        facts.write_text(changed[damage], encoding="utf-8")
    with pytest.raises(error, match=message):
        baseline_train(config(folder, tmp_path / "out"))
