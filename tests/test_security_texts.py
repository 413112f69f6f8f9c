"""Hostile names and words in what is read elsewhere: Markdown, YAML, JSON, CSV, XML, a terminal."""

from __future__ import annotations

import csv
import json
import logging
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import FORGED, HTML, NAMES, TEXTS, hostile_build
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from mixed import picture

from occlufer.annotation.template import changes, template_sha256
from occlufer.builders.markdown import escape
from occlufer.builders.publishing.documents import DOCUMENTS
from occlufer.builders.rebuild.account import write_missing
from occlufer.builders.rebuild.recipe import Wanted
from occlufer.config import BuildConfig
from occlufer.evaluation_text import table as table_of_scores
from occlufer.lock import LOCK_NAME, Lock
from occlufer.terminal import PlainLines, plain

yaml: Any = pytest.importorskip("yaml")

RunCli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> BuildConfig:
    return hostile_build(tmp_path_factory)


# Documents ----------------------------------------------------------------------------------------


def test_the_lock_has_every_word_as_it_was_said(config: BuildConfig) -> None:
    lock = Lock.from_text((config.out / LOCK_NAME).read_text(encoding="utf-8"))
    assert {*lock.sources["table"]["attributions"]} == {text.strip() for text in TEXTS}
    assert lock.sources["folder"]["attributions"] == [HTML]


def test_the_header_of_the_card_is_yaml_of_our_keys_alone(config: BuildConfig) -> None:
    text = (config.out / "README.md").read_bytes().decode()
    _, header, body = text.split("---\n", 2)
    keys = {
        *("pretty_name", "license", "license_name", "task_categories", "tags", "size_categories"),
        *("configs", "dataset_info", "extra_gated_prompt", "extra_gated_fields"),
    }
    found = yaml.safe_load(header)
    assert found.keys() <= keys
    assert found["license"] == "other"
    assert "\n---\n" not in body  # nothing in the body opens another header


@pytest.mark.parametrize("name", ["README.md", "DATASHEET.md", "ATTRIBUTION.md"])
def test_markdown_shows_every_word_and_obeys_none(config: BuildConfig, name: str) -> None:
    text = (config.out / name).read_bytes().decode()
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text.split("\n---\n\n")[-1])
    inner = [child for token in tokens for child in token.children or ()]
    assert not {"html_block", "html_inline"} & {token.type for token in (*tokens, *inner)}
    targets = [str(one.attrs["href"]) for one in inner if "href" in one.attrs]
    assert all(one.startswith(("https://", "#")) or ":" not in one for one in targets), targets
    assert not [one for one in inner if one.type == "image"]
    assert "\x1b" not in text
    for word in TEXTS:
        assert escape(word) in text


def test_croissant_and_citation_hold_every_licence_to_the_letter(config: BuildConfig) -> None:
    found = json.loads((config.out / "croissant.json").read_bytes())
    assert {text.strip() for text in TEXTS} <= {*found["license"]}
    cited = yaml.safe_load((config.out / "CITATION.cff").read_bytes())
    assert cited["authors"][0]["name"].startswith("The makers of occlu_fer, ")


def test_every_document_takes_a_lock_of_hostile_words(config: BuildConfig) -> None:
    """A lock may come from others: `rebuild` and `publish` make documents of it."""
    told = json.loads((config.out / LOCK_NAME).read_text(encoding="utf-8"))
    for terms in told["sources"].values():
        terms["attributions"], terms["licences"] = [*TEXTS], [*TEXTS]
    told["made_with"]["occlufer"] = f"1{FORGED}"
    lock = Lock.from_text(json.dumps(told))
    cited = yaml.safe_load(DOCUMENTS["CITATION.cff"](lock))
    assert cited["authors"][0]["name"].endswith(f"with occlufer 1{FORGED}")
    assert json.loads(DOCUMENTS["croissant.json"](lock))["license"] == sorted(TEXTS)


# Tables -------------------------------------------------------------------------------------------


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_tables_are_read_back_to_the_letter_formulas_too(config: BuildConfig) -> None:
    """No cell is changed for the sake of a spreadsheet, see docs/decisions/0017."""
    rejected = {row["record"] for row in rows(config.workspace / "rejected.csv")}
    assert {f"folder/{word}/{NAMES[1]}.txt" for word in NAMES[:3]} <= rejected
    assert {f"folder/{NAMES[0]}/copy{HTML}.png"} <= rejected
    near = rows(config.workspace / "leaks.csv")
    assert near
    names = {f"{i}{name}.png" for i, name in enumerate(NAMES)}
    assert {row["test_picture"] for row in near} <= names
    assert all(row["record"].startswith(("folder/", "table/")) for row in near)


def test_what_a_rebuild_lacks_is_read_back_to_the_letter(tmp_path: Path) -> None:
    wanted = [
        Wanted("default", "train", "s", text, "", None, "", 0, None) for text in (*TEXTS, "a\rb")
    ]
    write_missing(tmp_path, ((row, "unreadable") for row in wanted))
    found = rows(tmp_path / "missing.csv")
    assert [row["source_id"] for row in found] == [row.source_id for row in wanted]
    assert {row["reason"] for row in found} == {"unreadable"}


# The terminal -------------------------------------------------------------------------------------


@given(st.text())
def test_what_is_plain_is_one_line_that_commands_nothing(text: str) -> None:
    line = plain(text)
    assert line.isprintable()
    assert text.isprintable() == (line == text)


@given(st.text())
def test_a_message_of_the_log_is_one_line(text: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "%s: %s", (text, "end"), None)
    assert PlainLines("%(message)s").format(record) == f"{plain(text)}: end"


def check_output(done: subprocess.CompletedProcess[str]) -> None:
    for line in (done.stdout + done.stderr).split("\n"):
        assert line.isprintable(), line
        assert not line.startswith("occlufer: forged"), line


COMMANDS: dict[str, tuple[str, ...]] = {
    "detect": ("sources", "detect", "faces"),
    "dedup": ("dedup", "faces", "--workers", "1"),
    "leaks": ("leaks", "register", "t", "faces", "--workers", "1"),
    "inspect": ("inspect", f"faces/sad/{FORGED}.txt", f"{FORGED}.png"),
    "evaluate": ("evaluate", f"{FORGED}.csv", "--data", "PUBLISHED"),
    "verify": ("verify", FORGED),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_lets_a_file_s_name_command_the_terminal(
    command: str, config: BuildConfig, tmp_path: Path, run_cli: RunCli
) -> None:
    (tmp_path / "PUBLISHED").symlink_to(config.out)
    (tmp_path / "faces/sad").mkdir(parents=True)
    for i, name in enumerate((FORGED, "b")):
        picture(i).save(tmp_path / "faces/sad" / f"{name}.png")
    (tmp_path / "faces/sad" / f"{FORGED}.txt").write_text("no picture")
    (tmp_path / "faces" / FORGED).mkdir()
    (tmp_path / "faces" / FORGED / "1.png").write_bytes(b"")
    done = run_cli(*COMMANDS[command], cwd=tmp_path)
    assert "forged" in done.stdout + done.stderr
    check_output(done)


def test_a_build_s_log_is_of_whole_lines(tmp_path: Path, run_cli: RunCli) -> None:
    folder = tmp_path / "faces/sad"
    folder.mkdir(parents=True)
    for i in range(4):
        picture(i).save(folder / f"{i}{FORGED}.png")
    (tmp_path / "occlufer.toml").write_text(
        'workers = 1\n[[sources]]\nkind = "image_folder"\npath = "faces"\n'
        f"[dedup]\nkeep = [{json.dumps('no record ' + FORGED)}]\n",
        encoding="utf-8",
    )
    done = run_cli("build", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "[dedup] groups, keep: no such record: no record a\\noccluf" in done.stderr
    check_output(done)


def test_scores_are_told_in_whole_lines() -> None:
    scores: dict[str, Any] = dict.fromkeys(("value", "low", "high"), 0.5)
    one = {"samples": 1, "groups": 1, "accuracy": scores}
    found = {
        **{"model": FORGED, "samples": 1, "data": {"config": FORGED, "split": FORGED}},
        **{"not_found": 0, "calibration_error": None, "slices": {"all": one, FORGED: one}},
    }
    assert all(line.isprintable() for line in table_of_scores(found).split("\n"))


# The labelling server's page ----------------------------------------------------------------------


def test_a_bomb_of_entities_is_no_template() -> None:
    levels = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    bomb = f'<!DOCTYPE x [<!ENTITY a0 "ha">{levels}]><View a="&a11;">&a11;</View>'
    outside = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><View>&a;</View>'
    for text in (bomb, outside):
        assert len(template_sha256(text)) == 64
        told = changes(text)
        assert len(told) < len(text) + 1000
        assert "root:" not in told
