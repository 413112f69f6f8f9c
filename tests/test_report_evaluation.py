"""The report has the figures of an evaluation, or a clear line why not."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from occlufer.build import BuildSummary
from occlufer.config import BuildConfig
from occlufer.errors import MissingError, UsageError
from occlufer.report.evaluation import evaluation
from occlufer.schema import LABELS

Rows = Callable[[Path], dict[str, list[dict[str, Any]]]]
Run = Callable[..., subprocess.CompletedProcess[str]]


def test_every_slice_stands_in_the_report_with_its_interval(
    built: BuildSummary, built_config: BuildConfig, rows_of: Rows, tmp_path: Path, run_cli: Run
) -> None:
    with (tmp_path / "mine.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "predicted"])
        for place, row in enumerate(rows_of(built.out)["validation"]):
            writer.writerow([row["sha256"], LABELS[row["label"] if place % 3 else 0]])
    assert run_cli("evaluate", "mine.csv", "--data", built.out, cwd=tmp_path).returncode == 0
    asked = ("report", "--workspace", built_config.workspace, "--evaluation", "evaluation")
    done = run_cli(*asked, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    (section,) = re.findall(r'<section id="evaluation">.*?</section>', text, re.DOTALL)
    found = json.loads((tmp_path / "evaluation/metrics.json").read_text(encoding="utf-8"))
    for name, one in found["slices"].items():
        accuracy = f"{100 * one['accuracy']['value']:.1f}"
        assert re.search(rf">{re.escape(name)}</td>.*?>{accuracy}<", section), name
    assert section.count("<img") == 1


def test_a_folder_without_figures_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"metrics\.json: no such file, expected what `occlufer"):
        evaluation(tmp_path)
    for content in ("no JSON", "[]", '{"slices": {}}', '{"accuracy": 0.5}'):
        (tmp_path / "metrics.json").write_text(content, encoding="utf-8")
        with pytest.raises(UsageError, match=r"metrics\.json: found no figures of an evaluation"):
            evaluation(tmp_path)
