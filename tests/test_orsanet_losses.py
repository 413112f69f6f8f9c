"""Losses and SAM follow the recordings of the released code and hand-worked cases."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from occlufer.orsanet.losses import DARELoss, LabelSmoothingLoss
from occlufer.orsanet.sam import SAM

REAL_DATA = Path(
    os.environ.get("OCCLUFER_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")
)
RECORDED = REAL_DATA.parent / "orsanet" / "losses_and_sam.npz"
needs_recordings = pytest.mark.skipif(
    not RECORDED.is_file(), reason=f"{RECORDED} is not there (set OCCLUFER_REAL_DATA)"
)


@needs_recordings
@pytest.mark.parametrize(("form", "key"), [("released", "dare_released_code"), ("paper",) * 2])
def test_dare_loss_and_gradient_are_the_recorded_ones(form: str, key: str) -> None:
    recorded = np.load(RECORDED)
    key = key if key.startswith("dare") else f"dare_{key}"
    logits = torch.from_numpy(recorded["logits"]).requires_grad_()
    loss = DARELoss(form)(logits, torch.from_numpy(recorded["target"]))
    torch.autograd.backward(loss)
    assert loss.item() == pytest.approx(float(recorded[key]), rel=1e-4)
    assert logits.grad is not None
    assert relative_error(logits.grad.numpy(), recorded[f"{key}_grad"]) < 1e-4


@needs_recordings
def test_label_smoothing_loss_is_the_recorded_one() -> None:
    recorded = np.load(RECORDED)
    logits, target = torch.from_numpy(recorded["logits"]), torch.from_numpy(recorded["target"])
    loss = LabelSmoothingLoss(0.2)(logits, target).item()
    assert loss == pytest.approx(float(recorded["label_smoothing_0.2"]), rel=1e-4)


@needs_recordings
def test_three_steps_of_sam_around_adam_are_the_recorded_ones() -> None:
    recorded = np.load(RECORDED)
    weights = torch.from_numpy(recorded["sam_w0"]).requires_grad_()
    inputs, target = torch.from_numpy(recorded["sam_x"]), torch.from_numpy(recorded["target"])
    optimizer = SAM(torch.optim.Adam([weights], lr=1e-2), rho=0.05)
    for number in (1, 2, 3):
        torch.autograd.backward(F.cross_entropy(inputs @ weights, target))
        optimizer.climb()
        torch.autograd.backward(F.cross_entropy(inputs @ weights, target))
        optimizer.step()
        found = weights.detach().numpy()
        assert relative_error(found, recorded[f"sam_w{number}"]) < 1e-4


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # Logits (0, 0): alpha = 1/2; the rival 0 becomes 0 (paper) or 1/2 (released).
        pytest.param("paper", math.log(2), id="paper"),
        pytest.param("released", math.log(1 + math.exp(0.5)), id="released"),
    ],
)
def test_dare_of_two_equal_logits_by_hand(form: str, expected: float) -> None:
    loss = DARELoss(form)(torch.zeros(1, 2), torch.tensor([1]))
    assert loss.item() == pytest.approx(expected)


def test_paper_form_lowers_a_negative_rival_and_the_released_one_raises_it() -> None:
    logits, target = torch.tensor([[-1.0, -2.0]]), torch.tensor([0])
    plain = F.softplus(torch.tensor(-1.0)).item()
    assert DARELoss("paper")(logits, target).item() < plain
    assert DARELoss("released")(logits, target).item() > plain


def test_unknown_form_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'mine' is not one of"):
        DARELoss("mine")


def test_sam_climbs_by_rho_and_comes_back_before_it_steps() -> None:
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    optimizer = SAM(torch.optim.SGD([weight], lr=0.1), rho=0.5)
    torch.autograd.backward(weight.square().sum() / 2)
    optimizer.climb()
    torch.testing.assert_close(weight.detach(), torch.tensor([3.3, 4.4]))
    torch.autograd.backward(weight.sum())
    optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([2.9, 3.9]))


def relative_error(ours: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(ours - reference) / np.linalg.norm(reference))
