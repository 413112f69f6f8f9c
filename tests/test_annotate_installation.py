"""The labelling server's environment, credentials, files and process: all that needs no server."""

from __future__ import annotations

import contextlib
import itertools
import os
import pty
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.annotation.server import credentials, installation, launch, private, process, waiting
from occlufer.errors import MissingError, UsageError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# secrets -----------------------------------------------------------------------------------------


def test_new_credentials_are_unlike_any_others_and_are_kept(tmp_path: Path) -> None:
    first, second = (credentials.generate() for _ in range(2))
    for name in ("user", "password", "token", "secret_key"):
        assert getattr(first, name) != getattr(second, name)
        assert len(getattr(first, name)) >= 20
    assert len(first.token) == 40
    assert int(first.token, 16)  # the server takes 40 hexadecimal digits
    path = tmp_path / "credentials.json"
    assert credentials.kept_credentials(path) == credentials.kept_credentials(path)


def test_credentials_do_not_show_their_secrets() -> None:
    made = credentials.generate()
    shown = f"{made} {made!r}"
    assert made.user in shown
    assert not any(secret in shown for secret in (made.password, made.token, made.secret_key))


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"user": 1}', "\x00", '{"user": "a", "password": ""}']
)
def test_a_file_without_credentials_is_told_in_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "credentials.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match="found no credentials, expected JSON with user,") as told:
        credentials.kept_credentials(path)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def test_a_private_file_is_never_open_to_others_whatever_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old", encoding="utf-8")
    path.chmod(0o666)
    seen: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for found in tmp_path.glob(".secret.*"):
                with contextlib.suppress(FileNotFoundError):
                    seen.add(mode(found))

    watcher = threading.Thread(target=watch)
    watcher.start()
    before = os.umask(0)
    try:
        for number in range(100):
            private.write_private(path, str(number))
            assert mode(path) == 0o600
    finally:
        os.umask(before)
        done.set()
        watcher.join()
    assert seen <= {0o600}
    assert path.read_text(encoding="utf-8") == "99"
    assert [found.name for found in tmp_path.iterdir()] == ["secret"]


def test_a_private_log_does_not_follow_a_link(tmp_path: Path) -> None:
    (tmp_path / "another").write_text("kept", encoding="utf-8")
    (tmp_path / "log").symlink_to(tmp_path / "another")
    os.close(private.open_private(tmp_path / "log"))
    assert (tmp_path / "another").read_text(encoding="utf-8") == "kept"
    assert not (tmp_path / "log").is_symlink()


SECRET = st.text("0123456789abcdef", min_size=8)


@given(st.lists(SECRET, min_size=1, max_size=3), st.text(), st.text())
def test_what_the_server_says_holds_no_secret(secrets: list[str], before: str, after: str) -> None:
    for secret in secrets:
        assert secret not in launch.hide(before + secret + after, secrets)


def test_the_token_of_an_invite_is_hidden_in_an_address() -> None:
    line = '[INFO] "GET /user/signup/?next=/a&token=0123abc&x=1 HTTP/1.1" 200'
    assert launch.hide(line, []) == line.replace("0123abc", "***")


@pytest.mark.parametrize("said", ["bob@example.org", '"o\'brien+x@example.org".', "a?e=b%40c.org"])
def test_no_rater_is_named_by_an_e_mail_address(said: str) -> None:
    line = f"There are no tasks for {said} in project\n  File x"
    assert launch.hide(line, []) == "There are no tasks for *** in project\n  File x"
    assert launch.hide("an @ alone", []) == "an @ alone"
    assert launch.hide("x" * 300_000, []) == "x" * 300_000  # in squared time it takes minutes


# processes ---------------------------------------------------------------------------------------


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Callable[[str], process.Process]]:
    """Start Python code as a process that outlives us, until the test ends."""
    started: list[process.Process] = []

    def start(code: str) -> process.Process:
        environment = {"PATH": os.environ["PATH"]}
        log = tmp_path / f"log-{len(started)}"
        started.append(process.launch([sys.executable, "-u", "-c", code], environment, log))
        return started[-1]

    yield start
    for one in started:
        one.end(grace_s=0)


def wait_for(path: Path, text: str) -> None:
    until = time.monotonic() + 30
    while text not in path.read_text(encoding="utf-8"):
        assert time.monotonic() < until, f"{path} does not hold {text!r}"
        time.sleep(0.02)


SLEEP = "import time; print('up'); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


@pytest.mark.parametrize("code", [SLEEP, STUBBORN], ids=["willing", "deaf to SIGTERM"])
def test_a_process_is_ended(
    launched: Callable[[str], process.Process], tmp_path: Path, code: str
) -> None:
    one = launched(code)
    wait_for(tmp_path / "log-0", "up")
    assert one.alive
    one.end(grace_s=0.5)
    assert not one.alive
    with pytest.raises(ProcessLookupError):
        os.kill(one.pid, 0)
    one.end()  # once more is no error


def test_a_process_that_died_by_itself_is_not_alive(
    launched: Callable[[str], process.Process],
) -> None:
    one = launched("pass")
    until = time.monotonic() + 30
    while one.alive and time.monotonic() < until:  # a child of ours: it stays as a zombie
        time.sleep(0.02)
    assert not one.alive


def test_another_process_with_the_same_number_is_left_alone(
    launched: Callable[[str], process.Process], tmp_path: Path
) -> None:
    stranger = launched(SLEEP)
    wait_for(tmp_path / "log-0", "up")
    ours = process.Process(stranger.pid, "a boot before 4711")
    assert not ours.alive
    ours.end(grace_s=0)
    assert stranger.alive


def test_the_two_ways_to_tell_a_process_agree_on_who_runs(
    launched: Callable[[str], process.Process], tmp_path: Path
) -> None:
    one = launched(SLEEP)
    wait_for(tmp_path / "log-0", "up")
    assert process._by_ps(one.pid) == process._by_ps(one.pid) is not None
    assert process._by_ps(os.getpid()) != process._by_ps(one.pid)
    os.kill(one.pid, signal.SIGKILL)
    until = time.monotonic() + 30
    while process._by_ps(one.pid) is not None and time.monotonic() < until:  # also as a zombie
        time.sleep(0.02)
    assert process._by_ps(one.pid) is None
    assert process._by_proc(one.pid) is None


def test_a_launched_process_has_a_session_and_private_files_of_its_own(
    launched: Callable[[str], process.Process], tmp_path: Path
) -> None:
    made = tmp_path / "made"
    one = launched(f"open({str(made)!r}, 'w'); {SLEEP}")
    wait_for(tmp_path / "log-0", "up")
    assert os.getsid(one.pid) == one.pid != os.getsid(0)
    assert mode(tmp_path / "log-0") == mode(made) == 0o600


# waiting -----------------------------------------------------------------------------------------


def test_waiting_is_silent_off_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    assert len(list(waiting.ticks(0.6, "starting"))) in (2, 3)
    assert capfd.readouterr() == ("", "")


def test_waiting_is_told_on_a_terminal_and_wiped_away() -> None:
    code = (
        "from occlufer.annotation.server.waiting import ticks\nfor _ in ticks(.3, 'starting'): pass"
    )
    ours, theirs = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stderr=theirs, check=True)
    os.close(theirs)
    said = os.read(ours, 10_000).decode()
    os.close(ours)
    assert said.startswith("\r  starting: 0 s")
    assert said.endswith("\r\x1b[K")


def test_the_next_one_waits_for_a_lock_and_gives_up_in_the_end(tmp_path: Path) -> None:
    lock, order = tmp_path / "lock", []
    busy = "process {} is at it"

    def second() -> None:
        with waiting.held_in_turn(lock, busy, 30):
            order.append("second")

    with waiting.held_in_turn(lock, busy, 0):
        thread = threading.Thread(target=second)
        thread.start()
        with (
            pytest.raises(UsageError, match=f"process {os.getpid()} is at it"),
            waiting.held_in_turn(lock, busy, 0.3),
        ):
            pass
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_nobody_goes_on_without_the_lock_though_the_clock_jumps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = tmp_path / "lock"
    clock = itertools.chain((0, 0), itertools.repeat(1000))  # the second look comes late
    with waiting.held_in_turn(lock, "process {} is at it", 0):
        slept = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None)
        monkeypatch.setattr(waiting, "time", slept)
        with (
            pytest.raises(UsageError, match=f"process {os.getpid()} is at it"),
            waiting.held_in_turn(lock, "process {} is at it", 30),
        ):
            pytest.fail("two hold one lock")


# the environment ---------------------------------------------------------------------------------


def wheel(folder: Path, version: str) -> Path:
    """Put a wheel of that name which holds nothing into `folder`."""
    folder.mkdir(exist_ok=True)
    info = f"label_studio-{version}.dist-info"
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / f"label_studio-{version}-py3-none-any.whl", "w") as file:
        named = f"Metadata-Version: 2.1\nName: label-studio\nVersion: {version}\n"
        file.writestr(f"{info}/METADATA", named)
        file.writestr(f"{info}/WHEEL", tags)
        file.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return folder


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the user's pip is told to take everything from; as yet it is empty."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.delenv(installation.VARIABLE, raising=False)
    return folder


@pytest.mark.slow
def test_an_environment_is_made_by_the_user_s_pip_and_made_anew_if_half_made(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hostile"))
    folder, log = tmp_path / "made" / "venv", tmp_path / "install.log"
    with pytest.raises(MissingError) as told:
        installation.install(folder, log)
    assert str(told.value) == f"label-studio==1.23.2 could not be installed; {log} says why"
    assert "No matching distribution" in log.read_text(encoding="utf-8")
    assert mode(log) == 0o600
    assert installation.installed_version(folder) is None

    (folder / "half").mkdir()
    wheel(wheels, "1.23.2")
    assert installation.environment(folder, log) == folder
    assert installation.installed_version(folder) == "1.23.2"
    assert not (folder / "half").exists()

    wheels.joinpath("label_studio-1.23.2-py3-none-any.whl").unlink()
    installation.install(folder, log)  # it is there: pip is not asked again
    # The interpreter that it was made with may be gone.
    installation.python_of(folder).unlink()
    with pytest.raises(MissingError):
        installation.install(folder, log)


@pytest.mark.slow
def test_an_installation_that_was_killed_is_made_anew(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "1.23.2")
    folder, log = tmp_path / "venv", tmp_path / "install.log"
    code = "import sys; from pathlib import Path; "
    code += "from occlufer.annotation.server.installation import install; "
    code += "install(Path(sys.argv[1]), Path(sys.argv[2]))"
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(folder), str(log)], start_new_session=True
    )
    until = time.monotonic() + 60
    while not (folder / "lib").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    assert (folder / installation.MARK).read_text(encoding="utf-8") == "begun"
    (folder / "of the first").touch()
    installation.install(folder, log)
    assert installation.installed_version(folder) == "1.23.2"
    assert not (folder / "of the first").exists()
    # Killed a moment later, when label-studio is there and what it needs may not be.
    (folder / installation.MARK).write_text("begun", encoding="utf-8")
    (folder / "of the second").touch()
    installation.install(folder, log)
    assert installation.installed_version(folder) == "1.23.2"
    assert not (folder / "of the second").exists()


@pytest.mark.slow
def test_two_at_once_make_one_environment(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "1.23.2")
    folder = tmp_path / "venv"
    logs = [tmp_path / f"install-{number}.log" for number in range(2)]
    threads = [threading.Thread(target=installation.install, args=(folder, log)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert installation.installed_version(folder) == "1.23.2"
    assert sum(log.exists() for log in logs) == 1


@pytest.mark.slow
def test_a_named_environment_must_hold_the_pinned_version(
    tmp_path: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel(wheels, "1.22.0")
    named = tmp_path / "named"
    monkeypatch.setenv(installation.VARIABLE, str(named))
    own, log = tmp_path / "own", tmp_path / "log"
    with pytest.raises(
        MissingError, match=r"found no environment with label-studio, expected 1\.23"
    ):
        installation.environment(own, log)
    subprocess.run([sys.executable, "-m", "venv", named], check=True)
    command = [installation.python_of(named), "-m", "pip", "install", "-q", "label-studio"]
    subprocess.run(command, check=True)
    with pytest.raises(MissingError, match=r"found label-studio 1\.22\.0, expected 1\.23\.2") as no:
        installation.environment(own, log)
    assert f"{named} (OCCLUFER_LABEL_STUDIO)" in str(no.value)
    assert "\n" not in str(no.value)
    wheel(wheels, "1.23.2")
    subprocess.run([*command, "--upgrade"], check=True)
    assert installation.environment(own, log) == named
    assert not own.exists()


def test_a_folder_that_another_made_is_never_cleared(tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.tex").write_text("kept", encoding="utf-8")
    with pytest.raises(UsageError, match="found a folder that occlufer did not make"):
        installation.install(folder, tmp_path / "log")
    assert (folder / "chapter.tex").read_text(encoding="utf-8") == "kept"


@pytest.mark.slow
def test_the_kept_database_knows_nobody_and_no_secret(label_studio: Path, tmp_path: Path) -> None:
    kept = installation.empty_database(label_studio, tmp_path / "log")
    if kept is None:
        pytest.skip(f"{label_studio} cannot be written to: no database is kept there")
    with contextlib.closing(sqlite3.connect(f"file:{kept}?mode=ro", uri=True)) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        filled = {n for n in names if db.execute(f'SELECT 1 FROM "{n}" LIMIT 1').fetchone()}
        (applied,) = db.execute("SELECT count(*) FROM django_migrations").fetchone()
    # What is in it is the same for everybody: tables' names, rights' names, migrations done.
    assert filled == {
        *("django_migrations", "django_content_type", "auth_permission"),
        *("core_asyncmigrationstatus", "sqlite_sequence"),
    }
    assert {"htx_user", "organization", "authtoken_token", "project"} <= set(names)
    assert applied > 300
