"""Every command in README and docs is run, or at least understood; none is left to chance."""

from __future__ import annotations

import csv
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import stand_ins
from blocks import SHELLS, blocks, commands
from PIL import Image

from occlufer.cli import command_line, main
from occlufer.schema import LABELS

ROOT = Path(__file__).resolve().parents[1]
# The tutorial is run to the letter by test_tutorial.py, and only understood here.
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
FOUND = [
    (page.name, command)
    for page in PAGES
    for block in blocks(page)
    if block.language in SHELLS
    for command in commands(block)
]
OCCLUFER = re.compile(r"^(?:\.venv/bin/)?occlufer (.*)")

# Run by nobody here; what they begin with, and why. occlufer must understand its own ones.
UNDERSTOOD = {
    "occlufer annotate ": "needs the labelling server; test_tutorial.py has one",
    "occlufer weights pull ": "fetches from the network; test_weights_pull.py has a server",
    "occlufer fetch": "fetches from the network; test_web_collect.py has a server",
    "occlufer publish --repo-id me/occlu_fer": "uploads; test_tutorial.py has a Hub",
    "occlufer publish --repo-id you/occlu_fer": "uploads; test_tutorial.py has a Hub",
    "occlufer publish --repo-id someone/occlu_fer": "uploads; test_hub.py has a Hub",
    "occlufer evaluate --table ": "trains nine or eighteen models, or measures the largest one",
    "occlufer baseline-train --preset released": "trains for days, with a GPU",
    "occlufer baseline-train --data occlu_fer": "sixteen epochs; test_tutorial.py trains two",
    "occlufer evaluate runs/baseline --table 3": "asks for every face twelve times over",
    "occlufer evaluate network.onnx": "needs a network; test_evaluate_command.py exports one",
    "occlufer build --engine dask": "starts workers, or has a cluster; test_dask_engine.py",
}
# No commands of ours: what is checked of each is in the test of its name below.
OF_OTHERS = {
    "make demo": "builds and trains; `make -n` knows it",
    "make test": "the tests themselves; `make -n` knows it",
    "export LABEL_STUDIO_API_KEY=...": "a secret of the reader's",
    'pip install "occlufer[dask]"': "needs the network; the extra is declared",
    'eval "$(occlufer completion bash)"': "a shell's own; tests/test_completion.py types into one",
    "dask scheduler --port 8786": "a cluster; tests/test_dask_engine.py starts it by this command",
    "dask worker tcp://head:8786 --nworkers 8 --nthreads 1": "a cluster",
    "torchrun --nproc-per-node 2 -m occlufer.cli baseline-train --preset released ...": "GPUs",
    "echo $?": "the status of the command before it, in the tutorial",
}
# What a page writes for something of the reader's.
PLACEHOLDERS = {
    "FOLDER": "~/data/any_folder",
    "5f0c...e1": "5f0c" * 16,
    "../data/": "~/data/",
}


def understood(command: str) -> bool:
    dry = "--dry-run" in command
    return not dry and any(command.startswith(word) for word in UNDERSTOOD)


PAGES_OF = [(page, found.group(1)) for page, text in FOUND if (found := OCCLUFER.match(text))]
OURS = sorted({text for _, text in PAGES_OF})
ELSEWHERE = {text for page, text in PAGES_OF if page != "tutorial.md"}
RUN = [text for text in OURS if text in ELSEWHERE and not understood(f"occlufer {text}")]


def words_of(text: str, home: Path) -> list[str]:
    """Return a command's words as a shell gives them: paths at home and stars expanded."""
    for word, value in PLACEHOLDERS.items():
        text = text.replace(word, value)
    words: list[str] = []
    for word in shlex.split(text):
        whole = re.sub(r"^~", str(home), word)
        words += sorted(map(str, Path().glob(whole))) if "*" in whole else [whole]
    return words


# What is there ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with all that the pages name: sources, a build in `here`, a run, predictions."""
    home = tmp_path_factory.mktemp("home")
    stand_ins.raf_db(home / "data")
    stand_ins.affectnet(home / "data")
    stand_ins.fer2013(home / "data")
    stand_ins.by_class(home / "pictures", 5000)
    stand_ins.by_class(home / "data/my_faces", 6000)
    stand_ins.by_class(home / "data/any_folder", 6000)
    stand_ins.by_class(home / "data/test", 7000)
    stand_ins.by_class(home / "data/affectnet/val", 8000)
    here = home / "here"
    here.mkdir()
    (here / "occlufer.toml").write_text(CONFIG)
    (here / "listed.txt").write_text("test_00001_aligned 1 4\ntest_00002_aligned 2 4\n")
    (here / "photograph.jpg").write_bytes(stand_ins.face("fear", 9001, 224))
    (here / "crops").mkdir()
    Image.open(here / "photograph.jpg").save(here / "crops" / "a.png")
    (here / "my_model.py").write_text("def predict(images):\n    return ['fear'] * len(images)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        assert main(["build"]) == 0
        assert main(["baseline-train", "--epochs", "1"]) == 0
    for name in ("old", "new"):
        shutil.copytree(here / "occlu_fer", here / name / "occlu_fer")
    (here / "fetched").mkdir()
    shutil.copytree(here / "occlu_fer" / "index", here / "fetched" / "index")
    shutil.copy(here / "occlu_fer" / "occlu_fer.lock", here / "fetched")
    predictions(here)
    return home


CONFIG = """
accept_terms = ["raf_db", "affectnet"]
workers = 1

[lists]
raf_db_occlu = "listed.txt"

[[sources]]
kind = "raf_db"
path = "../data/basic"

[[sources]]
kind = "affectnet"
path = "../data/AffectNet"

[[sources]]
kind = "image_folder"
name = "mine"
path = "../pictures"

[[sources]]
kind = "ferplus"
path = "../data/FERPlus"
fer2013 = "../data/fer2013.csv"
"""


def predictions(here: Path) -> None:
    """Write what two models say of every sample."""
    names = [
        row["sha256"]
        for shard in sorted((here / "occlu_fer/data").glob("validation-*.parquet"))
        for row in pq.read_table(shard, columns=["sha256"]).to_pylist()
    ]
    for name, shift in (("mine", 0), ("theirs", 3)):
        with (here / f"{name}.csv").open("w", newline="") as file:
            lines = ((one, LABELS[(i + shift) % 8]) for i, one in enumerate(names))
            csv.writer(file).writerows([("id", "predicted"), *lines])


@pytest.fixture
def home(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and its folder `here` the current one."""
    copy = tmp_path / "home"
    shutil.copytree(prepared, copy)
    monkeypatch.setenv("HOME", str(copy))
    monkeypatch.chdir(copy / "here")
    monkeypatch.syspath_prepend(str(copy / "here"))
    return copy


# Commands -----------------------------------------------------------------------------------------


def test_no_command_is_left_unhandled() -> None:
    others = {(page, text) for page, text in FOUND if not OCCLUFER.match(text)}
    assert {text for _, text in others} == {*OF_OTHERS}
    unused = [w for w in UNDERSTOOD if not any(t.startswith(w.split(" ", 1)[1]) for t in OURS)]
    assert unused == []
    assert len(RUN) > len(OURS) / 2


@pytest.mark.parametrize("text", OURS)
def test_the_command_line_understands(text: str, tmp_path: Path) -> None:
    assert command_line().parse_args(words_of(text, tmp_path)).command == text.split()[0]


def needs(text: str, home: Path) -> None:
    """Bring about what the page has brought about before."""
    if text.startswith("init"):
        (home / "here" / "occlufer.toml").unlink()
    if text.startswith("rebuild"):  # a build of one's own stays where it is
        shutil.rmtree(home / "here" / "occlu_fer")
    if "--subset" in text:
        subset = pq.read_table(next((home / "here/occlu_fer/raf_db_occlu").glob("*.parquet")))
        lines = [f"{one},fear\n" for one in subset.column("sha256").to_pylist()]
        (home / "here" / "mine.csv").write_text("id,predicted\n" + "".join(lines))


@pytest.mark.parametrize("text", RUN)
def test_the_command_does_what_the_page_says(
    text: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs(text, home)
    status = main(words_of(text, home))
    told = capsys.readouterr()
    assert status == 0, told.err
    assert "Traceback" not in told.err


@pytest.mark.parametrize("target", ["demo", "test", "docs"])
def test_make_knows_its_targets(target: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("no make")
    command = ["make", "-n", "-C", str(ROOT), target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_training_on_several_gpus_is_understood() -> None:
    (text,) = (text for text in OF_OTHERS if text.startswith("torchrun"))
    words = text.partition("occlufer.cli ")[2].removesuffix(" ...").split()
    assert command_line().parse_args(words).preset == "released"


def test_the_extras_that_pages_name_are_declared() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for extra in re.findall(r"occlufer\[(\w+)\]", text):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
