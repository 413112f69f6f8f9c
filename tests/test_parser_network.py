"""The parser's network, its loss, its training, and how it is given a face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.parser.loss import parser_loss
from occlufer.builders.parser.network import (
    CLASSES,
    FACE_CENTRE,
    FACE_SHARE,
    INPUT_PX,
    MAP_PX,
    ParserNet,
)
from occlufer.builders.parser.parse import frame_of_points, parse_faces
from occlufer.builders.parser.training import ParserTraining, train_parser
from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.schema import FACE_PARTS, LANDMARK_PARTS

LARGEST_MB = 5.0


def test_the_network_gives_maps_and_landmarks() -> None:
    logits, points = ParserNet().eval()(torch.rand(2, 3, INPUT_PX, INPUT_PX))
    assert logits.shape == (2, len(CLASSES), MAP_PX, MAP_PX)
    assert points.shape == (2, 68, 2)


def test_the_network_fits_into_five_megabytes_at_half_precision() -> None:
    size = sum(value.numel() * 2 for value in ParserNet().state_dict().values())
    assert size / 1e6 <= LARGEST_MB


def _logits(classes: torch.Tensor, sharp: float = 30.0) -> torch.Tensor:
    return torch.nn.functional.one_hot(classes, len(CLASSES)).permute(0, 3, 1, 2).float() * sharp


def test_what_is_right_costs_nothing_and_what_is_wrong_does() -> None:
    classes = torch.randint(0, len(CLASSES), (2, 8, 8))
    points = torch.rand(2, 68, 2)
    right = parser_loss(_logits(classes), points, classes, points)
    wrong = parser_loss(_logits((classes + 1) % len(CLASSES)), points + 0.1, classes, points)
    assert max(float(v) for v in right) < 1e-6
    assert min(float(v) for v in wrong) > 1


def test_where_hair_or_background_is_meant_either_is_right() -> None:
    meant = torch.full((1, 4, 4), len(CLASSES))
    points = torch.zeros(1, 68, 2)
    for name in ("background", "hair"):
        said = torch.full((1, 4, 4), FACE_PARTS.index(name))
        assert float(parser_loss(_logits(said), points, meant, points)[0]) < 1e-6
    skin = torch.full((1, 4, 4), FACE_PARTS.index("skin"))
    assert float(parser_loss(_logits(skin), points, meant, points)[0]) > 1


def test_unknown_pixels_teach_nothing() -> None:
    classes = torch.randint(0, len(CLASSES), (1, 8, 8))
    classes[0, 0] = len(CLASSES) + 1
    logits = torch.randn(1, len(CLASSES), 8, 8, requires_grad=True)
    points = torch.zeros(1, 68, 2)
    parts, _ = parser_loss(logits, points, classes, points)
    parts.backward()
    assert logits.grad is not None
    assert float(logits.grad[0, :, 0].abs().max()) == 0
    assert float(logits.grad[0, :, 1:].abs().min()) > 0


turns = st.floats(-3, 3)


@given(turns, st.floats(5, 400), st.floats(-200, 200), st.floats(-200, 200))
def test_a_face_stands_upright_and_centred_in_its_frame(
    turn: float, size: float, x: float, y: float
) -> None:
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, sin], [-sin, cos]])
    points = ((MEAN_FACE68 - 0.5) @ rotation * size + np.array([x, y])).astype(np.float32)
    frame = frame_of_points(points)
    framed = points @ frame[:, :2].T + frame[:, 2]
    left, right = (framed[LANDMARK_PARTS[name]].mean(axis=0) for name in ("left_eye", "right_eye"))
    assert abs(left[1] - right[1]) < 1e-2
    assert left[0] < right[0]
    low, high = framed.min(axis=0), framed.max(axis=0)
    assert max(high - low) == pytest.approx(FACE_SHARE, abs=1e-2)
    assert np.allclose((low + high) / 2, FACE_CENTRE, atol=1e-2)


class _Echo(torch.nn.Module):
    """Answers each picture with the centre of its light, 68 times."""

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        light = images.mean(dim=1)
        cells = (torch.arange(INPUT_PX) + 0.5) / INPUT_PX
        total = light.sum(dim=(1, 2))
        x = (light.sum(dim=1) * cells).sum(dim=1) / total
        y = (light.sum(dim=2) * cells).sum(dim=1) / total
        points = torch.stack([x, y], dim=1)[:, None].expand(-1, 68, -1)
        return torch.zeros(len(images), len(CLASSES), MAP_PX, MAP_PX), points


@pytest.mark.parametrize("side", [60, 128, 224, 900])
def test_a_spot_of_the_picture_is_found_where_it_is(side: int) -> None:
    for x, y in ((0.45, 0.5), (0.5, 0.62), (0.55, 0.4)):
        image = np.zeros((side, side, 3), np.uint8)
        half = max(1, side // 100)
        column, row = int(x * side), int(y * side)
        image[row - half : row + half + 1, column - half : column + half + 1] = 255
        start = MEAN_FACE68 * np.float32(side)
        (found,) = parse_faces(_Echo(), [image], [start], passes=1)
        wanted = np.array([column + 0.5, row + 0.5])
        assert np.abs(found.landmarks68_px[0] - wanted).max() < 0.15 + 0.001 * side


@pytest.mark.slow
def test_interrupted_training_goes_on_as_if_it_had_not_been(
    real_data: Path, tmp_path: Path
) -> None:
    whole = ParserTraining(real_data, tmp_path / "whole", steps=4, batch=4, workers=0)
    parts = replace(whole, out=tmp_path / "parts", checkpoint_every=2)

    def stop_at_three(step: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    expected = train_parser(whole).state_dict()
    with pytest.raises(KeyboardInterrupt):
        train_parser(parts, at_step=stop_at_three)
    found = train_parser(parts).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
