"""The checks of a request's headers that llhttp leaves to its user."""

import re
from collections.abc import Callable
from functools import lru_cache

from switchyard.http.h2.request_headers import HOST
from switchyard.http.headers import Header
from switchyard.http.request_errors import BadRequestError
from switchyard.http.server.http1_exchange import Http1Exchange

# llhttp also reads RTSP, ICE and many more methods; RFC 9110 §9.1 has 501 for those that a server does not know.
METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"))

_NO_HOST = "the host header is neither a name nor an address, with a port or without"
_NOTED = frozenset((b"host", b"transfer-encoding", b"expect", b"connection"))
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(.*)", re.DOTALL)


def check_headers(exchange: Http1Exchange, version: Callable[[], str]) -> BadRequestError | None:
    """Return what is wrong with a request before its body; else set the exchange's expectation and target.

    Whatever two readers could understand differently is rejected: no host or two, a coding other than chunked, or any
    coding in HTTP/1.0 (RFC 9112 §3.2, §6.1).
    """
    if exchange.method not in METHODS:
        return BadRequestError(501, f"the method {exchange.method.decode('latin-1')} is not served")
    fields = exchange.fields = dict(exchange.headers)
    # Most requests have a host, none of the others and no name twice. Such a connection is kept only in HTTP/1.1.
    if (
        b"host" not in fields
        or b"transfer-encoding" in fields
        or b"expect" in fields
        or b"connection" in fields
        or len(fields) != len(exchange.headers)
        or not exchange.persistent
    ):
        noted = [header for header in exchange.headers if header[0] in _NOTED]
        error = _check_version(exchange, version()) or _check_noted(exchange, noted)
        return error or _check_target(exchange)
    if not _is_host(fields[b"host"]):
        return BadRequestError(400, _NO_HOST)
    if exchange.target[:1] != b"/" or b"#" in exchange.target:
        return _check_target(exchange)
    return None


def _check_version(exchange: Http1Exchange, version: str) -> BadRequestError | None:
    exchange.version = version
    exchange.legacy = version == "1.0"
    if version not in ("1.0", "1.1"):
        return BadRequestError(505, f"HTTP/{version} is not served like this: use HTTP/1.1, or HTTP/2")
    return None


def _check_noted(exchange: Http1Exchange, noted: list[Header]) -> BadRequestError | None:
    """Check the headers that say how to read the others and the body."""
    hosts = [value for name, value in noted if name == b"host"]
    if len(hosts) != 1 and (hosts or not exchange.legacy):
        return BadRequestError(400, f"a request has exactly one host header, not {len(hosts)}")
    if hosts and not _is_host(hosts[0]):
        return BadRequestError(400, _NO_HOST)
    codings = [value for name, value in noted if name == b"transfer-encoding"]
    exchange.sized = not codings
    for name, value in noted:
        if name == b"expect":
            exchange.expects = value.lower() == b"100-continue" and not exchange.legacy
        elif name == b"connection" and exchange.legacy and b"close" in value.lower():
            exchange.persistent = False  # RFC 9112 §9.3, also beside a keep-alive
    return _check_coding(b",".join(codings).lower(), legacy=exchange.legacy) if codings else None


@lru_cache(64)  # a client names few
def _is_host(value: bytes) -> bool:
    return HOST.fullmatch(value) is not None


def _check_coding(coding: bytes, *, legacy: bool) -> BadRequestError | None:
    if legacy:
        return BadRequestError(400, "HTTP/1.0 has no transfer codings: send a content-length, or use HTTP/1.1")
    if coding == b"chunked":
        return None
    if coding.rpartition(b",")[2].strip() != b"chunked":  # RFC 9112 §6.3: nobody knows where this body ends
        return BadRequestError(400, "the last transfer coding of a request is chunked")
    return BadRequestError(501, "the only transfer coding that is served is chunked")


def _check_target(exchange: Http1Exchange) -> BadRequestError | None:
    target = exchange.target
    if b"#" in target:
        return BadRequestError(400, "the target of a request has no fragment: percent-encode the #")
    if target.startswith(b"/") or (target == b"*" and exchange.method == b"OPTIONS"):
        return None
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or not HOST.fullmatch(absolute[1]):
        return BadRequestError(400, "the target of a request is a path, or a URL of http or https")
    # RFC 9112 §3.2.2: the host in the target counts, and not the header.
    exchange.headers = [(b"host", absolute[1]), *(header for header in exchange.headers if header[0] != b"host")]
    exchange.fields = dict(exchange.headers)
    exchange.target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    return None
