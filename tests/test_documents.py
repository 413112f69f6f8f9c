"""Datasheet, citation and card: every figure is the lock's, nothing is left open."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from mixed import PICTURES, mixed_build

from occlufer.builders.publishing.documents import DOCUMENTS
from occlufer.lock import Lock
from occlufer.schema import LABELS

yaml: Any = pytest.importorskip("yaml")


@pytest.fixture(scope="module")
def lock(tmp_path_factory: pytest.TempPathFactory) -> Lock:
    path = mixed_build(tmp_path_factory).out / "occlu_fer.lock"
    return Lock.from_text(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_is_left_open_in_a_document(lock: Lock, name: str) -> None:
    text = DOCUMENTS[name](lock)
    assert text.endswith("\n")
    assert not re.search(r"\$\w|\{\w*\}|None samples|nan\b", text.replace("{}", ""))


def test_the_datasheet_answers_the_questions_of_all_seven_parts(lock: Lock) -> None:
    text = DOCUMENTS["DATASHEET.md"](lock)
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        *("Motivation", "Composition", "Collection", "Preprocessing, cleaning, labelling"),
        *("Uses", "Distribution", "Maintenance"),
    ]
    assert f"{PICTURES} samples are publishable, {PICTURES} index_only." in text
    for number, label in enumerate(LABELS):
        counts = " | ".join(str(split[label]) for split in lock.counts.values())
        (line,) = re.findall(rf"^\| {number} \| {label} \|.*$", text, re.MULTILINE)
        assert line.endswith(f"| {counts} |")


def test_the_citation_is_valid_yaml_with_the_version_and_the_paper(lock: Lock) -> None:
    found = yaml.safe_load(DOCUMENTS["CITATION.cff"](lock))
    assert (found["cff-version"], found["type"]) == ("1.2.0", "dataset")
    assert found["version"] == lock.version
    assert found["message"]
    assert found["authors"][0]["name"]
    (paper,) = found["references"]
    assert paper["url"] == "https://arxiv.org/abs/2507.15401"
    assert {"type", "title", "authors"} <= set(paper)


def test_a_version_is_twelve_hex_digits_even_if_they_look_like_a_number(lock: Lock) -> None:
    import dataclasses

    for number in range(300):
        other = dataclasses.replace(lock, files={"index/a.parquet": str(number)})
        found = yaml.safe_load(DOCUMENTS["CITATION.cff"](other))["version"]
        assert re.fullmatch("[0-9a-f]{12}", found)


def test_the_card_names_the_version_that_pins_it(lock: Lock) -> None:
    assert f'version="{lock.version}"' in DOCUMENTS["README.md"](lock)


def test_the_model_card_is_a_template_that_can_be_filled() -> None:
    from string import Template

    root = Path(__file__).resolve().parents[1]
    template = Template((root / "cards/model_card.md").read_text(encoding="utf-8"))
    names = set(re.findall(r"\$(\w+)", template.template))
    assert {"data_version", "figures", "out_of_scope", "limits"} <= names
    assert "$" not in template.substitute(dict.fromkeys(names, "x"))
