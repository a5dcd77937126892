"""What is said where nothing leads to a store: which address, what is wrong there, and what to set."""

import errno
import socket
import ssl
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from switchyard.repository.sources.remote import SourceError

_NETWORK = "is there a network, or a proxy (HTTPS_PROXY)?"
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a person sets to reach a kind of store.

    ``address`` says how its address is given, ``authorities`` is the variable that names a file of trusted
    certificates, ``plain`` is what allows HTTP without TLS.
    """

    address: str
    authorities: str
    plain: str


def unreachable(subject: str, url: str, err: BaseException, access: Access) -> SourceError:
    """Return the error of a store from which no response came, or half of one; of ``url`` host and port are said.

    The libraries wrap the error of the socket in several of their own, whose texts hold URLs, which may be presigned:
    only types are looked at.
    """
    causes = list(_causes(err))
    place = _place(next(filter(None, map(_url_of, causes)), url))
    if reason := _reason(causes, access):
        return SourceError(f"{subject} cannot be read: no connection to {place}: {reason}", transient=True)
    return SourceError(f"{subject} cannot be read: the connection to {place} broke off", transient=True)


def _reason(causes: Collection[BaseException], access: Access) -> str:
    """Return what is wrong and what to do; empty if there was a connection."""
    if any(isinstance(cause, socket.gaierror) or _is_called(cause, "NameResolutionError") for cause in causes):
        return f"no such host is known. Is {access.address} right, and {_NETWORK}"
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return f"its certificate is not trusted; set {access.authorities} to a file with that of its authority"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"it does not speak TLS; if that is right there, {access.plain}"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"it is refused. Does the store run, is {access.address} right, and {_NETWORK}"
    if any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in causes):
        return f"it does not respond in time. Is {access.address} right, and {_NETWORK}"
    if any(isinstance(cause, OSError) and cause.errno in _NO_WAY for cause in causes):
        return _NETWORK
    return ""


def _causes(err: BaseException) -> Iterator[BaseException]:
    """Yield ``err`` and all that it wraps, as a cause, a context, an attribute or an argument."""
    seen: set[int] = set()
    left: list[object] = [err]
    while left:
        cause = left.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        # urllib3 has a ``reason``, botocore a keyword ``error``, requests and google-auth an argument.
        kwargs = getattr(cause, "kwargs", None)
        left += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]
        left += [kwargs.get("error")] if isinstance(kwargs, dict) else []


def _url_of(cause: BaseException) -> str:
    try:
        return str(getattr(getattr(cause, "request", None), "url", None) or "")
    except RuntimeError:  # httpx, of an error that no request had
        return ""


def _is_called(cause: BaseException, name: str) -> bool:
    return type(cause).__name__ == name


def _place(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "its store"
    if not parts.hostname:
        return "its store"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}" if port else host
