"""A server that repeats in its errors what it was sent, as in a debug mode, gives nothing away."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from occlufer.annotation.studio import Connection, Studio, StudioError


def token_of(kind: str) -> str:
    """A JWT that is good until the year 2100, as far as its reader can tell."""
    parts = ({"alg": "HS256", "typ": "JWT"}, {"token_type": kind, "exp": 4102444800, "jti": "a1"})
    made = [base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts]
    return ".".join([*made, f"{kind}-signature-0123456789abcdef"])


LEGACY, REFRESH, ACCESS = (
    "0123456789abcdef" * 2 + "01234567",
    token_of("refresh"),
    token_of("access"),
)
COOKIE = "a-cookie-that-opens-the-session"


class Parrot(BaseHTTPRequestHandler):
    """Exchanges tokens; else answers 500 with the headers that it has heard, after some words."""

    words = ""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send(200, {"access": ACCESS})

    def do_GET(self) -> None:
        heard = [self.headers.get("Authorization"), f"sessionid={COOKIE}; Path=/"]
        self._send(500, {"detail": f"Token is invalid {self.words} {heard}"})

    def _send(self, status: int, table: dict[str, str]) -> None:
        content = json.dumps(table).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def parrot() -> Iterator[str]:
    """The address of such a server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Parrot)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"{'http'}://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("words", ["", "x" * 240], ids=["whole", "cut in mid-token"])
@pytest.mark.parametrize("token", [LEGACY, REFRESH], ids=["legacy", "personal"])
def test_no_secret_that_the_server_repeats_is_told(
    parrot: str, token: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Parrot, "words", words)
    with pytest.raises(StudioError) as caught:
        Studio(Connection(parrot, token)).whoami()
    said = str(caught.value)
    assert "status 500: Token is invalid" in said
    assert "***" in said
    secrets = (LEGACY, COOKIE, *REFRESH.split(".")[1:], *ACCESS.split(".")[1:])
    for secret in secrets:
        assert secret[:12] not in said
        assert secret[-12:] not in said
