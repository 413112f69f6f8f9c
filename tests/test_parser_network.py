"""The parser's network, its loss, its training, and its weights."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from parser_contract import check_parser
from safetensors.torch import save_file

from occlufer.builders.parser.built_in import open_built_in, read_weights, save_weights
from occlufer.builders.parser.loss import SMALLEST_REGION, parser_loss, share_loss
from occlufer.builders.parser.network import INPUT_PX, ParserNet, fused
from occlufer.builders.parser.pasted import read_templates
from occlufer.builders.parser.taught import HAIR_OR_BACKGROUND, UNKNOWN
from occlufer.builders.parser.teacher import read_faces
from occlufer.builders.parser.training import ParserTraining, train_parser
from occlufer.builders.train_parser import main as train_parser_command
from occlufer.errors import UsageError
from occlufer.face_parser import FIRST_TYPE, MAP_PX, PARSED_CLASSES
from occlufer.schema import FACE_PARTS, REGIONS

LARGEST_MB = 5.0


def test_the_network_gives_maps_and_landmarks() -> None:
    logits, points = ParserNet().eval()(torch.rand(2, 3, INPUT_PX, INPUT_PX))
    assert logits.shape == (2, len(PARSED_CLASSES), MAP_PX, MAP_PX)
    assert points.shape == (2, 68, 2)


def test_the_network_fits_into_five_megabytes_at_half_precision() -> None:
    size = sum(value.numel() * 2 for value in ParserNet().state_dict().values())
    assert size / 1e6 <= LARGEST_MB


def _logits(classes: torch.Tensor, sharp: float = 30.0) -> torch.Tensor:
    return (
        torch.nn.functional.one_hot(classes, len(PARSED_CLASSES)).permute(0, 3, 1, 2).float()
        * sharp
    )


def test_what_is_right_costs_nothing_and_what_is_wrong_does() -> None:
    classes = torch.randint(0, len(PARSED_CLASSES), (2, 8, 8))
    points = torch.rand(2, 68, 2)
    right = parser_loss(_logits(classes), points, classes, points)
    wrong = parser_loss(_logits((classes + 1) % len(PARSED_CLASSES)), points + 0.1, classes, points)
    assert max(float(v) for v in right) < 1e-6
    assert min(float(v) for v in wrong) > 1


def test_where_hair_or_background_is_meant_either_is_right() -> None:
    meant = torch.full((1, 4, 4), HAIR_OR_BACKGROUND)
    points = torch.zeros(1, 68, 2)
    for name in ("background", "hair"):
        said = torch.full((1, 4, 4), FACE_PARTS.index(name))
        assert float(parser_loss(_logits(said), points, meant, points)[0]) < 1e-6
    skin = torch.full((1, 4, 4), FACE_PARTS.index("skin"))
    assert float(parser_loss(_logits(skin), points, meant, points)[0]) > 1


def test_unknown_pixels_teach_nothing() -> None:
    classes = torch.randint(0, len(PARSED_CLASSES), (1, 8, 8))
    classes[0, 0] = UNKNOWN
    logits = torch.randn(1, len(PARSED_CLASSES), 8, 8, requires_grad=True)
    points = torch.zeros(1, 68, 2)
    parts, _ = parser_loss(logits, points, classes, points)
    parts.backward()
    assert logits.grad is not None
    assert float(logits.grad[0, :, 0].abs().max()) == 0
    assert float(logits.grad[0, :, 1:].abs().min()) > 0


def test_the_share_loss_is_the_missed_share_of_the_face_and_of_a_region() -> None:
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(size=(3, len(PARSED_CLASSES), 8, 8)))
    classes = torch.from_numpy(rng.integers(0, UNKNOWN + 1, (3, 8, 8)))
    regions = torch.from_numpy(rng.random((3, len(REGIONS), 8, 8)))
    regions[1, 2] = 0  # beyond the picture
    faces, each = [], []
    for sample in range(3):
        p = np.exp(logits[sample].numpy())
        p = p[FIRST_TYPE:].sum(axis=0) / p.sum(axis=0)
        said = classes[sample].numpy()
        covered = np.isin(said, range(FIRST_TYPE, len(PARSED_CLASSES)))
        for number, name in enumerate(REGIONS):
            weight = regions[sample, number].numpy() * (said != UNKNOWN)
            if weight.sum() < SMALLEST_REGION:
                continue
            missed = abs((p * weight).sum() - (covered * weight).sum()) / weight.sum()
            each.append(missed)
            faces += [missed] if name == "face" else []
    assert len(each) == 3 * len(REGIONS) - 1
    assert float(share_loss(logits, classes, regions)) == pytest.approx(
        np.mean(faces) + np.mean(each)
    )


def test_a_face_that_is_told_as_it_is_costs_no_share() -> None:
    classes = torch.randint(0, len(PARSED_CLASSES), (2, 8, 8))
    regions = torch.rand(2, len(REGIONS), 8, 8)
    assert float(share_loss(_logits(classes), classes, regions)) < 1e-6
    nothing = torch.zeros(2, len(REGIONS), 8, 8)
    assert float(share_loss(torch.randn(2, len(PARSED_CLASSES), 8, 8), classes, nothing)) == 0


def test_landmarks_are_whole_where_the_rest_is_in_bfloat16() -> None:
    net = _seen(ParserNet())
    x = torch.rand(2, 3, INPUT_PX, INPUT_PX)
    with torch.autocast("cpu", torch.bfloat16):
        logits, points = net(x)
    assert (logits.dtype, points.dtype) == (torch.bfloat16, torch.float32)
    assert float((points - net(x)[1]).detach().abs().max()) < 0.02


def _seen(net: ParserNet) -> ParserNet:
    """Return the network after it has learned what batches look like."""
    net.train()
    for _ in range(3):
        net(torch.rand(4, 3, INPUT_PX, INPUT_PX))
    return net.eval()


def test_folded_batch_norms_change_nothing() -> None:
    net = _seen(ParserNet())
    x = torch.rand(2, 3, INPUT_PX, INPUT_PX)
    before = net(x)
    folded = fused(net)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    for a, b in zip(before, folded(x), strict=True):
        assert float((a - b).abs().max()) < 1e-3


def test_saved_weights_are_those_that_are_read(tmp_path: Path) -> None:
    net, path = _seen(ParserNet()), tmp_path / "weights.safetensors"
    save_weights(net, path)
    x = torch.rand(2, 3, INPUT_PX, INPUT_PX)
    for a, b in zip(net(x), read_weights(path)(x), strict=True):
        assert float((a - b).abs().max()) < 0.02  # halves have eleven bits
    assert path.stat().st_size / 1e6 <= LARGEST_MB


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"conv.weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"other\.safetensors: found no weights of the parser"):
        read_weights(path)


def test_the_card_names_the_weights_that_are_shipped() -> None:
    card = (Path(__file__).parents[1] / "cards/face_parser.md").read_text(encoding="utf-8")
    assert f"`{open_built_in().weights_sha256}`" in card


def test_the_parser_in_the_package_keeps_the_contract() -> None:
    check_parser(open_built_in())


def test_training_without_data_says_what_is_missing(
    tmp_path: Path,
) -> None:
    with pytest.raises(SystemExit) as ended:
        train_parser_command([str(tmp_path / "gone"), "--out", str(tmp_path / "out")])
    assert "parser_faces.zip: no such file, expected the teacher's data" in str(ended.value)
    assert not (tmp_path / "out").exists()


def test_training_without_mask_templates_ends_before_it_begins(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with zipfile.ZipFile(data / "parser_faces.zip", "w"):
        pass
    names, points = np.array([], dtype=str), np.zeros((0, 478, 2))
    np.savez(data / "parser_faces_mesh478.npz", name=names, identity=names, points=points)
    (data / "MANIFEST.tsv").write_text("identity\n", encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        train_parser_command([str(data), "--out", str(tmp_path / "out")])
    assert "occluders_maskthe_face: found no *.png, expected mask templates" in str(ended.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_with_other_settings_does_not_go_on_from_a_checkpoint(
    real_data: Path, tmp_path: Path
) -> None:
    run = ParserTraining(real_data, tmp_path, steps=1, batch=4, workers=0)
    learned = read_faces(real_data)[0], read_templates(real_data, held_out=False)
    train_parser(run, *learned)
    with pytest.raises(UsageError, match=r"checkpoint\.pt: found a run with .*'seed': 0"):
        train_parser(replace(run, seed=1), *learned)
    train_parser(replace(run, workers=1), *learned)


@pytest.mark.slow
def test_interrupted_training_goes_on_as_if_it_had_not_been(
    real_data: Path, tmp_path: Path
) -> None:
    whole = ParserTraining(real_data, tmp_path / "whole", steps=4, batch=4, workers=0)
    parts = replace(whole, out=tmp_path / "parts", checkpoint_every=2)

    def stop_at_three(step: int) -> None:
        if step == 3:
            raise KeyboardInterrupt

    learned = read_faces(real_data)[0], read_templates(real_data, held_out=False)
    expected = train_parser(whole, *learned).state_dict()
    with pytest.raises(KeyboardInterrupt):
        train_parser(parts, *learned, at_step=stop_at_three)
    found = train_parser(parts, *learned).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
