"""A face that is seen alone is what training has made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_dataset

from occlufer.build import BuildSummary
from occlufer.config import BuildConfig
from occlufer.orsanet.batches import Deck
from occlufer.orsanet.data import prepare_cache
from occlufer.orsanet.priors import built_in_maps, landmark_points
from occlufer.orsanet.see import see


def test_a_published_face_is_seen_as_the_cache_has_it(
    built: BuildSummary, built_config: BuildConfig, tmp_path: Path
) -> None:
    assert built.published
    priors = {"semantic": built_in_maps(), "landmark_features": landmark_points()}
    cache = prepare_cache(built_config.out, tmp_path / "cache", 112, priors)
    rows = np.arange(3)
    expected = Deck(cache.splits["validation"], torch.device("cpu")).take(rows, rows < 0)
    samples = load_dataset(str(built_config.out), split="validation")
    for row in rows:
        images, seen = see(samples[int(row)]["image"], np.array(samples[int(row)]["landmarks"]))
        assert torch.allclose(images[0], expected.images[row], atol=1e-6)
        assert expected.priors is not None
        # The cache keeps half the digits.
        assert torch.allclose(seen.semantic[0], expected.priors.semantic[row], atol=2e-3)
        landmark = expected.priors.landmark_features[row]
        assert torch.allclose(seen.landmark_features[0], landmark, atol=1e-3)


def test_landmarks_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"landmarks68_px: found shape \(5, 2\), expected"):
        see(None, np.zeros((5, 2), np.float32))
