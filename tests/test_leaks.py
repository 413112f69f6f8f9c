"""No training sample is a copy of a test picture, or shows the same with an occluder."""

from __future__ import annotations

import csv
import dataclasses
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from occlufer.build import BuildSummary, build
from occlufer.builders.leaks import check_leaks, forget, register, registered
from occlufer.config import BuildConfig, DedupConfig, LeaksConfig, SourceConfig
from occlufer.errors import GateError, MissingError, UsageError
from occlufer.schema import LABELS
from occlufer.workspace import open_workspace

Pixels = NDArray[np.uint8]
Textured = Callable[..., Pixels]
Encoded = Callable[..., bytes]
Write = Callable[[Path, Mapping[str, bytes]], Path]
Run = Callable[..., subprocess.CompletedProcess[str]]

COUNT = 24


def resized(pixels: Pixels, side: int) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


def half_covered(pixels: Pixels, cover: Pixels) -> Pixels:
    covered = pixels.copy()
    covered[62:] = cover[62:]
    return covered


@pytest.fixture
def config(tmp_path: Path, textured: Textured, encoded: Encoded, write_tree: Write) -> BuildConfig:
    """A build of a few unlike pictures of three classes."""
    files = {f"{LABELS[i % 3]}/p{i}.png": encoded(textured(i)) for i in range(COUNT)}
    write_tree(tmp_path / "faces", files)
    source = SourceConfig("image_folder", "faces", {"path": str(tmp_path / "faces")})
    return BuildConfig(
        sources=(source,), out=tmp_path / "occlu_fer", workspace=tmp_path / "work", workers=2
    )


def trained(config: BuildConfig) -> str:
    """Build once and return a record that trains."""
    build(config)
    with open_workspace(config.workspace) as workspace:
        catalog = workspace.catalog
        train = (r.image for r in catalog.results("split") if r.value["split"] == "train")
        return catalog.owner(next(train)).source_id


def pixels_of(config: BuildConfig, source_id: str) -> Pixels:
    folder = Path(config.sources[0].settings["path"])
    return np.asarray(Image.open(folder / source_id))


EDITS: dict[str, Callable[[Pixels, Pixels], Pixels]] = {
    "itself": lambda p, other: p,
    "mirrored": lambda p, other: p[:, ::-1],
    "mirrored-and-smaller": lambda p, other: resized(p, 90)[:, ::-1],
    "a-cut-out": lambda p, other: p[10:-10, 10:-10],
    "with-an-occluder": half_covered,
}


def write_set(folder: Path, pictures: dict[str, Pixels], encoded: Encoded, write: Write) -> Path:
    return write(folder, {name: encoded(np.ascontiguousarray(p)) for name, p in pictures.items()})


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_build_fails_that_trains_on_a_registered_test_picture(
    config: BuildConfig,
    tmp_path: Path,
    textured: Textured,
    encoded: Encoded,
    write_tree: Write,
    edit: Callable[[Pixels, Pixels], Pixels],
) -> None:
    leaked = trained(config)
    picture = edit(pixels_of(config, leaked), textured(77))
    pictures = {"sub/leaked.png": picture, "other.png": textured(88)}
    folder = write_set(tmp_path / "test", pictures, encoded, write_tree)
    assert register(config.workspace, "rival", folder) == (2, [])
    for _ in range(2):  # the second run finds nothing to do, and fails all the same
        with pytest.raises(GateError) as failure:
            build(config)
        assert failure.value.exit_code == 4
        message = str(failure.value)
        assert "training samples near test pictures: 1: " in message
        assert f"faces/{leaked} and sub/leaked.png of rival (view " in message
    with (config.workspace / "leaks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["record"], row["test_set"], row["test_picture"]) for row in rows} == {
        (f"faces/{leaked}", "rival", "sub/leaked.png")
    }


def test_pictures_of_a_test_set_that_cannot_be_compared_with_are_told(
    config: BuildConfig,
    tmp_path: Path,
    textured: Textured,
    encoded: Encoded,
    write_tree: Write,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tests = {f"anger/t{n}.png": encoded(textured(50 + n)) for n in range(3)}
    write_tree(tmp_path / "held", tests | {"anger/broken.png": b"broken"})
    table = {"path": str(tmp_path / "held"), "test_set": "rival"}
    readable = SourceConfig("image_folder", "held", table)
    build(dataclasses.replace(config, sources=(*config.sources, readable)))
    told = [line for line in caplog.text.splitlines() if "of the test set" in line]
    assert len(told) == 1
    assert "leaks: 1 pictures of the test set rival are not compared with" in told[0]
    caplog.clear()
    blocked = SourceConfig("image_folder", "held", table | {"rights": "blocked"})
    anew = tmp_path / "anew"
    build(dataclasses.replace(config, sources=(*config.sources, blocked), workspace=anew))
    assert "leaks: 4 pictures of the test set rival are not compared with" in caplog.text


def leaking(config: BuildConfig, tmp_path: Path, encoded: Encoded, write: Write) -> str:
    """Build, register the mirrored copy of a training sample, and return the sample's name."""
    leaked = trained(config)
    mirrored = pixels_of(config, leaked)[:, ::-1]
    register(
        config.workspace, "rival", write_set(tmp_path / "test", {"t.png": mirrored}, encoded, write)
    )
    return leaked


def with_action(config: BuildConfig, action: str) -> BuildConfig:
    return dataclasses.replace(config, leaks=LeaksConfig(action=action))


def test_a_dropped_leak_is_left_out_with_its_reason(
    config: BuildConfig, tmp_path: Path, encoded: Encoded, write_tree: Write
) -> None:
    leaked = leaking(config, tmp_path, encoded, write_tree)
    summary = build(with_action(config, "drop"))
    assert summary.rejected == {"leak": 1}
    assert summary.published == COUNT - 1
    with summary.rejected_list.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["record"], row["stage"], row["reason"]) == (f"faces/{leaked}", "leaks", "leak")
    assert "t.png of rival (view mirror: phash64 0 bits, phash256 0 bits)" in row["detail"]


def test_what_is_dropped_is_told_where_quotas_are_exact(
    config: BuildConfig,
    tmp_path: Path,
    encoded: Encoded,
    write_tree: Write,
    caplog: pytest.LogCaptureFixture,
) -> None:
    leaking(config, tmp_path, encoded, write_tree)
    build(with_action(config, "report"))
    with open_workspace(config.workspace) as workspace:
        for exact in (False, True):
            caplog.clear()
            check_leaks(workspace, LeaksConfig(action="drop"), exact)
            assert ("the exact quota lacks these 1 samples" in caplog.text) == exact


def test_a_reported_leak_is_published_and_logged(
    config: BuildConfig,
    tmp_path: Path,
    encoded: Encoded,
    write_tree: Write,
    caplog: pytest.LogCaptureFixture,
) -> None:
    leaking(config, tmp_path, encoded, write_tree)
    with caplog.at_level("WARNING"):
        summary = build(with_action(config, "report"))
    assert summary.published == COUNT
    assert "training samples near test pictures: 1 (report): faces/" in caplog.text


def test_a_forgotten_test_set_lets_the_build_go_on(
    config: BuildConfig, tmp_path: Path, encoded: Encoded, write_tree: Write
) -> None:
    leaking(config, tmp_path, encoded, write_tree)
    with pytest.raises(GateError):
        build(config)
    forget(config.workspace, "rival")
    assert build(config).published == COUNT


def test_unlike_test_pictures_let_the_build_go_on(
    config: BuildConfig, tmp_path: Path, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    pictures = {f"{i}.png": textured(1000 + i) for i in range(20)}
    register(config.workspace, "rival", write_set(tmp_path / "t", pictures, encoded, write_tree))
    assert build(config).published == COUNT


# Test sets among the sources ----------------------------------------------------------------------


def with_test_source(config: BuildConfig, folder: Path, **changed: Any) -> BuildConfig:
    settings = {"path": str(folder), "source_split": "test"}
    rival = SourceConfig("image_folder", "rival", settings)
    return dataclasses.replace(config, sources=(*config.sources, rival), **changed)


def splits(config: BuildConfig) -> dict[str, str]:
    """Return {record: split} of what was published."""
    with open_workspace(config.workspace) as workspace:
        results = workspace.catalog.results("split")
        return {workspace.catalog.owner(r.image).id: r.value["split"] for r in results}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_test_pictures_among_the_sources_and_what_is_like_them_never_train(
    config: BuildConfig,
    tmp_path: Path,
    textured: Textured,
    encoded: Encoded,
    write_tree: Write,
    edit: Callable[[Pixels, Pixels], Pixels],
) -> None:
    leaked = trained(config)
    pictures = {
        "anger/t.png": edit(pixels_of(config, leaked), textured(77)),
        "fear/other.png": textured(88),
    }
    folder = write_set(tmp_path / "test", pictures, encoded, write_tree)
    config = with_test_source(config, folder)
    summary = build(config)
    found = splits(config)
    assert found[f"faces/{leaked}"] == "validation"
    assert found["rival/fear/other.png"] == "validation"
    assert found.get("rival/anger/t.png", "validation") == "validation"
    assert summary.published == len(found)
    assert "train" in found.values()


def test_what_is_near_a_test_picture_validates_though_no_group_holds_both(
    config: BuildConfig, tmp_path: Path, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    leaked = trained(config)
    covered = half_covered(pixels_of(config, leaked), textured(77))
    folder = write_set(tmp_path / "test", {"anger/t.png": covered}, encoded, write_tree)
    config = with_test_source(config, folder, dedup=DedupConfig(group_size=1))
    build(config)
    found = splits(config)
    assert found[f"faces/{leaked}"] == "validation"
    assert "train" in found.values()
    with open_workspace(config.workspace) as workspace:
        groups = {r.image: r.value["group"] for r in workspace.catalog.results("dedup")}
    assert len(set(groups.values())) == COUNT + 1


def test_training_is_not_like_our_own_validation_though_groups_are_capped(
    config: BuildConfig, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    folder = Path(config.sources[0].settings["path"])
    siblings = {
        f"{LABELS[i % 3]}/s{i}.png": encoded(half_covered(textured(i), textured(500 + i)))
        for i in range(COUNT)
    }
    write_tree(folder, siblings)
    assert build(config).published == 2 * COUNT
    build(dataclasses.replace(config, dedup=DedupConfig(group_size=1)))
    found = splits(config)
    assert len(set(found.values())) == 2
    for i in range(COUNT):
        pair = (f"faces/{LABELS[i % 3]}/{kind}{i}.png" for kind in "ps")
        assert len({found[name] for name in pair}) == 1


# Registering --------------------------------------------------------------------------------------


def test_a_folder_is_a_test_set_if_its_config_says_so(
    config: BuildConfig, tmp_path: Path, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    leaked = trained(config)
    mirrored = encoded(np.ascontiguousarray(pixels_of(config, leaked)[:, ::-1]))
    folder = write_tree(tmp_path / "val", {"anger/t.png": mirrored})
    settings = {"path": str(folder), "test_set": "AffectNet validation"}
    rival = SourceConfig("image_folder", "rival", settings)
    config = dataclasses.replace(config, sources=(*config.sources, rival))
    build(config)
    assert splits(config)[f"faces/{leaked}"] == "validation"


def test_a_table_of_another_version_stops_the_build_before_any_work(
    config: BuildConfig, textured: Textured
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = config.workspace / "leaks" / "rival.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"name": ["a"]}), path)
    with pytest.raises(UsageError, match=r"rival\.parquet: found hashes of version none"):
        build(config)
    assert not (config.workspace / "images").exists()


def test_bad_files_of_a_test_set_are_named_and_the_others_kept(
    tmp_path: Path, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    files = {"a.png": encoded(textured(1)), "b.jpg": b"", "c.txt": b"words"}
    count, bad = register(tmp_path / "work", "t", write_tree(tmp_path / "test", files))
    assert count == 1
    assert bad[0].startswith("b.jpg: empty_file: found 0 bytes")
    assert bad[1].startswith("c.txt: not_an_image: begins with 'words'")


def test_a_table_registered_elsewhere_is_the_same_test_set(
    tmp_path: Path, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    folder = write_tree(tmp_path / "test", {"a.png": encoded(textured(1))})
    register(tmp_path / "one", "t", folder)
    (table,) = registered(tmp_path / "one").values()
    assert register(tmp_path / "two", "u", table) == (1, [])
    assert registered(tmp_path / "two")["u"].read_bytes() == table.read_bytes()
    pixels = encoded(textured(1))[-200:-50]
    assert pixels not in table.read_bytes()


def test_of_fer2013_the_two_tests_are_registered(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    lines = ["emotion,pixels,Usage"]
    for usage in ("Training", "PublicTest", "PrivateTest", "Training"):
        grey = " ".join(map(str, draw.integers(0, 256, 48 * 48)))
        lines.append(f"3,{grey},{usage}")
    (tmp_path / "fer2013.csv").write_text("\n".join(lines))
    assert register(tmp_path / "work", "fer2013", tmp_path / "fer2013.csv") == (2, [])


def test_the_real_public_test_is_found_in_training(
    real_data: Path, tmp_path: Path, config: BuildConfig
) -> None:
    public = sorted((real_data / "fer2013/validation").glob("*/*.jpg"))[:60]
    folder = tmp_path / "faces" / "fear"
    for path in public[:40]:
        image = Image.open(path)
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"m_{path.stem}.png")
    register(config.workspace, "public", real_data / "fer2013/validation")
    summary = build(with_action(config, "drop"))
    assert summary.rejected.get("leak", 0) + summary.splits["validation"]["fear"] >= 40
    with (config.workspace / "leaks.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    near = {row["record"].rpartition("m_")[2].removesuffix(".png") for row in rows}
    assert near <= {path.stem for path in public[:40]}
    assert len(near) == summary.rejected["leak"]


@pytest.mark.parametrize(
    ("name", "path", "error", "message"),
    [
        ("t", "training.csv", UsageError, "found no test picture in it"),
        ("t", "set", UsageError, "found the folders test, train, expected a test set"),
        ("a b", ".", UsageError, "test set 'a b': expected letters, digits, _ and -"),
        ("t", "nowhere", MissingError, "no such folder"),
        ("t", "table.parquet", UsageError, "found no Parquet table of hashes"),
        ("t", "words", UsageError, "found no picture in 1 files; first: w.txt: not_an_image"),
    ],
)
def test_what_cannot_be_registered_is_said_in_one_line(
    tmp_path: Path, name: str, path: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "words").mkdir()
    for split in ("train", "test"):
        (tmp_path / "set" / split).mkdir(parents=True)
    grey = " ".join(["9"] * 48 * 48)
    (tmp_path / "training.csv").write_text(f"emotion,pixels,Usage\n3,{grey},Training\n")
    (tmp_path / "words/w.txt").write_text("words")
    (tmp_path / "table.parquet").write_text("no table")
    with pytest.raises(error) as raised:
        register(tmp_path / "work", name, tmp_path / path)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_only_a_registered_test_set_can_be_forgotten(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"test set 't': not registered in .*, found none"):
        forget(tmp_path, "t")


def test_the_commands_register_list_fail_report_and_forget(
    config: BuildConfig,
    tmp_path: Path,
    encoded: Encoded,
    write_tree: Write,
    run_cli: Run,
) -> None:
    leaked = trained(config)
    mirrored = pixels_of(config, leaked)[:, ::-1]
    write_set(tmp_path / "test", {"t.png": mirrored}, encoded, write_tree)
    (tmp_path / "occlufer.toml").write_text(
        'workspace = "work"\n[[sources]]\nkind = "image_folder"\nname = "faces"\npath = "faces"\n'
    )
    # The workspace is the config's, as for build.
    done = run_cli("leaks", "register", "rival", "test", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"rival: pictures registered in {config.workspace}: 1\n"
    listed = run_cli("leaks", "list", "--workspace", "work", cwd=tmp_path)
    assert listed.stdout.startswith("rival: work")
    failed = run_cli("build", cwd=tmp_path)
    assert failed.returncode == 4
    assert f"faces/{leaked} and t.png of rival" in failed.stderr.splitlines()[-1]
    assert run_cli("build", "--leaks", "report", cwd=tmp_path).returncode == 0
    forgotten = run_cli("leaks", "forget", "rival", "--workspace", "work", cwd=tmp_path)
    assert forgotten.stdout == "rival: forgotten in work\n"
    none = run_cli("leaks", "list", cwd=tmp_path)
    assert (none.returncode, none.stdout) == (0, "")
    assert none.stderr == "none is registered; sources know their own test sets\n"
    assert run_cli("build", cwd=tmp_path).returncode == 0


def test_the_report_shows_the_leaks(
    config: BuildConfig, tmp_path: Path, encoded: Encoded, write_tree: Write, run_cli: Run
) -> None:
    leaked = leaking(config, tmp_path, encoded, write_tree)
    with pytest.raises(GateError):
        build(config)
    done = run_cli("report", "--workspace", "work", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "1 pairs of a training sample and a test picture are near" in page
    assert f"<td>faces/{leaked}</td><td>t.png</td><td>rival</td>" in page


def test_the_lock_names_what_was_held_against_training(
    config: BuildConfig, tmp_path: Path, textured: Textured, encoded: Encoded, write_tree: Write
) -> None:
    folder = write_tree(tmp_path / "test", {"a.png": encoded(textured(1234))})
    register(config.workspace, "rival", folder)
    summary: BuildSummary = build(config)
    text = (summary.out / "occlu_fer.lock").read_text(encoding="utf-8")
    assert '"rival"' in text
    assert str(tmp_path) not in text
