"""The settings of a training run, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from occlufer.errors import UsageError

from .losses import DAREForm
from .model import IMAGE_SIZE_PX, SIZES, LandmarkPrior, SemanticPrior, Size

OptimizerName = Literal["adam", "sam"]


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run. Equal configs on equal data give equal weights on a CPU."""

    data: Path
    """A published dataset folder, or a folder that `prepare_cache` wrote."""
    out: Path
    """Where checkpoints, metrics and figures go; the cache too, if `data` is a dataset."""
    preset: str = "demo"
    """The name under which the fields below are recorded."""
    size: Size = "demo"
    """Size of the model: demo, small, base or large."""
    semantic_prior: SemanticPrior = "maps"
    """features: SegFace's fourth stage; maps: part maps, drawn from the landmarks."""
    landmark_prior: LandmarkPrior = "points"
    """features: MobileFaceNet's last map; points: responses drawn from the landmarks."""
    image_size_px: int = IMAGE_SIZE_PX
    """Side of the pictures in the cache; the backbone takes 112 of it."""
    optimizer: OptimizerName = "adam"
    """adam, or sam: sharpness-aware minimisation around Adam, two passes a step."""
    rho: float = 0.05
    """How far SAM climbs."""
    learning_rate: float = 1e-3
    decay: float = 0.98
    """What the learning rate is multiplied by after every epoch."""
    ramp_steps: int = 0
    """First steps, over which the learning rate rises to its value; 0 starts with it."""
    batch_size: int = 20
    epochs: int = 400
    dare_form: DAREForm = "released"
    dare_weight: float = 0.1
    """Share of DARE beside cross-entropy in the loss (paper, Eq. 12)."""
    warm_epochs: int = 0
    """First epochs, in which 2 x label smoothing (0.2) takes the place of DARE."""
    balanced: bool = True
    """Draw every class equally often."""
    erase_probability: float = 0.5
    """How often a patch of the picture, 2 to 10 % of it, is erased. The priors stay whole."""
    jitter: bool = False
    """Move, tint and fade the pictures at random; not in the released recipe, for small sets."""
    seed: int = 0
    device: str = "auto"
    """auto takes cuda, then mps, then cpu."""
    threads: int = 0
    """CPU threads of torch; 0 leaves them as they are."""
    resume: bool = False
    """Go on from the last checkpoint in `out`."""

    def __post_init__(self) -> None:
        """Raise UsageError if a field is out of range."""
        for name, words in _WORDS.items():
            _check(name, getattr(self, name), getattr(self, name) in words, f"one of {words}")
        for name in ("batch_size", "epochs", "image_size_px"):
            _check(name, getattr(self, name), getattr(self, name) >= 1, "1 or more")
        for name in ("ramp_steps", "warm_epochs", "seed", "threads", "dare_weight", "rho"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        _check("learning_rate", self.learning_rate, self.learning_rate > 0, "more than 0")
        _check("decay", self.decay, 0 < self.decay <= 1, "more than 0, at most 1")
        share = self.erase_probability
        _check("erase_probability", share, 0 <= share <= 1, "0 to 1")


# Fields that do not decide the weights of a given epoch: a resumed run may change them.
FREE_FIELDS = ("data", "out", "preset", "epochs", "device", "threads", "resume")

_WORDS: dict[str, tuple[str, ...]] = {
    "size": tuple(SIZES),
    "semantic_prior": ("features", "maps"),
    "landmark_prior": ("features", "points"),
    "optimizer": ("adam", "sam"),
    "dare_form": ("released", "paper"),
    "device": ("auto", "cpu", "cuda", "mps"),
}

PRESETS: dict[str, dict[str, Any]] = {
    # A thousand faces in a few minutes on two CPU cores; priors from the landmarks.
    "demo": {
        "size": "demo",
        "semantic_prior": "maps",
        "landmark_prior": "points",
        "optimizer": "adam",
        "learning_rate": 1.5e-3,
        "decay": 0.88,
        "batch_size": 32,
        "epochs": 16,
        "warm_epochs": 0,
        "erase_probability": 0.5,
        "ramp_steps": 74,
        "jitter": True,
    },
    # What the authors' code and its log on Occlu-FER say.
    "released": {
        "size": "large",
        "semantic_prior": "features",
        "landmark_prior": "features",
        "image_size_px": 224,
        "optimizer": "sam",
        "learning_rate": 4e-6,
        "decay": 0.98,
        "batch_size": 20,
        "epochs": 400,
        "dare_form": "released",
        "warm_epochs": 5,
        "balanced": True,
        "erase_probability": 0.5,
    },
    # What the paper says; what it does not say is off.
    "paper": {
        "size": "large",
        "semantic_prior": "maps",
        "landmark_prior": "features",
        "image_size_px": 224,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "decay": 1.0,
        "batch_size": 20,
        "epochs": 400,
        "dare_form": "paper",
        "warm_epochs": 0,
        "balanced": False,
        "erase_probability": 0.0,
    },
}


def config_from_preset(
    preset: str,
    data: Path,
    out: Path,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
) -> TrainConfig:
    """Return the config of a preset; other fields are changed by `dataclasses.replace`.

    Raises UsageError if there is no such preset or a value is out of range.
    """
    if preset not in PRESETS:
        raise UsageError(f"preset: found {preset!r}, expected one of {tuple(PRESETS)}")
    config = TrainConfig(data=data, out=out, seed=seed, device=device, resume=resume)
    return replace(config, preset=preset, **PRESETS[preset])


def _check(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise UsageError(f"{name}: found {value!r}, expected {expected}")
