"""The model computes what the authors' released model computes."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from occlufer.orsanet.model import Priors, build_orsanet

REAL_DATA = Path(
    os.environ.get("OCCLUFER_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")
)
REFERENCE = REAL_DATA.parent / "orsanet"
NEVER_RUN = ("ir_back.output_layer.", "pyramid_fuse.cls_token", "face_landback.", "face_segment.")
needs_reference = pytest.mark.skipif(
    not (REFERENCE / "reference_activations.npz").is_file(),
    reason=f"{REFERENCE} holds no recordings of the released model (set OCCLUFER_REAL_DATA)",
)


def filled(name: str, tensor: Tensor) -> Tensor:
    """Return numbers that depend on the tensor's name alone, by the rule of the recordings."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros_like(tensor)
    shape = tuple(tensor.shape)
    a = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        a = 1 + 0.1 * np.abs(a)
    elif name.endswith("running_mean"):
        a = 0.1 * a
    elif len(shape) >= 2:
        a = a / np.sqrt(np.prod(shape[1:]))
    elif name.endswith(("weight", ".scale")):
        a = 1 + 0.1 * a
    else:
        a = 0.1 * a
    return torch.from_numpy(np.asarray(a, dtype=np.float32))


def reference_names() -> dict[str, list[int]]:
    text = (REFERENCE / "reference_state_dict.json").read_text(encoding="utf-8")
    names: dict[str, list[int]] = json.loads(text)
    return {name: shape for name, shape in names.items() if not name.startswith(NEVER_RUN)}


@pytest.fixture(scope="module")
def large() -> nn.Module:
    model: nn.Module = build_orsanet(num_classes=8, size="large", semantic_prior="features")
    return model.eval()


def test_large_model_has_the_parameters_that_the_released_one_uses(large: nn.Module) -> None:
    assert sum(p.numel() for p in large.parameters()) / 1e6 == pytest.approx(47.442, abs=5e-4)


@needs_reference
def test_names_and_shapes_are_those_of_the_authors_checkpoints(large: nn.Module) -> None:
    ours = {name: list(tensor.shape) for name, tensor in large.state_dict().items()}
    assert ours == reference_names()


@needs_reference
def test_large_model_computes_the_recorded_activations(large: nn.Module) -> None:
    recorded = np.load(REFERENCE / "reference_activations.npz")
    large.load_state_dict({name: filled(name, t) for name, t in large.state_dict().items()})
    found: dict[str, Tensor] = {}
    for name, part in {
        "ir50": "ir_back",
        "ssgm": "seg_fusion",
        "mcm": "pyramid_fuse",
        "features": "se_block",
    }.items():
        large.get_submodule(part).register_forward_hook(
            lambda _module, _inputs, output, name=name: found.__setitem__(name, output)
        )
    images = np.random.default_rng(7).standard_normal((2, 3, 224, 224)).astype(np.float32)
    priors = Priors(
        landmark_features=torch.from_numpy(recorded["landmark_features"]),
        semantic=torch.from_numpy(recorded["segface_stage4"]),
    )
    with torch.no_grad():
        found["logits"] = large(torch.from_numpy(images), priors)
    errors = {name: relative_error(found[name].numpy(), recorded[name]) for name in found}
    assert set(errors) == {"ir50", "ssgm", "mcm", "features", "logits"}
    assert max(errors.values()) < 1e-4, errors


@pytest.mark.parametrize(
    ("size", "semantic_prior", "landmark_prior"),
    [
        ("demo", "features", "features"),
        ("demo", "features", "points"),
        ("demo", "maps", "features"),
        ("demo", "maps", "points"),
        ("small", "maps", "features"),
    ],
)
def test_every_kind_of_prior_gives_logits_and_gradients(
    size: str, semantic_prior: str, landmark_prior: str
) -> None:
    torch.manual_seed(0)
    model = build_orsanet(5, size, semantic_prior, landmark_prior)
    priors = Priors(
        landmark_features=torch.randn(2, 512 if landmark_prior == "features" else 68, 7, 7),
        semantic=torch.randn(2, 1024, 7, 7)
        if semantic_prior == "features"
        else torch.rand(2, 11, 28, 28),
    )
    logits = model(torch.randn(2, 3, 112, 112), priors)
    assert logits.shape == (2, 5)
    torch.autograd.backward(logits.square().sum())
    without = [name for name, p in model.named_parameters() if p.grad is None]
    # The last block's landmark tokens and coarse lists still reach token 0, so all are trained.
    assert without == []


def test_spectral_norm_in_eval_mode_reads_the_stored_vectors() -> None:
    model = build_orsanet(8, "demo", "maps", "points").eval()
    conv = model.get_submodule("seg_fusion.conv_0")
    x = torch.randn(1, 128, 7, 7)
    before = conv(x)
    with torch.no_grad():
        conv.weight_u.mul_(2)
    torch.testing.assert_close(
        conv(x) - conv.bias[:, None, None], (before - conv.bias[:, None, None]) / 2
    )


def relative_error(ours: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(ours - reference) / np.linalg.norm(reference))
