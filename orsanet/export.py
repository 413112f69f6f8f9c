"""Export to ONNX, for use where there is no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from occlufer.errors import MissingError, OccluferError

from .model import IMAGE_SIZE_PX, ORSANet, Priors

# Inputs in the order of the graph: images of 112 px, then both priors; one output, the logits.
INPUTS = ("images", "landmark_features", "semantic")
OUTPUT = "logits"
# How far ONNX Runtime's logits may be from torch's, as a share of their norm.
AGREEMENT = 1e-4


def export_onnx(model: ORSANet, path: Path, priors: Priors) -> float:
    """Write the model as ONNX and return how far its logits are from torch's, relatively.

    The graph takes images (B, 3, 112, 112), normalised by ImageNet's, and priors of the shapes of
    `priors`, for any B. Raises MissingError without onnx, onnxscript and onnxruntime, OccluferError
    if ONNX Runtime does not give torch's logits; what lies at `path` then stays as it is.
    """
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingError(
            f"ONNX: found no {error.name}, expected it: pip install 'occlufer[export]'"
        ) from error
    wrapped = _Flat(model).eval()
    # Of one sample torch takes the batch for a constant.
    landmark, semantic = (
        torch.cat([prior, prior]) if len(prior) == 1 else prior
        for prior in (priors.landmark_features, priors.semantic)
    )
    size = (len(semantic), 3, IMAGE_SIZE_PX, IMAGE_SIZE_PX)
    drawn = torch.randn(size, generator=torch.Generator().manual_seed(0))
    inputs = (drawn, landmark, semantic)
    batch = torch.export.Dim("batch")
    program: Any = torch.onnx.export(
        wrapped,
        inputs,
        input_names=list(INPUTS),
        output_names=[OUTPUT],
        dynamic_shapes={name: {0: batch} for name in INPUTS},
        dynamo=True,
        verbose=False,
    )
    with torch.no_grad():
        expected = wrapped(*inputs).numpy()
    fresh = path.with_name(f".{path.name}.partial")
    try:
        program.save(str(fresh))
        found = _logits_of(fresh, inputs)
        distance = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
        if not distance < AGREEMENT:
            raise OccluferError(
                f"{path}: found logits {distance:.1e} away from torch's, expected {AGREEMENT:.0e}"
            )
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return distance


def _logits_of(path: Path, inputs: tuple[Tensor, ...]) -> NDArray[np.float32]:
    """Return what ONNX Runtime makes of inputs in the order of INPUTS."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fed = {name: x.numpy() for name, x in zip(INPUTS, inputs, strict=True)}
    logits: NDArray[np.float32] = session.run([OUTPUT], fed)[0]
    return logits


class _Flat(nn.Module):
    """The model with tensors alone as its inputs."""

    def __init__(self, model: ORSANet) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor, landmark_features: Tensor, semantic: Tensor) -> Tensor:
        """Return logits (B, num_classes)."""
        out: Tensor = self.model(images, Priors(landmark_features, semantic))
        return out
