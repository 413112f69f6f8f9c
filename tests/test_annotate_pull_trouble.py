"""A pull that is killed, or whose server fails, loses nothing and doubles nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from pull_bench import TOKEN, PullBench

from occlufer.annotation import patience, pull
from occlufer.annotation import studio as studio_module
from occlufer.annotation.studio import StudioError

pytestmark = pytest.mark.slow

IMAGES = tuple(f"image-{number:02d}" for number in range(12))
HOST = "127.0.0.1"
HANG_S = 5.0
CLIENT_TRIES = 3


@pytest.fixture(scope="module")
def answered(studio_server: Any, tmp_path_factory: pytest.TempPathFactory) -> PullBench:
    """A project with answers of every kind, none of them pulled; its workspace is for copies."""
    bench = PullBench(studio_server, tmp_path_factory.mktemp("answered") / "workspace", IMAGES)
    for place, image in enumerate(IMAGES):
        bench.vote("ada", image, "fear", ("mask",), 2)
        bench.vote("ben", image, "anger")
        if place % 4 == 0:
            bench.person("eve").skip(bench.tasks[image], image)
    numbers = [entry.annotation for entry in bench.ledger.entries()]
    bench.person("ben").edit(numbers[0], "sadness")
    bench.person("ada").delete(numbers[5])
    return bench


@pytest.fixture
def fresh(answered: PullBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PullBench:
    """The same before the first pull."""
    monkeypatch.setenv(TOKEN, answered.server.connection.token)
    bench = object.__new__(PullBench)
    bench.__dict__.update(vars(answered), folder=tmp_path / "workspace")
    shutil.copytree(answered.folder, bench.folder)
    return bench


# Kills -------------------------------------------------------------------------------------------

# A pull that kills itself at the n-th call of a function. Without the slack a cursor that was
# written before its answers would lose them.
CHILD = """
import importlib, json, os, signal, sys
from datetime import timedelta
from pathlib import Path
from occlufer.annotation import pull as module
from occlufer.config import AnnotationConfig, BuildConfig, SourceConfig

module.EXPORTED_AT_ONCE, module.SLACK = 3, timedelta(0)
given = json.loads(sys.argv[1])
if given["moment"]:
    target, when, number = given["moment"]
    place, _, path = target.partition(":")
    owner = importlib.import_module(place)
    *inner, name = path.split(".")
    for part in inner:
        owner = getattr(owner, part)
    function, calls = getattr(owner, name), 0
    def wrapped(*args, **kwargs):
        global calls
        calls += 1
        if (calls, when) == (number, "before"):
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **kwargs)
        if (calls, when) == (number, "after"):
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, wrapped)
annotation = AnnotationConfig(url=given["url"], token_env=given["token_env"])
source = SourceConfig("synthetic", "synthetic", {})
config = BuildConfig(sources=(source,), workspace=Path(given["folder"]), annotation=annotation)
print("begin", flush=True)
module.pull(config, given["full"])
"""


def child(bench: PullBench, moment: Any = None, full: bool = False) -> subprocess.Popen[str]:
    given = {"url": bench.url, "token_env": TOKEN, "folder": str(bench.folder)}
    text = json.dumps({**given, "moment": moment, "full": full})
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", CHILD, text]
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


STUDIO, CATALOG, LOG = (
    f"occlufer.{name}" for name in ("annotation.studio:Studio.", "catalog:Catalog.", "vote_log:")
)
MOMENTS = [
    (f"{STUDIO}changed_tasks", "after", 1, False),
    (f"{STUDIO}export", "after", 2, False),
    (f"{CATALOG}rater", "after", 2, False),
    (f"{LOG}append", "before", 2, False),
    (f"{LOG}append", "after", 2, False),
    (f"{LOG}put_project", "after", 2, False),
    (f"{CATALOG}log_answers", "after", 2, False),
    (f"{CATALOG}log_answers", "after", 4, False),
    (f"{STUDIO}export", "after", 1, True),
    (f"{LOG}append", "after", 2, True),
    (f"{CATALOG}log_answers", "after", 4, True),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda m: m[0].rpartition(":")[2] + f"-{m[2]}")
def test_a_killed_pull_loses_nothing_and_doubles_nothing(
    fresh: PullBench, moment: tuple[str, str, int, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    *where, full = moment
    killed = child(fresh, where, full)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    monkeypatch.setattr(pull, "SLACK", timedelta(0))
    fresh.pull()  # not a full one: what the cursor has passed must be there
    assert fresh.found() == fresh.expected()
    numbers = [answer.annotation for answer in fresh.history()]
    assert sorted(numbers) == sorted(fresh.expected())
    before = fresh.history()
    fresh.pull()
    fresh.pull(full=True)
    assert fresh.history() == before


@pytest.mark.parametrize("seen", [1, 8, 16])
def test_a_pull_that_is_killed_from_outside_goes_on_where_it_was(
    fresh: PullBench, seen: int
) -> None:
    killed = child(fresh)
    assert killed.stdout is not None
    killed.stdout.readline()
    end = time.monotonic() + 120
    while len(fresh.log()) < seen and time.monotonic() < end:
        time.sleep(0.005)
    killed.kill()
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert seen <= len(fresh.log()) < len(fresh.expected())
    fresh.pull()
    assert fresh.found() == fresh.expected()
    assert len(fresh.history()) == len(fresh.expected())


# A server that fails -----------------------------------------------------------------------------


class FailingGateway:
    """Stands before a server; fails for some requests as `fail(path, which one of it)` says."""

    def __init__(self, server: str, fail: Callable[[str, int], str | None]) -> None:
        client = httpx.Client(base_url=server, timeout=120, trust_env=False)
        self.asked: list[str] = []
        gateway = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                gateway.asked.append(path)
                how = fail(self.path, gateway.asked.count(path))
                if how == "hang":
                    time.sleep(HANG_S)
                if how in ("hang", "cut"):
                    self.close_connection = True
                    return
                headers = {"Authorization": self.headers["Authorization"]}
                reply = None if how else client.get(self.path, headers=headers)
                content = b'{"detail": "ill"}' if reply is None else reply.content
                self.send_response(int(how or 0) if reply is None else reply.status_code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def behind(fresh: PullBench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Puts a failing gateway before the server."""
    monkeypatch.setattr(patience, "WAITS_S", (0.05, 0.1, 0.2))
    monkeypatch.setattr(studio_module, "ANSWER_S", HANG_S - 1)
    gateways: list[FailingGateway] = []

    def put(fail: Callable[[str, int], str | None]) -> FailingGateway:
        gateways.append(FailingGateway(fresh.server.connection.url, fail))
        fresh.url = gateways[-1].url
        fresh.note_project()
        return gateways[-1]

    yield put
    for gateway in gateways:
        gateway.close()


@pytest.mark.parametrize(
    ("how", "full"),
    [("500", False), ("503", True), ("429", False), ("hang", False), ("hang", True), ("cut", True)],
)
def test_a_failure_that_passes_does_no_harm(
    fresh: PullBench, behind: Callable[..., Any], how: str, full: bool
) -> None:
    """Every address fails more often than the client itself asks again."""

    def at_first(path: str, which: int) -> str | None:
        if how == "hang":
            return how if "export" in path and which == 1 else None
        return how if "whoami" not in path and which <= CLIENT_TRIES + 1 else None

    behind(at_first)
    fresh.pull(full)
    assert fresh.found() == fresh.expected()
    assert len(fresh.history()) == len(fresh.expected())


def test_a_large_export_that_fails_is_asked_for_in_pieces(
    fresh: PullBench, behind: Callable[..., Any]
) -> None:
    gone = fresh.vote("eve", IMAGES[1], "fear")
    fresh.pull()
    fresh.person("eve").delete(gone)
    behind(lambda path, which: "504" if "export" in path and "ids" not in path else None)
    fresh.note_project(cursor="")
    found = fresh.pull(full=True)
    assert found.tasks == len(IMAGES)
    assert fresh.found() == fresh.expected()


@pytest.mark.parametrize("how", ["500", "cut"])
def test_what_was_pulled_before_a_lasting_failure_is_kept(
    fresh: PullBench,
    behind: Callable[..., Any],
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pull, "EXPORTED_AT_ONCE", 3)
    gateway = behind(lambda path, which: how if "/export" in path and which > 2 else None)
    with pytest.raises(StudioError) as caught:
        fresh.pull()
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(gateway.url)
    assert message.endswith("tried 4 times, run the same command later to go on")
    assert fresh.server.connection.token not in message
    kept = fresh.history()
    assert 0 < len(kept) < len(fresh.expected())
    behind(lambda path, which: None)  # at another address, where the push finds it again
    fresh.pull()
    assert fresh.found() == fresh.expected()
    assert fresh.history()[: len(kept)] == kept


def test_a_refusal_is_not_asked_for_again(fresh: PullBench, behind: Callable[..., Any]) -> None:
    gateway = behind(lambda path, which: "403" if "/api/tasks" in path else None)
    with pytest.raises(StudioError, match="status 403"):
        fresh.pull()
    assert sum("/api/tasks" in path for path in gateway.asked) == 1
