"""The stage runner computes what is missing, and only that."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer import stages
from occlufer.change_log import Mark
from occlufer.record import Facts, Record, Reject, Result, image_key
from occlufer.stages import (
    Changes,
    FollowingStage,
    ImageItem,
    ImageStage,
    SetStage,
    Stage,
    Update,
    batches,
    fingerprint,
    run_stage,
)
from occlufer.workspace import Workspace


class Line:
    """Three stages, a and b image by image and c on all at once; `seen` counts their work."""

    def __init__(self, **params: object) -> None:
        self.seen: Counter[str] = Counter()
        self.stages: list[Stage] = [
            ImageStage("a", (), (), {"p": params.get("a")}, self._a),
            ImageStage("b", ("a",), ("a",), {"p": params.get("b")}, self._b),
            SetStage("c", ("a", "b"), {"p": params.get("c")}, self._c),
        ]

    def _a(self, item: ImageItem) -> Result:
        self.seen["a"] += 1
        return Result(item.image, {"content": item.owner.facts.content})

    def _b(self, item: ImageItem) -> Result:
        self.seen["b"] += 1
        reject = Reject("bad") if item.image.startswith("bad") else None
        return Result(item.image, {"copied": item.values["a"]["content"]}, reject)

    def _c(self, workspace: Workspace) -> Iterable[Result]:
        for image in workspace.catalog.images_passing(("a", "b")):
            self.seen["c"] += 1
            yield Result(image)

    def run(self, workspace: Workspace) -> dict[str, int]:
        self.seen.clear()
        worked_on = {s.name: run_stage(s, workspace) for s in self.stages}
        assert {k: v for k, v in worked_on.items() if v} == dict(self.seen)
        return worked_on


def put(workspace: Workspace, *images: str, source: str = "s", rank: int = 0, **facts: Any) -> None:
    workspace.catalog.put_records(
        Record(f"{source}/{image}", source, "1", Facts(**facts), image, rank=rank)
        for image in images
    )


def test_a_second_run_has_nothing_to_do(workspace: Workspace) -> None:
    put(workspace, "one", "two", "bad")
    assert Line().run(workspace) == {"a": 3, "b": 3, "c": 2}
    assert Line().run(workspace) == {"a": 0, "b": 0, "c": 0}


def test_only_new_images_are_looked_at(workspace: Workspace) -> None:
    put(workspace, "one", "two")
    Line().run(workspace)
    put(workspace, "three")
    assert Line().run(workspace) == {"a": 1, "b": 1, "c": 3}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("a", {"a": 3, "b": 3, "c": 2}),
        ("b", {"a": 0, "b": 3, "c": 2}),
        ("c", {"a": 0, "b": 0, "c": 2}),
    ],
)
def test_parameters_invalidate_a_stage_and_what_stands_on_it_but_nothing_before(
    workspace: Workspace, changed: str, expected: dict[str, int]
) -> None:
    put(workspace, "one", "two", "bad")
    Line().run(workspace)
    assert Line(**{changed: 2}).run(workspace) == expected
    assert sum(Line(**{changed: 2}).run(workspace).values()) == 0


def test_a_rejected_image_is_seen_by_no_later_stage(workspace: Workspace) -> None:
    put(workspace, "bad", "good")
    Line().run(workspace)
    assert [result.image for result in workspace.catalog.results("c")] == ["good"]


def test_the_same_bytes_as_crop_and_as_photograph_are_two_images(
    workspace: Workspace,
) -> None:
    photograph, crop = image_key("same", "photograph"), image_key("same", "crop")
    put(workspace, photograph, source="first", rank=0, content="photograph")
    put(workspace, crop, source="second", rank=1, content="crop")
    Line().run(workspace)
    assert workspace.catalog.value("a", photograph) == {"content": "photograph"}
    assert workspace.catalog.value("a", crop) == {"content": "crop"}
    assert workspace.catalog.value("b", crop) == {"copied": "crop"}


def test_what_came_before_an_error_is_kept(workspace: Workspace) -> None:
    put(workspace, *(f"i{n}" for n in range(9)))
    failing = True

    def work(item: ImageItem) -> Result:
        if failing and item.image == "i5":
            raise OSError("disk full")
        return Result(item.image)

    stage = ImageStage("a", (), (), {}, work)
    with pytest.raises(OSError, match="disk full"):
        run_stage(stage, workspace)
    assert [r.image for r in workspace.catalog.results("a")] == [f"i{n}" for n in range(5)]
    failing = False
    assert run_stage(stage, workspace) == 4


def test_a_set_stage_works_again_when_what_it_made_is_gone(workspace: Workspace) -> None:
    put(workspace, "one")
    there = True
    stage = SetStage("c", (), {}, lambda w: [Result("one")], ready=lambda w: there)
    assert [run_stage(stage, workspace), run_stage(stage, workspace)] == [1, 0]
    there = False
    assert run_stage(stage, workspace) == 1


def test_a_failing_set_stage_leaves_its_former_results(workspace: Workspace) -> None:
    def fail(workspace: Workspace) -> Iterator[Result]:
        yield Result("new")
        raise OSError("disk full")

    run_stage(SetStage("c", (), {"v": 1}, lambda w: [Result("old")]), workspace)
    with pytest.raises(OSError, match="disk full"):
        run_stage(SetStage("c", (), {"v": 2}, fail), workspace)
    assert [result.image for result in workspace.catalog.results("c")] == ["old"]


class Follower:
    """A stage that counts samples; `seen` says what it was asked to do."""

    def __init__(self, **params: object) -> None:
        self.seen: list[tuple[str, set[str]]] = []
        self.states: list[tuple[str, str]] = []
        self.able = True
        self.stage = FollowingStage("c", ("a",), params, self._whole, self._update)

    def _whole(self, workspace: Workspace, state: str) -> Iterable[Result]:
        images = set(workspace.catalog.images_passing(("a",)))
        self.seen.append(("whole", images))
        self.states.append(("", state))
        return [Result(image) for image in sorted(images)]

    def _update(self, workspace: Workspace, changes: Changes) -> Update | None:
        if not self.able:
            return None
        passing = workspace.catalog.passing_among(changes.images, ("a",))
        self.seen.append(("update", changes.images))
        self.states.append((changes.before, changes.after))
        return Update([Result(image) for image in sorted(passing)], changes.images - passing)

    def run(self, workspace: Workspace) -> int:
        work = ImageStage("a", (), (), {}, lambda item: Result(item.image))
        run_stage(work, workspace)
        return run_stage(self.stage, workspace)


def test_a_following_stage_is_told_what_has_changed(workspace: Workspace) -> None:
    follower = Follower()
    put(workspace, "one", "two")
    assert [follower.run(workspace), follower.run(workspace)] == [2, 0]
    put(workspace, "three")
    workspace.catalog.forget_records(["s/one"])
    assert [follower.run(workspace), follower.run(workspace)] == [1, 0]
    assert follower.seen == [("whole", {"one", "two"}), ("update", {"one", "three"})]
    assert [result.image for result in workspace.catalog.results("c")] == ["three", "two"]
    # Each state begins where the last one ended.
    (_, first), (before, after) = follower.states
    assert before == first != after


def test_a_following_stage_begins_anew_where_it_cannot_follow(workspace: Workspace) -> None:
    put(workspace, "one")
    Follower().run(workspace)
    put(workspace, "two")
    other = Follower(setting=2)
    assert other.run(workspace) == 2
    other.able = False
    put(workspace, "three")
    assert other.run(workspace) == 3
    assert [what for what, _ in other.seen] == ["whole", "whole"]


def test_a_following_stage_that_comes_to_stand_on_others_begins_anew(workspace: Workspace) -> None:
    put(workspace, "one")
    follower = Follower()
    follower.run(workspace)
    run_stage(dataclasses.replace(follower.stage, after=("a", "b")), workspace)
    assert [what for what, _ in follower.seen] == ["whole", "whole"]


def test_a_following_stage_without_news_holds_up_no_log(workspace: Workspace) -> None:
    catalog = workspace.catalog
    put(workspace, "one")
    follower = Follower()
    follower.run(workspace)
    known = catalog.mark("c")
    catalog.put_mark("d", Mark(catalog.last_change(), "p", "", ("b",)))
    catalog.put_results("b", [Result("one")])
    assert follower.run(workspace) == 0
    assert known is not None
    assert catalog.mark("c") == dataclasses.replace(known, seq=catalog.last_change())
    assert known.seq < catalog.last_change()


def test_a_following_stage_that_fails_is_told_the_same_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = Follower()
    put(workspace, "one")
    follower.run(workspace)
    put(workspace, "two")

    def fail(*arguments: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(workspace.catalog, "update_results", fail)
        with pytest.raises(OSError, match="disk full"):
            follower.run(workspace)
    follower.run(workspace)
    assert follower.seen[1:] == [("update", {"two"})] * 2
    # What the stage keeps outside the catalog is in the state that failed: it can tell.
    assert follower.states[2][0] == follower.states[1][0] != follower.states[1][1]


@given(st.lists(st.integers(), max_size=40), st.integers(1, 7))
def test_batches_hold_every_item_once_in_order(items: list[int], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "BATCH", size)
        found = list(batches(items))
    assert [item for batch in found for item in batch] == items
    assert all(len(batch) == size for batch in found[:-1])
    assert all(0 < len(batch) <= size for batch in found)


@given(st.integers(0, 30), st.integers(1, 7), st.sampled_from([OSError, KeyboardInterrupt]))
def test_batches_hand_out_what_came_before_an_error(
    count: int, size: int, error: type[BaseException]
) -> None:
    def items() -> Iterator[int]:
        yield from range(count)
        raise error

    found: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "BATCH", size)
        with pytest.raises(error):
            found.extend(item for batch in batches(items()) for item in batch)
    assert found == list(range(count))


def test_a_slow_stage_commits_before_the_batch_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("occlufer.stages.time.monotonic", lambda: now)

    def items() -> Iterator[int]:
        nonlocal now
        for i in range(6):
            now += 0.75
            yield i

    assert [len(batch) for batch in batches(items())] == [3, 3]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_a_fingerprint_does_not_depend_on_the_order_of_keys(params: dict[str, Any]) -> None:
    turned = dict(reversed(params.items()))
    assert fingerprint("x", params) == fingerprint("x", turned)
    assert fingerprint("x", params) != fingerprint("y", params)
    assert fingerprint("x", params) != fingerprint("x", {**params, "more": 1})


def test_reading_no_upstream_value_gives_none(workspace: Workspace) -> None:
    put(workspace, "one")
    seen: list[Callable[[], object] | dict[str, Any]] = []

    def work(item: ImageItem) -> Result:
        seen.append(dict(item.values))
        return Result(item.image)

    run_stage(ImageStage("a", (), (), {}, work), workspace)
    assert seen == [{}]
