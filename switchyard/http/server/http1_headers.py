"""What llhttp leaves to its user to check in the headers of a request."""

import re

from switchyard.http.h2.request_headers import HOST
from switchyard.http.server.exchange import BadRequestError
from switchyard.http.server.http1_exchange import Http1Exchange

# llhttp also reads RTSP, ICE and many more methods; RFC 9110 §9.1 has 501 for those that a server does not know.
METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH"))

_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(.*)", re.DOTALL)


def check_headers(exchange: Http1Exchange) -> BadRequestError | None:
    """Find what is wrong with a request before its body; take its expectation and its target from what is not.

    Whatever two readers could take differently is rejected: a host that is none or two, a coding other than chunked, or
    one in HTTP/1.0 (RFC 9112 §3.2, §6.1).
    """
    if exchange.version not in ("1.0", "1.1"):
        return BadRequestError(505, f"HTTP/{exchange.version} is not served like this: use HTTP/1.1, or HTTP/2")
    if exchange.method not in METHODS:
        return BadRequestError(501, f"the method {exchange.method.decode('latin-1')} is not served")
    hosts: list[bytes] = []
    codings: list[bytes] = []
    for name, value in exchange.headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"expect":
            exchange.expects = value.lower() == b"100-continue" and not exchange.legacy
        elif name == b"connection" and exchange.legacy and b"close" in value.lower():
            exchange.persistent = False  # RFC 9112 §9.3, also beside a keep-alive
    exchange.sized = not codings
    if (refused := _check_host(hosts, legacy=exchange.legacy)) is not None:
        return refused
    if codings and (refused := _check_coding(b",".join(codings).lower(), legacy=exchange.legacy)) is not None:
        return refused
    return _check_target(exchange)


def _check_host(hosts: list[bytes], *, legacy: bool) -> BadRequestError | None:
    if len(hosts) != 1 and not (legacy and not hosts):
        return BadRequestError(400, f"a request has exactly one host header, not {len(hosts)}")
    if hosts and not HOST.fullmatch(hosts[0]):
        return BadRequestError(400, "the host header is neither a name nor an address, with a port or without")
    return None


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
    exchange.target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    return None
