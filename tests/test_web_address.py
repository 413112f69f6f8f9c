from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occlufer.builders.web import connection
from occlufer.builders.web.address import host_of, shown, site_of, web_address, why_blocked
from occlufer.builders.web.connection import Guard, Watch
from occlufer.builders.web.errors import FetchError

if TYPE_CHECKING:
    from web_server import WebServer

BLOCKED_NETS = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
BLOCKED_NETS_6 = [
    "::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:db8::/32",
    "3fff::/20",
    "4000::/3",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::200e"]


def addresses_in(net: str) -> st.SearchStrategy[str]:
    network = ipaddress.ip_network(net)
    first, last = int(network.network_address), int(network.broadcast_address)
    return st.integers(first, last).map(lambda number: str(type(network.network_address)(number)))


@pytest.mark.parametrize("net", [*BLOCKED_NETS, *BLOCKED_NETS_6])
def test_the_first_and_the_last_address_of_a_net_that_is_not_public_are_blocked(net: str) -> None:
    network = ipaddress.ip_network(net)
    assert why_blocked(str(network.network_address))
    assert why_blocked(str(network.broadcast_address))


@given(st.sampled_from([*BLOCKED_NETS, *BLOCKED_NETS_6]).flatmap(addresses_in))
def test_every_address_of_a_net_that_is_not_public_is_blocked(address: str) -> None:
    assert why_blocked(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not_blocked(address: str) -> None:
    assert why_blocked(address) == ""


def embedded(address: str) -> list[str]:
    """Return the ways in which an IPv4 address may stand in an IPv6 address."""
    number = int(ipaddress.IPv4Address(address))
    return [
        str(ipaddress.IPv6Address((0xFFFF << 32) | number)),
        str(ipaddress.IPv6Address((0x0064_FF9B << 96) | number)),
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80) | 1)),
    ]


@given(st.sampled_from(BLOCKED_NETS).flatmap(addresses_in))
def test_an_address_within_another_is_judged_as_itself(address: str) -> None:
    assert all(why_blocked(outer) for outer in embedded(address))


@pytest.mark.parametrize("address", PUBLIC[:3])
def test_a_public_address_within_another_is_not_blocked(address: str) -> None:
    assert [why_blocked(outer) for outer in embedded(address)] == ["", "", ""]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("169.254.169.254", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("0.0.0.0", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("ff0e::1", "multicast"),
        ("10.1.2.3", "private"),
        ("100.64.0.1", "not public"),
        ("photos.example", "no IP address"),
        ("", "no IP address"),
    ],
)
def test_it_is_said_why_an_address_is_blocked(address: str, why: str) -> None:
    assert why_blocked(address) == why


@given(st.ip_addresses())
def test_no_address_passes_that_is_not_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not address.is_global and not getattr(address, "sixtofour", None):
        mapped = getattr(address, "ipv4_mapped", None)
        assert why_blocked(str(address)) or (mapped and mapped.is_global)


# Names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://photos.example/a.jpg", "blocked_scheme"),
        ("file:///etc/passwd", "blocked_scheme"),
        ("FILE:///etc/passwd", "blocked_scheme"),
        ("gopher://photos.example/", "blocked_scheme"),
        ("data:image/png;base64,AAAA", "blocked_scheme"),
        ("javascript:alert(1)", "blocked_scheme"),
        ("httpx://photos.example/", "blocked_scheme"),
        ("photos.example/a.jpg", "bad_url"),
        ("//photos.example/a.jpg", "bad_url"),
        ("", "bad_url"),
        ("http://", "bad_url"),
        ("http:///a.jpg", "bad_url"),
        ("http://[::1/", "bad_url"),
        ("http://photos.example:port/", "bad_url"),
        ("http://photos.example:99999/", "bad_url"),
        ("http://photos.example:0/", "bad_url"),
        ("http://%3cphotos.example/", "bad_url"),
        ("http://photos<.example/", "bad_url"),
        ("http://[fe80::1%25eth0]/", "bad_url"),
        ("http://photos.example/a\r\nHost: other", "bad_url"),
        ("http://photos.exam\tple/", "bad_url"),
        ("http://user:secret@photos.example/", "credentials_in_url"),
        ("http://user@photos.example/", "credentials_in_url"),
        ("http://@photos.example/", "credentials_in_url"),
        ("http://photos.example\\@other.example/", "credentials_in_url"),
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str, reason: str) -> None:
    with pytest.raises(FetchError) as caught:
        web_address(url)
    assert (caught.value.reason, caught.value.again) == (reason, False)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        (" HTTP://Photos.Example/A b.jpg#top ", "http://photos.example/A%20b.jpg"),
        ("https://photos.example", "https://photos.example/"),
        ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ("https://photos.example/%C3%BC?a=1&b=2", "https://photos.example/%C3%BC?a=1&b=2"),
    ],
)
def test_an_address_is_written_as_it_is_asked_for(url: str, asked: str) -> None:
    assert web_address(url) == asked
    assert web_address(asked) == asked


def test_parameters_are_added_to_the_query() -> None:
    assert web_address("https://e.example/x?a=1", {"b": "2 3"}) == "https://e.example/x?a=1&b=2+3"


@pytest.mark.parametrize(
    ("url", "host", "site"),
    [
        ("https://e.example/x?y", "e.example", "https://e.example"),
        ("https://e.example:443/x", "e.example", "https://e.example"),
        ("http://e.example:443/x", "e.example", "http://e.example:443"),
        ("http://e.example.:80/x", "e.example", "http://e.example."),
        ("http://[2606:4700::1111]:8080/", "2606:4700::1111", "http://[2606:4700::1111]:8080"),
    ],
)
def test_host_and_site_of_an_address(url: str, host: str, site: str) -> None:
    assert (host_of(url), site_of(url)) == (host, site)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://e.example/a.jpg?key=secret#secret", "https://e.example/a.jpg"),
        ("https://user:secret@e.example:81/a.jpg", "https://e.example:81/a.jpg"),
        ("http:user:secret@e.example", "http:..."),
        ("file:///secret", "file:..."),
        ("secret", "an address"),
        ("http://[secret", "an address"),
        ("https://e.example/a\x1b[31m\u202eb", "https://e.example/a?[31m?b"),
        (f"https://e.example/{'x' * 300}", f"https://e.example/{'x' * 179}..."),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url: str, text: str) -> None:
    assert shown(url) == text


@given(st.text() | st.text().map("http://".__add__))
def test_any_text_is_an_address_or_refused(url: str) -> None:
    shown(url)
    try:
        asked = web_address(url)
    except FetchError:
        return
    assert asked.startswith(("http://", "https://"))
    assert asked.isascii()
    assert host_of(asked)
    assert web_address(asked) == asked


# Sockets -----------------------------------------------------------------------------------------


def guard(*allow_hosts: str) -> Guard:
    return Guard(Watch(5, 5), 1, allow_hosts)


def leads_to(monkeypatch: pytest.MonkeyPatch, **names: list[str]) -> None:
    """Let names lead to addresses; a name's dots are written as underscores."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: int, **options: int) -> object:
        found = names.get(host.replace(".", "_"))
        if found is None:
            return real(host, port, *args, **options)
        return [info for address in found for info in real(address, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_a_name_that_leads_to_a_public_and_a_private_address_is_blocked_before_it_is_reached(
    web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(monkeypatch, photos_example=["93.184.216.34", "127.0.0.1"])
    monkeypatch.setattr(Guard, "_first", lambda *_: pytest.fail("connected"))
    with pytest.raises(FetchError, match=r"leads to 127\.0\.0\.1 \(loopback\)") as caught:
        guard().connect("photos.example", web_server.port, None)
    assert caught.value.reason == "blocked_address"


def test_the_connected_socket_has_the_last_word(
    web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if something on the way turned the public address into one of this machine.
    class Looked:
        count = 0

    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: int, **options: int) -> object:
        Looked.count += 1
        return real("93.184.216.34" if Looked.count == 1 else "127.0.0.1", port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(FetchError, match="blocked_address") as caught:
        guard().connect("photos.example", web_server.port, None)
    assert caught.value.reason == "blocked_address"
    assert Looked.count == 2
    assert not web_server.requests


def test_a_name_is_looked_up_once(web_server: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *args: int, **options: int) -> object:
        asked.append(host)
        return real("127.0.0.1", port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    host = f"photos.example:{web_server.port}"
    guard(host).connect("photos.example", web_server.port, None).close()
    assert asked == ["photos.example", "127.0.0.1"]


def test_the_next_address_is_tried_if_one_does_not_answer(
    web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(monkeypatch, photos_example=["127.0.0.2", "127.0.0.1"])
    host = f"photos.example:{web_server.port}"
    connected = guard(host).connect("photos.example", web_server.port, None)
    assert connected.getpeername()[0] == "127.0.0.1"
    connected.close()


def test_connecting_takes_from_the_time_of_what_comes_next(
    web_server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def slowly(*args: Any) -> Any:
        nonlocal now
        now = 9.0
        return real(*args)

    real = connection.create_connection
    monkeypatch.setattr(connection, "create_connection", slowly)
    host = f"localhost:{web_server.port}"
    watch = Watch(10, 5, lambda: now)
    connected = Guard(watch, 5, [host]).connect("localhost", web_server.port, None)
    assert connected.gettimeout() == 1
    connected.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "unknown_host"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure"), "connection"),
        (UnicodeError("label too long"), "bad_url"),
    ],
    ids=["no such name", "no answer", "no name"],
)
def test_a_name_that_leads_nowhere_is_said_to(
    monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    def getaddrinfo(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(FetchError) as caught:
        guard().connect("photos.example", 80, None)
    assert (caught.value.reason, caught.value.again) == (reason, reason != "bad_url")
