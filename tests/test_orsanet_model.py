"""The model computes what the authors' released model computes."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from occlufer.orsanet.model import ABLATIONS, Ablation, ORSANet, Priors, build_orsanet

REAL_DATA = Path(
    os.environ.get("OCCLUFER_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")
)
REFERENCE = REAL_DATA.parent / "orsanet"
NEVER_RUN = ("ir_back.output_layer.", "pyramid_fuse.cls_token")
needs_reference = pytest.mark.skipif(
    not (REFERENCE / "reference_activations.npz").is_file(),
    reason=f"{REFERENCE} holds no recordings of the released model (set OCCLUFER_REAL_DATA)",
)


def filled(name: str, tensor: Tensor) -> Tensor:
    """Return numbers that depend on the tensor's name alone, by the rule of the recordings."""
    if name.endswith("num_batches_tracked"):
        return torch.zeros_like(tensor)
    if "relative_position_index" in name:
        return tensor
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
def large() -> ORSANet:
    model = build_orsanet(num_classes=8, size="large", semantic_prior="features")
    return model.eval()


def test_large_model_has_the_parameters_that_the_released_one_uses(large: ORSANet) -> None:
    trained = sum(p.numel() for p in large.parameters() if p.requires_grad)
    assert trained / 1e6 == pytest.approx(47.442, abs=5e-4)


@needs_reference
def test_names_and_shapes_are_those_of_the_authors_checkpoints(large: ORSANet) -> None:
    ours = {name: list(tensor.shape) for name, tensor in large.state_dict().items()}
    assert ours == reference_names()


@needs_reference
def test_large_model_computes_the_recorded_activations(large: ORSANet) -> None:
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
    images = torch.from_numpy(
        np.random.default_rng(7).standard_normal((2, 3, 224, 224)).astype(np.float32)
    )
    with torch.no_grad():
        found["logits"] = large(images)
        priors = large.priors(images)
    found["landmark_features"], found["segface_stage4"] = priors.landmark_features, priors.semantic
    errors = {name: relative_error(found[name].numpy(), recorded[name]) for name in found}
    assert set(errors) == set(recorded.files)
    assert max(errors.values()) < 1e-4, errors
    with torch.no_grad():
        assert torch.equal(large(images, priors=priors), found["logits"])


def test_the_released_model_costs_what_was_measured(large: ORSANet) -> None:
    priors = Priors(torch.randn(1, 512, 7, 7), torch.randn(1, 1024, 7, 7))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        large(torch.randn(1, 3, 112, 112), priors)
    assert counter.get_total_flops() / 1e9 == pytest.approx(14.13, rel=0.01)


def test_frozen_networks_stay_in_evaluation_mode_but_for_the_comparison() -> None:
    model = build_orsanet(8, "demo", "features")
    model.train()
    assert model.head.training
    nets = (model.face_landback, model.face_segment)
    assert not any(module.training for net in nets if net for module in net.modules())
    model.frozen_nets_train = True
    model.train()
    assert all(module.training for net in nets if net for module in net.modules())
    assert not any(p.requires_grad for net in nets if net for p in net.parameters())


@pytest.mark.parametrize("ablation", ABLATIONS)
def test_what_is_left_out_no_longer_matters(ablation: Ablation) -> None:
    torch.manual_seed(0)
    images, landmark = torch.randn(2, 3, 112, 112), torch.randn(2, 68, 7, 7)
    maps = torch.rand(2, 11, 28, 28)
    whole = build_orsanet(8, "demo", "maps", "points").eval()
    model = build_orsanet(8, "demo", "maps", "points", without=[ablation]).eval()
    smaller = sum(p.numel() for p in model.parameters()) < sum(
        p.numel() for p in whole.parameters()
    )
    assert smaller == (ablation != "cross_interaction")
    with torch.no_grad():
        logits = model(images, Priors(landmark, maps))
        assert logits.shape == (2, 8)
        other_maps = model(images, Priors(landmark, torch.rand(2, 11, 28, 28)))
        other_points = model(images, Priors(torch.randn(2, 68, 7, 7), maps))
    assert torch.equal(logits, other_maps) == (ablation == "segmentation")
    assert torch.equal(logits, other_points) == (ablation == "fusion")


def test_an_ablation_of_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"without: found .'everything'., expected some of"):
        build_orsanet(8, "demo", without=["everything"])


@pytest.mark.parametrize("name", ["size", "semantic_prior", "landmark_prior"])
def test_a_word_that_is_none_is_refused(name: str) -> None:
    words: dict[str, Any] = {name: "huge"}
    with pytest.raises(ValueError, match=rf"{name}: found \['huge'\], expected some of"):
        build_orsanet(8, **words)


def test_pictures_of_another_size_have_no_priors(large: ORSANet) -> None:
    with pytest.raises(ValueError, match=r"images: found \(1, 3, 112, 112\), expected"):
        large(torch.zeros(1, 3, 112, 112))


def test_the_query_projection_is_a_layer_of_its_own() -> None:
    model = build_orsanet(8, "demo", "maps", "points", query_projection=True)
    names = {name for name, _ in model.named_parameters() if ".q." in name}
    assert len(names) == 2 * 3 * 2  # weight and bias, three widths, two blocks


def test_without_frozen_networks_priors_have_to_be_given() -> None:
    model = build_orsanet(8, "demo", frozen_nets=False)
    with pytest.raises(ValueError, match=r"priors: found none.*no frozen networks"):
        model(torch.randn(1, 3, 224, 224))


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
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
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
