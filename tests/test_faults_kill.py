"""A build that is killed at random, in any of its stages, goes on and ends as if undisturbed.

How a moment is drawn: by the clock, at a random share of the time that the stage takes; or before
a random one of its operations (see forked.py). That it fell into the stage is read off what the
build has said: every stage before it, and not the stage itself. tests/test_kill.py chooses its
moments; these are many, and nobody has chosen them.
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults import CONFIG, FULL, dice, leftovers, outcome, put_back
from forked import Ended, Forks, Within, forks, stages_of

from occlufer.pipeline import STAGES

ALL = ("gather", *STAGES)
WAYS = ("by-the-clock", "at-an-operation")
# Of each way, in each stage.
KILLS = 25 if FULL else 1
# By the clock a stage may end before its time, the machine being less busy than before.
ATTEMPTS = 20
# Builds that are killed again and again, and how often in each stage.
CHAINS, ROUNDS = (5, 4) if FULL else (1, 1)


@dataclass(frozen=True)
class Stages:
    """A folder for builds, what it is when a stage begins, and what must come out."""

    folder: Path
    kept: Path
    """With a folder for each stage: a build that was killed when the stage began."""
    took: dict[str, tuple[float, int]]
    """{stage: its seconds, its operations}, after such a kill."""
    undisturbed: dict[str, str]

    def begin(self, stage: str) -> None:
        put_back(self.kept / stage, self.folder)

    def moment(self, stage: str, way: str, drawn: random.Random, missed: int) -> Within:
        took_s, operations = self.took[stage]
        if way == "by-the-clock":
            return Within(stage, after_s=drawn.uniform(0, took_s / (1 + missed)))
        return Within(stage, operation=drawn.randint(1, operations))


@pytest.fixture(scope="module")
def forked() -> Iterator[Forks]:
    with forks() as started:
        yield started


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, forked: Forks) -> Stages:
    plain = tmp_path_factory.mktemp("undisturbed")
    (plain / "occlufer.toml").write_text(CONFIG)
    command = [sys.executable, "-m", "occlufer.cli", "build"]
    subprocess.run(command, cwd=plain, check=True, capture_output=True, timeout=300)
    folder, kept = tmp_path_factory.mktemp("killed"), tmp_path_factory.mktemp("kept")
    (folder / "occlufer.toml").write_text(CONFIG)
    took = {}
    for stage in ALL:
        ended = forked.run(folder, "build", within=[Within(stage, operation=0)])
        assert ended.status == -signal.SIGKILL, ended.stderr
        shutil.copytree(folder, kept / stage)
    for stage in ALL:
        put_back(kept / stage, folder)
        assert forked.run(folder, "build").status == 0
        took[stage] = stages_of(folder)[stage]
    return Stages(folder, kept, took, outcome(plain))


def fell_into(ended: Ended, stage: str) -> bool:
    """Return whether a kill has ended the build within the stage; fails if it was elsewhere."""
    if ended.status == 0:
        return False
    assert ended.status in (-signal.SIGKILL, -signal.SIGALRM), ended.stderr
    said = [line.split()[0] for line in ended.stderr.splitlines()]
    assert [name for name in said if name in ALL] == list(ALL[: ALL.index(stage)])
    return True


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stage", ALL)
def test_a_build_killed_at_random_within_a_stage_goes_on_and_ends_as_if_undisturbed(
    stages: Stages, forked: Forks, stage: str, way: str
) -> None:
    drawn = dice(f"{stage} {way}")
    fell = 0
    for tried in range(ATTEMPTS * KILLS):
        stages.begin(stage)
        moment = stages.moment(stage, way, drawn, tried - fell)
        fell += fell_into(forked.run(stages.folder, "build", within=[moment]), stage)
        again = forked.run(stages.folder, "build")
        assert again.status == 0, (moment, again.stderr)
        assert outcome(stages.folder) == stages.undisturbed, moment
        assert leftovers(stages.folder) == [], moment
        if fell == KILLS:
            return
    raise AssertionError(f"{fell} of {ATTEMPTS * KILLS} kills fell into {stage}, wanted {KILLS}")


@pytest.mark.parametrize("chain", range(CHAINS))
def test_a_build_killed_again_and_again_in_every_stage_ends_as_if_undisturbed(
    stages: Stages, forked: Forks, chain: int
) -> None:
    drawn = dice(f"chain {chain}")
    stages.begin("gather")
    kills = 0
    for stage, after in zip(ALL, (*ALL[1:], None), strict=True):
        for _ in range(ROUNDS):
            within = [stages.moment(stage, drawn.choice(WAYS), drawn, 0)]
            # What the moment misses must not run on to its end: there would be no more to kill.
            within += [Within(after, operation=0)] if after else []
            kills += forked.run(stages.folder, "build", within=within).status < 0
    assert kills >= ROUNDS * (len(ALL) - 1)
    assert forked.run(stages.folder, "build").status == 0
    assert outcome(stages.folder) == stages.undisturbed
    assert leftovers(stages.folder) == []
