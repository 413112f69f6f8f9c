"""What a run starts with: its device, its cache with the priors, and its fresh model."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from occlufer.errors import UsageError
from occlufer.schema import LABELS

from .author_checkpoint import read_ir50
from .config import TrainConfig, with_priors_at_hand
from .data import CACHE_NAME, Cache, PriorsByName, load_cache, prepare_cache
from .mobilefacenet import read_mobilefacenet
from .model import LANDMARK_CHANNELS, SEMANTIC_CHANNELS, ORSANet, build_orsanet
from .priors import (
    BUILT_IN_MAPS,
    Prior,
    built_in_maps,
    landmark_points,
    mobilefacenet_features,
    segface_features,
    segface_maps,
)
from .processes import Processes, wait_for_all
from .segface import read_lapa

log = logging.getLogger(__name__)


def device_of(name: str, local_rank: int = 0) -> torch.device:
    """Return the device of that name; "auto" takes the first of cuda, mps and cpu there is."""
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((device for device, is_there in there.items() if is_there), "cpu")
    elif not there.get(name, True):
        raise UsageError(f"device: found no {name} on this machine, expected auto or cpu")
    return torch.device(name, local_rank) if name == "cuda" else torch.device(name)


def settled(config: TrainConfig) -> TrainConfig:
    """Return the config with the priors that it can have here, and say what of it is replaced.

    A cache has the priors that it was made with; a dataset gets those whose weights are there.
    """
    if (config.data / CACHE_NAME).is_file():
        _refuse_unread(config)
        cache = load_cache(config.data)
        found, own_maps = _as_cached(config, cache), cache.priors["semantic"] == BUILT_IN_MAPS
    else:
        found, own_maps = with_priors_at_hand(config), config.segface is None
    # Maps can also be the built-in parser's, so that the kind of prior does not tell.
    replaced = own_maps and config.preset != "demo"
    semantic = config.semantic_prior != found.semantic_prior or replaced
    landmark = config.landmark_prior != found.landmark_prior
    for missing, weights, instead in (
        (semantic, "SegFace", f"{found.semantic_prior} of the built-in parser"),
        (landmark, "MobileFaceNet", found.landmark_prior),
    ):
        if missing:
            log.warning(
                "preset %s: the prior of %s is not at hand, %r is taken instead, so the model is "
                "another one than the authors' (`occlufer weights list` says where to get weights)",
                *(config.preset, weights, instead),
            )
    return found


def _refuse_unread(config: TrainConfig) -> None:
    """Raise UsageError for weights of priors that a cache already has."""
    for name in ("segface", "mobilefacenet"):
        if config.frozen == "cached" and getattr(config, name) is not None:
            raise UsageError(
                f"{name}: found {getattr(config, name)}, expected none, for {config.data} is a "
                "cache, which has its priors"
            )


def _as_cached(config: TrainConfig, cache: Cache) -> TrainConfig:
    """Return the config with the kinds of priors that a cache has, by their channels.

    Raises UsageError for a cache without MobileFaceNet's features where it runs in the loop.
    """
    split = next(iter(cache.splits.values()))
    kinds = {count: kind for kind, count in LANDMARK_CHANNELS.items()}
    landmark = kinds.get(split.landmark_features.shape[2], config.landmark_prior)
    if config.frozen == "in_loop" and landmark != "features":
        raise UsageError(
            f"{config.data}: found {cache.priors['landmark_features']}, expected the cache of a "
            "MobileFaceNet for frozen = 'in_loop'"
        )
    semantic = {count: kind for kind, count in SEMANTIC_CHANNELS.items()}
    return replace(
        config,
        semantic_prior=semantic.get(split.semantic.shape[2], config.semantic_prior),
        landmark_prior=landmark,
    )


def opened_cache(config: TrainConfig, device: torch.device, processes: Processes) -> Cache:
    """Return the cache that config.data is, or one made of the dataset in it.

    Raises MissingError or UsageError if there is none that the run can use.
    """
    config.out.mkdir(parents=True, exist_ok=True)
    if (config.data / CACHE_NAME).is_file():
        cache = load_cache(config.data)
    else:
        folder = config.out / "cache"
        if processes.first:
            prepare_cache(config.data, folder, config.image_size_px, _priors(config, device))
        wait_for_all()
        cache = load_cache(folder)
    _check(config, cache)
    return cache


def fresh_model(config: TrainConfig) -> ORSANet:
    """Return the model that a config names, with its backbone's and frozen networks' weights."""
    model = build_orsanet(
        len(LABELS),
        config.size,
        config.semantic_prior,
        config.landmark_prior,
        query_projection=config.query_projection,
        without=config.without,
        frozen_nets=False,
    )
    if config.ir50 is not None:
        model.ir_back.load_state_dict(read_ir50(config.ir50))
    if config.frozen == "in_loop":
        assert config.segface is not None
        assert config.mobilefacenet is not None
        nets = read_mobilefacenet(config.mobilefacenet), read_lapa(config.segface)
        model.frozen_nets_train = True
        model.take_frozen_nets(*nets, config.semantic_prior)
    return model


def _priors(config: TrainConfig, device: torch.device) -> PriorsByName:
    """Return the priors of a settled config."""
    return {
        "semantic": _semantic(config, config.segface, device),
        "landmark_features": landmark_points()
        if config.mobilefacenet is None
        else mobilefacenet_features(config.mobilefacenet, device),
    }


def _semantic(config: TrainConfig, segface: Path | None, device: torch.device) -> Prior:
    if segface is None:
        return built_in_maps()
    opened = segface_maps if config.semantic_prior == "maps" else segface_features
    return opened(segface, device)


def _check(config: TrainConfig, cache: Cache) -> None:
    """Raise UsageError if the cache does not fit the config."""
    if cache.image_size_px != config.image_size_px:
        raise UsageError(
            f"{config.data}: found pictures of {cache.image_size_px} px, "
            f"expected {config.image_size_px} (image_size_px)"
        )
    wanted = prior_channels(config)
    for name, split in cache.splits.items():
        if len(split.labels) < 2:
            raise UsageError(f"{config.data}: found {len(split.labels)} {name} samples, expected 2")
        for prior, channels in wanted.items():
            found = getattr(split, prior).shape[2]
            if found != channels:
                raise UsageError(
                    f"{config.data}: found {cache.priors[prior]} with {found} channels, "
                    f"expected {channels} ({prior}); make the cache with this run's priors"
                )


def prior_channels(config: TrainConfig) -> dict[str, int]:
    """Return how many channels each prior has that the model takes."""
    return {
        "semantic": SEMANTIC_CHANNELS[config.semantic_prior],
        "landmark_features": LANDMARK_CHANNELS[config.landmark_prior],
    }
