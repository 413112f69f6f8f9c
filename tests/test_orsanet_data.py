"""The cache holds what the dataset holds, and says where it cannot."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from bad_bytes import chunk, ihdr
from PIL import Image

from occlufer.builders.synthetic import MEAN_FACE68
from occlufer.errors import MissingError, UsageError
from occlufer.orsanet.batches import Deck, changed, drawn_changes, epoch_rows, plain_batches
from occlufer.orsanet.data import load_cache, prepare_cache
from occlufer.orsanet.evaluation.faces import has_pictures, pictures_by_id, read_faces
from occlufer.orsanet.priors import Prior, landmark_points, mirror_landmarks, point_maps

SIZE = 32
CPU = torch.device("cpu")
# A prior that tells one picture from another and from its mirror image.
COLOURS = Prior(
    "colours",
    "colours 1",
    (3, SIZE, SIZE),
    lambda pictures, _: pictures.transpose(0, 3, 1, 2) / 255,
)
PRIORS = {"semantic": COLOURS, "landmark_features": landmark_points()}


def png(colour: tuple[int, int, int], mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def gif() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "GIF")
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 900 million pixels."""
    return b"\x89PNG\r\n\x1a\n" + ihdr(30000, 30000) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


def rows(count: int, **changes: Any) -> list[dict[str, Any]]:
    face = (MEAN_FACE68 * 20 + np.array([20, 16])).tolist()
    return [
        {
            "image": {"bytes": png((200, 100, 10 * number)), "path": None},
            "label": number % 8,
            "soft_label": [0.125] * 8,
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
    cache = prepare_cache(dataset, tmp_path / "cache", SIZE, PRIORS)
    train = cache.splits["train"]
    assert train.images.shape == (10, SIZE, SIZE, 3)
    assert train.images.dtype == np.uint8
    np.testing.assert_array_equal(train.images[:, 16, 16, 2], 10 * np.arange(10))
    np.testing.assert_array_equal(train.labels, np.arange(10) % 8)
    assert list(train.ids) == [f"{n:064x}" for n in range(10)]
    assert train.landmarks.min() > 0
    assert train.landmarks.max() < 1
    np.testing.assert_array_equal(train.soft_labels, 0.125)
    pictures = train.images.transpose(0, 3, 1, 2) / 255
    for way, shown in enumerate((pictures, pictures[..., ::-1])):
        np.testing.assert_allclose(train.semantic[:, way], shown, atol=1e-3)
    for way, points in enumerate((train.landmarks, mirror_landmarks(train.landmarks))):
        np.testing.assert_allclose(train.landmark_features[:, way], point_maps(points), atol=1e-3)
    assert cache.priors == {name: prior.name for name, prior in PRIORS.items()}
    assert len(cache.splits["validation"].labels) == 3


def test_grey_pictures_become_rgb(tmp_path: Path) -> None:
    grey = rows(1, image={"bytes": png((90, 90, 90), "L"), "path": None})
    cache = prepare_cache(write_dataset(tmp_path / "set", grey), tmp_path / "cache", SIZE, PRIORS)
    np.testing.assert_array_equal(cache.splits["train"].images[0, 16, 16], [90, 90, 90])


@pytest.mark.parametrize("lock", ["{}", None], ids=["by its lock", "by its shards"])
def test_cache_is_kept_until_the_dataset_changes(tmp_path: Path, lock: str | None) -> None:
    dataset, folder = write_dataset(tmp_path / "set", rows(4), lock), tmp_path / "cache"
    key = prepare_cache(dataset, folder, SIZE, PRIORS).key
    (folder / "mark").touch()
    assert prepare_cache(dataset, folder, SIZE, PRIORS).key == key
    assert (folder / "mark").exists()
    write_dataset(dataset, rows(5), None if lock is None else '{"other": 1}')
    assert len(prepare_cache(dataset, folder, SIZE, PRIORS).splits["train"].labels) == 5
    assert not (folder / "mark").exists()


def test_another_size_is_another_cache(tmp_path: Path) -> None:
    dataset, points = write_dataset(tmp_path / "set", rows(2)), landmark_points()
    priors = {"semantic": points, "landmark_features": points}
    keys = {prepare_cache(dataset, tmp_path / "cache", size, priors).key for size in (16, SIZE)}
    assert len(keys) == 2


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
        prepare_cache(dataset, tmp_path / "cache", SIZE, PRIORS)
    assert not (tmp_path / "cache").exists()


def made_a_cache(dataset: Path) -> None:
    prepare_cache(dataset, dataset.with_name("cache"), SIZE, PRIORS)


def asked_about(dataset: Path) -> None:
    list(read_faces(dataset, split="train"))


READERS = pytest.mark.parametrize("read", [made_a_cache, asked_about])
Read = Callable[[Path], None]


@READERS
@pytest.mark.parametrize("picture", [b"no picture", gif(), bomb()], ids=["none", "GIF", "bomb"])
def test_a_picture_that_no_build_publishes_is_not_decoded(
    tmp_path: Path, read: Read, picture: bytes
) -> None:
    changed = rows(1, image={"bytes": picture, "path": None})
    with pytest.raises(UsageError, match=r"parquet, row 0: found no readable picture \("):
        read(write_dataset(tmp_path / "set", changed))


@READERS
def test_a_row_without_pixels_says_how_to_get_them(tmp_path: Path, read: Read) -> None:
    with pytest.raises(UsageError, match=r"row 0: found no pixels.*occlufer rebuild"):
        read(write_dataset(tmp_path / "set", rows(1, image=None)))


@READERS
def test_a_shard_of_an_index_says_that_it_has_no_pictures(tmp_path: Path, read: Read) -> None:
    index = [{k: v for k, v in row.items() if k != "image"} for row in rows(1)]
    with pytest.raises(UsageError, match=r"parquet: found no column \['image'\].*occlufer rebuild"):
        read(write_dataset(tmp_path / "set", index))


@pytest.mark.parametrize(
    "read",
    [
        made_a_cache,
        asked_about,
        lambda dataset: has_pictures(dataset, "default", "train"),
        lambda dataset: pictures_by_id(dataset, "default", "train", {f"{0:064x}"}),
    ],
    ids=["cache", "faces", "has pictures", "pictures"],
)
@pytest.mark.parametrize("kept", [0, 100], ids=["empty", "cut"])
def test_a_shard_cut_short_is_named(tmp_path: Path, read: Read, kept: int) -> None:
    dataset = write_dataset(tmp_path / "set", rows(2))
    shard = dataset / "data/train-00000-of-00001.parquet"
    shard.write_bytes(shard.read_bytes()[:kept])
    with pytest.raises(UsageError, match=r"train-00000-of-00001\.parquet: found no shard"):
        read(dataset)


def test_missing_column_folder_and_shards_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="found nothing, expected a published dataset"):
        prepare_cache(tmp_path / "none", tmp_path / "cache", SIZE, PRIORS)
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingError, match=r"data: found no train-\*\.parquet"):
        prepare_cache(tmp_path / "empty", tmp_path / "cache", SIZE, PRIORS)
    with pytest.raises(MissingError, match=r"found no cache\.json"):
        load_cache(tmp_path / "empty")
    without = [{k: v for k, v in row.items() if k != "label"} for row in rows(1)]
    with pytest.raises(UsageError, match=r"found no column \['label'\]"):
        prepare_cache(write_dataset(tmp_path / "set", without), tmp_path / "cache", SIZE, PRIORS)


def test_balanced_epochs_draw_every_class_equally() -> None:
    labels = np.array([0] * 900 + [1] * 100)
    drawn = np.concatenate(epoch_rows(labels, 20, True, np.random.default_rng(0)))
    assert len(drawn) == 1000
    assert labels[drawn].mean() == pytest.approx(0.5, abs=0.05)


def test_plain_epochs_take_every_sample_once_but_no_batch_of_one() -> None:
    drawn = epoch_rows(np.zeros(7, np.int64), 3, False, np.random.default_rng(0))
    assert [len(batch) for batch in drawn] == [3, 3]
    assert len(set(np.concatenate(drawn))) == 6


def test_other_weights_of_a_prior_are_another_cache(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "set", rows(2))
    first = prepare_cache(dataset, tmp_path / "cache", SIZE, PRIORS)
    other = PRIORS | {"semantic": replace(COLOURS, key="colours 2")}
    assert prepare_cache(dataset, tmp_path / "cache", SIZE, other).key != first.key


def test_a_batch_is_mirrored_with_its_priors_and_erased_without(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "set", rows(8))
    deck = Deck(prepare_cache(dataset, tmp_path / "cache", SIZE, PRIORS).splits["train"], CPU)
    plain = next(plain_batches(deck, np.arange(8), 8))
    changes = drawn_changes(8, SIZE, 1.0, False, np.random.default_rng(0))
    assert set(changes.flips.tolist()) == {True, False}
    batch = changed(deck.take(np.arange(8), changes.flips), changes, False)
    assert batch.images.dtype == torch.float32
    assert batch.priors is not None
    assert plain.priors is not None
    for number, flipped in enumerate(changes.flips):
        prior = plain.priors.semantic[number].flip(-1) if flipped else plain.priors.semantic[number]
        torch.testing.assert_close(batch.priors.semantic[number], prior, atol=1e-3, rtol=0)
        image = plain.images[number].flip(-1) if flipped else plain.images[number]
        kept = batch.images[number] == image
        top, left, height, width = changes.erased[number]
        inside = torch.zeros(SIZE, SIZE, dtype=torch.bool)
        inside[top : top + height, left : left + width] = True
        assert bool(kept[:, ~inside].all())
        assert bool((batch.images[number][:, inside] == 0).all())


def test_erasing_takes_two_to_ten_percent_of_some_pictures() -> None:
    erased = drawn_changes(4000, 64, 0.5, False, np.random.default_rng(0)).erased
    assert (erased[:, :2] >= 0).all()
    assert (erased[:, :2] + erased[:, 2:] <= 64).all()
    shares = erased[:, 2] * erased[:, 3] / 64**2
    assert (shares > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert 0.01 < shares[shares > 0].min() < shares.max() < 0.12


def test_jitter_moves_a_little_and_tones_each_picture(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "set", rows(8))
    deck = Deck(prepare_cache(dataset, tmp_path / "cache", SIZE, PRIORS).splits["train"], CPU)
    changes = drawn_changes(8, SIZE, 0.0, True, np.random.default_rng(1))
    assert np.abs(changes.shifts).max() == 1
    assert 0 < changes.tones[:, 4].sum() < 8
    taken = deck.take(np.arange(8), changes.flips)
    found = changed(taken, changes, True).images
    for number in range(8):
        gain, *tint, grey = changes.tones[number]
        image = taken.images[number].roll(tuple(changes.shifts[number]), (1, 2))
        image = image.mean(dim=0, keepdim=True).expand_as(image) if grey else image
        expected = image * float(gain) + torch.tensor(tint).view(3, 1, 1)
        torch.testing.assert_close(found[number], expected, atol=1e-5, rtol=1e-5)


def test_processes_share_what_one_would_do() -> None:
    labels = np.arange(21) % 8
    batches = epoch_rows(labels, 8, False, np.random.default_rng(0), processes=2)
    assert [len(batch) for batch in batches] == [8, 8, 4]
    changes = drawn_changes(8, SIZE, 0.5, True, np.random.default_rng(2))
    shares = [changes.share(slice(rank, None, 2)) for rank in (0, 1)]
    for name, whole in vars(changes).items():
        for rank, share in enumerate(shares):
            np.testing.assert_array_equal(getattr(share, name), whole[rank::2])
