"""A gateway on the loopback that brings requests to a server, and loses one of the answers."""

from __future__ import annotations

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

HOST = "127.0.0.1"


class LossyGateway:
    """Stands before `server`; the answer to the first POST whose path has `part` never comes."""

    def __init__(self, server: str, part: str, losses: int = 1) -> None:
        self.lost = 0
        gateway = self
        client = httpx.Client(base_url=server, timeout=120, trust_env=False)
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                kept = ("Authorization", "Content-Type")
                headers = {name: self.headers[name] for name in kept if name in self.headers}
                reply = client.request(self.command, self.path, content=body, headers=headers)
                with lock:
                    lose = self.command == "POST" and part in self.path and gateway.lost < losses
                    gateway.lost += lose
                if lose:  # the server has done it, and nobody hears of it
                    self.close_connection = True
                    self.connection.close()
                    return
                self.send_response(reply.status_code)
                self.send_header("Content-Type", reply.headers.get("Content-Type", ""))
                self.send_header("Content-Length", str(len(reply.content)))
                self.end_headers()
                self.wfile.write(reply.content)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def finish(self) -> None:
                with contextlib.suppress(OSError, ValueError):  # closed above
                    super().finish()

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
