"""`occlufer predict`: the expression that a run's model sees, and which places speak for it."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from occlufer.build import BuildSummary
from occlufer.orsanet.attention import attention
from occlufer.orsanet.evaluation.models import run_model
from occlufer.orsanet.model import Priors, build_orsanet
from occlufer.schema import LABELS

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_attention_is_grad_cam_of_the_likeliest_class() -> None:
    torch.manual_seed(0)
    model = build_orsanet(8, "demo", "maps", "points").eval()
    images = torch.randn(3, 3, 112, 112)
    priors = Priors(torch.rand(3, 68, 7, 7), torch.rand(3, 11, 28, 28))
    logits, maps = attention(model, images, priors)
    with torch.no_grad():
        assert torch.equal(logits, model(images, priors))
    for number in range(3):
        expected = cam(model, images[number : number + 1], priors, number)
        assert torch.allclose(maps[number], expected, atol=5e-3)
        assert float(maps[number].max()) == pytest.approx(1)
        assert float(maps[number].min()) >= 0


def cam(model: torch.nn.Module, image: torch.Tensor, priors: Priors, number: int) -> torch.Tensor:
    """Grad-CAM of one picture, by differences: what each channel adds to the logit, place by place.

    The gradient of a channel's mean is measured by adding a little to the whole channel.
    """
    own = Priors(priors.landmark_features[number, None], priors.semantic[number, None])
    backbone = model.ir_back
    assert isinstance(backbone, torch.nn.Module)
    with torch.no_grad():
        features = backbone(image).double()
        best = int(model(image, own).argmax())
    model = model.double()
    own = Priors(own.landmark_features.double(), own.semantic.double())
    step = 1e-5
    gains = []
    for channel in range(features.shape[1]):
        ends = []
        for sign in (1, -1):
            moved = features.clone()
            moved[:, channel] += sign * step

            def give(
                module: object, inputs: object, output: object, moved: object = moved
            ) -> object:
                return moved

            handle = backbone.register_forward_hook(give)
            with torch.no_grad():
                ends.append(float(model(image.double(), own)[0, best]))
            handle.remove()
        gains.append((ends[0] - ends[1]) / (2 * step))
    model.float()
    told = (torch.tensor(gains)[:, None, None] * features[0]).sum(dim=0).relu()
    return torch.as_tensor(told / told.max(), dtype=torch.float32)


@pytest.fixture(scope="module")
def run(built: BuildSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from occlufer.orsanet.config import config_from_preset
    from occlufer.orsanet.train import baseline_train

    folder = tmp_path_factory.mktemp("predict") / "run"
    baseline_train(config_from_preset("demo", built.out, folder, epochs=1))
    return folder


@pytest.mark.slow
def test_every_face_has_its_expression_and_a_picture_of_what_speaks_for_it(
    built: BuildSummary, run: Path, tmp_path: Path, run_cli: Run
) -> None:
    (shard,) = (built.out / "data").glob("validation-*.parquet")
    rows = pq.read_table(shard, columns=["image"]).to_pylist()[:2]
    for number, row in enumerate(rows):
        Image.open(io.BytesIO(row["image"]["bytes"])).save(tmp_path / f"{number}.png")
    (tmp_path / "bad.jpg").write_text("no picture", encoding="utf-8")
    asked = ("predict", "0.png", "bad.jpg", "1.png", "--run", run)
    done = run_cli(*asked, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, bad, second = map(json.loads, done.stdout.splitlines())
    assert "error" in bad
    model = run_model(run)
    for number, said in enumerate((first, second)):
        (face, *_) = said["faces"]
        shares = face["expression"]
        picture = Image.open(tmp_path / f"{number}.png").convert("RGB")
        (expected,) = model.ask([(picture, face["landmarks68_px"])])
        by_label = dict(zip(LABELS, expected.tolist(), strict=True))
        assert {name: shares[name] for name in LABELS} == pytest.approx(by_label, abs=2e-3)
        assert set(shares) == set(LABELS)
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
        assert [*shares.values()] == sorted(shares.values(), reverse=True)
        assert set(said["faces"][0]["types"]) != set()
    assert not (tmp_path / "predict.html").exists()
    done = run_cli(*asked, cwd=tmp_path)
    label, share = next(iter(first["faces"][0]["expression"].items()))
    assert re.search(rf"^0\.png: .* covered.*; {label} {share:.2f}$", done.stdout, re.MULTILINE)
    page = (tmp_path / "predict.html").read_text(encoding="utf-8")
    assert page.count("<img") == 2 * 5
    assert f"what speaks for {label}" in page


@pytest.mark.slow
def test_without_a_run_it_is_one_line(tmp_path: Path, run_cli: Run) -> None:
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "a.png")
    done = run_cli("predict", "a.png", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1), done.stderr
    assert "runs/baseline/best.pt: found nothing, expected the checkpoint of a run" in done.stderr
    assert not (tmp_path / "predict.html").exists()
