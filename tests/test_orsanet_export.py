"""What is exported to ONNX gives torch's logits, for batches of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from occlufer.errors import OccluferError
from occlufer.orsanet import export
from occlufer.orsanet.export import INPUTS, export_onnx
from occlufer.orsanet.model import Priors, build_orsanet

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def some_priors(count: int) -> Priors:
    return Priors(torch.rand(count, 68, 7, 7), torch.rand(count, 11, 28, 28))


@pytest.mark.slow
def test_onnx_gives_torchs_logits_for_other_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = build_orsanet(8, "demo", "maps", "points").eval()
    path = tmp_path / "demo.onnx"
    assert export_onnx(model, path, some_priors(1)) < 1e-4
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images, priors = torch.randn(5, 3, 112, 112), some_priors(5)
    inputs = (images, priors.landmark_features, priors.semantic)
    fed = {name: x.numpy() for name, x in zip(INPUTS, inputs, strict=True)}
    with torch.no_grad():
        expected = model(images, priors).numpy()
    np.testing.assert_allclose(session.run(None, fed)[0], expected, atol=1e-4)
    good = path.read_bytes()
    monkeypatch.setattr(export, "AGREEMENT", 0.0)
    priors, drawn = some_priors(2), torch.get_rng_state()
    with pytest.raises(OccluferError, match=r"demo\.onnx: found .*away from torch's, expected 0e"):
        export_onnx(model, path, priors)
    # The pictures that it checks by are the same every time, and take no number of the caller's.
    assert torch.equal(torch.get_rng_state(), drawn)
    # What fails the check takes nothing's place.
    assert [one.name for one in tmp_path.iterdir()] == ["demo.onnx"]
    assert path.read_bytes() == good
