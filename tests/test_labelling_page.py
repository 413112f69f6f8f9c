"""The labelling page as raters see it: a real server, a real browser, a keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from annotators import PASSWORD, Annotator, Ledger
from labelling_page import SKIP, LabellingPage, Place

from occlufer.annotation import template
from occlufer.schema import ANSWERS, LABELS, OCCLUSION_TYPES

if TYPE_CHECKING:
    from browser import Browser

    from occlufer.annotation.server.server import Server

pytestmark = pytest.mark.slow

SCREEN = Place(0, 0, 1366, 768)
SIZES = {
    "small": (48, 48),
    "usual": (224, 224),
    "tall": (500, 200),
    "wide": (120, 400),
    "landscape": (224, 300),
}
# What the server's own pages ask for and do not get: a tip, and a further task where none is left.
NOT_OURS = ("/heidi-tips", "/api/dm/actions")


@pytest.fixture
def labelled(
    studio_server: Server,
    textured: Callable[..., Any],
    encoded: Callable[..., bytes],
    browser: Browser,
    request: pytest.FixtureRequest,
) -> LabellingPage:
    """The page of a project with a picture of each size, in their order, opened by a new rater."""
    from occlufer.annotation.studio import Studio

    studio, name = Studio(studio_server.connection), request.node.name[5:45].strip("_")
    project = studio.create_project(name, template.template_text(), 3, template.INSTRUCTION)
    folder = Path(studio_server.files) / "of_this_page"
    folder.mkdir(exist_ok=True)
    studio.serve_folder(project, str(folder))
    tasks = []
    for seed, (size, (height, width)) in enumerate(SIZES.items()):
        (folder / f"{seed}.png").write_bytes(encoded(textured(seed, height, width)))
        image = f"/data/local-files/?d=of_this_page/{seed}.png"
        tasks.append({"data": {"image": image, "occlufer_id": size}})
    studio.import_tasks(project, tasks)
    rater = new_rater(studio_server, name.replace("_", "-"))
    page = LabellingPage(browser, studio_server.connection.url, project)
    page.log_in(rater.email, PASSWORD)
    page.open()
    return page


def test_the_face_and_all_that_can_be_answered_are_in_sight_without_scrolling(
    labelled: LabellingPage,
) -> None:
    for size, (height, width) in SIZES.items():
        places = labelled.places
        assert {*places} == {"picture", "frame", "submit", "skip", "stars", *shown(ANSWERS)} | {
            *shown((*OCCLUSION_TYPES, "none"))
        }
        outside = [name for name, place in places.items() if not place.within(SCREEN)]
        assert not outside, size
        picture = places.pop("picture")
        assert picture.within(places.pop("frame")), f"{size}: its edges are cut off"
        shape = (picture.right - picture.left) / (picture.bottom - picture.top)
        assert shape == pytest.approx(width / height, rel=0.02), f"{size}: it is distorted"
        assert picture.right - picture.left >= 224, f"{size}: too small to judge"
        names = sorted(places)
        covered = [(a, b) for a in names for b in names if a < b and not places[a].apart(places[b])]
        assert not covered, size
        assert not [name for name in names if not picture.apart(places[name])], size
        labelled.submit(SKIP)


def shown(answers: tuple[str, ...]) -> set[str]:
    """Return the answers in the words of the page."""
    return {answer.replace("_", " ") for answer in answers}


def test_every_answer_can_be_given_by_its_key(labelled: LabellingPage) -> None:
    for answer in ANSWERS:  # one is chosen at a time: the next one takes its place
        labelled.press(template.KEYS[answer])
        assert labelled.chosen == [answer.replace("_", " ")]
    for kind in (*OCCLUSION_TYPES, "none"):
        labelled.press(template.OCCLUSION_KEYS[kind])
    assert {*labelled.chosen} == {"not a face"} | shown((*OCCLUSION_TYPES, "none"))
    for stars in range(1, template.CONFIDENCE_STEPS + 1):
        labelled.press(template.CONFIDENCE_KEY)
        assert labelled.stars == stars
    said = {part["from_name"]: part["value"] for part in labelled.submit()["result"]}
    assert said["expression"] == {"choices": ["not_a_face"]}
    assert {*said["occlusion"]["choices"]} == {*OCCLUSION_TYPES, "none"}
    assert said["confidence"] == {"rating": template.CONFIDENCE_STEPS}


def test_the_keys_1_to_8_are_the_classes_in_the_order_of_the_paper() -> None:
    assert [template.KEYS[label] for label in LABELS] == list("12345678")


def test_nothing_covers_the_first_task_but_an_instruction_would(
    labelled: LabellingPage, studio_server: Server
) -> None:
    from occlufer.annotation.studio import Studio

    assert not labelled.covered
    Studio(studio_server.connection).change_project(labelled.project, {"show_instruction": True})
    labelled.open()
    labelled.browser.wait(lambda: labelled.covered, "the instruction lies over the page")
    labelled.uncover()
    labelled.press("3")
    assert labelled.submit()["result"][0]["value"] == {"choices": ["fear"]}


def test_an_answer_without_an_expression_is_not_sent(labelled: LabellingPage) -> None:
    labelled.press("m", template.CONFIDENCE_KEY, "Control+Enter")
    labelled.browser.wait(
        lambda: "Choose an expression" in labelled.text, "the page asks for an expression"
    )
    labelled.press("Escape", "5")  # what was chosen is still there
    said = labelled.submit()
    assert [part["from_name"] for part in said["result"]] == [
        "occlusion",
        "confidence",
        "expression",
    ]


def test_a_rater_is_told_nothing_that_hints_at_an_answer(
    labelled: LabellingPage, studio_server: Server
) -> None:
    """Not even what another one has said, who was there before her."""
    answer_all(studio_server, labelled.project, "contempt")
    labelled.open()
    texts = []
    for _ in SIZES:
        labelled.browser.wait(lambda: "saved" not in labelled.text, "the last one is done with")
        assert labelled.chosen == []
        assert labelled.stars == 0
        # All but the task's number, and how many the rater has seen.
        text = re.sub(r"^\s*\d+( of \d+)?\s*$", "", labelled.text, flags=re.MULTILINE)
        texts.append(text.splitlines())
        labelled.press("7", "m")
        labelled.submit()
    for lines in texts[1:]:
        assert lines == texts[0]
    assert texts[0].count("contempt[8]") == sum("contempt" in line for line in texts[0]) == 1
    shown = [r for r in labelled.browser.replies if "id=next_task" in r.url and r.status == 200]
    tasks = [labelled.browser.body(reply) for reply in shown[-len(SIZES) :]]
    assert [task["data"]["occlufer_id"] for task in tasks] == [*SIZES]
    assert not [task for task in tasks if task["annotations"] or task["predictions"]]


def answer_all(server: Server, project: int, label: str) -> None:
    """Have another rater answer all tasks of a project."""
    from occlufer.annotation.studio import Studio

    studio = Studio(server.connection)
    other = new_rater(server, f"other-{project}")
    for image, (task,) in studio.task_index(project).items():
        other.vote(task, image, label, ("hand",), 3)


def new_rater(server: Server, name: str) -> Annotator:
    """Return one who has just signed up."""
    invite = server.invite.removeprefix(server.connection.url)
    return Annotator(server.connection.url, invite, name, Ledger())


def test_the_page_asks_nobody_but_the_server_and_has_no_faults(labelled: LabellingPage) -> None:
    for _ in SIZES:
        labelled.press("2", "h", "c")
        labelled.submit()
    browser = labelled.browser
    fetched = [url for url in browser.requests if not url.startswith(("data:", "blob:"))]
    assert len(fetched) > 50
    assert {urlsplit(url).netloc for url in fetched} == {urlsplit(labelled.url).netloc}
    assert not [fault for fault in browser.errors if not any(name in fault for name in NOT_OURS)]
    assert not [
        reply.url
        for reply in browser.replies
        if reply.status >= 400 and not any(name in reply.url for name in NOT_OURS)
    ]
