"""Where a store may lead a client to: redirects and token servers of its choice must not reach into this network."""

import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

# Metadata services of clouds whose addresses are not link-local.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))


def astray(url: str, origin: str) -> str:
    """Return why ``url``, to which the store at the URL ``origin`` leads, is not followed; empty if it is.

    TLS is kept, except on one host that has none; this machine, link-local addresses and metadata services of clouds
    are not reached from elsewhere.
    """
    try:
        there, here = urlsplit(url), urlsplit(origin)
        is_same = there.hostname == here.hostname
    except ValueError:
        return "is no address"
    if not there.hostname:
        return "is no address"
    if there.scheme != "https" and not (there.scheme == here.scheme == "http" and is_same):
        return "is not https"
    if not is_same and any(_is_inside(address) for address in _addresses(there.hostname)):
        return "is an address of this machine or its surroundings"
    return ""


def _addresses(host: str) -> Iterator[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return  # there is no connection to it, or a proxy makes it
    for entry in found:
        address = ipaddress.ip_address(str(entry[4][0]).partition("%")[0])
        yield getattr(address, "ipv4_mapped", None) or address


def _is_inside(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_link_local or address.is_loopback or address.is_unspecified or address in _METADATA
