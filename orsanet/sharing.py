"""Sharing a trained model: saved, loaded and uploaded as Hugging Face's models are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import PyTorchModelHubMixin

from .checkpoint import load_checkpoint
from .model import LandmarkPrior, ORSANet, SemanticPrior, Size, orsanet_parts


class SharedORSANet(
    ORSANet,
    PyTorchModelHubMixin,
    library_name="occlufer",
    tags=["facial-expression-recognition", "occlusion"],
    license="apache-2.0",
):
    """An ORSANet with `save_pretrained`, `from_pretrained` and `push_to_hub`.

    A folder of it holds config.json and model.safetensors: the trained parts alone. The frozen
    networks of the priors belong to others; `take_frozen_nets` puts a user's own copies in.
    """

    def __init__(
        self,
        num_classes: int = 8,
        size: Size = "large",
        semantic_prior: SemanticPrior = "features",
        landmark_prior: LandmarkPrior = "features",
        query_projection: bool = False,
        without: list[Any] | None = None,
        labels: list[str] | None = None,
    ) -> None:
        """Build the model, fresh; the arguments are those of `build_orsanet`.

        `labels` names the classes in the order of the logits.
        """
        parts = orsanet_parts(
            num_classes,
            size,
            semantic_prior,
            landmark_prior,
            query_projection=query_projection,
            without=without or [],
        )
        super().__init__(**parts)
        self.labels = tuple(labels or ())


def shared(checkpoint: Path) -> SharedORSANet:
    """Return the model of a run's checkpoint (best.pt), in evaluation mode, ready to be shared.

    Raises MissingError or UsageError as `load_checkpoint` does.
    """
    state = load_checkpoint(checkpoint)
    config = state["config"]
    model = SharedORSANet(
        num_classes=len(state["labels"]),
        size=config["size"],
        semantic_prior=config["semantic_prior"],
        landmark_prior=config["landmark_prior"],
        query_projection=config["query_projection"],
        without=config["without"],
        labels=state["labels"],
    )
    model.load_state_dict(state["model"])
    model.eval()
    return model
