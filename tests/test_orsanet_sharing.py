"""A trained model is saved and loaded as Hugging Face's models are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import TOKEN, Hub
from huggingface_hub import ModelCard
from safetensors.torch import load as read_tensors
from safetensors.torch import save_file
from torch import nn

from occlufer.errors import MissingError
from occlufer.orsanet.card import card_text
from occlufer.orsanet.checkpoint import Progress, plain_config, save_checkpoint
from occlufer.orsanet.config import TrainConfig, config_from_preset
from occlufer.orsanet.mobilefacenet import MobileFaceNet
from occlufer.orsanet.model import ORSANet, Priors, trained_state
from occlufer.orsanet.setup import fresh_model
from occlufer.orsanet.sharing import SharedORSANet, shared
from occlufer.schema import LABELS

REPO = "someone/orsanet-demo"


@dataclass(frozen=True)
class Run:
    """What a training run has left, and the model as it was."""

    checkpoint: Path
    model: ORSANet
    card: str


def run_of(folder: Path, without: tuple[str, ...] = ()) -> Run:
    """A run's best.pt, with the card beside it."""
    config = replace(config_from_preset("demo", folder / "data", folder), without=without)
    torch.manual_seed(0)
    model = fresh_model(config).eval()
    adam = torch.optim.Adam(model.parameters())
    save_checkpoint(folder / "best.pt", model, adam, {}, Progress(), config, "0" * 64)
    card = card_text(metrics_of(config), None)
    (folder / "README.md").write_text(card, encoding="utf-8")
    return Run(folder / "best.pt", model, card)


def metrics_of(config: TrainConfig) -> dict[str, Any]:
    """Metrics of a run that was right about everything."""
    counts = dict.fromkeys(("best_epoch", "epochs", "train_samples", "validation_samples"), 8)
    shares = dict.fromkeys(("accuracy", "macro_f1", "last_accuracy", "majority_accuracy"), 1.0)
    return {
        **counts,
        **shares,
        "parameters": 1,
        "seed": config.seed,
        "preset": config.preset,
        "device": "cpu",
        "labels": list(LABELS),
        "per_class_recall": dict.fromkeys(LABELS, 1.0),
        "confusion_matrix": torch.eye(8, dtype=torch.int64).tolist(),
        "dataset_key": "0" * 64,
        "priors": {"semantic": "maps", "landmark_features": "points"},
        "config": plain_config(config),
    }


def logits_of(model: nn.Module) -> torch.Tensor:
    """What a model says of some drawn faces, always the same ones."""
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(2, 68, 7, 7, generator=generator)
    priors = Priors(points, torch.rand(2, 11, 28, 28, generator=generator))
    images = torch.randn(2, 3, 112, 112, generator=generator)
    with torch.no_grad():
        found: torch.Tensor = model(images, priors)
    return found


@pytest.mark.parametrize("without", [(), ("multi_scale", "segmentation")])
def test_a_runs_model_is_shared_and_loaded_again(tmp_path: Path, without: tuple[str, ...]) -> None:
    run = run_of(tmp_path, without)
    shared(run.checkpoint).save_pretrained(tmp_path / "shared")
    files = {path.name for path in (tmp_path / "shared").iterdir()}
    assert files == {"config.json", "model.safetensors", "README.md"}
    kept = json.loads((tmp_path / "shared" / "config.json").read_text(encoding="utf-8"))
    assert kept["labels"] == list(LABELS)
    loaded = SharedORSANet.from_pretrained(tmp_path / "shared")
    assert torch.equal(logits_of(loaded), logits_of(run.model))
    assert loaded.labels == LABELS


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A Hub to which this process's client talks, with a token that may write."""
    from huggingface_hub import constants

    started = Hub()
    template = started.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", started.endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    yield started
    started.stop()


def test_what_is_pushed_to_the_hub_comes_back_to_the_bit(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    run = run_of(tmp_path / "run")
    shared(run.checkpoint).push_to_hub(REPO, private=True)
    assert hub.repositories[REPO].private
    loaded = SharedORSANet.from_pretrained(REPO, cache_dir=tmp_path / "cache")
    assert torch.equal(logits_of(loaded), logits_of(run.model))
    assert not loaded.training
    assert loaded.labels == LABELS


def test_a_file_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    shared(run_of(tmp_path / "run").checkpoint).save_pretrained(tmp_path / "saved")
    path = tmp_path / "saved" / "model.safetensors"
    tensors = read_tensors(path.read_bytes())
    save_file({k: x for k, x in tensors.items() if k != "head.linear.weight"}, path)
    with pytest.raises(RuntimeError, match=r"head\.linear\.weight"):
        SharedORSANet.from_pretrained(tmp_path / "saved")


def test_what_is_pushed_is_config_weights_and_the_run_s_card_and_names_no_place(
    hub: Hub, tmp_path: Path
) -> None:
    run = run_of(tmp_path)
    shared(run.checkpoint).push_to_hub(REPO)
    files = hub.repositories[REPO].files
    # The Hub's client adds the list of what it stores as large files.
    assert files.keys() - {".gitattributes"} == {"config.json", "model.safetensors", "README.md"}
    cards: list[Any] = [ModelCard(text) for text in (files["README.md"].decode(), run.card)]
    pushed, written = cards
    assert pushed.text.strip() == written.text.strip()
    assert pushed.data.to_dict() == written.data.to_dict()
    for name, data in files.items():
        assert str(tmp_path).encode() not in data, name
        assert str(Path.home()).encode() + b"/" not in data, name


def test_networks_of_others_that_were_put_in_are_not_pushed(hub: Hub, tmp_path: Path) -> None:
    run = run_of(tmp_path)
    model = shared(run.checkpoint)
    segface: Any = nn.Linear(2, 2)  # the real one would take half a gigabyte
    model.take_frozen_nets(MobileFaceNet(), segface, "maps")
    assert {name.split(".")[0] for name in model.state_dict()} >= {"face_landback", "face_segment"}
    model.push_to_hub(REPO)
    tensors = read_tensors(hub.repositories[REPO].files["model.safetensors"])
    assert tensors.keys() == trained_state(run.model).keys()
    assert all(torch.equal(tensors[name], x) for name, x in trained_state(run.model).items())


def test_another_readme_beside_the_checkpoint_is_not_taken_for_the_card(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    (tmp_path / "README.md").write_text("# Notes, not for others\n", encoding="utf-8")
    shared(run.checkpoint).save_pretrained(tmp_path / "shared")
    text = (tmp_path / "shared/README.md").read_text(encoding="utf-8")
    assert "not for others" not in text
    assert text != run.card
    assert "PytorchModelHubMixin" in text  # the plain card of a model without a run


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"best\.pt: found nothing"):
        shared(tmp_path / "best.pt")
