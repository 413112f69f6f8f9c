"""SegFace computes what the released model computes, and reads and parses as a user's parser."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from parser_contract import check_parser, three_faces
from safetensors.torch import save_file
from torch import Tensor, nn

from occlufer.errors import MissingError, UsageError
from occlufer.face_parser import PARSED_CLASSES
from occlufer.orsanet.segface import build_segface, read_segface
from occlufer.orsanet.segface_parser import area_mean, open_segface, to_parsed
from occlufer.orsanet.swin import SwinBlock, apart_after_roll, from_windows, to_windows

REAL_DATA = Path(
    os.environ.get("OCCLUFER_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")
)
REFERENCE = REAL_DATA.parent / "orsanet"
needs_reference = pytest.mark.skipif(
    not (REFERENCE / "segface_celeb_swinb224.npz").is_file(),
    reason=f"{REFERENCE} holds no recordings of the released model (set OCCLUFER_REAL_DATA)",
)
Tensors = dict[str, Tensor]


def filled(name: str, tensor: Tensor) -> Tensor:
    """Return numbers that depend on the tensor's name alone, by the rule of the recordings."""
    if name.endswith("relative_position_index"):
        return tensor
    shape = tuple(tensor.shape)
    a = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) >= 2:
        a = a / np.sqrt(np.prod(shape[1:]))
    else:
        a = 1 + 0.1 * a if name.endswith("weight") else 0.1 * a
    return torch.from_numpy(np.asarray(a, dtype=np.float32))


def filled_model(num_classes: int, prefix: str = "") -> Any:
    model = build_segface(num_classes)
    state = model.state_dict()
    model.load_state_dict({name: filled(prefix + name, x) for name, x in state.items()})
    return model.eval()


@pytest.fixture(scope="module")
def celeba() -> Any:
    return filled_model(19)


@cache
def hollow(num_classes: int) -> Tensors:
    """Return every tensor of a checkpoint, all zeros that take no room, on disk or off."""
    with torch.device("meta"):
        shapes = build_segface(num_classes).state_dict()
    return {name: torch.zeros(()).expand(x.shape) for name, x in shapes.items()}


def normal_images(seed: int, count: int) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.standard_normal((count, 3, 224, 224)).astype(np.float32))


def relative_error(ours: NDArray[np.float32], reference: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(ours - reference) / np.linalg.norm(reference))


# The model


@needs_reference
@pytest.mark.parametrize(
    ("num_classes", "file", "prefix"),
    [
        pytest.param(19, "segface_celeb_state_dict.json", "", id="celebamask-hq"),
        pytest.param(11, "reference_state_dict.json", "face_segment.", id="lapa"),
    ],
)
def test_names_and_shapes_are_those_of_the_released_checkpoints(
    num_classes: int, file: str, prefix: str
) -> None:
    text = (REFERENCE / file).read_text(encoding="utf-8")
    released = {
        name.removeprefix(prefix): shape
        for name, shape in json.loads(text).items()
        if name.startswith(prefix)
    }
    assert {name: list(x.shape) for name, x in hollow(num_classes).items()} == released


@needs_reference
def test_celebamask_logits_are_the_recorded_ones(celeba: Any) -> None:
    recorded = np.load(REFERENCE / "segface_celeb_swinb224.npz")
    with torch.inference_mode():
        logits = celeba(normal_images(11, 1)).numpy()
    assert relative_error(logits[:, :, ::4, ::4], recorded["logits_stride4"]) < 1e-4
    assert np.mean(logits.argmax(axis=1) != recorded["argmax"]) < 1e-3


@needs_reference
def test_stage4_features_are_the_recorded_ones() -> None:
    recorded = np.load(REFERENCE / "reference_activations.npz")["segface_stage4"]
    model = filled_model(11, "face_segment.")
    with torch.inference_mode():
        features = model.stage4_features(normal_images(7, 2)).numpy()
    assert features.shape == recorded.shape
    assert relative_error(features, recorded) < 1e-4


def test_other_numbers_of_classes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"SegFace: 12 classes is not one of \(19, 11\)"):
        build_segface(12)


def test_windows_hold_seven_by_seven_neighbours_and_go_back() -> None:
    x = torch.arange(2 * 14 * 21).view(2, 14, 21, 1)
    windows = to_windows(x)
    assert windows.shape == (2, 6, 49, 1)
    # The fifth window is the second of the second row.
    assert torch.equal(windows[1, 4].view(7, 7), x[1, 7:14, 7:14, 0])
    assert torch.equal(from_windows(windows, 14, 21), x)


@pytest.mark.parametrize(
    ("shifted", "rows", "columns"),
    [
        pytest.param(False, range(7), range(7, 14), id="plain windows"),
        # Windows begin at 3; what lies before the first and behind the last does not touch.
        pytest.param(True, range(3), range(3, 10), id="shifted windows"),
    ],
)
def test_a_block_looks_no_further_than_its_window(
    shifted: bool, rows: range, columns: range
) -> None:
    torch.manual_seed(0)
    block = SwinBlock(8, 2, shifted).double()
    x = torch.randn(1, 14, 14, 8, dtype=torch.float64)
    touched = x.clone()
    touched[0, 1, 9, 0] += 1
    with torch.inference_mode():
        changed = (block(x) - block(touched)).abs().amax(dim=-1)[0] > 1e-12
    expected = torch.zeros(14, 14, dtype=torch.bool)
    expected[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    assert torch.equal(changed, expected)


def test_attention_adds_the_bias_of_the_offset_from_one_place_to_another() -> None:
    torch.manual_seed(0)
    attention = SwinBlock(4, 1, shifted=False).attn
    nn.init.zeros_(attention.qkv.weight)
    nn.init.zeros_(attention.qkv.bias)
    nn.init.eye_(attention.proj.weight)
    nn.init.zeros_(attention.proj.bias)
    nn.init.eye_(attention.qkv.weight[8:])  # values are the input, queries and keys are nothing
    nn.init.constant_(attention.relative_position_bias_table, -1e4)
    # From row 3, column 2 to row 2, column 6: one up, four right; the table counts from 6 and 6.
    with torch.no_grad():
        attention.relative_position_bias_table[(6 + 1) * 13 + (6 - 4)] = 0
    windows = torch.randn(1, 1, 49, 4)
    with torch.inference_mode():
        out = attention(windows, None)
    torch.testing.assert_close(out[0, 0, 3 * 7 + 2], windows[0, 0, 2 * 7 + 6])


def test_places_are_apart_where_the_roll_brought_them_together() -> None:
    apart = apart_after_roll(14, 14, 3, torch.device("cpu"))
    assert apart.shape == (4, 49, 49)
    pieces = [len({tuple(row) for row in window.tolist()}) for window in apart]
    assert pieces == [1, 2, 2, 4]


# Reading


@pytest.mark.parametrize(
    ("num_classes", "holder", "prefix"),
    [
        (19, "state_dict_backbone", ""),
        (11, "state_dict_backbone", "module."),
        (11, "state_dict", ""),
        (19, "model", "module."),
        (11, None, ""),
        (19, None, "module."),
    ],
)
def test_a_checkpoint_is_read_however_it_is_wrapped(
    tmp_path: Path, num_classes: int, holder: str | None, prefix: str
) -> None:
    tensors = {prefix + name: x for name, x in hollow(num_classes).items()}
    torch.save({holder: tensors, "epoch": 299} if holder else tensors, tmp_path / "model_299.pt")
    model = read_segface(tmp_path / "model_299.pt")
    assert model.num_classes == num_classes
    assert not model.training
    assert not any(p.requires_grad for p in model.parameters())


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    tensors = {name: x.half() for name, x in hollow(11).items()}
    torch.save(tensors, tmp_path / "half.pt")
    model = read_segface(tmp_path / "half.pt")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    index = model.state_dict()["backbone.0.1.0.attn.relative_position_index"]
    assert index.dtype == torch.int64
    assert index.max() == 168


def without(name: str) -> Tensors:
    return {key: x for key, x in hollow(19).items() if key != name}


def with_shape(name: str, *shape: int) -> Tensors:
    return hollow(19) | {name: torch.zeros(()).expand(shape)}


def small_swin() -> Tensors:
    """Return SegFace on a backbone of three heads where Swin-B has four, as a Swin-S has."""
    table = torch.zeros(()).expand(169, 3)
    return {name: table if name.endswith("table") else x for name, x in hollow(11).items()}


def convnext() -> Tensors:
    return {"backbone.0.1.0.layer_scale": torch.zeros(128, 1, 1)}


DAMAGES: dict[str, tuple[Callable[[], Tensors], str]] = {
    "missing": (
        lambda: without("linear_c.2.proj.bias"),
        r"found no tensor linear_c\.2\.proj\.bias, expected it with shape \(256,\)",
    ),
    "unexpected": (
        lambda: with_shape("face_decoder.beard_token.weight", 1, 256),
        r"found the tensor face_decoder\.beard_token\.weight, expected none of this name",
    ),
    "misshapen": (
        lambda: with_shape("linear_fuse.weight", 256, 768, 1, 1),
        r"found linear_fuse\.weight with shape \(256, 768, 1, 1\), expected \(256, 1024, 1, 1\)",
    ),
    "Swin-S": (small_swin, r"found no window of Swin-B .*expected a SegFace with Swin-B at 224 px"),
    "ConvNeXt": (convnext, r"first tensor is backbone\.0\.1\.0\.layer_scale \(128, 1, 1\)"),
    "empty": (dict, r"found no tensors, bare or under"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_with_a_checkpoint_is_named(tmp_path: Path, damage: str) -> None:
    tensors, message = DAMAGES[damage]
    torch.save({"state_dict_backbone": tensors()}, tmp_path / "model.pt")
    with pytest.raises(UsageError, match=message) as raised:
        read_segface(tmp_path / "model.pt")
    assert str(raised.value).startswith(f"{tmp_path / 'model.pt'}: found")


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    torch.save({"state_dict": hollow(19), "args": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(UsageError, match=r"trap\.pt: found a file that cannot be read safely"):
        read_segface(tmp_path / "trap.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["model.pt", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04"])
def test_a_file_that_is_no_checkpoint_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match="found a file that cannot be read safely") as raised:
        read_segface(tmp_path / name)
    assert "\n" not in str(raised.value)


def test_a_missing_checkpoint_says_where_it_is_to_be_had(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"found nothing, .*github\.com/Kartik-3004/SegFace"):
        open_segface(tmp_path / "model_299.pt")


# Parsing


@pytest.mark.parametrize(
    ("num_classes", "expected"),
    [
        pytest.param(
            19,
            "background background skin background background background left_brow right_brow "
            "left_eye right_eye nose inner_mouth lower_lip upper_lip hair eyewear object "
            "background background",
            id="celebamask-hq",
        ),
        pytest.param(
            11,
            "background skin left_brow right_brow left_eye right_eye nose upper_lip inner_mouth "
            "lower_lip hair",
            id="lapa",
        ),
    ],
)
def test_every_class_becomes_the_one_it_means(num_classes: int, expected: str) -> None:
    one_hot = torch.eye(num_classes)[:, :, None, None]
    found = to_parsed(one_hot)[:, :, 0, 0]
    assert torch.equal(found.sum(dim=1), torch.ones(num_classes))
    assert " ".join(PARSED_CLASSES[i] for i in found.argmax(dim=1)) == expected
    # Of the two that are called hair it is the part.
    assert 14 not in found.argmax(dim=1)


def test_cells_average_exactly_the_area_that_they_cover() -> None:
    maps = np.random.default_rng(3).random((2, 3, 224, 224))
    # 64 cells of 3.5 pixels: of 7 half pixels.
    halves = maps.repeat(2, axis=2).repeat(2, axis=3)
    expected = halves.reshape(2, 3, 64, 7, 64, 7).mean(axis=(3, 5))
    found = area_mean(torch.from_numpy(maps).float(), 64).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.slow
def test_segface_keeps_the_contract_of_a_parser(celeba: Any, tmp_path: Path) -> None:
    path = tmp_path / "model_299.pt"
    state = {f"module.{name}": x for name, x in celeba.state_dict().items()}
    torch.save({"state_dict_backbone": state}, path)
    parser = open_segface(path)
    assert (parser.name, parser.input_px) == ("segface", 224)
    assert parser.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    check_parser(parser)
    faces = three_faces(224)
    maps, landmarks = parser.parse(faces[2:])
    assert landmarks is None
    assert parser.parse(faces[:0])[0].shape == (0, 17, 64, 64)
    mirrored = faces[2:, :, ::-1]  # a view that runs backwards
    np.testing.assert_array_equal(parser.parse(mirrored)[0], parser.parse(mirrored.copy())[0])
    # The same by the released recipe: ImageNet's mean and deviation, softmax, then the mean.
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = ((faces[2:] / 255 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
    with torch.inference_mode():
        classes = celeba(torch.from_numpy(pixels)).softmax(dim=1)[0].numpy()
    brow = classes[6].repeat(2, axis=0).repeat(2, axis=1).reshape(64, 7, 64, 7).mean(axis=(1, 3))
    np.testing.assert_allclose(maps[0, PARSED_CLASSES.index("left_brow")], brow, atol=1e-5)


@pytest.mark.slow
def test_safetensors_give_the_same_model(celeba: Any, tmp_path: Path) -> None:
    save_file(celeba.state_dict(), tmp_path / "model.safetensors")
    read = read_segface(tmp_path / "model.safetensors").state_dict()
    assert all(torch.equal(read[name], x) for name, x in celeba.state_dict().items())
