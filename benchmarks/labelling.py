"""Labelling: tasks/s of a push, and a pull beside the server's own export of the same answers.

The server is a real one, started for this. Its answers are imported with their tasks, in the names
of five users: given one by one they would take half an hour.
"""

from __future__ import annotations

import io
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from _bars import Bar, at_least, at_most, finish
from _timing import Timed, spread, spreads, timed
from PIL import Image

from occlufer.annotation.pull import pull
from occlufer.annotation.push import PushSummary, push_round
from occlufer.annotation.server.server import start, stop
from occlufer.annotation.studio import Studio
from occlufer.annotation.tally import what_was_said
from occlufer.annotation.template import INSTRUCTION, template_sha256, template_text
from occlufer.config import AnnotationConfig, BuildConfig, SourceConfig
from occlufer.record import Facts, Record, Result, Vote
from occlufer.schema import ANSWERS, LABELS, OCCLUSION_TYPES
from occlufer.vote_log import LABELLING, Project
from occlufer.workspace import Workspace, open_workspace

TASKS, RATERS, REPEATS = 2_000, 5, 5
IMPORTED_AT_ONCE = 500
CHANGED = 50
TASKS_PER_S, TIMES_EXPORT = 1_000, 1.15
TOKEN = "OCCLUFER_BENCHMARK_TOKEN"
SOURCE = SourceConfig("synthetic", "made", {})


@dataclass(frozen=True)
class Bench:
    """A running server, and the workspace whose it is."""

    folder: Path
    workspace: Path
    url: str
    api: httpx.Client
    studio: Studio
    pid: int

    def cpu_s(self) -> float:
        """Return the CPU seconds of the server and of this process so far: Linux tells."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return math.nan
        ticks = map(int, stat.read_text().rpartition(")")[2].split()[11:13])
        return sum(ticks) / os.sysconf("SC_CLK_TCK") + time.process_time()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server without a line of our client."""
        answer = self.api.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = start(folder / "workspace")
        try:
            os.environ[TOKEN] = server.connection.token
            headers = {"Authorization": f"Token {server.connection.token}"}
            url = server.connection.url
            api = httpx.Client(base_url=url, headers=headers, timeout=600, trust_env=False)
            studio = Studio(server.connection)
            bench = Bench(folder, folder / "workspace", url, api, studio, server.process.pid)
            push_bars, pushes = pushed(bench)
            pull_bars, pulls = pulled(bench)
        finally:
            stop(folder / "workspace")
    load = {"load_average_at_the_end": round(os.getloadavg()[0], 1)}
    finish("labelling", [*push_bars, *pull_bars], {"push": pushes, "pull": pulls, **load})


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


# Push --------------------------------------------------------------------------------------------


def pushed(bench: Bench) -> tuple[list[Bar], dict[str, Any]]:
    """Return how fast samples become tasks of a new project, each time of another one."""
    config = BuildConfig(sources=(SOURCE,), workspace=bench.workspace, labels="label_studio")
    runs = []
    with open_workspace(bench.workspace) as workspace:
        images = fill(workspace)

        def push() -> PushSummary:
            said = what_was_said(workspace, config)
            return push_round(bench.studio, workspace, config, LABELLING, images, said)

        for _ in range(REPEATS):
            run = timed(push)
            assert run.result.new == TASKS, run.result
            number = run.result.project
            assert bench.ask("GET", f"/api/projects/{number}/")["task_number"] == TASKS
            bench.ask("DELETE", f"/api/projects/{number}/")
            runs.append(run)
            say(f"push: {run.wall_s:.2f} s")
    rate = TASKS / statistics.median(run.wall_s for run in runs)
    what = "push by reference: tasks/s"
    return [at_least(what, rate, TASKS_PER_S)], {"tasks": TASKS, **spreads(runs)}


def fill(workspace: Workspace) -> list[str]:
    """Put samples into a workspace as a build leaves them, and return their images."""
    rng = np.random.default_rng(0)
    records, faces, occlusion = [], [], []
    for number in range(TASKS):
        image = workspace.images.put(png(rng))
        votes = (Vote("made", LABELS[int(rng.integers(len(LABELS)))]),)
        records.append(Record(f"made/{number:06d}", "made", "1", Facts(votes), image=image))
        faces.append(Result(image, {"crop": image}))
        types = [kind for kind in OCCLUSION_TYPES if rng.random() < 0.2]
        occlusion.append(Result(image, {"types": types}))
    workspace.catalog.put_records(records)
    workspace.catalog.put_results("faces", faces)
    workspace.catalog.put_results("occlusion", occlusion)
    return [str(record.image) for record in records]


def png(rng: np.random.Generator) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


# Pull --------------------------------------------------------------------------------------------


def pulled(bench: Bench) -> tuple[list[Bar], dict[str, Any]]:
    """Return the times of pulls into empty catalogs and of the server's export, in turns."""
    project = answered_project(bench)
    path = f"/api/projects/{project}/export?exportType=JSON"
    exports: list[Timed[int]] = []
    pulls: list[Timed[Any]] = []
    busy: list[float] = []
    for repeat in range(REPEATS + 1):
        config = empty_workspace(bench, project, f"pulled-{repeat}")
        begin = bench.cpu_s()
        run = timed(lambda: len(bench.api.get(path).content))
        between = bench.cpu_s()
        pull_run = timed(lambda c=config: pull(c, full=True))  # type: ignore[misc]
        end = bench.cpu_s()
        counts = pull_run.result.to_json()
        assert (counts["tasks"], counts["new"]) == (TASKS, TASKS * RATERS), counts
        with open_workspace(config.workspace) as workspace:
            raters = {answer.rater for answer in workspace.catalog.answers(LABELLING)}
        assert len(raters) == RATERS, raters
        say(f"export: {run.wall_s:.2f} s, pull: {pull_run.wall_s:.2f} s")
        if repeat:  # the first one warms up
            exports.append(run)
            pulls.append(pull_run)
            busy.append((end - between) / (between - begin))
    ratios = [ours.wall_s / theirs.wall_s for ours, theirs in zip(pulls, exports, strict=True)]
    what = f"full pull of {TASKS * RATERS} answers: times as long as the server's own export"
    bars = [at_most(what, statistics.median(ratios), TIMES_EXPORT)]
    sizes = {"answers": TASKS * RATERS, "export_mb": round(exports[0].result / 1e6, 1)}
    figures: dict[str, Any] = {
        "export": spreads(exports),
        "full_pull": spreads(pulls),
        "ratio": spread(ratios),
    }
    # Beside other work on the machine this one is steadier.
    figures["ratio_of_cpu_s_server_and_client"] = spread(busy)
    return bars, {**sizes, **figures, "changed": changed_pull(bench, project, config)}


def answered_project(bench: Bench) -> int:
    """Make a project of tasks that each of five users has answered, and return its number."""
    users = [
        bench.ask("POST", "/api/users/", {"email": f"r{n}@example.org", "username": f"r{n}"})["id"]
        for n in range(RATERS)
    ]
    assert len(set(users)) == RATERS
    number: int = bench.studio.create_project(
        "pull", template_text(), RATERS, INSTRUCTION, "benchmark"
    )
    rng = np.random.default_rng(1)
    for begin in range(0, TASKS, IMPORTED_AT_ONCE):
        some = range(begin, min(begin + IMPORTED_AT_ONCE, TASKS))
        bench.ask("POST", f"/api/projects/{number}/import", [task(n, users, rng) for n in some])
    return number


def task(number: int, users: list[int], rng: np.random.Generator) -> dict[str, Any]:
    image = image_of(number)
    data = {"image": f"/data/local-files/?d=images/{image[:2]}/{image}", "occlufer_id": image}
    answers = [{"result": result(rng), "completed_by": u, "lead_time": 3.25} for u in users]
    return {"data": data, "annotations": answers}


def result(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return an answer with all that the page asks for."""
    label = ANSWERS[int(rng.integers(len(ANSWERS)))]
    types = [kind for kind in OCCLUSION_TYPES if rng.random() < 0.2] or ["none"]
    return [
        part("expression", "choices", [label]),
        part("occlusion", "choices", types),
        part("confidence", "rating", int(rng.integers(1, 4))),
    ]


def part(name: str, kind: str, value: Any) -> dict[str, Any]:
    return {"from_name": name, "to_name": "image", "type": kind, "value": {kind: value}}


def image_of(number: int) -> str:
    return f"{number:064x}"


def empty_workspace(bench: Bench, project: int, name: str) -> BuildConfig:
    """Make a workspace that knows the pictures, and of no answer."""
    annotation = AnnotationConfig(url=bench.url, token_env=TOKEN)
    folder = bench.folder / name
    with open_workspace(folder) as workspace:
        workspace.catalog.put_records(
            Record(f"made/{n:06d}", "made", "1", Facts(), image=image_of(n)) for n in range(TASKS)
        )
        noted = Project(bench.url, project, template_sha256(template_text()))
        workspace.catalog.log_answers([], LABELLING, noted)
    return BuildConfig(sources=(SOURCE,), workspace=folder, annotation=annotation)


def changed_pull(bench: Bench, project: int, config: BuildConfig) -> Mapping[str, Any]:
    """Return the times of pulls that follow changes of a few tasks, which is what people wait for.

    Changes come some seconds after what was pulled before, or that would be looked at again.
    """
    answers = [exported["annotations"][0]["id"] for exported in bench.studio.export(project)]
    rng = np.random.default_rng(2)
    runs = []
    for repeat in range(REPEATS + 1):
        time.sleep(6)
        for number in rng.choice(answers, CHANGED, replace=False):
            said = {"result": result(rng), "lead_time": float(rng.random())}
            bench.ask("PATCH", f"/api/annotations/{number}/", said)
        run = timed(lambda: pull(config))
        assert run.result.counts.changed == CHANGED, run.result
        say(f"pull of {CHANGED} changes: {run.wall_s:.2f} s, {run.result.tasks} tasks looked at")
        if repeat:
            runs.append(run)
    looked_at = [run.result.tasks for run in runs]
    return {"tasks": CHANGED, "looked_at": looked_at, **spreads(runs)}


if __name__ == "__main__":
    main()
