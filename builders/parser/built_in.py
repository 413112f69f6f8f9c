"""The built-in parser: the network with the weights that are in the package."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save

from occlufer.face_parser import FaceParser

from .network import INPUT_PX, ParserNet, fused

# More faces at a time do not fit into a processor's cache.
AT_ONCE = 8
WEIGHTS = Path(__file__).with_name("weights.safetensors")


def save_weights(net: ParserNet, path: Path) -> None:
    """Write the weights of `net` at half precision, which is what is shipped."""
    halves = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in net.state_dict().items()
        if not name.endswith("num_batches_tracked")  # only training counts them
    }
    path.write_bytes(save(halves))  # save_file would keep others from reading it


def read_weights(path: Path) -> ParserNet:
    """Return the network with the weights in `path`, for use alone."""
    net = ParserNet()
    missing, unexpected = net.load_state_dict(load_file(path), strict=False)
    wrong = [name for name in missing if not name.endswith("num_batches_tracked")] + unexpected
    if wrong:
        raise ValueError(f"{path}: found no weights of the parser, e.g. {wrong[0]} does not fit")
    # Channels last: convolutions of a few small pictures are a third faster so.
    return fused(net).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def open_built_in(path: Path = WEIGHTS) -> FaceParser:
    """Return the parser with the weights in `path`."""
    net = read_weights(path)

    def parse(faces_rgb: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        maps, points = [], []
        with torch.inference_mode():
            for faces in torch.from_numpy(faces_rgb).split(AT_ONCE):  # type: ignore[no-untyped-call]
                logits, found = net(faces.permute(0, 3, 1, 2).float() / 255)
                maps.append(logits.softmax(dim=1).numpy())
                points.append(found.numpy())
        return np.concatenate(maps), np.concatenate(points)

    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return FaceParser("built_in", sha256, INPUT_PX, parse)
