"""What the net gives amiss, and what stops a pull, never leaves a file under its name."""

from __future__ import annotations

import hashlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from toy_weights import FLIPPED, POINTER, PUBLISHED, SHA256, TOY, make_known, refusal, toy

from occlufer.builders import origins
from occlufer.builders.weights import WEIGHTS, find, pull
from occlufer.errors import MissingError, UsageError

if TYPE_CHECKING:
    from web_server import Route, WebServer


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    make_known(monkeypatch, tmp_path)


# What comes from the net -------------------------------------------------------------------------


def head(length: int) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()


# What the server does, the kind of error and what it must say.
FAULTS: dict[str, tuple[Callable[[WebServer], Route], type[Exception], tuple[str, ...]]] = {
    "one-bit-flipped": (
        lambda server: server.answer(FLIPPED),
        UsageError,
        (f"found sha256 {hashlib.sha256(FLIPPED).hexdigest()}", f"expected {SHA256}"),
    ),
    "one-byte-too-long": (
        lambda server: server.answer(TOY + b"x"),
        UsageError,
        ("found more than 160000 bytes, expected a file of 160000 bytes",),
    ),
    "one-byte-too-short": (
        lambda server: server.answer(TOY[:-1]),
        UsageError,
        (f"expected {SHA256} (159999 bytes of 160000)",),
    ),
    "endless": (
        lambda server: server.endless(TOY, b"HTTP/1.1 200 OK\r\n\r\n"),
        UsageError,
        ("found more than 160000 bytes",),
    ),
    "empty": (lambda server: server.answer(b""), UsageError, ("(0 bytes of 160000)",)),
    "pointer": (
        lambda server: server.answer(POINTER),
        UsageError,
        ("found a Git LFS pointer", "expected a file of 160000 bytes", "`git lfs pull`"),
    ),
    "page": (
        lambda server: server.answer(b"\n<!DOCTYPE html>" + b"log in" * 99_999),
        UsageError,
        ("found a page of HTML", "expected a file of 160000 bytes"),
    ),
    "404": (lambda server: server.answer(TOY, 404), MissingError, ("found status 404",)),
    "500": (lambda server: server.answer(TOY, 500), MissingError, ("found status 500",)),
    "206": (lambda server: server.answer(TOY, 206), MissingError, ("found status 206",)),
    "dropped": (
        lambda server: server.raw(head(len(TOY)) + TOY[:100_000]),
        MissingError,
        ("found less than the whole body",),
    ),
    "closed": (lambda server: server.raw(b""), MissingError, ("not pulled",)),
    "no-http": (
        lambda server: server.raw(b"SSH-2.0-x\r\n"),
        MissingError,
        ("found no answer as HTTP has it",),
    ),
    "silent": (
        lambda server: server.silent(head(len(TOY)) + TOY[:100_000]),
        MissingError,
        ("found no answer in time",),
    ),
    "in-a-circle": (
        lambda server: server.redirect("/toy.onnx"),
        MissingError,
        ("not pulled",),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_the_net_gives_amiss_is_thrown_away_and_told(
    fault: str, tmp_path: Path, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, kind, words = FAULTS[fault]
    monkeypatch.setattr(origins, "READ_TIMEOUT_S", 0.3)
    web_server.routes["/toy.onnx"] = make(web_server)
    folder = tmp_path / "weights"
    folder.mkdir()
    url = web_server.url("/toy.onnx")
    said = refusal(folder, url, kind)
    by_hand = (url, f"fetch {PUBLISHED} by hand and put it at {folder / 'toy.onnx'}")
    for part in (*words, *by_hand, f"pull toy --weights-dir {folder} --from FILE"):
        assert part in said
    web_server.routes["/toy.onnx"] = web_server.answer(TOY)
    pull("toy", folder, url)
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("toy.onnx", TOY)]


def test_a_server_that_is_not_there_is_told(
    tmp_path: Path, new_web_server: Callable[[], WebServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = new_web_server()
    server.stop()
    url = server.url("/toy.onnx")
    assert f"{url}: Connection refused" in refusal(tmp_path, url, MissingError)

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # the name servers of a test are nobody's
    assert f"{PUBLISHED}: Name or service not known" in refusal(tmp_path, PUBLISHED, MissingError)


def test_addresses_are_asked_in_turn_until_one_is_right(
    tmp_path: Path, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    routes = {"/gone": web_server.answer(b"", 404), "/pointer": web_server.answer(POINTER)}
    moved = {"Location": "/right", "Connection": "close"}
    routes |= {"/moved": web_server.answer(b"", 302, moved), "/right": web_server.answer(TOY)}
    web_server.routes.update(routes)
    urls = [web_server.url(path) for path in routes]
    monkeypatch.setitem(WEIGHTS, "toy", toy(*urls))
    pulled = pull("toy", tmp_path)
    assert (pulled.path, pulled.source) == (tmp_path / "toy.onnx", urls[2])
    assert web_server.requests == dict.fromkeys(routes, 1)
    again = pull("toy", tmp_path)
    assert (again.path, again.source) == (pulled.path, "")
    assert web_server.requests == dict.fromkeys(routes, 1)


def test_if_every_address_fails_each_is_told_and_wrong_bytes_weigh_more(
    tmp_path: Path, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    web_server.routes["/wrong"] = web_server.answer(FLIPPED)
    urls = [web_server.url(path) for path in ("/gone", "/wrong", "/away")]
    monkeypatch.setitem(WEIGHTS, "toy", toy(*urls))
    said = refusal(tmp_path, "")
    assert all(f"{url}: found" in said for url in urls)
    monkeypatch.setitem(WEIGHTS, "toy", toy(urls[0], urls[2]))
    refusal(tmp_path, "", MissingError)


def test_the_proxy_of_the_environment_is_used(
    tmp_path: Path, web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://mirror.example/toy.onnx"
    web_server.routes[url] = web_server.answer(TOY)  # what a proxy is asked for
    monkeypatch.setenv("http_proxy", web_server.url(""))
    assert pull("toy", tmp_path / "a", url).source == url
    web_server.routes["mirror.example:443"] = web_server.answer(b"", 403)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, web_server.url(""))
    secured = url.replace("http:", "https:")
    said = refusal(tmp_path / "b", secured, MissingError)
    assert f"{secured}: found no way through the proxy of the environment (" in said
    web_server.stop()
    said = refusal(tmp_path / "c", url, MissingError)
    assert "through the proxy of the environment (Connection refused)" in said


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://mirror.example/toy.onnx", "expected http: or https:"),
        ("https://me:secret@mirror.example/toy.onnx", "found a name or a password"),
        ("https://[mirror/toy.onnx", "the address cannot be read"),
    ],
)
def test_what_is_no_address_is_not_asked_for(tmp_path: Path, url: str, words: str) -> None:
    said = refusal(tmp_path, url)
    assert words in said
    assert "secret" not in said


def test_a_key_in_an_address_is_sent_but_not_told(tmp_path: Path, web_server: WebServer) -> None:
    url = web_server.url("/toy.onnx?key=secret")
    assert "secret" not in refusal(tmp_path, url, MissingError)
    web_server.routes["/toy.onnx"] = web_server.answer(TOY)
    assert "secret" not in pull("toy", tmp_path, url).source
    assert web_server.asked[-1].path.endswith("?key=secret")


# In the middle -----------------------------------------------------------------------------------

TOY_COMMAND = f"""
import sys
from occlufer.builders.weights import WEIGHTS, Weights
from occlufer.cli import main
WEIGHTS["toy"] = Weights(("toy.onnx",), (), {SHA256!r}, {len(TOY)}, "MIT", "a toy")
sys.exit(main(["weights", *sys.argv[1:]]))
"""


def started(folder: Path, url: str) -> subprocess.Popen[str]:
    arguments = ["pull", "toy", "--weights-dir", str(folder), "--from", url]
    command = [sys.executable, "-c", TOY_COMMAND, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_stopped_in_the_middle_it_leaves_nothing_under_the_name(
    tmp_path: Path, web_server: WebServer, number: signal.Signals
) -> None:
    half = web_server.silent(head(len(TOY)) + TOY[:100_000])
    web_server.routes["/toy.onnx"] = web_server.in_turn(half, web_server.answer(TOY))
    folder = tmp_path / "weights"
    process = started(folder, web_server.url("/toy.onnx"))
    end = time.monotonic() + 60
    while not any(path.stat().st_size for path in folder.glob(".*.part")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    left = [path.name for path in folder.iterdir()]
    assert "toy.onnx" not in left
    assert find("toy", folder) is None
    if number == signal.SIGINT:
        assert (process.returncode, left) == (130, [])
        assert said == "occlufer: interrupted; nothing was kept, run the same command again\n"
    pull("toy", folder, web_server.url("/toy.onnx"))
    assert (folder / "toy.onnx").read_bytes() == TOY


def test_two_that_pull_at_once_do_not_disturb_each_other(
    tmp_path: Path, web_server: WebServer
) -> None:
    both = threading.Barrier(2, timeout=60)

    def route(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head(len(TOY)) + TOY[:100_000])
        both.wait()
        handler.wfile.write(TOY[100_000:])

    web_server.routes["/toy.onnx"] = route
    processes = [started(tmp_path, web_server.url("/toy.onnx")) for _ in range(2)]
    for process in processes:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("toy.onnx", TOY)]
