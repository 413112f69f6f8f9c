"""A stand-in of the Hub's endpoints on the loopback: datasets are made, filled, tagged and read.

Models too; both kinds are in one dict, by their names.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_tests"
Answer = tuple[int, Any, dict[str, str]]
"""Status, value or bytes, headers."""


@dataclass
class Repository:
    """A dataset's or a model's repository."""

    private: bool = True
    gated: Any = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[dict[str, bytes]] = field(default_factory=list)
    tags: dict[str, int] = field(default_factory=dict)
    """{tag: which commit}"""


class Hub:
    """A running stand-in."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.uploads: list[str] = []
        """sha256 of every large file that was sent, in order."""
        self.refused_after: int | None = None
        """How many large files are taken; the ones after them are refused."""
        self.refuse_gating = False
        self.log: list[str] = []
        """Method and path of every request, and what became of visibility and gating."""
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.endpoint = f"{'http'}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        self.log.append(f"{method} {path}")
        if path.startswith("/lfs/"):
            return self._upload(path.removeprefix("/lfs/"), body)
        given = {name.lower(): text for name, text in headers.items()}.get("authorization")
        if given != f"Bearer {TOKEN}":
            return 401, {"error": "Invalid username or password."}, {}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}, {}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        match = re.fullmatch(
            r"(?:(?:/api)?/datasets|/api/models)?/([\w.-]+/[\w.-]+?)(?:\.git)?(?:/(.*))?", path
        )
        if match is None or match[1] not in self.repositories:
            return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
        name, rest = match[1], match[2] or ""
        return self._of(name, self.repositories[name], method, rest, body)

    def _create(self, asked: dict[str, Any]) -> Answer:
        name = f"{asked['organization']}/{asked['name']}"
        kind = "datasets/" if asked.get("type") == "dataset" else ""
        made = {"url": f"{self.endpoint}/{kind}{name}", "name": name}
        if name in self.repositories:
            return 409, made | {"error": "You already created this dataset repo"}, {}
        private = asked.get("visibility", "private" if asked.get("private") else "public")
        self.repositories[name] = Repository(private=private == "private")
        self.log.append(f"made {private}")
        return 200, made, {}

    def _of(self, name: str, repository: Repository, method: str, rest: str, body: bytes) -> Answer:
        first, _, more = rest.partition("/")
        if method == "PUT" and rest == "settings":
            return self._set(repository, json.loads(body))
        if first in ("", "revision"):
            return self._info(name, repository, more or "main")
        if first == "tree":
            files = repository.files.items()
            return (
                200,
                [{"type": "file", "path": k, "size": len(v), "oid": "0"} for k, v in files],
                {},
            )
        if first == "preupload":
            return 200, {"files": [_mode(one["path"]) for one in json.loads(body)["files"]]}, {}
        if rest == "info/lfs/objects/batch":
            objects = [self._batch(one) for one in json.loads(body)["objects"]]
            return 200, {"transfer": "basic", "objects": objects}, {}
        if first == "commit":
            return self._commit(name, repository, body)
        if first == "tag" and method == "DELETE":
            found = repository.tags.pop(unquote(more), None)
            return (200, {}, {}) if found is not None else (404, {"error": "no such tag"}, {})
        if first == "tag":
            return self._tag(repository, json.loads(body)["tag"], more)
        if first == "resolve":
            return self._file(repository, *more.split("/", 1))
        return 404, {"error": f"no such endpoint: {rest}"}, {}

    def _set(self, repository: Repository, asked: dict[str, Any]) -> Answer:
        if "gated" in asked:
            if self.refuse_gating:
                return 403, {"error": "gating is not in your plan"}, {}
            repository.gated = asked["gated"]
        if "visibility" in asked:
            repository.private = asked["visibility"] == "private"
        self.log.append(f"set {json.dumps(asked)}")
        return 200, {}, {}

    def _info(self, name: str, repository: Repository, revision: str) -> Answer:
        number = self._number(repository, revision)
        if number is None:
            return 404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"}
        files = repository.commits[number] if number >= 0 else {}
        info = {
            "id": name,
            "private": repository.private,
            "gated": repository.gated,
            "sha": _sha(number),
            "siblings": [{"rfilename": file} for file in files],
        }
        return 200, info, {}

    def _number(self, repository: Repository, revision: str) -> int | None:
        revision = unquote(revision)
        if revision == "main":
            return len(repository.commits) - 1
        shas = {_sha(i): i for i in range(len(repository.commits))}
        return (repository.tags | shas).get(revision)

    def _batch(self, asked: dict[str, Any]) -> dict[str, Any]:
        oid = asked["oid"]
        if oid in self.blobs:
            return asked
        return asked | {"actions": {"upload": {"href": f"{self.endpoint}/lfs/{oid}"}}}

    def _upload(self, oid: str, body: bytes) -> Answer:
        if self.refused_after is not None and len(self.uploads) >= self.refused_after:
            return 400, {"error": "the line broke"}, {}
        if hashlib.sha256(body).hexdigest() != oid:
            return 400, {"error": "another sha256"}, {}
        self.blobs[oid] = body
        self.uploads.append(oid)
        return 200, {}, {}

    def _commit(self, name: str, repository: Repository, body: bytes) -> Answer:
        files = dict(repository.files)
        for line in body.decode().splitlines():
            one = json.loads(line)
            key, value = one["key"], one["value"]
            if key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.blobs[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        repository.files = files
        repository.commits.append(files)
        sha = _sha(len(repository.commits) - 1)
        url = f"{self.endpoint}/datasets/{name}/commit/{sha}"
        return 200, {"success": True, "commitOid": sha, "commitUrl": url}, {}

    def _tag(self, repository: Repository, tag: str, revision: str) -> Answer:
        if tag in repository.tags:
            return 409, {"error": "the tag exists already"}, {}
        repository.tags[tag] = int(self._number(repository, revision) or 0)
        return 200, {}, {}

    def _file(self, repository: Repository, revision: str, path: str) -> Answer:
        number = self._number(repository, revision)
        # Before the first commit the number is -1.
        files = {} if number in (None, -1) else repository.commits[number or 0]
        path = unquote(path)
        if path not in files:
            return 404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"}
        etag = hashlib.sha256(files[path]).hexdigest()
        return 200, files[path], {"ETag": f'"{etag}"', "X-Repo-Commit": _sha(number or 0)}


def _handler(owner: Hub) -> type[BaseHTTPRequestHandler]:
    """What answers the requests of a stand-in, one after the other."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length) if length else self._chunks()
            with owner._lock:
                status, value, headers = owner._answer(
                    self.command, urlsplit(self.path).path, body, dict(self.headers)
                )
            data = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def _chunks(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return b""
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 (the names are http.server's)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def _sha(number: int) -> str:
    """A commit's name."""
    return hashlib.sha1(str(number).encode()).hexdigest()


def _mode(path: str) -> dict[str, Any]:
    mode = "lfs" if path.endswith((".parquet", ".safetensors")) else "regular"
    return {"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": None}
