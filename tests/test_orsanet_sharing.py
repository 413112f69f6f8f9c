"""A trained model is saved and loaded as Hugging Face's models are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from occlufer.errors import MissingError
from occlufer.orsanet.checkpoint import Progress, save_checkpoint
from occlufer.orsanet.config import config_from_preset
from occlufer.orsanet.model import Priors
from occlufer.orsanet.setup import fresh_model
from occlufer.orsanet.sharing import SharedORSANet, shared
from occlufer.schema import LABELS


@pytest.mark.parametrize("without", [(), ("multi_scale", "segmentation")])
def test_a_runs_model_is_shared_and_loaded_again(tmp_path: Path, without: tuple[str, ...]) -> None:
    config = replace(config_from_preset("demo", tmp_path, tmp_path), without=without)
    torch.manual_seed(0)
    model = fresh_model(config).eval()
    adam = torch.optim.Adam(model.parameters())
    save_checkpoint(tmp_path / "best.pt", model, adam, {}, Progress(), config, "0" * 64)
    shared(tmp_path / "best.pt").save_pretrained(tmp_path / "shared")
    files = {path.name for path in (tmp_path / "shared").iterdir()}
    assert {"config.json", "model.safetensors"} <= files
    kept = json.loads((tmp_path / "shared" / "config.json").read_text(encoding="utf-8"))
    assert kept["labels"] == list(LABELS)
    loaded = SharedORSANet.from_pretrained(tmp_path / "shared")
    priors = Priors(torch.rand(2, 68, 7, 7), torch.rand(2, 11, 28, 28))
    images = torch.randn(2, 3, 112, 112)
    with torch.no_grad():
        assert torch.equal(loaded(images, priors), model(images, priors))
    assert loaded.labels == LABELS


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"best\.pt: found nothing"):
        shared(tmp_path / "best.pt")
