"""Addresses: which may be asked for, which may be reached, and what of one may be shown."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import requests

from .errors import FetchError

DEFAULT_PORTS = {"http": 80, "https": 443}
# A translator between the two protocols puts the IPv4 address into the last 32 bits.
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# On no public net either, but global for one version of Python or another.
NOT_PUBLIC = tuple(
    ipaddress.ip_network(net)
    for net in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "fec0::/10")
)
SHOWN_LENGTH = 200

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[0-9a-z._:-]+")  # colons: of an IPv6 address


def web_address(url: str, params: Mapping[str, str] | None = None) -> str:
    """Return the address as it is asked for: quoted, the host in lower case, no fragment.

    Raises FetchError, whose detail does not repeat the address, for all but http and https, for
    credentials in the address, and for what cannot be read.
    """
    url = url.strip()
    if _CONTROL.search(url):
        raise FetchError("bad_url", "found a control character in the address")
    try:
        given = urlsplit(url)
        if given.scheme not in DEFAULT_PORTS:
            reason = "blocked_scheme" if given.scheme else "bad_url"
            found = f"{given.scheme}:" if given.scheme else "no scheme"
            raise FetchError(reason, f"found {found}, expected http: or https:")
        request = requests.PreparedRequest()
        request.prepare_url(url, params)
        asked = (request.url or "").partition("#")[0]
        parts = urlsplit(asked)
        plain = _HOST.fullmatch(parts.hostname or "")
        whole = plain and parts.scheme in DEFAULT_PORTS and 0 not in (given.port, parts.port)
    except (requests.RequestException, ValueError):  # ValueError: brackets, or a port, amiss
        whole = False
    if not whole:
        raise FetchError("bad_url", "the address cannot be read")
    # Both: requests and Python need not agree on where the host begins.
    if "@" in given.netloc or "@" in parts.netloc:
        raise FetchError("credentials_in_url", "found a name or a password before the host")
    return asked


def host_of(url: str) -> str:
    """Return the host of what web_address() gave, without its port."""
    return (urlsplit(url).hostname or "").rstrip(".")


def site_of(url: str) -> str:
    """Return scheme, host and port of what web_address() gave, e.g. "https://example.org".

    It is what a robots.txt speaks for; a port that goes without saying is left out.
    """
    parts = urlsplit(url)
    netloc = parts.netloc.removesuffix(f":{DEFAULT_PORTS[parts.scheme]}")
    return f"{parts.scheme}://{netloc}"


def shown(url: str) -> str:
    """Return the address as people may see it: keys stand in queries, so there is none."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return "an address"
    if parts.scheme not in DEFAULT_PORTS or not parts.netloc:
        return f"{parts.scheme}:..." if parts.scheme else "an address"
    text = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= SHOWN_LENGTH else text[: SHOWN_LENGTH - 3] + "..."


def why_blocked(address: str) -> str:
    """Return why a numeric IP address may not be reached; "" if it is on the public internet."""
    try:
        # What follows % names a network interface of this machine.
        ip = _embedded(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return "no IP address"
    for kind in ("loopback", "link_local", "unspecified", "multicast", "private", "reserved"):
        if getattr(ip, f"is_{kind}"):
            return kind.replace("_", "-")
    return "" if ip.is_global and not any(ip in net for net in NOT_PUBLIC) else "not public"


def _embedded(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the IPv4 address that is reached by way of an IPv6 address, if there is one in it."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip
