"""Tasks say nothing of what a sample is called, and each image has one of them in the end."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.annotation import tasks as tasks_module
from occlufer.annotation.pictures import link_to
from occlufer.annotation.studio import Task
from occlufer.annotation.tasks import batches, data_uri, difference, mixed, reference, task_of


def test_a_task_holds_the_picture_and_its_key_only() -> None:
    assert task_of("ab.photograph", "/p") == {
        "data": {"image": "/p", "occlufer_id": "ab.photograph"}
    }


def test_a_reference_leads_to_where_the_image_store_keeps_the_crop() -> None:
    assert reference("images", "abcdef") == "/data/local-files/?d=images/ab/abcdef"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_a_data_address_holds_the_very_file_under_its_kind(
    textured: Callable[..., Any], encoded: Callable[..., bytes], kind: str
) -> None:
    data = encoded(textured(1), kind)
    head, _, rest = data_uri(data).partition(",")
    assert head == f"data:image/{kind.lower()};base64"
    assert base64.b64decode(rest) == data


names = st.lists(st.text("abcdefgh", min_size=1, max_size=3), unique=True, max_size=30)


@given(names, names)
def test_gold_is_spread_evenly_and_nothing_is_lost(images: list[str], gold: list[str]) -> None:
    mix = mixed(images, gold)
    rest = [image for image in images if image not in gold]
    assert [image for image in mix if image in gold] == gold
    assert [image for image in mix if image not in gold] == rest
    places = [place for place, image in enumerate(mix) if image in gold]
    for place, count in zip(places, range(1, len(gold) + 1), strict=True):
        # Of any beginning of the order, gold has its share, to within one.
        assert abs(count - (place + 1) * len(gold) / len(mix)) <= 1


@given(
    st.lists(st.tuples(st.sampled_from("abcdef") | st.none(), st.integers(0, 3)), max_size=20),
    st.lists(st.sampled_from("abcdefgh"), unique=True),
)
def test_after_the_difference_each_wanted_image_has_a_task_and_no_answer_is_lost(
    known: list[tuple[str | None, int]], wanted: list[str]
) -> None:
    tasks = [Task(number, name, answers) for number, (name, answers) in enumerate(known, start=1)]
    found = difference(tasks, wanted)
    left = [task for task in tasks if task.number not in found.superfluous]
    assert all(not task.answers for task in tasks if task.number in found.superfluous)
    assert all(task in left for task in tasks if task.occlufer_id is None)
    count = Counter(task.occlufer_id for task in left)
    count.update(found.new)
    for image in wanted:
        unanswered = [task for task in left if task.occlufer_id == image and not task.answers]
        assert count[image] >= 1
        assert count[image] == 1 or not unanswered
    assert {t.occlufer_id for t in left} - {None} - set(wanted) == set(found.kept)
    assert [image for image in wanted if image in found.new] == list(found.new)
    assert found.there + len(found.new) == len(wanted)
    # What is done is done: the next push finds nothing to do.
    highest = len(tasks)
    after = left + [Task(highest + i, image, 0) for i, image in enumerate(found.new, start=1)]
    again = difference(after, wanted)
    assert again.new == ()
    assert again.superfluous == ()


def test_of_doubles_the_answered_one_stays_else_the_oldest() -> None:
    tasks = [Task(1, "a", 0), Task(2, "a", 2), Task(3, "b", 0), Task(4, "b", 0), Task(5, "c", 0)]
    found = difference(tasks, ["a", "b", "c"])
    assert found.superfluous == (1, 4)
    assert found.doubled == ("a", "b")
    assert found.there == 3


def test_doubles_that_were_both_answered_stay() -> None:
    found = difference([Task(1, "a", 1), Task(2, "a", 1)], ["a"])
    assert found.superfluous == ()
    assert found.doubled == ("a",)


@given(st.lists(st.integers(0, 60), max_size=30), st.integers(1, 8), st.integers(1, 100))
def test_batches_keep_order_and_bounds(sizes: list[int], count: int, length: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks_module, "BATCH_TASKS", count)
        patch.setattr(tasks_module, "BATCH_BYTES", length)
        images = [str(i) for i in range(len(sizes))]
        made = list(batches(images, lambda image: "x" * sizes[int(image)]))
    assert [task["data"]["occlufer_id"] for batch in made for task in batch] == images
    for batch in made:
        assert 0 < len(batch) <= count
        total = sum(len(task["data"]["image"]) for task in batch)
        assert total <= length or len(batch) == 1


def test_no_task_names_a_class_or_a_source() -> None:
    text = json.dumps(task_of("ab12", reference("images", "ab12")))
    assert set(json.loads(text)["data"]) == {"image", "occlufer_id"}


def test_the_served_folder_leads_to_the_images_and_follows_them_when_they_move(
    tmp_path: Path,
) -> None:
    (served := tmp_path / "served").mkdir()
    for name in ("first", "second", "second"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "x").write_text(name)
        link = link_to(folder, served)
        assert link == served / "images"
        assert (link / "x").read_text() == name
    assert [path.name for path in served.iterdir()] == ["images"]
