"""The embedded server: a Label Studio of the workspace's own, on this machine alone."""

from __future__ import annotations

import dataclasses
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from occlufer.errors import OccluferError

from ..studio import Connection
from . import installation
from .credentials import Credentials, kept_credentials, read_credentials
from .place import Place, Run, keep_run, kept_port, kept_run
from .ports import HOST, free_port, is_free
from .private import copy_private, private_folder
from .process import Process, launch
from .waiting import held_in_turn, ticks

# Django's words (runserver).
PORT_TAKEN = "That port is already in use."
START_LIMIT_S = 300.0
ANSWER_LIMIT_S = 30.0
STOP_LIMIT_S = 20.0
BUSY = "process {} starts or stops the server of this workspace; wait for it"


@dataclass(frozen=True)
class Server:
    """A running server."""

    connection: Connection
    invite: str = field(repr=False)
    """The address at which raters sign up; whoever has it can."""
    files: Path
    """The folder that it serves as local files."""
    log: Path
    credentials: Path
    """The file with the name and password of who leads the labelling."""
    process: Process


def start(workspace: Path) -> Server:
    """Return the server of the workspace, started if it does not run; its data is kept.

    Raises MissingError if it cannot be installed, OccluferError if it does not come up.
    """
    place = Place(workspace.resolve())
    private_folder(place.folder)
    with held_in_turn(place.lock, BUSY, START_LIMIT_S):
        kept = kept_run(place)
        if kept is not None:
            try:
                return _ready(place, kept)
            except OccluferError:
                if kept.process.alive:  # else it was about to end when we looked
                    raise
        run = _launched(place)
        try:
            return _ready(place, run)
        except BaseException:  # Ctrl-C too: what did not come up is not left behind
            _end(place, run)
            raise


def stop(workspace: Path) -> bool:
    """End the server that `start` has left, and return whether there was one."""
    place = Place(workspace.resolve())
    if not place.run.exists():
        return False
    with held_in_turn(place.lock, BUSY, STOP_LIMIT_S):
        run = kept_run(place)
        if run is not None:
            run.process.end()
        place.run.unlink(missing_ok=True)
        return run is not None


def running(workspace: Path) -> Server | None:
    """Return the server of the workspace, None if it does not run.

    Raises OccluferError if it runs and does not let us in, e.g. as its token was changed.
    """
    place = Place(workspace.resolve())
    run = kept_run(place)
    if run is None or not run.checked:
        return None
    try:
        return _server(place, run)
    except OccluferError:
        if run.process.alive:
            raise
        return None


def _launched(place: Place) -> Run:
    """Start a server process on the workspace's data, and leave word of it."""
    environment = installation.environment(place.environment, place.folder / "install.log")
    credentials = kept_credentials(place.credentials)
    place.files.mkdir(exist_ok=True)
    private_folder(place.data)
    _lay_database(place, environment)
    if place.log.exists():
        place.log.replace(place.log.with_name("server.before.log"))
    former = kept_port(place)
    port = former if former is not None and is_free(former) else free_port()
    variables = installation.clean_environment(place.data, _variables(place, credentials))
    run = Run(launch(_command(environment, port), variables, place.log), port)
    try:
        keep_run(place, run)
    except BaseException:  # nobody would know of the process
        run.process.end()
        raise
    return run


def _lay_database(place: Place, environment: Path) -> None:
    """Put an empty database where there is none: making one takes the server a minute."""
    database = place.data / installation.DATABASE
    if database.exists():
        return
    kept = installation.empty_database(environment, place.folder / "database.log")
    if kept is not None:
        copy_private(kept, database)


def _command(environment: Path, port: int) -> list[str]:
    # -I: neither the user's Python variables nor the launcher's folder, whose modules have the
    # names of the server's own.
    python = [str(installation.python_of(environment)), "-I", "-u", str(installation.LAUNCHER)]
    return [*python, "start", "--no-browser", "--internal-host", HOST, "--port", str(port)]


def _variables(place: Place, credentials: Credentials) -> dict[str, str]:
    return {
        "LABEL_STUDIO_BASE_DATA_DIR": str(place.data),
        "LABEL_STUDIO_USERNAME": credentials.user,
        "LABEL_STUDIO_PASSWORD": credentials.password,
        "LABEL_STUDIO_USER_TOKEN": credentials.token,
        "SECRET_KEY": credentials.secret_key,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(place.files),
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    }


def former_port(workspace: Path) -> int | None:
    """Return the port at which the server of the workspace was last seen, if it was."""
    return kept_port(Place(workspace.resolve()))


def _ready(place: Place, run: Run) -> Server:
    """Return the server once it answers; raises OccluferError if it is not the one started.

    It takes the next port where its own is taken, and says in its log which it has: until then
    nothing is sent there, least of all the token.
    """
    if run.checked:
        return _server(place, run)
    for _ in ticks(START_LIMIT_S, "starting Label Studio"):
        alive = run.process.alive
        port = _port_in(place.log)
        if port not in (None, run.port) or (not alive and _found_no_port(place.log)):
            raise OccluferError(
                f"the labelling server: found another program at port {run.port}, which was free"
                " just now; run the same command again"
            )
        if not alive:
            raise OccluferError(f"the labelling server ended as it started; {place.log} says why")
        if port is not None and _healthy(port):
            server = _server(place, run)
            keep_run(place, dataclasses.replace(run, checked=True))
            return server
    raise OccluferError(
        f"the labelling server: found no answer within {START_LIMIT_S:.0f} s; {place.log} may say"
        " why"
    )


def _port_in(log: Path) -> int | None:
    """Return the port that the server says it listens at, once it does."""
    _, said, rest = log.read_text(encoding="utf-8", errors="replace").partition(
        f"Starting development server at http://{HOST}:"
    )
    number, end, _ = rest.partition("/")
    return int(number) if said and end else None


def _found_no_port(log: Path) -> bool:
    """Return whether the server says that its port, or the next that it tried, was taken.

    It asks whether somebody answers at the next one; a program that holds that one as its own end
    of a connection doesn't, and the server ends.
    """
    return PORT_TAKEN in log.read_text(encoding="utf-8", errors="replace")


def _healthy(port: int) -> bool:
    try:
        return _get(port, "/health")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _server(place: Place, run: Run) -> Server:
    """Return the server at the port of `run`, which must know its own token."""
    credentials = read_credentials(place.credentials)
    try:
        status, answer = _get(run.port, "/api/current-user/whoami", credentials.token)
        if status == 200 and answer.get("email") == credentials.user:
            _, invite = _get(run.port, "/api/invite", credentials.token)
            url = f"http://{HOST}:{run.port}"
            return Server(
                connection=Connection(url, credentials.token),
                invite=f"{url}{invite['invite_url']}",
                files=place.files,
                log=place.log,
                credentials=place.credentials,
                process=run.process,
            )
    except (OSError, http.client.HTTPException, KeyError):
        raise OccluferError(
            f"the labelling server, process {run.process.pid}: found no answer; {place.log} may say"
            " why, `occlufer annotate stop` ends it"
        ) from None
    raise OccluferError(
        f"the labelling server, process {run.process.pid}: found {_refusal(status, answer)} for the"
        f" token in {place.credentials}, expected 200; if the token was changed on the server, run"
        " `occlufer annotate stop`, delete that file and start anew: all answers are kept"
    )


def _refusal(status: int, answer: Mapping[str, Any]) -> str:
    return " ".join(f"status {status} {answer.get('detail', '')}".split())


def _get(port: int, path: str, token: str | None = None) -> tuple[int, dict[str, Any]]:
    """Return status and JSON of an answer: by no proxy, and following no redirection."""
    asked = http.client.HTTPConnection(HOST, port, timeout=ANSWER_LIMIT_S)
    try:
        asked.request("GET", path, headers={"Authorization": f"Token {token}"} if token else {})
        answer = asked.getresponse()
        content = answer.read()
    finally:
        asked.close()
    try:
        table = json.loads(content)
    except ValueError:
        table = {}
    return answer.status, table if isinstance(table, dict) else {}


def _end(place: Place, run: Run) -> None:
    run.process.end()
    place.run.unlink(missing_ok=True)
