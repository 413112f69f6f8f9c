"""`occlufer evaluate` on a real build: figures that another reading of the rows gives too."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from occlufer.build import BuildSummary
from occlufer.cli import main
from occlufer.orsanet.author_checkpoint import NEVER_RUN as NEVER_RUN_NAMES
from occlufer.orsanet.checkpoint import load_checkpoint
from occlufer.orsanet.config import config_from_preset
from occlufer.orsanet.evaluation.costs import NEVER_RUN
from occlufer.orsanet.evaluation.faces import read_faces
from occlufer.orsanet.export import export_onnx
from occlufer.orsanet.model import ORSANet, Priors
from occlufer.orsanet.see import see
from occlufer.orsanet.sharing import shared
from occlufer.orsanet.train import baseline_train
from occlufer.schema import LABELS

REAL_DATA = Path(
    os.environ.get("OCCLUFER_REAL_DATA", Path(__file__).parents[2] / "shared" / "data")
)
REFERENCE = REAL_DATA.parent / "orsanet"
Rows = Callable[[Path], dict[str, list[dict[str, Any]]]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def validation(built: BuildSummary, rows_of: Rows) -> list[dict[str, Any]]:
    return rows_of(built.out)["validation"]


def picture(row: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")


def write(path: Path, rows: list[dict[str, Any]], predict: Callable[[int, int], str]) -> Path:
    """A table in the opposite order; `predict` gives the word for the place and the label."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "predicted"])
        for place in reversed(range(len(rows))):
            row = rows[place]
            writer.writerow([row["sha256"], predict(place, row["label"])])
    return path


def second_wrong(place: int, label: int) -> str:
    if place % 7 == 3:
        return "not_found"
    return LABELS[label if place % 2 else (label + 1) % len(LABELS)]


def test_the_figures_are_those_of_the_rows(
    built: BuildSummary,
    validation: list[dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = write(tmp_path / "mine.csv", validation, second_wrong)
    out = tmp_path / "evaluation"
    assert main(["evaluate", str(table), "--data", str(built.out), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    found = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    right = [i % 2 == 1 and i % 7 != 3 for i in range(len(validation))]
    lost = sum(i % 7 == 3 for i in range(len(validation)))
    assert (found["samples"], found["not_found"]) == (len(validation), lost)
    whole = found["slices"]["all"]
    assert whole["accuracy"]["value"] == pytest.approx(sum(right) / len(validation))
    of_found = sum(right) / (len(validation) - lost)
    assert whole["accuracy_of_found"]["value"] == pytest.approx(of_found)
    assert whole["groups"] == len({row["group"] for row in validation})
    assert f"{100 * sum(right) / len(validation):.1f}" in said
    assert f"of the faces that were found: {100 * of_found:.1f}" in said
    slices: dict[str, Callable[[dict[str, Any]], bool]] = {
        "covered by mask": lambda row: "mask" in row["occlusion_types"],
        "uncovered": lambda row: not row["occlusion_types"],
        "20 to 30 % covered": lambda row: 0.2 <= row["occlusion_ratio"] < 0.3,
        "40 % and more covered": lambda row: row["occlusion_ratio"] >= 0.4,
        "mouth covered": lambda row: row["visible"]["mouth"] < 0.7,
        "class fear": lambda row: LABELS[row["label"]] == "fear",
    }
    for name, is_in in slices.items():
        mine = [hit for hit, row in zip(right, validation, strict=True) if is_in(row)]
        if not mine:
            assert name not in found["slices"]
            continue
        assert found["slices"][name]["samples"] == len(mine)
        assert found["slices"][name]["accuracy"]["value"] == pytest.approx(sum(mine) / len(mine))
    assert {"covered by mask", "uncovered", "mouth covered"} <= found["slices"].keys()
    matrix = found["confusion_matrix"]
    assert sum(map(sum, matrix)) == len(validation)
    assert sum(row[-1] for row in matrix) == lost
    with Image.open(out / "confusion.png") as picture:
        assert picture.format == "PNG"
        assert picture.size > (300, 300)


def test_another_model_is_compared_on_the_same_samples(
    built: BuildSummary,
    validation: list[dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    mine = write(tmp_path / "mine.csv", validation, lambda place, label: LABELS[label])
    other = write(tmp_path / "other.csv", validation, second_wrong)
    where = ["--data", str(built.out), "--out", str(tmp_path / "evaluation"), "--json"]
    assert main(["evaluate", str(mine), "--against", str(other), *where]) == 0
    whole = json.loads(capsys.readouterr().out)
    found = whole["comparison"]
    wrong = sum(i % 2 == 0 or i % 7 == 3 for i in range(len(validation)))
    assert (found["model"], found["other"]) == ("mine", "other")
    assert (found["mcnemar"]["only_first"], found["mcnemar"]["only_second"]) == (wrong, 0)
    gain = found["slices"]["all"]["accuracy"]
    assert gain["value"] == pytest.approx(wrong / len(validation))
    # Of so few groups no interval is told.
    assert (gain["low"] is None) == (whole["slices"]["all"]["groups"] < 10)


def test_without_what_is_near_its_training_a_model_has_a_figure_of_its_own(
    built: BuildSummary, validation: list[dict[str, Any]], tmp_path: Path, run_cli: Run
) -> None:
    seen = validation[:3]
    (tmp_path / "training").mkdir()
    for number, row in enumerate(seen):
        mirrored = picture(row).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        mirrored.save(tmp_path / f"training/{number}.png")
    # Right on what it has seen, and on nothing else.
    names = {row["sha256"] for row in seen}
    table = write(
        tmp_path / "mine.csv",
        validation,
        lambda place, label: LABELS[
            (label + (validation[place]["sha256"] not in names)) % len(LABELS)
        ],
    )
    where = ["--data", built.out, "--trained-on", "training", "--json"]
    done = run_cli("evaluate", table, *where, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    slices = json.loads(done.stdout)["slices"]
    near, others = (slices[f"{word}near a training picture"] for word in ("", "not "))
    assert (near["samples"], near["accuracy"]["value"]) == (3, 1.0)
    assert (others["samples"], others["accuracy"]["value"]) == (len(validation) - 3, 0.0)
    done = run_cli("evaluate", table, *where[:3], "nowhere", cwd=tmp_path)
    assert done.returncode == 3
    assert "nowhere: no such folder, expected the training pictures" in done.stderr


def test_the_page_shows_the_worst_mistakes_by_what_covers_the_face(
    built: BuildSummary, validation: list[dict[str, Any]], tmp_path: Path, run_cli: Run
) -> None:
    with (tmp_path / "mine.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", *LABELS])
        for place, row in enumerate(validation):
            shares = np.full(8, 0.01)
            shares[(row["label"] + place % 2) % 8] = 0.5 + place / 1000
            writer.writerow([row["sha256"], *shares / shares.sum()])
    done = run_cli("evaluate", "mine.csv", "--data", built.out, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "evaluation/evaluation.html").read_text(encoding="utf-8")
    for kind in {kind for row in validation for kind in row["occlusion_types"]}:
        wrong = [
            place
            for place, row in enumerate(validation)
            if kind in row["occlusion_types"] and place % 2
        ]
        expected = [
            f"{LABELS[validation[place]['label']]}, told "
            f"{LABELS[(validation[place]['label'] + 1) % 8]}"
            for place in reversed(wrong)
        ]
        (part,) = re.findall(rf"covered by {kind}: .*?</details>", page) or [""]
        told = re.findall(r"<figcaption>(.*?) 0\.\d\d</figcaption>", part)
        assert told == expected[:24]


FUNCTIONS = """
import numpy as np

def words(pictures):
    assert all(picture.mode == "RGB" for picture in pictures)
    return [None if picture.getpixel((0, 0))[0] % 2 else "Happy" for picture in pictures]

def shares(pictures):
    some = np.zeros((len(pictures), 8))
    some[:, 2] = 1
    return some

def wrong(pictures):
    return ["joy"] * len(pictures)

def too_few(pictures):
    return ["fear"]

def fails(pictures):
    return 1 / 0

def leaves(pictures):
    raise SystemExit(7)

def no_shares(pictures):
    return [[0.5] * 8] * len(pictures)
"""


def test_a_function_of_one_s_own_is_asked_for_every_face(
    built: BuildSummary, validation: list[dict[str, Any]], tmp_path: Path, run_cli: Run
) -> None:
    (tmp_path / "mine.py").write_text(FUNCTIONS, encoding="utf-8")
    done = run_cli("evaluate", "mine:words", "--data", built.out, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    corners = [int(np.asarray(picture(row))[0, 0, 0]) % 2 for row in validation]
    assert (found["model"], found["not_found"]) == ("mine:words", sum(corners))
    happy = LABELS.index("happiness")
    right = sum(
        not odd and row["label"] == happy for odd, row in zip(corners, validation, strict=True)
    )
    assert found["slices"]["all"]["accuracy"]["value"] == pytest.approx(right / len(validation))
    assert found["calibration_error"] is None
    done = run_cli("evaluate", "mine:shares", "--data", built.out, "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    fear = sum(row["label"] == LABELS.index("fear") for row in validation)
    assert found["calibration_error"] == pytest.approx(1 - fear / len(validation))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("mine:nothing", "mine:nothing: found no such function"),
        ("nowhere:guess", "nowhere:guess: found no such function (No module named 'nowhere')"),
        ("mine:wrong", "mine:wrong: found 'joy' for the sample "),
        ("mine:no_shares", "expected one of anger, disgust"),
        ("mine:too_few", "found 1 answers, expected "),
        ("mine:fails", "mine:fails: the function failed (division by zero)"),
        ("mine:leaves", "mine:leaves: the function failed (7)"),
        ("leaving:guess", "leaving:guess: found no such function (8)"),
        (":guess", ":guess: found no such function"),
    ],
)
def test_a_function_that_answers_otherwise_is_one_line(
    built: BuildSummary, tmp_path: Path, run_cli: Run, function: str, message: str
) -> None:
    (tmp_path / "mine.py").write_text(FUNCTIONS, encoding="utf-8")
    (tmp_path / "leaving.py").write_text("raise SystemExit(8)", encoding="utf-8")
    done = run_cli("evaluate", function, "--data", built.out, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert not (tmp_path / "evaluation").exists()


def colours(
    path: Path,
    classes: int = 8,
    side: int = 24,
    batch: int | str = "batch",
    channels_last: bool = False,
) -> np.ndarray[Any, Any]:
    """A network that looks at the mean colour alone; returns its weights (3, classes)."""
    shape = [batch, side, side, 3] if channels_last else [batch, 3, side, side]
    weights = np.random.default_rng(0).standard_normal((3, classes)).astype(np.float32)
    turned = [0, 3, 1, 2] if channels_last else [0, 1, 2, 3]
    nodes = [
        onnx.helper.make_node("Transpose", ["pictures"], ["turned"], perm=turned),
        onnx.helper.make_node("GlobalAveragePool", ["turned"], ["means"]),
        onnx.helper.make_node("Flatten", ["means"], ["flat"]),
        onnx.helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "colours",
        [onnx.helper.make_tensor_value_info("pictures", real, shape)],
        [onnx.helper.make_tensor_value_info("logits", real, [batch, classes])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return weights


@pytest.mark.parametrize("batch", ["batch", 1, 5])
def test_a_network_in_onnx_sees_pictures_of_its_size_by_imagenet_s_mean(
    built: BuildSummary,
    validation: list[dict[str, Any]],
    tmp_path: Path,
    run_cli: Run,
    batch: int | str,
) -> None:
    weights = colours(tmp_path / "colours.onnx", batch=batch)
    done = run_cli("evaluate", "colours.onnx", "--data", built.out, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    matrix = [[0] * len(LABELS) for _ in LABELS]
    for row in validation:
        small = picture(row).resize((24, 24), Image.Resampling.BILINEAR)
        mean = (np.asarray(small) / 255).mean(axis=(0, 1))
        logits = ((mean - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)) @ weights
        matrix[row["label"]][int(logits.argmax())] += 1
    assert [row[:-1] for row in json.loads(done.stdout)["confusion_matrix"]] == matrix
    # What was asked can be evaluated again, as a table.
    again = run_cli(
        "evaluate", "evaluation/predictions.csv", "--data", built.out, "--json", cwd=tmp_path
    )
    assert (
        json.loads(again.stdout)["confusion_matrix"] == json.loads(done.stdout)["confusion_matrix"]
    )
    calibration = [json.loads(one.stdout)["calibration_error"] for one in (done, again)]
    assert calibration[0] == pytest.approx(calibration[1], abs=1e-6)


def test_another_network_or_none_is_one_line(
    built: BuildSummary, tmp_path: Path, run_cli: Run
) -> None:
    colours(tmp_path / "seven.onnx", classes=7)
    colours(tmp_path / "last.onnx", channels_last=True)
    (tmp_path / "words.onnx").write_text("no network", encoding="utf-8")
    for name, status, message in (
        ("seven.onnx", 2, ", 7), expected ("),
        ("last.onnx", 2, "expected one, pictures (B, 3, S, S)"),
        ("words.onnx", 2, "words.onnx: found no network in ONNX"),
        ("nowhere.onnx", 3, "nowhere.onnx: no such file"),
    ):
        done = run_cli("evaluate", name, "--data", built.out, cwd=tmp_path)
        assert (done.returncode, len(done.stderr.splitlines())) == (status, 1), done.stderr
        assert message in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["nowhere.csv"], 3, "nowhere.csv: no such file"),
        (["mine.csv", "--data", "nowhere"], 3, "nowhere: found nothing, expected a published"),
        (["mine.csv", "--subset", "nothing"], 3, "found no test-*.parquet"),
        (["."], 3, "found nothing, expected the checkpoint of a run"),
    ],
    ids=["table", "data", "subset", "run"],
)
def test_what_is_not_there_is_one_line_and_nothing_is_written(
    built: BuildSummary,
    validation: list[dict[str, Any]],
    tmp_path: Path,
    run_cli: Run,
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    write(tmp_path / "mine.csv", validation, second_wrong)
    data = [] if "--data" in arguments else ["--data", str(built.out)]
    done = run_cli("evaluate", *arguments, *data, cwd=tmp_path)
    assert done.returncode == status
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_what_is_left_is_of_one_evaluation_and_whole_once_there_are_figures(
    built: BuildSummary,
    validation: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table, out = write(tmp_path / "mine.csv", validation, second_wrong), tmp_path / "evaluation"
    asked = ["evaluate", str(table), "--data", str(built.out), "--out", str(out)]
    out.mkdir()
    for name in ("features.png", "metrics.json"):
        (out / name).write_text("of another model", encoding="utf-8")

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("occlufer.evaluation_page.write_page", interrupted)
    assert main(asked) == 130
    assert "interrupted; run the same command again" in capsys.readouterr().err
    assert not (out / "features.png").exists()
    assert not (out / "metrics.json").exists()
    monkeypatch.undo()
    assert main(asked) == 0
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8"))["model"] == "mine"


def test_a_seed_below_zero_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "mine.csv", "--seed", "-1"])
    assert "--seed: found '-1', expected a whole number from 0 on" in capsys.readouterr().err


def test_table_5_has_the_costs_that_were_measured_beside_the_paper_s(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["evaluate", "--table", "5"]) == 0
    said = capsys.readouterr().out
    rows = {line[:24].strip(): line[24:].split() for line in said.splitlines()[1:4]}
    assert rows == {
        "ORSANet, used": ["47.44", "7.07"],
        "ORSANet, as published": ["60.29", "7.07"],
        "ORSANet, in the paper": ["60.2", "6.9"],
    }
    assert "which no forward runs" in said
    assert main(["evaluate"]) == 2


def test_what_is_published_and_never_run_is_counted_by_the_authors_shapes() -> None:
    reference = REFERENCE / "reference_state_dict.json"
    if not reference.is_file():
        pytest.skip("the names and shapes of the authors' tensors are not at hand")
    shapes = json.loads(reference.read_text(encoding="utf-8"))
    learned = [name for name in NEVER_RUN_NAMES if "running" not in name and "num_" not in name]
    assert sum(int(np.prod(shapes[name])) for name in learned) == NEVER_RUN


@pytest.fixture(scope="module")
def trained(built: BuildSummary, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch."""
    folder = tmp_path_factory.mktemp("evaluate") / "run"
    baseline_train(config_from_preset("demo", built.out, folder, epochs=1))
    return folder


@pytest.mark.slow
def test_a_run_is_opened_once_and_each_sample_goes_through_its_model_once(
    built: BuildSummary,
    trained: Path,
    validation: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened, passed = list[Path](), list[int]()
    features = ORSANet.features

    def load(path: Path) -> dict[str, Any]:
        opened.append(path)
        state: dict[str, Any] = load_checkpoint(path)
        return state

    def counted(self: ORSANet, images: torch.Tensor, priors: Priors | None = None) -> torch.Tensor:
        if torch.is_inference_mode_enabled():  # the pages' attention needs gradients
            passed.append(len(images))
        found: torch.Tensor = features(self, images, priors)
        return found

    for module in ("evaluation.runs", "sharing"):
        monkeypatch.setattr(f"occlufer.orsanet.{module}.load_checkpoint", load)
    monkeypatch.setattr(ORSANet, "features", counted)
    out = tmp_path / "evaluation"
    assert main(["evaluate", str(trained), "--data", str(built.out), "--out", str(out)]) == 0
    assert (out / "features.png").is_file()
    assert opened == [trained / "best.pt"]
    assert sum(passed) == len(validation)


@pytest.mark.slow
def test_a_run_has_the_accuracy_that_its_training_has_written(
    built: BuildSummary, trained: Path, tmp_path: Path, run_cli: Run
) -> None:
    (tmp_path / "run").symlink_to(trained)
    done = run_cli("evaluate", "run", "--data", built.out, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    written = json.loads((tmp_path / "run/metrics.json").read_text(encoding="utf-8"))
    assert found["slices"]["all"]["accuracy"]["value"] == pytest.approx(written["accuracy"])
    assert [row[:-1] for row in found["confusion_matrix"]] == written["confusion_matrix"]
    assert 0 <= found["calibration_error"] <= 1
    page = (tmp_path / "evaluation/evaluation.html").read_text(encoding="utf-8")
    wrong = len(re.findall(r"<figcaption>\w+, told \w+ 0\.\d\d</figcaption>", page))
    assert wrong == page.count(">what speaks for it</figcaption>") > 0
    with Image.open(tmp_path / "evaluation/features.png") as drawn:
        assert drawn.size == (620, 500)
    again = run_cli("evaluate", "run", "--data", built.out, "--subset", "index", cwd=tmp_path)
    assert again.returncode == 3
    exported(tmp_path / "run", built, tmp_path / "run.onnx")
    done = run_cli("evaluate", "run.onnx", "--data", built.out, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    by_network = json.loads(done.stdout)
    assert by_network["confusion_matrix"] == found["confusion_matrix"]


def exported(run: Path, built: BuildSummary, path: Path) -> None:
    """The best model of a run as ONNX, whose inputs the command makes of the published faces."""
    face, landmarks = next(read_faces(built.out))
    _, priors = see(face, np.array(landmarks, np.float32))
    export_onnx(shared(run / "best.pt"), path, priors)
