"""A proxy before a server: it notes what is secret in what passes, and fails when it is told."""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class Proxy(ThreadingHTTPServer):
    """Stands before the server: notes what is secret in what passes, and fails when it is told."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = urlsplit(upstream).netloc
        self.mode = "pass"
        self.secrets: set[str] = set()
        self.failed = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'http'}://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Passes a request on, or answers 500 with what it has heard, or hangs up."""

    server: Proxy
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        said = self.headers.get("Authorization", "")
        if said:
            self.server.secrets.add(said.split()[-1])
        # A token is always exchanged: else there were nothing to fail at.
        {"pass": self._pass_on, "echo": self._echo, "cut": self._cut, "half": self._half}[
            self.server.mode if "token/refresh" not in self.path else "pass"
        ](body)

    def _answer(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=300)
        kept = {k: v for k, v in self.headers.items() if k.lower() != "host"}
        upstream.request(self.command, self.path, body or None, kept)
        answer = upstream.getresponse()
        found = answer.status, answer.getheaders(), answer.read()
        upstream.close()
        for name, value in found[1]:
            if name.lower() == "set-cookie":
                self.server.secrets.add(value.split(";")[0].partition("=")[2].strip('"'))
        if "token/refresh" in self.path and found[0] == 200:
            self.server.secrets.add(json.loads(found[2])["access"])
        return found

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _pass_on(self, body: bytes) -> None:
        self._send(*self._answer(body))

    def _echo(self, body: bytes) -> None:
        """Fail as a server in its debug mode does: with all that it was sent, and a cookie."""
        self.server.failed += 1
        self.server.secrets.add("cookie-of-the-failing-server-77")
        heard = {name: self.headers.get(name) for name in ("Authorization", "Cookie")}
        content = json.dumps({"detail": f"boom {heard}"}).encode()
        cookie = ("Set-Cookie", "sessionid=cookie-of-the-failing-server-77; Path=/")
        self._send(500, [("Content-Type", "application/json"), cookie], content)

    def _cut(self, body: bytes) -> None:
        self.server.failed += 1
        self.close_connection = True

    def _half(self, body: bytes) -> None:
        """Do what was asked for, and hang up amid the answer."""
        self.server.failed += 1
        status, _, content = self._answer(body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) + 100))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.close_connection = True

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""
