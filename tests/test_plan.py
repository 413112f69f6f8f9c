"""The plan counts what is there against the quotas, cell by cell, before anybody labels."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unlike import unlike

from occlufer.builders.plan import UNKNOWN, apportioned, plan, plan_table
from occlufer.config import BuildConfig, SourceConfig, SplitConfig
from occlufer.errors import MissingError
from occlufer.pipeline import stages_before
from occlufer.record import Facts, Record, Reject, Result, Vote
from occlufer.schema import LABELS
from occlufer.workspace import Workspace, open_workspace

Row = tuple[str, str, str]
QUOTAS = {"train": {"anger": 4, "fear": 4}, "validation": {"anger": 2, "fear": 2}}


def table(rows: list[Row]) -> dict[str, list[str]]:
    """A table of (class, occlusion, source), every sample a group of its own."""
    return {
        "sample": [f"s{i}" for i in range(len(rows))],
        "class": [row[0] for row in rows],
        "group": [f"g{i}" for i in range(len(rows))],
        "occlusion": [row[1] for row in rows],
        "source": [row[2] for row in rows],
    }


def short_cells(found: object) -> dict[tuple[str, str, str], tuple[int, int, int, int]]:
    return {
        (cell.label, cell.occlusion, cell.source): (
            cell.wanted,
            cell.known,
            cell.unknown,
            cell.short,
        )
        for cell in found.cells  # type: ignore[attr-defined]
    }


ENOUGH: list[Row] = [("anger", "mask", "one")] * 6 + [("fear", "hand", "two")] * 6


def test_where_labels_are_enough_no_cell_falls_short() -> None:
    found = plan_table(table(ENOUGH), QUOTAS, "exact")
    assert (found.met, found.within_reach, found.cells, found.shortage) == (True, True, [], "")
    assert [one.known for one in found.classes] == [6, 6]
    assert all(one.short == {"train": 0, "validation": 0} for one in found.classes)


def test_a_class_that_is_short_is_wanted_from_the_cells_it_is_known_of() -> None:
    rows = [row for row in ENOUGH if row[0] == "fear"]
    rows += [("anger", "mask", "one")] * 2 + [("anger", "hand", "one")]
    found = plan_table(table(rows), QUOTAS, "exact")
    assert not found.met
    assert not found.within_reach
    assert "falls short of anger in train by 3;" in found.shortage
    assert short_cells(found) == {
        ("anger", "mask", "one"): (4, 2, 0, 2),
        ("anger", "hand", "one"): (2, 1, 0, 1),
    }


def test_what_nobody_has_labelled_may_still_fill_a_quota() -> None:
    rows = [row for row in ENOUGH if row[0] == "fear"]
    rows += [("anger", "mask", "one")] + [(UNKNOWN, "none", "web")] * 5
    found = plan_table(table(rows), QUOTAS, "exact")
    assert (found.met, found.within_reach) == (False, True)
    assert (found.candidates, found.unknown, found.shortage) == (12, 5, "")
    # Fear has all it needs, but is wanted from the web too: it may turn out to be there.
    assert short_cells(found) == {
        ("anger", "none", "web"): (5, 0, 5, 5),
        ("fear", "none", "web"): (3, 0, 5, 3),
    }
    one_less = plan_table(table(rows[:-1]), QUOTAS, "exact")
    assert not one_less.within_reach


def test_one_unlabelled_sample_fills_one_place_only() -> None:
    rows = ENOUGH[:5] + ENOUGH[6:11]
    assert not plan_table(table([*rows, (UNKNOWN, "none", "web")]), QUOTAS, "exact").within_reach
    both = [*rows, *[(UNKNOWN, "none", "web")] * 2]
    assert plan_table(table(both), QUOTAS, "exact").within_reach


def test_a_group_without_labels_still_cannot_cross() -> None:
    columns = table([(UNKNOWN, "none", "web")] * 12)
    assert plan_table(columns, QUOTAS, "exact").within_reach
    assert not plan_table({**columns, "group": ["same"] * 12}, QUOTAS, "exact").within_reach


def test_with_nothing_of_a_class_at_all_its_place_is_open() -> None:
    found = plan_table(table(ENOUGH[:6]), QUOTAS, "exact")
    assert short_cells(found) == {("fear", "any", "any"): (6, 0, 0, 6)}


@given(
    st.integers(0, 300),
    st.dictionaries(
        st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), st.integers(0, 50), min_size=1
    ).filter(lambda weights: any(weights.values())),
)
def test_apportioned_numbers_sum_up_and_are_shares_rounded_up_or_down(
    total: int, weights: dict[tuple[str, str], int]
) -> None:
    shares = apportioned(total, weights)
    assert sum(shares.values()) == total
    for key, weight in weights.items():
        assert abs(shares[key] - total * weight / sum(weights.values())) < 1


# From the catalog ---------------------------------------------------------------------------------


def config(folder: Path, labels: str = "source", **split: Any) -> BuildConfig:
    return BuildConfig(
        (SourceConfig("image_folder", "s", {}),),
        workspace=folder / "workspace",
        labels=labels,
        split=SplitConfig(**split),
    )


def fill(workspace: Workspace, votes: dict[str, tuple[str, ...]]) -> None:
    """Put samples in the catalog that are measured and deduplicated: {image: its votes}."""
    catalog = workspace.catalog
    catalog.put_records(
        Record(
            f"s/{image}",
            "s",
            "1",
            Facts(tuple(Vote(f"r{i}", v) for i, v in enumerate(said))),
            image,
        )
        for image, said in votes.items()
    )
    for stage in stages_before("labels"):
        catalog.put_results(
            stage,
            [Result(image, values(image).get(stage, {})) for image in votes],
        )


def values(image: str) -> dict[str, dict[str, Any]]:
    """Return what the stages find out about it."""
    return {
        "occlusion": {"types": ["hand", "mask"], "severity": 20},
        "hashes": {**unlike(image)},
        "dedup": {"group": image},
    }


VOTES = {
    **{f"fear{i}": ("fear",) for i in range(3)},
    "tie": ("fear", "anger"),
    "open1": (),
    "open2": (),
}
FEAR: dict[str, Any] = {"quota": "exact", "train": dict.fromkeys(LABELS, 0) | {"fear": 4}}
FEAR["validation"] = dict.fromkeys(LABELS, 0) | {"fear": 1}


def test_before_labelling_sources_are_believed_and_the_rest_is_unknown(
    workspace: Workspace, tmp_path: Path
) -> None:
    fill(workspace, VOTES)
    found = plan(workspace, config(tmp_path, "label_studio", **FEAR))
    known = {one.label: one.known for one in found.classes}
    assert known == dict.fromkeys(LABELS, 0) | {"fear": 3}
    assert (found.unknown, found.met, found.within_reach) == (3, False, True)
    assert short_cells(found) == {("fear", "hand+mask", "s"): (5, 3, 3, 2)}


def test_where_nobody_will_be_asked_unlabelled_samples_fill_nothing(
    workspace: Workspace, tmp_path: Path
) -> None:
    fill(workspace, VOTES)
    found = plan(workspace, config(tmp_path, **FEAR))
    assert (found.candidates, found.unknown, found.within_reach) == (3, 0, False)
    assert "found 3 samples, expected 4 to train and 1 to validate" in found.shortage


def test_after_labelling_the_labels_count_and_not_the_sources(
    workspace: Workspace, tmp_path: Path
) -> None:
    fill(workspace, VOTES)
    decided = {"fear0": "anger", "open1": "fear"}
    results = [Result(image, {"label": label}) for image, label in decided.items()]
    results += [
        Result("fear1", {}, Reject("unlabelled", "a tie")),
        Result("fear2", {}, Reject("x")),
    ]
    workspace.catalog.put_results("labels", results)
    found = plan(workspace, config(tmp_path, "label_studio", **FEAR))
    known = Counter({one.label: one.known for one in found.classes})
    assert (known["anger"], known["fear"], found.unknown, found.candidates) == (1, 1, 3, 5)


def test_a_workspace_that_has_not_come_so_far_is_told(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="found no sample that is measured and deduplicated"):
        plan(workspace, config(tmp_path))


@pytest.mark.parametrize(
    ("quota", "status"), [("exact", 4), ("proportional", 0)], ids=["exact", "proportional"]
)
def test_the_command_prints_the_plan_and_fails_where_quotas_must_be_met(
    tmp_path: Path,
    run_cli: Callable[..., subprocess.CompletedProcess[str]],
    quota: str,
    status: int,
) -> None:
    with open_workspace(tmp_path / ".occlufer") as workspace:
        fill(workspace, VOTES)
    text = (
        f'[split]\nquota = "{quota}"\n[[sources]]\nkind = "image_folder"\nname = "s"\npath = "x"\n'
    )
    (tmp_path / "occlufer.toml").write_text(text, encoding="utf-8")
    done = run_cli("plan", "--json", cwd=tmp_path)
    assert done.returncode == status
    found = json.loads(done.stdout)
    assert (found["quota"], found["met"], found["within_reach"]) == (quota, False, False)
    fear = next(one for one in found["classes"] if one["label"] == "fear")
    assert fear["wanted"] == {"train": 927, "validation": 136}
    assert (fear["known"], sum(fear["short"].values())) == (3, 1060)
    assert sum(cell["short"] for cell in found["cells"]) == 7718 - 3
    if status:
        assert done.stderr.startswith("occlufer: plan: the quota cannot be met, it falls short of ")
    told = run_cli("plan", cwd=tmp_path)
    assert "fear, hand+mask, s: 1060 short (1063 wanted, 3 known, 0 without a label)" in told.stdout
    assert "the quotas cannot be met" in told.stdout
