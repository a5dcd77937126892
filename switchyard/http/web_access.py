"""Which requests of web pages a port serves: none of another site's, on none of another's names.

A port without keys trusts whoever reaches it, and every page that a browser on that machine shows reaches loopback. A
page of another site may not read a response (CORS), but sends what needs no preflight, such as text; and a page whose
own name its owner has since pointed to this address (DNS rebinding) sends and reads what it likes.

The signs of another site are those of https://www.w3.org/TR/fetch-metadata/ and of the Fetch standard's ``origin``, in
the order of Go's ``http.CrossOriginProtection``. Browsers set them and pages cannot; other clients send neither. gRPC
calls are checked in the same way, with ``:authority`` as their host.
"""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from switchyard.http.request_errors import BadRequestError

ALL = "*"
_NAME = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_LOOPBACK_NAMES = ("localhost", "*.localhost")  # RFC 6761 §6.3: they are never another's
_READS = frozenset((b"GET", b"HEAD"))


class WebAccess:
    """Serves a port on ``host`` by ``names`` and loopback's; not on loopback and without ``names``, by any name.

    A name is exact, or ``*.`` and the end of names. An address instead of a name is always right: nobody else can point
    it here. ``origins`` are those of CORS, ``*`` for all: their pages may send what they may read the response to.
    """

    def __init__(self, host: str, names: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        own = _LOOPBACK_NAMES if names or is_loopback(host) else ()
        self._names = frozenset(name.lower() for name in (*names, *own))
        self._origins = frozenset(origin.encode() for origin in origins)
        self._is_named = lru_cache(256)(self._named)

    @property
    def is_by_name(self) -> bool:
        """Whether requests by some names are not served."""
        return bool(self._names)

    def check(self, method: bytes, fields: Mapping[bytes, bytes]) -> None:
        """Check a request before its handler runs.

        Raises:
            BadRequestError: 421 for another name (RFC 9110 §15.5.20), 403 from another site's page.
        """
        host = fields.get(b"host", b"")
        if host and not self._is_named(host):
            shown = host[:100].decode("latin-1")
            raise BadRequestError(
                421,
                f"nothing here is called {shown}: use localhost, an address, or ALLOWED_HOSTS of a gateway",
            )
        if (b"origin" in fields or b"sec-fetch-site" in fields) and not self._is_welcome(method, fields):
            page = fields.get(b"origin", b"another site")[:100].decode("latin-1")
            message = f"a page of {page} sent this; CORS_ALLOW_ORIGINS of a gateway names those that may"
            raise BadRequestError(403, message)

    def _named(self, host: bytes) -> bool:
        if not self._names:
            return True
        name = re.sub(r":[0-9]*$", "", host.decode("latin-1")).lower().rstrip(".")
        if _is_address(name.strip("[]")):
            return True
        return name in self._names or any(pattern[:2] == "*." and name.endswith(pattern[1:]) for pattern in self._names)

    def _is_welcome(self, method: bytes, fields: Mapping[bytes, bytes]) -> bool:
        origin, site = fields.get(b"origin"), fields.get(b"sec-fetch-site")
        if method == b"OPTIONS" or self._origins & {origin, ALL.encode()}:
            return True
        if site is None:  # no browser, an old one, or one that does not trust the network between
            return method in _READS or origin is None or origin.partition(b"://")[2] == fields.get(b"host")
        if site in (b"same-origin", b"none"):
            return True
        opened = fields.get(b"sec-fetch-mode") == b"navigate" and fields.get(b"sec-fetch-dest") == b"document"
        return opened and method in _READS  # somebody follows a link


def loopback_access(host: str) -> WebAccess | None:
    """Return the access to a port without settings for it: elsewhere than on loopback, what is before it decides."""
    return WebAccess(host) if is_loopback(host) else None


def is_loopback(host: str) -> bool:
    """Return whether an address or name to listen on is this machine's own."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def checked_name(name: str) -> bool:
    """Return whether ``WebAccess`` takes this for a name."""
    return _NAME.fullmatch(name.lower()) is not None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
