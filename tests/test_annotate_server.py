"""The embedded server, asked for real: who reaches it, what it gives away, how it comes back."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from occlufer.annotation.server import credentials, place, server
from occlufer.annotation.server.ports import HOST
from occlufer.errors import OccluferError

if TYPE_CHECKING:
    from web_server import WebServer

pytestmark = pytest.mark.slow

# What the server would take for its own from the environment of whoever starts it.
HOSTILE = {
    "LABEL_STUDIO_HOST": "https://elsewhere.example",
    "LABEL_STUDIO_PORT": "1",
    "HEARTEX_DATABASE_NAME": "/nowhere/database.sqlite3",
    "DATABASE_NAME": "/nowhere/database.sqlite3",
    "DJANGO_DB": "postgresql",
    "CI": "true",
    "DEBUG": "no bool",
    "DISABLE_SIGNUP_WITHOUT_LINK": "false",
    "COLLECT_ANALYTICS": "true",
    "PYTHONPATH": "/nowhere",
    "http_proxy": "http://elsewhere.example:1",
}


@pytest.fixture(scope="module")
def workspace(label_studio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace whose server may be killed."""
    folder = tmp_path_factory.mktemp("server") / "workspace"
    yield folder
    server.stop(folder)


@pytest.fixture(scope="module")
def served(workspace: Path) -> server.Server:
    """The server of `workspace`, started by a user with variables that would harm it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in HOSTILE.items():
            patch.setenv(name, value)
        return server.start(workspace)


@pytest.fixture
def fresh(label_studio: Path, tmp_path: Path) -> Iterator[Path]:
    """A workspace whose server was never started."""
    yield tmp_path / "workspace"
    server.stop(tmp_path / "workspace")


@pytest.fixture
def stranger(new_web_server: Callable[[], WebServer]) -> WebServer:
    """Another program, that answers all a labelling server is asked at first."""
    started = new_web_server()

    def answer(request: BaseHTTPRequestHandler) -> None:
        body = json.dumps({"status": "UP", "email": "lead@occlufer.invalid", "invite_url": "/"})
        request.send_response(200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body.encode())

    for path in ("/health", "/api/current-user/whoami", "/api/invite"):
        started.routes[path] = answer
    return started


def ask(one: server.Server, path: str, **options: Any) -> requests.Response:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Token {one.connection.token}"
    method = "POST" if "json" in options else "GET"
    return session.request(method, one.connection.url + path, timeout=60, **options)


def post_form(address: str, fields: dict[str, str]) -> tuple[requests.Session, requests.Response]:
    session = requests.Session()
    session.trust_env = False
    assert session.get(address, timeout=60).ok
    fields["csrfmiddlewaretoken"] = session.cookies["csrftoken"]
    return session, session.post(address, data=fields, timeout=60, headers={"Referer": address})


def sign_up(address: str, email: str) -> requests.Response:
    fields = {"email": email, "password": "rater-password-1", "allow_newsletters": "false"}
    return post_form(address, fields)[1]


def logged_in(one: server.Server) -> requests.Session:
    """Return a session of the leader, who has logged in as people do."""
    known = credentials.read_credentials(one.credentials)
    fields = {"email": known.user, "password": known.password, "persist_session": "on"}
    session, answer = post_form(f"{one.connection.url}/user/login/", fields)
    assert answer.ok
    return session


def processes() -> dict[int, str]:
    """Return {number: command line} of all that run."""
    lines = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
    return lines


def servers_of(folder: Path) -> list[int]:
    """Return which processes have a workspace's data in their environment."""
    wanted = f"LABEL_STUDIO_BASE_DATA_DIR={folder / 'label_studio' / 'data'}\0".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (path / "environ").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def secrets_of(one: server.Server) -> tuple[str, ...]:
    known = credentials.read_credentials(one.credentials)
    return known.password, known.token, known.secret_key, one.invite.rpartition("token=")[2]


# who reaches it ----------------------------------------------------------------------------------


def test_it_answers_with_its_token_and_serves_its_folder(served: server.Server) -> None:
    who = ask(served, "/api/current-user/whoami").json()
    assert who["email"] == credentials.read_credentials(served.credentials).user
    assert served.files == served.log.parent / "files"
    assert served.files.is_dir()
    assert (served.log.parent / "data" / "label_studio.sqlite3").stat().st_size > 1_000_000


def test_it_listens_on_the_loopback_alone(served: server.Server) -> None:
    links = Path(f"/proc/{served.process.pid}/fd").iterdir()
    sockets = {str(link.readlink()) for link in links}
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                listening.add((table, *fields[1].split(":")))
    port = int(served.connection.url.rpartition(":")[2])
    assert listening == {("tcp", "0100007F", f"{port:04X}")}  # 127.0.0.1, byte order reversed


def test_raters_sign_up_by_the_invite_and_nobody_without(served: server.Server) -> None:
    assert sign_up(served.invite, "rater@example.org").ok
    without = served.invite.partition("?")[0]
    assert sign_up(without, "uninvited@example.org").status_code == 403
    assert sign_up(f"{without}?token=guess", "guesser@example.org").status_code == 403
    users = {user["email"] for user in ask(served, "/api/users/").json()}
    leader = credentials.read_credentials(served.credentials).user
    assert users == {"rater@example.org", leader}


def test_it_tells_no_other_machine_of_anything(served: server.Server) -> None:
    lines = Path(f"/proc/{served.process.pid}/environ").read_bytes().decode().split("\0")
    found = dict(line.split("=", 1) for line in lines if line)
    assert found["SENTRY_DSN"] == found["FRONTEND_SENTRY_DSN"] == ""
    assert found["SENTRY_RATE"] == "0"
    assert found["COLLECT_ANALYTICS"] == "false"
    assert found["LABEL_STUDIO_LATEST_VERSION_CHECK"] == "false"
    assert not set(HOSTILE) - {"COLLECT_ANALYTICS"} & set(found)
    # What it tells the browser: no address to report to.
    page = logged_in(served).get(served.connection.url + "/projects", timeout=60).text
    assert "sentry_dsn: null" in page
    assert "collect_analytics: false" in page
    assert "sentry-cdn" not in page


# what it gives away ------------------------------------------------------------------------------


def test_no_secret_is_in_a_log_a_command_line_or_a_text(served: server.Server) -> None:
    sign_up(served.invite, "second@example.org")  # its address holds the invite's token
    secrets = secrets_of(served)
    assert all(len(secret) >= 16 for secret in secrets)
    assert "/user/signup/?token=***" in served.log.read_text(encoding="utf-8")
    folder = served.log.parent
    kept = {served.credentials, folder / "data" / "label_studio.sqlite3"}
    texts = {
        str(path): path.read_bytes().decode(errors="replace")
        for path in folder.rglob("*")
        if path.is_file() and path not in kept
    }
    assert str(served.log) in texts
    lines = processes()
    assert served.process.pid in lines
    texts |= {f"process {number}": line for number, line in lines.items()}
    texts |= {"text of the server": f"{served} {served!r}"}
    for place_found, text in texts.items():
        assert not [secret for secret in secrets if secret in text], place_found


def test_everything_of_it_is_closed_to_others(served: server.Server) -> None:
    folder = served.log.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in (served.credentials, served.log, folder / "server.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    inner = [path for path in (folder / "data").rglob("*") if not path.is_symlink()]
    assert len(inner) > 3
    for path in inner:
        assert not path.stat().st_mode & 0o077, path


def test_a_token_that_the_server_refuses_is_told_and_not_shown(
    served: server.Server, workspace: Path
) -> None:
    text, wrong = served.credentials.read_text(encoding="utf-8"), "f" * 40
    served.credentials.write_text(text.replace(served.connection.token, wrong), encoding="utf-8")
    try:
        for action in (server.running, server.start):
            with pytest.raises(OccluferError, match=r"found status 401 .* expected 200") as told:
                action(workspace)
    finally:
        served.credentials.write_text(text, encoding="utf-8")
    assert not [bad for bad in (wrong, "\n") if bad in str(told.value)]
    assert server.running(workspace) == served  # a server at work is not ended for that


# how it comes back -------------------------------------------------------------------------------


def test_a_second_start_gives_the_running_one(served: server.Server, workspace: Path) -> None:
    assert server.start(workspace) == served == server.running(workspace)
    assert servers_of(workspace) == [served.process.pid]


def test_a_killed_server_comes_back_with_its_data_if_need_be_at_a_new_port(
    served: server.Server, workspace: Path, stranger: WebServer
) -> None:
    made = ask(served, "/api/projects", json={"title": "kept"}).json()["id"]
    users = ask(served, "/api/users/").json()
    os.kill(served.process.pid, signal.SIGKILL)
    until = time.monotonic() + 30
    while served.process.alive:
        assert time.monotonic() < until
    # Another program has the port meanwhile.
    run = workspace / "label_studio" / "server.json"
    table = json.loads(run.read_text(encoding="utf-8")) | {"port": stranger.port}
    run.write_text(json.dumps(table), encoding="utf-8")
    run.with_name("port").write_text(str(stranger.port), encoding="ascii")
    assert server.running(workspace) is None
    again = server.start(workspace)
    assert not stranger.asked
    assert again.connection.token == served.connection.token
    assert again.connection.url != served.connection.url
    assert again.invite.rpartition("=")[2] == served.invite.rpartition("=")[2]
    assert ask(again, f"/api/projects/{made}").json()["title"] == "kept"
    assert len(ask(again, "/api/users/").json()) == len(users)
    assert server.stop(workspace)
    assert not again.process.alive
    again.credentials.unlink()  # a new leader is made, who sees the same
    third = server.start(workspace)
    assert third.connection.url == again.connection.url  # raters have bookmarks
    assert third.connection.token != again.connection.token
    assert ask(third, f"/api/projects/{made}").json()["title"] == "kept"
    assert len(ask(third, "/api/users/").json()) == len(users) + 1


def test_stop_ends_what_it_started_and_says_whether_there_was_one(fresh: Path) -> None:
    assert server.running(fresh) is None
    assert not server.stop(fresh)
    assert not fresh.exists()
    started = server.start(fresh)
    assert server.stop(fresh)
    assert not started.process.alive
    assert servers_of(fresh) == []
    assert server.running(fresh) is None
    assert not server.stop(fresh)


def test_a_process_that_got_the_number_of_a_dead_server_is_not_ended(fresh: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        where = place.Place(fresh)
        where.folder.mkdir(parents=True)
        table = {"pid": child.pid, "began": "another time", "port": 1, "checked": True}
        where.run.write_text(json.dumps(table), encoding="utf-8")
        assert server.running(fresh) is None
        assert not server.stop(fresh)
        assert child.poll() is None
        assert not where.run.exists()
    finally:
        child.kill()
        child.wait()


def test_two_starts_at_once_make_one_server(fresh: Path) -> None:
    found: list[server.Server] = []
    threads = [threading.Thread(target=lambda: found.append(server.start(fresh))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = found
    assert astuple(first) == astuple(second)
    assert servers_of(fresh) == [first.process.pid]


def test_another_program_at_the_port_is_noticed_and_sent_no_secret(
    fresh: Path, stranger: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It takes the port between our look and the server's: that moment is played here.
    monkeypatch.setattr(server, "free_port", lambda: stranger.port)
    with pytest.raises(OccluferError, match=f"found another program at port {stranger.port}"):
        server.start(fresh)
    assert servers_of(fresh) == []
    assert server.running(fresh) is None
    asked = json.dumps([[one.path, one.headers, one.body.decode()] for one in stranger.asked])
    known = credentials.read_credentials(place.Place(fresh).credentials)
    assert "authorization" not in asked.lower()
    assert known.token not in asked
    assert server.stop(fresh) is False


def test_a_next_port_that_nobody_answers_at_but_somebody_holds_is_told_alike(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server tries the next port; a program may hold that as its own end of a connection.
    with port_in_use() as listening:
        monkeypatch.setattr(server, "free_port", lambda: listening)
        with pytest.raises(OccluferError, match=f"found another program at port {listening}"):
            server.start(fresh)
    assert servers_of(fresh) == []
    assert not place.Place(fresh).run.exists()


@contextmanager
def port_in_use() -> Iterator[int]:
    """Yield a port at which somebody listens, while the next is only held."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind((HOST, 0))
            first.listen()
            port = first.getsockname()[1]
            try:
                second.bind((HOST, port + 1))
            except OSError:
                continue
            yield port
            return


def test_a_server_that_dies_early_is_told_in_one_line(fresh: Path) -> None:
    where = place.Place(fresh)
    where.data.mkdir(parents=True)
    (where.data / "label_studio.sqlite3").write_bytes(b"no database " * 1000)
    with pytest.raises(OccluferError) as told:
        server.start(fresh)
    assert str(told.value) == f"the labelling server ended as it started; {where.log} says why"
    assert "not a database" in where.log.read_text(encoding="utf-8")
    assert servers_of(fresh) == []
    assert not where.run.exists()


START = (
    "import sys; from pathlib import Path; from occlufer.annotation.server.server import start; "
)
START += "start(Path(sys.argv[1]))"


def starting(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Return a process that starts the server of `folder`, and the number of that server."""
    command = [sys.executable, "-c", START, str(folder)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 300
    while not place.Place(folder).run.exists():
        assert time.monotonic() < until
        assert child.poll() is None
        time.sleep(0.01)
    return child, int(json.loads(place.Place(folder).run.read_text(encoding="utf-8"))["pid"])


def test_an_interrupted_start_leaves_no_server(fresh: Path) -> None:
    child, pid = starting(fresh)
    child.send_signal(signal.SIGINT)
    said = child.communicate(timeout=60)[1]
    assert said.splitlines()[-1] == "KeyboardInterrupt"
    assert pid not in processes()
    assert servers_of(fresh) == []


def test_a_killed_start_leaves_a_server_that_the_next_one_takes_over(
    fresh: Path, stranger: WebServer
) -> None:
    child, pid = starting(fresh)
    child.kill()
    child.communicate()
    # Nobody has seen yet who is at the port: it is sent nothing.
    run = place.Place(fresh).run
    text = run.read_text(encoding="utf-8")
    run.write_text(json.dumps(json.loads(text) | {"port": stranger.port}), encoding="utf-8")
    assert server.running(fresh) is None
    assert not stranger.asked
    run.write_text(text, encoding="utf-8")
    assert server.start(fresh).process.pid == pid
    assert servers_of(fresh) == [pid]


def test_a_start_off_a_terminal_says_nothing(fresh: Path) -> None:
    command = [sys.executable, "-c", START, str(fresh)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    # The process has ended, and the server has not.
    assert server.running(fresh) is not None
