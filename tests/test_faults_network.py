"""A network that flaps: in the end every photograph is there, with the bytes of a steady one."""

from __future__ import annotations

import io
import json
import random
import socket
import struct
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from faults import FULL, dice
from PIL import Image

from occlufer.builders.gather import gather
from occlufer.builders.web.collect import fetch
from occlufer.builders.web.fetch import Limits
from occlufer.builders.web.ledger import Ledger
from occlufer.config import BuildConfig
from occlufer.config_file import load_config
from occlufer.record import Record
from occlufer.workspace import open_workspace

if TYPE_CHECKING:
    from web_server import Route, WebServer

PICTURES = 12
NETWORKS = 20 if FULL else 2
# Each photograph fails in a run with one chance in some ten; of a hundred runs none fails so often.
RUNS = 20

# What a host says of itself, which everything else depends on.
ABOUT = {"/robots.txt": b"User-agent: *\nAllow: /\n", "/.well-known/tdmrep.json": b"[]"}


def picture(number: int) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "JPEG", quality=60)
    return file.getvalue()


def reset(handler: BaseHTTPRequestHandler, first: bytes = b"") -> None:
    """Send a beginning, perhaps, and then a reset instead of an end."""
    handler.wfile.write(first)
    handler.wfile.flush()
    now = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
    handler.connection.close()


def faulty(server: WebServer, body: bytes) -> dict[str, Route]:
    """Return the ways in which an answer may fail."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    return {
        "no-answer": reset,
        "reset-in-the-body": partial(reset, first=head + body[: len(body) // 2]),
        "busy": server.answer(b"later", 503),
        "busy-for-a-while": server.answer(b"later", 503, {"Retry-After": "0"}),
        "stall-before-the-head": server.silent(),
        "stall-in-the-body": server.silent(head + body[: len(body) // 3]),
        "cut-short": server.raw(head + body[: len(body) // 2]),
        "cut-in-the-head": server.raw(head[:20]),
    }


def flapping(server: WebServer, body: bytes, drawn: random.Random, **headers: str) -> Route:
    """Return a route of which every other request, by chance, fails in some way."""
    good, ways = server.answer(body, headers=headers), faulty(server, body)

    def route(handler: BaseHTTPRequestHandler) -> None:
        (good if drawn.random() < 0.5 else ways[drawn.choice([*ways])])(handler)

    return route


@pytest.fixture
def list_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., BuildConfig]:
    """Write a config with a list of photographs, in a folder of its own."""
    quick = partial(Limits, backoff_s=0.01, read_timeout_s=1.0, deadline_s=10.0)
    monkeypatch.setattr("occlufer.builders.web.collect.Limits", quick)

    def write(name: str, server: WebServer) -> BuildConfig:
        folder = tmp_path / name
        folder.mkdir()
        host = server.host
        rows = [f"{'http'}://{host}/{number}.jpg,CC0" for number in range(PICTURES)]
        (folder / "list.csv").write_text("\n".join(["url,licence", *rows]))
        fields = {
            **{"kind": "web", "name": "web", "path": "photographs", "service": "urls"},
            **{"urls": "list.csv", "contact": "me@lab.example", "host_interval_s": 0},
            "allow_hosts": [host],
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
        path = folder / "occlufer.toml"
        path.write_text("\n".join(["[[sources]]", *lines]))
        return load_config(path)

    return write


def states(config: BuildConfig) -> dict[str, str]:
    """Return {address: what became of it, and why}."""
    ledger = Ledger(Path(config.sources[0].settings["path"]))
    found = {p.url: f"{outcome.state} {outcome.reason}" for p, outcome in ledger.photographs()}
    ledger.close()
    return found


def run(config: BuildConfig, retry: bool = False) -> dict[str, Any]:
    counts: dict[str, Any] = fetch(config.sources, retry=retry)["web"]
    return counts


def gathered(config: BuildConfig, folder: Path) -> list[tuple[str, str | None]]:
    """Return every record with its image, by what stands on the path of its address."""
    with open_workspace(folder) as workspace:
        gather(config.sources, workspace, 1)
        return sorted((_address(one), one.image) for one in workspace.catalog.records())


def _address(record: Record) -> str:
    assert record.facts.evidence is not None
    return str(record.facts.evidence["url"]).rpartition("/")[2]


@pytest.mark.parametrize("network", range(NETWORKS))
def test_through_a_network_that_flaps_everything_comes_or_is_named_and_comes_later(
    new_web_server: Callable[[], WebServer],
    list_of: Callable[..., BuildConfig],
    tmp_path: Path,
    network: int,
) -> None:
    drawn = dice(f"network {network}")
    steady, worse = new_web_server(), new_web_server()
    for number in range(PICTURES):
        path, body = f"/{number}.jpg", picture(number)
        steady.routes[path] = steady.answer(body, headers={"Content-Type": "image/jpeg"})
        worse.routes[path] = flapping(worse, body, drawn, **{"Content-Type": "image/jpeg"})
    for path, body in ABOUT.items():
        worse.routes[path] = flapping(worse, body, drawn)
    undisturbed, config = list_of("steady", steady), list_of("worse", worse)
    assert run(undisturbed)["fetched"] == PICTURES
    for runs in range(RUNS):
        counts = run(config, retry=runs > 0)
        missing = {url for url, state in states(config).items() if state != "fetched "}
        # Whatever is missing is counted under a reason, and is tried again.
        assert counts["fetched"] == PICTURES - len(missing)
        assert sum(counts["failed"].values()) == len(missing), states(config)
        if not missing:
            break
    assert gathered(config, tmp_path / "w") == gathered(undisturbed, tmp_path / "v")


def test_where_nobody_answers_every_photograph_is_named_and_comes_once_somebody_does(
    new_web_server: Callable[[], WebServer], list_of: Callable[..., BuildConfig], tmp_path: Path
) -> None:
    gone = new_web_server()
    gone.stop()
    config = list_of("refused", gone)
    counts = run(config)
    assert (counts["fetched"], sum(counts["failed"].values())) == (0, PICTURES)
    back = type(gone)(port=gone.port)
    for number in range(PICTURES):
        back.routes[f"/{number}.jpg"] = back.answer(picture(number))
    try:
        assert run(config, retry=True)["fetched"] == PICTURES
    finally:
        back.stop()
    assert len(gathered(config, tmp_path / "w")) == PICTURES
