"""A whole round trip of labelling, by the command line: build, push, people, pull, build.

It is made once; its tests look at what it has left. The server is killed on the way.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from annotators import (
    EXPRESSIONS,
    PASSWORD,
    Annotator,
    Bent,
    Entry,
    Ledger,
    at_once,
    biased,
    spammer,
    steady,
)
from browser import Browser, chromium
from labelling_page import LabellingPage
from trip import Trip, count, rows

SAMPLES, OVERLAP = 350, 3
CONFIG = """
labels = "label_studio"
workspace = "workspace"
workers = 2

[[sources]]
kind = "synthetic"
count = {samples}

[annotation]
overlap = {overlap}
gold = "gold.csv"
"""
MAJORITY = '\naggregation = "majority"\n'
TYPES = ("mask", "hand", "eyewear", "hair", "object", "extraneous_face")
# How the five answer: two good ones, two who take some expressions for others, one who guesses.
BENTS: dict[str, Bent] = {
    "ada": steady(0.9),
    "ben": steady(0.8),
    "cleo": biased(0.85, {"fear": "surprise", "contempt": "neutral"}),
    "dan": biased(0.85, {"anger": "disgust"}),
    "eve": spammer(),
}
# What the rater at the page presses on three tasks, and what is to come of it.
AT_THE_PAGE: list[tuple[list[str], str, tuple[str, ...], int | None]] = [
    (["1", "m", "c"], "anger", ("mask",), 1),
    (["4", "7", "h", "x", "c", "c"], "surprise", ("hand", "extraneous_face"), 2),
    (["9", "n"], "uncertain", ("none",), None),
]


# The way -----------------------------------------------------------------------------------------


def travel(folder: Path) -> Trip:
    """Return a whole round trip."""
    trip = Trip(folder)
    text = CONFIG.format(samples=SAMPLES, overlap=OVERLAP)
    (folder / "occlufer.toml").write_text(text)
    (folder / "majority.toml").write_text(text + MAJORITY)
    (folder / "gold.csv").write_text("record,label\n")
    trip.run("build before", "build", code=4)
    know_what_is_right(trip)
    trip.start("start")
    push(trip)
    for name in (*BENTS, "page"):
        sign_up(trip, name)
    label_in_the_page(trip)
    vote(trip)
    pull(trip)
    trip.run("build", "build")
    trip.run("build by majority", "build", "--config", "majority.toml", "--out", "by_majority")
    trip.snapshots["status"] = trip.run("status", "annotate", "status")
    adjudicate(trip)
    trip.snapshots["stopped"] = trip.run("stop", "annotate", "stop")
    return trip


def know_what_is_right(trip: Trip) -> None:
    """Decide what people who know would say; a few pictures nobody takes for a face."""
    query = (
        "SELECT min(id), image, facts FROM records JOIN results USING (image)"
        " WHERE stage = 'dedup' AND results.reason IS NULL GROUP BY image ORDER BY 1"
    )
    found = list(rows(trip.catalog, query))
    for place, (_, image, facts) in enumerate(found):
        label = EXPRESSIONS.index(json.loads(facts)["truth"].get("label", "neutral"))
        # The source errs too: the people see something else in every eighth face.
        trip.right[image] = EXPRESSIONS[label if place % 8 else (label + 3) % 8]
    for _, image, _ in found[7:200:90]:
        trip.right[image] = "not_a_face"
    trip.gold = {image: trip.right[image] for _, image, _ in found[3::19]}
    gold = [f"{record},{trip.gold[image]}" for record, image, _ in found[3::19]]
    (trip.folder / "gold.csv").write_text("\n".join(["record,label", *gold]) + "\n")


def push(trip: Trip) -> None:
    """Push, the server killed twice meanwhile: with a project but no task, and with some tasks."""
    data = trip.server_data
    trip.kill_during("push killed", lambda: count(data, "project") > 0, "annotate", "push")
    trip.snapshots["after the first kill"] = trip.projects()
    trip.kill_during("push killed again", lambda: count(data, "task") > 0, "annotate", "push")
    trip.snapshots["after the second kill"] = trip.projects()
    trip.snapshots["pushed"] = trip.run("push", "annotate", "push")
    trip.snapshots["pushed again"] = trip.run("push again", "annotate", "push")
    trip.snapshots["projects"] = trip.projects()
    ((project, _),) = trip.projects()
    trip.snapshots["tasks"] = found = trip.server_tasks(project)
    trip.tasks = {task["data"]["occlufer_id"]: task["id"] for task in found}


def sign_up(trip: Trip, name: str) -> None:
    """Have a new rater sign up by the invite link."""
    trip.people[name] = Annotator(trip.url, trip.invite, name, trip.ledger)


def label_in_the_page(trip: Trip) -> None:
    """Have one rater answer three tasks in a browser, by pressing keys."""
    trip.snapshots["page"] = said = []
    if chromium() is None:
        return
    ((project, _),) = trip.projects()
    browser = Browser(trip.folder / "browser")
    try:
        page, email = LabellingPage(browser, trip.url, project), trip.people["page"].email
        page.log_in(email, PASSWORD)
        page.open()
        images = {task: image for image, task in trip.tasks.items()}
        for keys, label, types, sure in AT_THE_PAGE:
            page.press(*keys)
            browser.screenshot(trip.folder / "page.png")  # for those who look
            said.append(page.submit())
            number, task = said[-1]["id"], said[-1]["task"]
            trip.ledger.put(Entry(number, task, images[task], email, label, types, sure))
    finally:
        browser.close()


def vote(trip: Trip) -> None:
    """Have the five vote at once, each task by three of them; pull meanwhile."""
    jobs: dict[str, list[Callable[[], None]]] = {name: [] for name in BENTS}
    names = [*BENTS]
    for place, image in enumerate(sorted(trip.tasks)):
        for turn in range(OVERLAP):
            name = names[(place + turn) % len(names)]
            jobs[name].append(partial(answer, trip, name, image, place, turn))
    trip.seconds["votes"] = at_once(
        [*(partial(do_all, some) for some in jobs.values()), partial(pull_meanwhile, trip)]
    )


def do_all(jobs: list[Callable[[], None]]) -> None:
    for job in jobs:
        job()


def pull_meanwhile(trip: Trip) -> None:
    time.sleep(10)
    trip.run("pull meanwhile", "annotate", "pull")


def answer(trip: Trip, name: str, image: str, place: int, turn: int) -> None:
    """Answer a task as the rater does; now and then skip it, answer twice, think again."""
    rater, task = trip.people[name], trip.tasks[image]
    if place % 29 == 5 and turn == 0:
        rater.skip(task, image)
        return
    number = give(trip, name, image)
    if place % 31 == 7 and turn == 1:  # twice: the newer one counts
        give(trip, name, image, again="twice")
    if place % 37 == 3 and turn == 2:
        rater.edit(number, word(trip, name, image, again="thought again"))
    if place % 53 == 11 and turn == 0:
        rater.delete(number)
        give(trip, name, image, again="anew")


def give(trip: Trip, name: str, image: str, again: str = "") -> int:
    """Have a rater vote, with what she sees on the face, and mostly how sure she is."""
    dice = random.Random(f"{name} {image} {again} seen")
    seen = dice.choice([("none",), (), *((kind,) for kind in TYPES), ("mask", "hand")])
    sure = dice.choice([None, 1, 2, 3])
    label = word(trip, name, image, again)
    return trip.people[name].vote(trip.tasks[image], image, label, seen, sure)


def word(trip: Trip, name: str, image: str, again: str = "") -> str:
    """Return what a rater says of an image."""
    right = trip.right[image]
    if right not in EXPRESSIONS:
        return "uncertain" if name == "eve" else right
    return BENTS[name].say(right, f"{name} {image} {again}")


def pull(trip: Trip) -> None:
    """Pull, the server killed meanwhile; have the raters change what they said, and pull again."""
    before = count(trip.catalog, "answers")
    trip.kill_during(
        "pull killed", lambda: count(trip.catalog, "answers") > before, "annotate", "pull"
    )
    trip.snapshots["after the kill of the pull"] = len(trip.answers())
    trip.snapshots["pulled"] = trip.run("pull", "annotate", "pull")
    trip.snapshots["log"] = trip.answers()
    trip.snapshots["ledger"] = trip.ledger.entries()
    change(trip)
    trip.snapshots["pulled changes"] = trip.run("pull changes", "annotate", "pull")
    states = count(trip.catalog, "answers")
    trip.snapshots["pulled once more"] = trip.run("pull once more", "annotate", "pull")
    trip.snapshots["pulled in full"] = trip.run("pull in full", "annotate", "pull", "--full")
    trip.snapshots["states"] = states, count(trip.catalog, "answers")
    trip.snapshots["log at the end"] = trip.answers()
    trip.snapshots["ledger at the end"] = trip.ledger.entries()


def change(trip: Trip) -> None:
    """Have raters edit their own answers and others', take some back, answer what they skipped."""
    by_email = {rater.email: name for name, rater in trip.people.items()}
    for place, entry in enumerate(trip.ledger.entries()):
        name = by_email[entry.email]
        if entry.deleted or name == "page":
            continue
        if entry.label is None:
            if place % 2:
                give(trip, name, entry.image, again="after all")
        elif place % 23 == 0:
            trip.people[name].edit(entry.annotation, word(trip, "ada", entry.image, "edited"))
        elif place % 41 == 0:
            other = next(one for one in BENTS if one != name)
            trip.people[other].edit(entry.annotation, "surprise")
        elif place % 43 == 0:
            trip.people[name].delete(entry.annotation)
            give(trip, name, entry.image, again="anew")
        elif place % 47 == 0:
            trip.people[name].delete(entry.annotation)
            asked = {e.email for e in trip.ledger.entries() if e.image == entry.image}
            fresh = next(one for one in BENTS if trip.people[one].email not in asked)
            give(trip, fresh, entry.image)


def adjudicate(trip: Trip) -> None:
    """Send what is in doubt to one adjudicator, who knows what is right, and build again."""
    trip.snapshots["due"] = trip.run("adjudicate", "annotate", "adjudicate")
    trip.snapshots["due again"] = trip.run("adjudicate again", "annotate", "adjudicate")
    labelling, (project, _) = trip.projects()
    assert labelling[0] != project
    trip.snapshots["in doubt"] = doubt = trip.server_tasks(project)
    judge_ledger = Ledger()
    judge = Annotator(trip.url, trip.invite, "judge", judge_ledger)
    for place, task in enumerate(doubt):
        image = task["data"]["occlufer_id"]
        if place % 17 == 3:
            judge.skip(task["id"], image)
        else:
            judge.vote(task["id"], image, trip.right[image])
    trip.snapshots["decisions"] = {
        entry.image: entry.label for entry in judge_ledger.entries() if entry.label is not None
    }
    trip.snapshots["pulled decisions"] = trip.run("pull decisions", "annotate", "pull")
    trip.snapshots["log after decisions"] = trip.answers()
    trip.run("build decided", "build", "--out", "decided")
