"""The paper's tables as presets: a model on covered faces and on each set, and trainings beside
each other, all on a real build.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from occlufer.build import BuildSummary
from occlufer.builders.covering import DRAWN
from occlufer.orsanet.evaluation.intervals import intervals, over_trainings
from occlufer.orsanet.evaluation.predictions import Predictions
from occlufer.orsanet.evaluation.robustness import AS_THEY_ARE, SQUARES
from occlufer.orsanet.evaluation.samples import Samples
from occlufer.orsanet.evaluation.scores import Counts, accuracy
from occlufer.orsanet.evaluation.squares import with_black_square
from occlufer.orsanet.evaluation.trainings import VARIANTS, WHOLE, rows_of
from occlufer.orsanet.metrics import Ids
from occlufer.schema import OCCLUSION_TYPES

Rows = Callable[[Path], dict[str, list[dict[str, Any]]]]
Run = Callable[..., subprocess.CompletedProcess[str]]
Pixels = NDArray[np.uint8]

# Who looks most like it among the pictures of validation themselves: right where nothing covers.
NEAREST = """
import io
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

def small(picture):
    return np.asarray(picture.convert("L").resize((16, 16)), np.float32).ravel()

rows = pq.read_table({shard!r}, columns=["image", "label"]).to_pylist()
known = np.stack([small(Image.open(io.BytesIO(row["image"]["bytes"]))) for row in rows])
labels = np.eye(8)[[row["label"] for row in rows]]

def guess(pictures):
    seen = np.stack([small(picture) for picture in pictures])
    return labels[((seen[:, None] - known[None]) ** 2).sum(axis=2).argmin(axis=1)]
"""


@pytest.fixture(scope="module")
def validation(built: BuildSummary) -> list[dict[str, Any]]:
    (shard,) = (built.out / "data").glob("validation-*.parquet")
    return list(pq.read_table(shard).to_pylist())


@pytest.fixture
def nearest(built: BuildSummary, tmp_path: Path) -> str:
    """The name of a function that knows the pictures of validation."""
    (shard,) = (built.out / "data").glob("validation-*.parquet")
    (tmp_path / "mine.py").write_text(NEAREST.format(shard=str(shard)), encoding="utf-8")
    return "mine:guess"


def picture(row: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")


# Black squares ------------------------------------------------------------------------------------


@given(
    st.integers(8, 120), st.integers(8, 120), st.sampled_from([0.1, 0.2, 0.3, 0.5]), st.integers(0)
)
def test_one_black_square_covers_the_share_and_nothing_else_changes(
    height: int, width: int, share: float, seed: int
) -> None:
    white = np.full((height, width, 3), 255, np.uint8)
    rng = np.random.default_rng(seed)
    covered = np.array(with_black_square((Image.fromarray(white), None), rng, share))
    assert set(np.unique(covered)) == {0, 255}
    black = (covered == 0).all(axis=2)
    assert (black == (covered == 0).any(axis=2)).all()
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    tall, wide = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    assert black.sum() == tall * wide
    if tall == wide:  # no whole side comes nearer to the side that is wanted
        assert abs(tall - np.sqrt(share * black.size)) <= 0.5
    else:
        assert min(tall, wide) == min(height, width)
        assert abs(black.mean() - share) <= max(height, width) / black.size


def test_a_square_of_224_px_has_the_paper_s_shares_within_a_hundredth() -> None:
    white = Image.new("RGB", (224, 224), "white")
    for share in (0.1, 0.2, 0.3, 0.4, 0.5):
        covered = np.array(with_black_square((white, None), np.random.default_rng(0), share))
        assert (covered == 0).mean() == pytest.approx(share, abs=0.0025)


# Drawn occluders ----------------------------------------------------------------------------------


def test_there_is_a_drawn_occluder_of_every_type() -> None:
    assert [*DRAWN] == [f"drawn {kind}" for kind in OCCLUSION_TYPES]


@pytest.mark.parametrize("name", DRAWN)
def test_what_is_drawn_lies_before_the_face_and_leaves_the_rest_as_it_is(
    validation: list[dict[str, Any]], name: str
) -> None:
    changed = 0.0
    for number, row in enumerate(validation[:6]):
        face = picture(row)
        wide = Image.new("RGB", (700, 500), (90, 120, 60))
        wide.paste(face, (300, 200))
        points = np.array(row["landmarks"]) + np.array((300, 200))
        covered = DRAWN[name]((wide, points.tolist()), np.random.default_rng(number))
        again = DRAWN[name]((wide, points.tolist()), np.random.default_rng(number))
        assert np.array_equal(covered, again)
        differs = (np.array(covered) != np.array(wide)).any(axis=2)
        low, high = np.clip(points.min(axis=0), 0, None), points.max(axis=0)
        (x0, y0), (x1, y1) = low.astype(int).tolist(), high.astype(int).tolist()
        changed += float(differs[y0:y1, x0:x1].mean())
        assert not differs[:, :40].any()
        assert not differs[:40].any()
    assert changed / 6 > 0.05


# Table 3 ------------------------------------------------------------------------------------------


def test_table_3_tells_how_a_model_fails_as_more_is_covered(
    built: BuildSummary,
    validation: list[dict[str, Any]],
    nearest: str,
    tmp_path: Path,
    run_cli: Run,
) -> None:
    done = run_cli("evaluate", nearest, "--table", "3", "--data", built.out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "evaluation/table_3.json").read_text(encoding="utf-8"))
    rows = told["rows"]
    assert [*rows] == [AS_THEY_ARE, *SQUARES, *DRAWN]
    accuracy = {name: one["accuracy"]["value"] for name, one in rows.items()}
    assert accuracy[AS_THEY_ARE] == 1
    squares = [accuracy[name] for name in SQUARES]
    assert squares[0] > squares[2] > squares[4]
    for name in SQUARES:
        assert rows[name]["gain"]["value"] == pytest.approx(accuracy[name] - 1)
        assert f"{name:30}  {100 * accuracy[name]:8.1f}" in done.stdout
    name = "black square over 30 %"
    assert accuracy[name] == pytest.approx(right_under_a_square(validation, 0.3))


def right_under_a_square(rows: list[dict[str, Any]], share: float) -> float:
    """The share of pictures that are still nearest to one of their class, figured out anew."""
    known = [np.asarray(picture(row).convert("L").resize((16, 16)), float) for row in rows]
    right = 0
    for row in rows:
        rng = np.random.default_rng([0, int(row["sha256"][:16], 16)])
        covered = with_black_square((picture(row), None), rng, share)
        seen = np.asarray(covered.convert("L").resize((16, 16)), float)
        distances = [((seen - one) ** 2).sum() for one in known]
        right += rows[int(np.argmin(distances))]["label"] == row["label"]
    return right / len(rows)


# Table 4 ------------------------------------------------------------------------------------------


def test_table_4_has_every_set_that_is_there_and_says_which_is_not(
    built: BuildSummary, nearest: str, tmp_path: Path, run_cli: Run
) -> None:
    asked = ("evaluate", nearest, "--table", "4", "--data")
    done = run_cli(*asked, built.out, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert rows["validation"]["accuracy"]["value"] == 1
    assert rows["raf_db_occlu"] is None
    without_pixels = tmp_path / "without" / "occlu_fer"
    with_subset(built.out, without_pixels, "raf_db_occlu", "index/train-*.parquet")
    done = run_cli(*asked, without_pixels, "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["rows"]["raf_db_occlu"] is None
    folder = with_subset(built.out, tmp_path / "occlu_fer", "raf_db_occlu", "data/train-*.parquet")
    done = run_cli(*asked, folder, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = {line[:30].strip(): line[30:].split() for line in done.stdout.splitlines()}
    count = pq.read_table(folder / "raf_db_occlu", columns=[]).num_rows
    assert lines["raf_db_occlu"][0] == str(count)
    assert float(lines["raf_db_occlu"][2]) < 100 == float(lines["validation"][2])


def with_subset(out: Path, folder: Path, name: str, shards: str) -> Path:
    """Return a copy of a published folder in which the samples of a shard are a subset, too."""
    shutil.copytree(out, folder)
    (folder / name).mkdir()
    (shard,) = out.glob(shards)
    shutil.copy(shard, folder / name / "test-00000-of-00001.parquet")
    lock = json.loads((folder / "occlu_fer.lock").read_text(encoding="utf-8"))
    lock["subsets"] = {name: {"counts": {}}}
    (folder / "occlu_fer.lock").write_text(json.dumps(lock), encoding="utf-8")
    return folder


# Tables 2 and 6 -----------------------------------------------------------------------------------


def test_rows_of_trainings_are_means_over_seeds_beside_the_whole_model() -> None:
    labels = np.arange(40, dtype=np.int64) % 8
    samples = Samples(
        tuple(map(str, range(40))),
        labels,
        np.arange(40, dtype=np.int64) // 2,
        {"all": np.ones(40, bool)},
    )

    def wrong(count: int) -> Predictions:
        said: Ids = np.where(np.arange(40) < count, (labels + 1) % 8, labels)
        return Predictions("", said.astype(np.int64), None)

    found = {WHOLE: [wrong(4), wrong(8), wrong(6)], "less": [wrong(12), wrong(20), wrong(16)]}
    rows = rows_of(samples, found)
    assert rows[WHOLE]["by_seed"] == pytest.approx([0.9, 0.8, 0.85])
    assert rows[WHOLE]["accuracy"]["value"] == pytest.approx(0.85)
    assert rows["less"]["accuracy"]["value"] == pytest.approx(0.6)
    gain = rows["less"]["gain"]
    assert gain["value"] == pytest.approx(-0.25)
    assert gain["low"] < -0.25 < gain["high"] < 0
    assert "gain" not in rows[WHOLE]
    two = rows_of(samples, {name: some[:2] for name, some in found.items()})
    assert np.isnan(two["less"]["gain"]["low"])


def test_what_seeds_change_widens_the_interval_as_groups_do() -> None:
    sizes = np.full(30, 4.0)
    alike = np.tile([3.0, 2.0, 3.0], (3, 10))
    seeds = np.array([[4.0], [2.0], [3.0]]) * np.ones((3, 30))  # groups are alike, seeds are not
    narrow, wide = over_trainings(alike, sizes), over_trainings(seeds, sizes)
    assert narrow.value == pytest.approx(2 / 3)
    assert 0.5 < narrow.low < narrow.value < narrow.high < 0.75
    # The mean of three draws of 1, .5 and .75 is .5, or 1, one time in 27 each.
    assert (wide.low, wide.high) == (0.5, 1)
    groups = alike.sum(axis=0) / 3
    counts = Counts(*(np.eye(8)[:1] * column[:, None] for column in (groups, sizes, sizes, sizes)))
    (alone,) = intervals(counts, {"": accuracy}).values()
    assert (narrow.low, narrow.high) == pytest.approx((alone.low, alone.high), abs=0.01)


def test_which_seeds_are_drawn_says_nothing_of_which_groups_are() -> None:
    # Each training is right on one group of its own: drawn alike, the two would always meet.
    found = over_trainings(np.eye(12), np.ones(12))
    assert found.value == pytest.approx(1 / 12)
    assert found.low < found.value < found.high


@pytest.mark.slow
def test_every_variant_is_trained_once_and_told_beside_the_others(
    built: BuildSummary, tmp_path: Path, run_cli: Run
) -> None:
    asked = ["evaluate", "--data", str(built.out), "--seeds", "1", "--table"]
    written: dict[Path, int] = {}
    for table in ("6", "2"):
        done = run_cli(*asked, table, "--epochs", "1", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        (home,) = (tmp_path / "evaluation/trainings").glob("demo-*")
        variants = VARIANTS[int(table)]
        rows = json.loads(done.stdout)["rows"]
        assert [*rows] == [*variants]
        for name, row in rows.items():
            run = home / f"{name.lower().replace(' ', '-')}-0"
            metrics = json.loads((run / "metrics.json").read_text("utf-8"))
            assert row["accuracy"]["value"] == pytest.approx(metrics["accuracy"])
            assert metrics["config"]["without"] == list(variants[name].get("without", ()))
            assert metrics["config"]["dare_weight"] == variants[name].get("dare_weight", 0.1)
        # What is there already is not trained again: ORSANet itself is in both tables.
        assert {path: path.stat().st_mtime_ns for path in written} == written
        written |= {path: path.stat().st_mtime_ns for path in home.glob("*/best.pt")}
    assert len(written) == len({*VARIANTS[2], *VARIANTS[6]})
    again = run_cli(*asked, "6", "--epochs", "1", cwd=tmp_path)
    assert "Table 6: trained by the preset demo, 1 epochs, 1 seeds" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in written} == written
    (home / "ir-50-0" / "last.pt").unlink()
    longer = run_cli(*asked, "2", "--epochs", "2", cwd=tmp_path)
    assert longer.returncode == 0, longer.stderr
    mixed = run_cli(*asked, "2", "--epochs", "1", cwd=tmp_path)
    assert mixed.returncode == 2
    assert (
        "orsanet-0: found a run of 2 epochs, expected 1 or fewer; take another --out"
        in mixed.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine:guess", "--table", "5"], "found mine:guess and --table 5, expected a MODEL"),
        (["--table", "3"], "found no MODEL and --table 3, expected a MODEL"),
        (["some.csv", "--table", "3"], "some.csv: found no model that can be asked"),
        (["--table", "6", "--seeds", "0"], "--seeds: found 0, expected 1 or more"),
        (["mine:guess", "--table", "3", "--against", "x"], "--against: found it with --table 3"),
        (["mine:guess", "--seeds", "2"], "--seeds: found it with no --table, which takes against"),
    ],
    ids=["a-model-too-many", "no-model", "predictions", "no-seed", "another", "seeds"],
)
def test_what_no_table_can_be_made_of_is_one_line(
    built: BuildSummary, tmp_path: Path, run_cli: Run, arguments: list[str], message: str
) -> None:
    done = run_cli("evaluate", *arguments, "--data", built.out, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert message in done.stderr
    assert not (tmp_path / "evaluation").exists()
