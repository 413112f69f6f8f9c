"""The cache holds what the dataset holds, and says where it cannot."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.errors import MissingError, UsageError
from occlufer.orsanet.batches import epoch_rows, erase, jitter, plain_batches, training_batch
from occlufer.orsanet.data import load_cache, prepare_cache
from occlufer.orsanet.priors import part_maps, point_maps

SIZE = 32
CPU = torch.device("cpu")


def png(colour: tuple[int, int, int], mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def rows(count: int, **changes: Any) -> list[dict[str, Any]]:
    face = (MEAN_FACE68 * 20 + np.array([20, 16])).tolist()
    return [
        {
            "image": {"bytes": png((200, 100, 10 * number)), "path": None},
            "label": number % 8,
            "landmarks": face,
            "sha256": f"{number:064x}",
            **changes,
        }
        for number in range(count)
    ]


def write_dataset(folder: Path, train: list[dict[str, Any]], lock: str | None = "{}") -> Path:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for split, content in (("train", train), ("validation", rows(3))):
        path = folder / f"data/{split}-00000-of-00001.parquet"
        pq.write_table(pa.Table.from_pylist(content), path)
    if lock is not None:
        (folder / "occlu_fer.lock").write_text(lock, encoding="utf-8")
    return folder


def test_cache_holds_every_sample_in_order(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "set", rows(10))
    cache = prepare_cache(dataset, tmp_path / "cache", SIZE)
    train = cache.splits["train"]
    assert train.images.shape == (10, SIZE, SIZE, 3)
    assert train.images.dtype == np.uint8
    np.testing.assert_array_equal(train.images[:, 16, 16, 2], 10 * np.arange(10))
    np.testing.assert_array_equal(train.labels, np.arange(10) % 8)
    assert list(train.ids) == [f"{n:064x}" for n in range(10)]
    assert train.landmarks.min() > 0
    assert train.landmarks.max() < 1
    np.testing.assert_allclose(train.part_maps, part_maps(train.landmarks), atol=1e-3)
    np.testing.assert_allclose(train.point_maps, point_maps(train.landmarks), atol=1e-3)
    assert len(cache.splits["validation"].labels) == 3


def test_grey_pictures_become_rgb(tmp_path: Path) -> None:
    grey = rows(1, image={"bytes": png((90, 90, 90), "L"), "path": None})
    cache = prepare_cache(write_dataset(tmp_path / "set", grey), tmp_path / "cache", SIZE)
    np.testing.assert_array_equal(cache.splits["train"].images[0, 16, 16], [90, 90, 90])


@pytest.mark.parametrize("lock", ["{}", None], ids=["by its lock", "by its shards"])
def test_cache_is_kept_until_the_dataset_changes(tmp_path: Path, lock: str | None) -> None:
    dataset, folder = write_dataset(tmp_path / "set", rows(4), lock), tmp_path / "cache"
    key = prepare_cache(dataset, folder, SIZE).key
    (folder / "mark").touch()
    assert prepare_cache(dataset, folder, SIZE).key == key
    assert (folder / "mark").exists()
    write_dataset(dataset, rows(5), None if lock is None else '{"other": 1}')
    assert len(prepare_cache(dataset, folder, SIZE).splits["train"].labels) == 5
    assert not (folder / "mark").exists()


def test_another_size_is_another_cache(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "set", rows(2))
    small = prepare_cache(dataset, tmp_path / "cache", 16)
    assert prepare_cache(dataset, tmp_path / "cache", SIZE).key != small.key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": 8}, "row 0: found label 8, expected 0 to 7"),
        ({"landmarks": [[1.0, 2.0]]}, r"row 0: found landmarks \(1, 2\), expected \(68, 2\)"),
        ({"image": {"bytes": b"no picture", "path": None}}, "row 0: found no readable picture"),
    ],
    ids=["label", "landmarks", "picture"],
)
def test_a_broken_sample_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    dataset = write_dataset(tmp_path / "set", rows(1, **changes))
    with pytest.raises(UsageError, match=message):
        prepare_cache(dataset, tmp_path / "cache", SIZE)
    assert not (tmp_path / "cache").exists()


def test_missing_column_folder_and_shards_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="found nothing, expected a published dataset"):
        prepare_cache(tmp_path / "none", tmp_path / "cache", SIZE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match=r"found no data/train-\*\.parquet"):
        prepare_cache(tmp_path / "empty", tmp_path / "cache", SIZE)
    with pytest.raises(MissingError, match=r"found no cache\.json"):
        load_cache(tmp_path / "empty")
    without = [{k: v for k, v in row.items() if k != "label"} for row in rows(1)]
    with pytest.raises(UsageError, match=r"found no column \['label'\]"):
        prepare_cache(write_dataset(tmp_path / "set", without), tmp_path / "cache", SIZE)


def test_balanced_epochs_draw_every_class_equally() -> None:
    labels = np.array([0] * 900 + [1] * 100)
    drawn = np.concatenate(epoch_rows(labels, 20, True, np.random.default_rng(0)))
    assert len(drawn) == 1000
    assert labels[drawn].mean() == pytest.approx(0.5, abs=0.05)


def test_plain_epochs_take_every_sample_once_but_no_batch_of_one() -> None:
    drawn = epoch_rows(np.zeros(7, np.int64), 3, False, np.random.default_rng(0))
    assert [len(batch) for batch in drawn] == [3, 3]
    assert len(set(np.concatenate(drawn))) == 6


def test_a_batch_is_mirrored_with_its_priors_and_erased_without(tmp_path: Path) -> None:
    cache = prepare_cache(write_dataset(tmp_path / "set", rows(8)), tmp_path / "cache", SIZE)
    split = cache.splits["train"]
    plain = next(plain_batches(split, 8, CPU))
    batch = training_batch(split, np.arange(8), 1.0, np.random.default_rng(0), CPU)
    assert batch.images.dtype == torch.float32
    mirrored = point_maps(split.landmarks)[..., ::-1]
    for number in range(8):
        features = batch.priors.landmark_features[number]
        same = torch.equal(features, plain.priors.landmark_features[number])
        # The nose's tip has itself as its partner, so its channel is only turned round.
        assert same or np.allclose(features[30], mirrored[number, 30], atol=1e-3)
        erased = (batch.images[number] == 0).all(dim=0).float().mean().item()
        assert 0.01 < erased < 0.12


def test_erasing_takes_two_to_ten_percent_of_some_pictures() -> None:
    images = torch.ones(400, 3, 64, 64)
    erase(images, 0.5, np.random.default_rng(0))
    shares = (images == 0).all(dim=1).float().mean(dim=(1, 2))
    assert (shares > 0).float().mean().item() == pytest.approx(0.5, abs=0.08)
    assert 0.01 < shares[shares > 0].min() < shares.max() < 0.12


def test_jitter_moves_a_little_and_is_repeatable() -> None:
    images = torch.zeros(50, 3, 50, 50)
    images[:, :, 25, 25] = 100
    again = images.clone()
    jitter(images, np.random.default_rng(1))
    jitter(again, np.random.default_rng(1))
    assert torch.equal(images, again)
    peaks = images[:, 0].flatten(1).argmax(dim=1)
    places = torch.stack([peaks // 50, peaks % 50])
    assert (places - 25).abs().max() == 2
