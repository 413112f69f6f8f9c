"""On Dask's workers a build has the bytes that it has on threads, whoever dies meanwhile."""

from __future__ import annotations

import contextlib
import gc
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from distributed import Client, LocalCluster
from far_work import (
    busy_workers,
    damaged_at_37,
    detected,
    die,
    parsed,
    pid_after,
    seven_times,
    slowly,
)
from faults import outcome

from occlufer import build as build_module
from occlufer import dask_engine
from occlufer.build import build
from occlufer.builders.detectors import open_detector
from occlufer.builders.hashing import search
from occlufer.builders.hashing.search import neighbours
from occlufer.builders.synthetic import FacePlan, draw_face
from occlufer.config import BuildConfig, SourceConfig
from occlufer.dask_engine import DaskEngine
from occlufer.engine import open_engine
from occlufer.errors import MissingError, OccluferError, UsageError
from occlufer.face_parser import open_parser
from occlufer.images import DamagedImageError, ImageStore
from occlufer.pipeline import STAGES

ROOT = Path(__file__).resolve().parents[1]
Run = Callable[..., subprocess.CompletedProcess[str]]
ON_WORKERS = {"faces", "parts", "occlusion", "hashes", "dedup"}
SOURCE = SourceConfig("synthetic", "synthetic", {"count": 24, "seed": 5})


def config(folder: Path, **more: Any) -> BuildConfig:
    return BuildConfig((SOURCE,), folder / "occlu_fer", folder / "workspace", **more)


@pytest.fixture(scope="module")
def on_threads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("threads")
    build(config(folder, workers=2))
    return outcome(folder, "workspace")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers that anybody here may send work to."""
    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "memory_limit": 0}
    with (
        dask.config.set(dask_engine.SETTINGS),
        LocalCluster(**options, dashboard_address="127.0.0.1:0", silence_logs="ERROR") as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def engine(cluster: Any) -> Iterator[DaskEngine]:
    with open_engine("dask", 0, cluster.scheduler_address) as opened:
        assert isinstance(opened, DaskEngine)
        yield opened


# Work ---------------------------------------------------------------------------------------------


def test_results_come_in_the_items_order_from_several_processes(engine: DaskEngine) -> None:
    assert list(engine.map(seven_times, range(100))) == [7 * x for x in range(100)]
    assert len({*engine.map(pid_after, [0.05] * 100)} - {os.getpid()}) == 2


def test_items_are_taken_as_they_are_needed(engine: DaskEngine) -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for i in range(100_000):
            taken += 1
            yield i

    results = engine.map(abs, items())
    assert [next(results) for _ in range(40)] == list(range(40))
    assert taken <= 40 + (3 * 2 + 1) * dask_engine.ITEMS_AT_ONCE
    results.close()  # type: ignore[attr-defined]


def test_an_error_comes_whole_after_the_results_before_it(engine: DaskEngine) -> None:
    seen: list[int] = []
    with pytest.raises(DamagedImageError, match="the stored image is missing") as raised:
        seen.extend(engine.map(damaged_at_37, range(200)))
    assert seen == list(range(37))
    assert raised.value.sha256 == "ab12"


def test_who_opened_a_network_is_what_travels(engine: DaskEngine, real_data: Path) -> None:
    """A network of another process says what that of this one says."""
    picture = np.random.default_rng(0).integers(0, 256, (1, 128, 128, 3), dtype=np.uint8)
    parser = open_parser("built_in", None)
    (there,) = engine.map(partial(parsed, parser), [picture])
    here = parser.parse(picture)
    assert here[1] is not None
    assert np.allclose(there[0], here[0], atol=1e-5)
    assert np.allclose(there[1], here[1], atol=1e-5)
    detector = open_detector("yunet", real_data / "weights")
    (faces,) = engine.map(
        partial(detected, detector), [draw_face(FacePlan("fear", 1, 1)).image_rgb]
    )
    assert len(faces) == 1
    assert faces == detector.detect(draw_face(FacePlan("fear", 1, 1)).image_rgb)


def test_what_kills_every_worker_ends_in_one_line(engine: DaskEngine) -> None:
    with pytest.raises(OccluferError, match="4 workers died of one piece of work"):
        list(engine.map(die, [1]))
    engine.client.wait_for_workers(2, timeout=60)
    assert list(engine.map(abs, [-1])) == [1]


# Search -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with-another"])
def test_a_search_elsewhere_finds_what_one_here_finds(
    engine: DaskEngine, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    monkeypatch.setattr(search, "MANY_PAIRS", 0)
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 2**64, 20_000, dtype=np.uint64)
    bits = np.uint64(1) << rng.integers(0, 64, 5_000, dtype=np.uint64)
    hashes[5_000:10_000] = hashes[:5_000] ^ bits
    other = None if alone else hashes[::3] ^ (np.uint64(1) << np.uint64(9))
    blocks = list(search.neighbour_blocks(hashes, 6, other, remote=engine.remote))
    found = {
        row
        for block in blocks
        for row in zip(block.i.tolist(), block.j.tolist(), block.distance.tolist(), strict=True)
    }
    expected = neighbours(hashes, 6, other)
    assert found == {*zip(*(column.tolist() for column in expected), strict=True)}
    assert len(found) == sum(block.i.size for block in blocks) > 3_000


# Builds -------------------------------------------------------------------------------------------


def test_the_command_builds_the_same_bytes_on_processes_and_with_images_at_an_address(
    tmp_path: Path, on_threads: dict[str, str], run_cli: Run
) -> None:
    (tmp_path / "occlufer.toml").write_text(
        'workspace = "workspace"\nengine = "dask"\nworkers = 2\n'
        f'image_store = "{(tmp_path / "bucket").as_uri()}"\n'
        '[[sources]]\nkind = "synthetic"\ncount = 24\nseed = 5\n'
    )
    done = run_cli("build", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert outcome(tmp_path, "workspace") == on_threads
    said = [line.split()[0] for line in done.stderr.splitlines()]
    assert said == ["gather", *STAGES], "Dask's own messages are none of a build's"
    assert not (tmp_path / "workspace/images").exists()


def test_a_worker_that_dies_in_each_stage_costs_no_byte(
    tmp_path: Path,
    on_threads: dict[str, str],
    cluster: Any,
    engine: DaskEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_engine, "ITEMS_AT_ONCE", 2)
    monkeypatch.setattr(search, "MANY_PAIRS", 0)
    submit = DaskEngine.submit
    monkeypatch.setattr(DaskEngine, "submit", lambda self, *call: submit(self, slowly, *call))
    killed: dict[str, str] = {}
    timed = build_module._timed

    def with_a_death(name: str, *work: Any) -> int:
        have_two_workers(cluster, engine)
        with death_during(engine, name in ON_WORKERS) as at:
            count = timed(name, *work)
        killed[name.rpartition(".")[2]] = at()
        return count

    monkeypatch.setattr(build_module, "_timed", with_a_death)
    build(config(tmp_path, engine="dask", scheduler=cluster.scheduler_address))
    assert [*killed] == ["gather", *STAGES]
    assert {name for name, state in killed.items() if state == "busy"} == ON_WORKERS
    assert {*killed.values()} == {"busy", "idle"}
    assert outcome(tmp_path, "workspace") == on_threads


def have_two_workers(cluster: Any, engine: DaskEngine) -> None:
    """Wait until the dead one was replaced; one that died at its very start never is."""
    time.sleep(1)
    try:
        engine.client.wait_for_workers(2, timeout=20)
    except TimeoutError:
        cluster.scale(len(cluster.workers) + 1)
        engine.client.wait_for_workers(2, timeout=60)


@contextlib.contextmanager
def death_during(engine: DaskEngine, busy: bool) -> Iterator[Callable[[], str]]:
    """Kill a worker while the block runs; give what it was then: "busy", with work, or "idle"."""
    state = ["none"]
    over = threading.Event()

    def kill() -> None:
        while not over.is_set():
            working = engine.client.run_on_scheduler(busy_workers)
            if working or not busy:
                pids = engine.client.run(os.getpid)
                chosen = working[0] if working else min(pids)
                with contextlib.suppress(KeyError):
                    os.kill(pids[chosen], signal.SIGKILL)
                    state[0] = "busy" if working else "idle"
                    return
            time.sleep(0.005)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield lambda: state[0]
    finally:
        over.set()
        thread.join(timeout=60)


# A cluster ----------------------------------------------------------------------------------------


def commands() -> list[list[str]]:
    """Return the commands of docs/scale.md that start a cluster and build on it."""
    text = (ROOT / "docs/scale.md").read_text(encoding="utf-8")
    lines = [
        line
        for block in re.findall(r"```console\n(.*?)```", text, re.S)
        for line in block.splitlines()
    ]
    return [shlex.split(line) for line in lines if "8786" in line]


def test_the_documented_commands_start_a_cluster_and_build_on_it(
    tmp_path: Path, on_threads: dict[str, str], run_cli: Run
) -> None:
    scheduler, worker, built = commands()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    here = {"8786": port, "tcp://head:8786": f"tcp://127.0.0.1:{port}", "8": "2"}
    scheduler, worker, built = (
        [here.get(word, word) for word in command] for command in (scheduler, worker, built)
    )
    assert (scheduler[:2], worker[:2]) == (["dask", "scheduler"], ["dask", "worker"])
    dask = [sys.executable, "-m", "dask"]
    (tmp_path / "occlufer.toml").write_text(
        '[[sources]]\nkind = "synthetic"\ncount = 24\nseed = 5\n'
    )
    elsewhere = tmp_path / "elsewhere"  # whoever works has another current folder
    elsewhere.mkdir()
    with contextlib.ExitStack() as stack:
        for command in ([*scheduler[1:], "--host", "127.0.0.1"], worker[1:]):
            stack.enter_context(running([*dask, *command], elsewhere))
        with Client(here["tcp://head:8786"], timeout=120) as client:
            client.wait_for_workers(2, timeout=120)
        done = run_cli(*built[1:], "--workspace", "workspace", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert outcome(tmp_path, "workspace") == on_threads


@contextlib.contextmanager
def running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command while the block lasts; workers try until their scheduler is there."""
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=60)


@pytest.mark.parametrize(
    ("scheduler", "kind", "said"),
    [
        ("tcp://127.0.0.1:9", MissingError, "found none that answers.*`dask scheduler` starts one"),
        ("nonsense", UsageError, "expected e.g. tcp://127.0.0.1:8786"),
        ("tls://127.0.0.1:9", UsageError, "ssl_context.*expected e.g. tcp://"),
    ],
)
def test_a_scheduler_that_is_not_there_is_said_before_anything_is_done(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheduler: str,
    kind: type[OccluferError],
    said: str,
) -> None:
    monkeypatch.setattr(dask_engine, "CONNECT_S", 2)
    with pytest.raises(kind, match=said):
        build(config(tmp_path, engine="dask", scheduler=scheduler))
    assert not (tmp_path / "workspace").exists()


def test_a_client_that_came_to_nothing_is_gone_before_another_begins(
    tmp_path: Path,
) -> None:
    before = clients()
    for scheduler in ("nonsense", "tls://127.0.0.1:9"):
        with pytest.raises(UsageError):
            build(config(tmp_path, engine="dask", scheduler=scheduler))
    gc.disable()  # what is there is there because it is held
    try:
        assert clients() == before
    finally:
        gc.enable()


def clients() -> int:
    """Return how many clients are in memory, whole or not."""
    return sum(isinstance(one, Client) for one in gc.get_objects())


def test_a_scheduler_without_workers_is_said_to_be_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_engine, "WORKERS_S", 2)
    options = {"n_workers": 0, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(**options) as cluster,
        pytest.raises(MissingError, match=r"found no worker there in 2 s; `dask worker tcp://"),
    ):
        build(config(tmp_path, engine="dask", scheduler=cluster.scheduler_address))


def test_workers_of_another_version_are_refused(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_engine, "__version__", "9.9")
    with pytest.raises(UsageError, match=r"worker tcp://.*: found occlufer .*, expected 9\.9"):
        build(config(tmp_path, engine="dask", scheduler=cluster.scheduler_address))


def test_a_build_that_nobody_works_at_any_more_ends_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_engine, "ASK_S", 0.5)
    monkeypatch.setattr(dask_engine, "ALONE_S", 2)
    with open_engine("dask", 1, "") as alone:
        assert isinstance(alone, DaskEngine)
        call = alone.submit(pid_after, 60)
        alone.client.cluster.scale(0)
        with pytest.raises(OccluferError, match="no worker is left for 2 s"):
            call.result()


def test_a_scheduler_that_dies_in_a_build_ends_it_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    dask = [sys.executable, "-m", "dask"]
    where = f"tcp://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:
        started = running([*dask, "scheduler", "--host", "127.0.0.1", "--port", port], tmp_path)
        scheduler = stack.enter_context(started)
        stack.enter_context(running([*dask, "worker", where, "--nthreads", "1"], tmp_path))
        engine = stack.enter_context(open_engine("dask", 0, where))
        results = engine.map(time.sleep, [0.05] * 10_000)
        next(results)
        scheduler.kill()
        with pytest.raises(OccluferError, match="the scheduler does not answer any more"):
            list(results)


def test_a_worker_that_does_not_see_the_images_is_named(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageStore, "__reduce__", lambda self: (ImageStore, (Path("/no/such"),)))
    with pytest.raises(
        UsageError, match=r"worker tcp://.*: does not see the images of .*workspace"
    ):
        build(config(tmp_path, engine="dask", scheduler=cluster.scheduler_address))


def test_without_the_package_the_engine_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "occlufer.dask_engine")
    with pytest.raises(MissingError, match=r'pip install "occlufer\[dask\]"'):
        build(config(tmp_path, engine="dask"))


def test_a_scheduler_needs_the_engine_that_knows_it() -> None:
    with pytest.raises(ValueError, match='scheduler: found engine = "local", expected'):
        BuildConfig((SOURCE,), scheduler="tcp://head:8786")
