"""An image stage that follows changes looks at the images that a question to all would name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from occlufer import stages
from occlufer.catalog import Catalog
from occlufer.change_log import Mark
from occlufer.record import Facts, Record, Reject, Result
from occlufer.stages import FollowingStage, ImageItem, ImageStage, Stage, Update, run_stage
from occlufer.workspace import Workspace, open_workspace

Before = tuple[str, ...]
Ask = Callable[[ImageStage, Catalog, Mark | None], list[str]]


def work(item: ImageItem) -> Result:
    """Return a result; of each stage another image is rejected."""
    bad = item.image in item.owner.facts.attribution
    return Result(item.image, {"crop": f"crop-{item.image}"}, Reject("bad") if bad else None)


def line(params: tuple[int, int, int]) -> list[Stage]:
    """Three stages that stand on one another, the last one without reading, and one that follows.

    It leaves a mark, so that changes are logged which the others would not ask for.
    """
    a, b, c = params
    return [
        ImageStage("faces", (), (), {"p": a}, work),
        ImageStage("b", ("faces",), ("faces",), {"p": b}, work),
        ImageStage("c", ("faces", "b"), (), {"p": c}, work),
        FollowingStage(
            "all",
            ("faces", "b", "c"),
            {},
            lambda workspace, state: [],
            lambda workspace, changes: Update([], set()),
        ),
    ]


# What happens -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Killed:
    """A run that ends in the middle: at the n-th call of something that writes, or of the work."""

    place: str
    call: int
    after: bool


RUN = "run"
PLACES = ("put_results", "put_mark", "start_stage", "replace_results", "update_results", "work")
IMAGES = st.sampled_from("uvwxyz")
STEPS = st.lists(
    st.one_of(
        st.builds(
            lambda name, image, bad: Record(
                f"s/{name}",
                "s",
                f"{image} {bad}",
                Facts(attribution=bad),
                image,
                None if image else Reject("blank"),
            ),
            st.sampled_from("0123456"),
            st.none() | IMAGES,
            st.sampled_from(["", "u", "vx"]),
        ),
        st.sampled_from("0123456"),
        st.just(RUN),
        st.just(RUN),
        st.builds(Killed, st.sampled_from(PLACES), st.integers(1, 5), st.booleans()),
        st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)),
        st.tuples(st.just("damaged"), IMAGES, st.sampled_from(["", "crop-"])),
        st.tuples(st.just("lost"), IMAGES, st.sampled_from(["faces", "b", "c"])),
        st.tuples(st.just("source"), st.integers(0, 2)),
        st.tuples(st.just("stop after"), st.integers(1, 3)),
    ),
    min_size=1,
    max_size=25,
)


def take(workspace: Workspace, step: Any, params: tuple[int, int, int]) -> tuple[int, int, int]:
    """Let a step happen, and return the settings from then on."""
    catalog = workspace.catalog
    if isinstance(step, Record):
        catalog.put_records([step])
    elif isinstance(step, Killed):
        killed(workspace, line(params), step)
    elif step == RUN:
        run(workspace, line(params))
    elif isinstance(step, str):
        catalog.forget_records([f"s/{step}"])
    elif step[0] == "damaged":
        catalog.forget_image(f"{step[2]}{step[1]}")
    elif step[0] == "lost":  # by whatever means
        query = "DELETE FROM results WHERE image = ? AND stage = ?"
        catalog._db.execute(query, step[1:])
    elif step[0] == "source":
        catalog.start_source("s", step[1], f"{step[1] // 2}")
    elif step[0] == "stop after":
        run(workspace, line(params)[: step[1]])
    else:
        return (step[0], step[1], step[2])
    return params


def run(workspace: Workspace, wanted: list[Stage]) -> None:
    for stage in wanted:
        run_stage(stage, workspace)


def killed(workspace: Workspace, wanted: list[Stage], how: Killed) -> None:
    """Run the stages until the n-th call; afterwards only what is committed is there."""
    owner: Any = stages if how.place == "work" else Catalog
    name = "_guarded" if how.place == "work" else how.place
    done = getattr(owner, name)
    calls = 0

    def counted(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == how.call and not how.after:
            raise KeyboardInterrupt
        found = done(*arguments)
        if calls == how.call:
            raise KeyboardInterrupt
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, counted)
        try:
            run(workspace, wanted)
        except KeyboardInterrupt:
            return


def checked(ask: Ask, stage: ImageStage, catalog: Catalog, known: Mark | None) -> list[str]:
    """Return what a stage looks at, which is what a question to all would name."""
    found = ask(stage, catalog, known)
    assert found == catalog.images_missing(stage.name, stage.after)
    return found


@settings(max_examples=300)
@given(STEPS, st.integers(1, 2), st.sampled_from([3, 100_000]))
def test_following_names_the_images_that_are_missing_whatever_has_happened(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any], batch: int, few_rows: int
) -> None:
    params = (0, 0, 0)
    with (
        pytest.MonkeyPatch.context() as patch,
        open_workspace(tmp_path_factory.mktemp("images")) as workspace,
    ):
        patch.setattr(stages, "BATCH", batch)
        patch.setattr("occlufer.change_log.FEW_ROWS", few_rows)
        patch.setattr(stages, "_missing", partial(checked, stages._missing))
        for step in [*steps, RUN, RUN]:
            params = take(workspace, step, params)
        for stage in line(params)[:3]:
            assert workspace.catalog.images_missing(stage.name, stage.after) == []


# What is asked ------------------------------------------------------------------------------------


def put(workspace: Workspace, *images: str) -> None:
    workspace.catalog.put_records(Record(f"s/{i}", "s", "1", Facts(), i) for i in images)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[set[str] | None]:
    """Note among which images each stage looks for those it lacks, None for all."""
    noted: list[set[str] | None] = []
    ask: Callable[..., list[str]] = Catalog.images_missing

    def note(self: Catalog, stage: str, after: Before, among: set[str] | None = None) -> list[str]:
        noted.append(among)
        return ask(self, stage, after, among)

    monkeypatch.setattr(Catalog, "images_missing", note)
    return noted


def test_only_images_that_changed_are_asked_for_once_a_mark_was_left(
    workspace: Workspace, asked: list[set[str] | None]
) -> None:
    put(workspace, "u", "v")
    run(workspace, line((0, 0, 0)))
    assert asked == [None] * 3
    put(workspace, "w")
    run(workspace, line((0, 0, 0)))
    assert asked[3:] == [{"w"}] * 3
    run(workspace, line((0, 0, 0)))
    assert asked[6:] == [set()] * 3


@pytest.mark.parametrize("stage", ["faces", "b", "c"])
def test_a_result_that_is_lost_by_whatever_means_is_made_again(
    workspace: Workspace, stage: str
) -> None:
    put(workspace, "u", "v")
    run(workspace, line((0, 0, 0)))
    before = list(workspace.catalog.results(stage))
    take(workspace, ("lost", "u", stage), (0, 0, 0))
    run(workspace, line((0, 0, 0)))
    assert list(workspace.catalog.results(stage)) == before


def test_a_stage_of_other_settings_asks_for_all_images_and_what_reads_it_too(
    workspace: Workspace, asked: list[set[str] | None]
) -> None:
    put(workspace, "u", "v")
    run(workspace, line((0, 0, 0)))
    asked.clear()
    run(workspace, line((0, 1, 0)))
    assert asked == [set(), None, {"u", "v"}]


def test_a_stage_that_comes_to_stand_on_others_asks_for_all_images(
    workspace: Workspace, asked: list[set[str] | None]
) -> None:
    put(workspace, "u", "v")
    run(workspace, line((0, 0, 0)))
    asked.clear()
    run_stage(ImageStage("c", ("faces",), (), {"p": 0}, work), workspace)
    assert asked == [None]


def test_a_run_without_news_writes_nothing(workspace: Workspace) -> None:
    put(workspace, "u", "v")
    for _ in range(2):  # the second run lets go of what the first one has logged
        run(workspace, line((0, 0, 0)))
    before = workspace.catalog._db.total_changes
    run(workspace, line((0, 0, 0)))
    assert workspace.catalog._db.total_changes == before


def test_after_a_run_without_news_the_log_is_empty(workspace: Workspace) -> None:
    put(workspace, "u", "v")
    run(workspace, line((0, 0, 0)))
    put(workspace, "w")
    for _ in range(2):
        run(workspace, line((0, 0, 0)))
    count = workspace.catalog._db.execute("SELECT count(*) FROM changes").fetchone()
    assert count == (0,)
