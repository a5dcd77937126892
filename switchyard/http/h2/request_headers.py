"""The header fields of an HTTP/2 request, parsed and checked."""

import re
from dataclasses import dataclass
from typing import Any

from switchyard.http.h2.fields import Field

# RFC 9113 §8.2.2: they belong to a connection of HTTP/1.1.
CONNECTION_FIELDS = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))

# RFC 3986 §3.2.2: an address in brackets or a name, with or without a port.
HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(?::[0-9]*)?")

_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5; a tab is allowed within a value
_METHOD = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_NO_TARGET = re.compile(rb"[\x00-\x20#\x7f]")
_DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}  # nothing else is served, so no other scheme has a meaning here
_NEEDED = {b":method", b":scheme", b":path"}
GRPC = re.compile(rb"application/grpc(?:[+;].*)?")  # and not grpc-web, which is another protocol


@dataclass(slots=True, kw_only=True)
class RequestHeaders:
    """The headers of a request; ``length`` is its declared content-length in bytes.

    The field ``host`` is ``:authority``, and ``two_hosts`` says that the client sent another host beside it.

    Requests with equal header blocks share one object (``BlockCache``), so a handler may keep in ``memo`` what it
    derives from the headers.
    """

    method: bytes
    target: bytes
    fields: tuple[Field, ...]
    length: int | None
    expects: bool
    grpc: bool
    two_hosts: bool = False
    memo: Any = None


def parse_request_headers(fields: list[Field]) -> RequestHeaders | None:
    """Parse the fields of a request; None for a malformed one (RFC 9113 §8.2 and §8.3).

    A server behind this one might read malformed fields as two requests.
    """
    pseudo = {name: value for name, value in fields if name[:1] == b":"}
    plain = fields[len(pseudo) :]  # all others, if the pseudo-header fields come first and once each
    if not pseudo.keys() >= _NEEDED or pseudo.keys() - _NEEDED - {b":authority"}:
        return None
    method, path, authority = pseudo[b":method"], pseudo[b":path"], pseudo.get(b":authority")
    if (
        not _METHOD.fullmatch(method)
        or not (path[:1] == b"/" or (path == b"*" and method == b"OPTIONS"))
        or _NO_TARGET.search(path)
        or pseudo[b":scheme"].lower() not in _DEFAULT_PORTS
    ):
        return None
    if authority is not None and not HOST.fullmatch(authority):
        return None
    found: dict[bytes, bytes] = {}
    for name, value in plain:
        if not is_plain(name, value):
            return None
        if (name == b"te" and value != b"trailers") or (name in (b"content-length", b"host") and name in found):
            return None
        found[name] = value
    length = found.get(b"content-length")
    if length is not None and not (length.isdigit() and len(length) < 20):
        return None
    headers, two_hosts = _with_one_cookie(plain), False
    if authority is not None:
        scheme = pseudo[b":scheme"]
        two_hosts = _normal(found.get(b"host", authority), scheme) != _normal(authority, scheme)
        headers = [(b"host", authority), *(field for field in headers if field[0] != b"host")]
    elif not HOST.fullmatch(found.get(b"host", b"/")):  # RFC 9113 §8.3.1: without :authority there must be a host
        return None
    return RequestHeaders(
        method=method,
        target=path,
        fields=tuple(headers),
        length=None if length is None else int(length),
        expects=found.get(b"expect", b"").lower() == b"100-continue",
        grpc=GRPC.fullmatch(found.get(b"content-type", b"")) is not None,
        two_hosts=two_hosts,
    )


def is_plain(name: bytes, value: bytes) -> bool:
    """Return whether a message may have this regular field, one whose name begins with no colon (RFC 9113 §8.2)."""
    return _NAME.fullmatch(name) is not None and not _CONTROL.search(value) and name not in CONNECTION_FIELDS


def _normal(host: bytes, scheme: bytes) -> bytes:
    """Return a host as it is compared (RFC 3986 §6.2.2.1 and §6.2.3)."""
    return host.lower().removesuffix(_DEFAULT_PORTS[scheme.lower()]).rstrip(b":")


def _with_one_cookie(fields: list[Field]) -> list[Field]:
    """Join cookie fields into one, as applications expect it (RFC 9113 §8.2.3)."""
    cookies = [value for name, value in fields if name == b"cookie"]
    if len(cookies) < 2:
        return fields
    return [*(field for field in fields if field[0] != b"cookie"), (b"cookie", b"; ".join(cookies))]
