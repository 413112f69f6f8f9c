"""Sharing a trained model: saved, loaded and uploaded as Hugging Face's models are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, PyTorchModelHubMixin
from safetensors.torch import save_file

from .card import CARD_NAME, read_card
from .checkpoint import load_checkpoint
from .model import (
    FROZEN_NAMES,
    LandmarkPrior,
    ORSANet,
    SemanticPrior,
    Size,
    orsanet_parts,
    trained_state,
)

WEIGHTS_NAME = "model.safetensors"


class SharedORSANet(
    ORSANet,
    PyTorchModelHubMixin,
    library_name="occlufer",
    tags=["facial-expression-recognition", "occlusion"],
    license="apache-2.0",
):
    """An ORSANet with `save_pretrained`, `from_pretrained` and `push_to_hub`.

    A folder of it holds config.json, model.safetensors and the model card: the trained parts alone.
    The frozen networks of the priors belong to others; `take_frozen_nets` puts a user's own in.
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
        self.card: str | None = None

    def generate_model_card(self, *args: Any, **kwargs: Any) -> ModelCard:
        """Return the card of the model's run, or the plain one of a model without a run."""
        if self.card is not None:
            return ModelCard(self.card)
        return super().generate_model_card(*args, **kwargs)

    @classmethod
    def _from_pretrained(cls, *, strict: bool = True, **arguments: Any) -> SharedORSANet:
        """Return the model; a file that lacks a tensor raises, where the mixin would draw one."""
        model: SharedORSANet = super()._from_pretrained(strict=strict, **arguments)
        return model

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write the trained parts; frozen networks that were put in are not ours to pass on."""
        state = {name: x.contiguous() for name, x in trained_state(self).items()}
        save_file(state, save_directory / WEIGHTS_NAME, {"format": "pt"})


def shared(checkpoint: Path) -> SharedORSANet:
    """Return the model of a run's checkpoint (best.pt), in evaluation mode, ready to be shared.

    The card that the run wrote beside it goes with it.
    Raises MissingError or UsageError as `load_checkpoint` does.
    """
    model = model_of(load_checkpoint(checkpoint))
    model.card = read_card(checkpoint.with_name(CARD_NAME))
    return model


def model_of(state: dict[str, Any]) -> SharedORSANet:
    """Return the model of what `load_checkpoint` has returned, in evaluation mode, cardless."""
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
    trained = {n: x for n, x in state["model"].items() if not n.startswith(FROZEN_NAMES)}
    model.load_state_dict(trained)
    model.eval()
    return model
