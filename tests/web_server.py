"""A web server on the loopback that answers as badly as a test wants; the fixture is web_server."""

from __future__ import annotations

import ssl
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Route = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    """With its query."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class WebServer:
    """A running server. `routes` is {path: route} and may change at any time; else it is a 404."""

    def __init__(
        self,
        routes: Mapping[str, Route] | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.routes: dict[str, Route] = dict(routes or {})
        self.requests: Counter[str] = Counter()
        """How often each path was asked for, its query left off."""
        self.asked: list[Asked] = []
        self.scheme = "http"
        self.address = address
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                owner._serve(self)

            def do_POST(self) -> None:
                owner._serve(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            # A test that is done does not wait for an answer that has no end.
            block_on_close = False

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a client that leaves, or that trusts no certificate, is what is wanted

        self._server = Server((address, port), Handler)
        poll = {"poll_interval": 0.01}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs=poll)
        self._thread.start()

    def use_tls(self, certificate: str) -> None:
        """Speak TLS from here on, with the certificate and key in a PEM file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake belongs to the thread of the request.
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.scheme = "https"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def host(self) -> str:
        """Host and port, as allow_hosts wants them."""
        return f"{self.address}:{self.port}"

    def url(self, path: str, host: str | None = None) -> str:
        """Return the address of a path, perhaps by another name of the host."""
        return f"{self.scheme}://{self.host if host is None else f'{host}:{self.port}'}{path}"

    def stop(self) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            self.requests[path] += 1
            self.asked.append(Asked(handler.command, handler.path, headers, body))
            route = self.routes.get(path, answer(b"", 404))
        handler.close_connection = True
        route(handler)

    # Routes that have no end must know when the server has: these are methods.

    def drip(self, data: bytes, every_s: float, first: bytes = b"") -> Route:
        """Return a route that sends `first` at once and then one byte at a time."""

        def route(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(first)
            for byte in data:
                if self._stopping.wait(every_s):
                    return
                handler.wfile.write(bytes([byte]))

        return route

    def endless(self, data: bytes, first: bytes = b"") -> Route:
        """Return a route that sends `first` and then the same bytes until somebody gives up."""

        def route(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(first)
            while not self._stopping.is_set():
                handler.wfile.write(data)

        return route

    def silent(self, first: bytes = b"") -> Route:
        """Return a route that sends `first` and then nothing more."""

        def route(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(first)
            self._stopping.wait()

        return route

    @staticmethod
    def answer(
        body: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Route:
        """Return a route with an honest answer."""
        return answer(body, status, headers)

    @staticmethod
    def raw(data: bytes) -> Route:
        """Return a route that sends these bytes, head and all, and closes the connection."""

        def route(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(data)

        return route

    @staticmethod
    def redirect(location: str, status: int = 302) -> Route:
        return answer(b"", status, {"Location": location})

    @staticmethod
    def in_turn(*routes: Route) -> Route:
        """Return a route that is another one each time, the last one for ever."""
        left = list(routes)

        def route(handler: BaseHTTPRequestHandler) -> None:
            (left.pop(0) if len(left) > 1 else left[0])(handler)

        return route


def answer(body: bytes = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> Route:
    def route(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return route
