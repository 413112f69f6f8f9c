"""A port is free exactly if nothing listens at it, also just after connections have ended."""

from __future__ import annotations

import socket

from occlufer.annotation.server.ports import HOST, free_port, is_free


def test_a_port_is_free_unless_somebody_listens() -> None:
    port = free_port()
    assert is_free(port)
    with socket.create_server((HOST, port)) as listening:
        assert not is_free(port)
        with socket.create_connection((HOST, port)) as one:
            listening.accept()[0].close()  # who closes first keeps the port waiting for a minute
            assert one.recv(1) == b""
    assert is_free(port)
