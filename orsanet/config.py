"""The settings of a training run, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from occlufer.errors import UsageError

from .losses import DAREForm
from .model import (
    ABLATIONS,
    IMAGE_SIZE_PX,
    VIEW_PX,
    Ablation,
    LandmarkPrior,
    SemanticPrior,
    Size,
)

OptimizerName = Literal["adam", "sam"]
Frozen = Literal["cached", "in_loop"]
Precision = Literal["float32", "tf32", "bfloat16", "float16"]


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
    """features: SegFace's fourth stage; maps: part maps, SegFace's or the built-in parser's."""
    landmark_prior: LandmarkPrior = "points"
    """features: MobileFaceNet's last map; points: responses to the dataset's landmarks."""
    query_projection: bool = False
    """Give the landmark query a linear layer of its own (paper, Eq. 6)."""
    without: tuple[Ablation, ...] = ()
    """What of the model is left out, as in the paper's Table 6."""
    ir50: Path | None = None
    """Weights that the image backbone starts from; none: from scratch."""
    segface: Path | None = None
    """A SegFace checkpoint for LaPa; none: part maps of the built-in parser."""
    mobilefacenet: Path | None = None
    """A MobileFaceNet checkpoint; none: responses to the dataset's landmarks."""
    frozen: Frozen = "cached"
    """cached: priors are computed once; in_loop: in every pass, of the erased pictures, the frozen
    networks in training mode, as the released code does, to compare with."""
    image_size_px: int = IMAGE_SIZE_PX
    """Side of the pictures in the cache; the backbone takes them at 112 px."""
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
    soft_labels: bool = False
    """Take the cross-entropy against the votes' probabilities instead of the label."""
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
    precision: Precision = "float32"
    """float32; tf32: its fast products on CUDA; bfloat16 and float16: mixed precision."""
    compile: bool = False
    """Compile the model by torch.compile; worth its minute on a GPU."""
    checkpoint_minutes: float = 5.0
    """How often the state is written within an epoch."""
    resume: bool = False
    """Go on from the last checkpoint in `out`."""

    def __post_init__(self) -> None:
        """Raise UsageError if a field is out of range."""
        for name, words in _WORDS.items():
            _check(name, getattr(self, name), getattr(self, name) in words, f"one of {words}")
        _check("without", self.without, {*self.without} <= {*ABLATIONS}, f"some of {ABLATIONS}")
        for name in ("batch_size", "epochs", "image_size_px"):
            _check(name, getattr(self, name), getattr(self, name) >= 1, "1 or more")
        for name in ("ramp_steps", "warm_epochs", "seed", "threads", "dare_weight", "rho"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")
        _check("learning_rate", self.learning_rate, self.learning_rate > 0, "more than 0")
        _check("decay", self.decay, 0 < self.decay <= 1, "more than 0, at most 1")
        _check(
            "checkpoint_minutes",
            self.checkpoint_minutes,
            self.checkpoint_minutes > 0,
            "more than 0",
        )
        if self.frozen == "in_loop" and None in (self.segface, self.mobilefacenet):
            raise UsageError("frozen: found 'in_loop', expected segface and mobilefacenet with it")
        if self.frozen == "in_loop" and self.image_size_px != VIEW_PX:
            raise UsageError(
                f"frozen: found 'in_loop' with pictures of {self.image_size_px} px (preset "
                f"{self.preset}), expected {VIEW_PX}, which the frozen networks take"
            )
        if self.ir50 is not None and self.size == "demo":
            raise UsageError("ir50: found it with size 'demo', expected small, base or large")
        if self.mobilefacenet is not None and self.landmark_prior == "points":
            raise UsageError(
                f"mobilefacenet: found it with landmark_prior 'points' (preset {self.preset}), "
                "which takes the dataset's landmarks; expected another preset, or none"
            )
        share = self.erase_probability
        _check("erase_probability", share, 0 <= share <= 1, "0 to 1")


# Fields that do not decide the weights of a given epoch: a resumed run may change them.
FREE_FIELDS = (
    *("data", "out", "preset", "epochs", "device", "threads", "resume", "checkpoint_minutes"),
    *("ir50", "segface", "mobilefacenet"),  # paths; the dataset key tells the priors' weights
)

_WORDS: dict[str, tuple[str, ...]] = {
    "size": get_args(Size),
    "semantic_prior": get_args(SemanticPrior),
    "landmark_prior": get_args(LandmarkPrior),
    "optimizer": get_args(OptimizerName),
    "dare_form": get_args(DAREForm),
    "frozen": get_args(Frozen),
    "precision": get_args(Precision),
    "device": ("auto", "cpu", "cuda", "mps"),
}

PRESETS: dict[str, dict[str, Any]] = {
    # A thousand faces in a few minutes on two CPU cores, with the built-in priors.
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
        "query_projection": True,
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


def config_from_preset(preset: str, data: Path, out: Path, /, **changes: Any) -> TrainConfig:
    """Return the config of a preset, with fields changed.

    Raises UsageError if there is no such preset or a value is out of range.
    """
    if preset not in PRESETS:
        raise UsageError(f"preset: found {preset!r}, expected one of {tuple(PRESETS)}")
    return replace(TrainConfig(data, out), preset=preset, **{**PRESETS[preset], **changes})


def with_priors_at_hand(config: TrainConfig) -> TrainConfig:
    """Return the config with built-in priors in the place of those whose weights are missing."""
    return replace(
        config,
        semantic_prior=config.semantic_prior if config.segface else "maps",
        landmark_prior=config.landmark_prior if config.mobilefacenet else "points",
    )


def _check(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise UsageError(f"{name}: found {value!r}, expected {expected}")
