"""Which web pages may read responses (CORS): none, unless a setting names their origins.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from collections.abc import Iterable

from switchyard.http.headers import Header

# By name: older browsers take `*` for a header of that name.
_READABLE = (
    *("x-request-id", "traceresponse", "retry-after", "x-should-retry", "x-switchyard-tier", "x-switchyard-reason"),
    *("age", "idempotency-replayed", "x-switchyard-cache", "x-switchyard-cache-items"),
    *(f"x-ratelimit-{part}-{unit}" for unit in ("requests", "tokens") for part in ("limit", "remaining", "reset")),
    *(
        f"anthropic-ratelimit-{unit}-{part}"
        for unit in ("requests", "tokens", "input-tokens", "output-tokens")
        for part in ("limit", "remaining", "reset")
    ),
)
_EXPOSED = (b"access-control-expose-headers", ", ".join(_READABLE).encode())
_PREFLIGHT_SECONDS = b"600"  # short enough that a changed setting is seen soon
_VARY = (b"vary", b"origin")


class Cors:
    """``origins`` as ``scheme://host[:port]``, or ``*`` for all; credentials are never allowed, keys go in headers."""

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, origin: bytes | None) -> list[Header]:
        """Return the CORS headers of a response to a request from ``origin``."""
        if not self._origins:
            return []
        if b"*" in self._origins:
            return [(b"access-control-allow-origin", b"*"), _EXPOSED]
        # ``vary`` also where the origin may not read: a shared cache would else give that response to one that may.
        return [(b"access-control-allow-origin", origin), _EXPOSED, _VARY] if origin in self._origins else [_VARY]

    def preflight(self, origin: bytes | None, headers: bytes | None) -> list[Header]:
        """Return the further CORS headers of a response to OPTIONS, where the page announced ``headers``."""
        if origin is None or not self._origins & {origin, b"*"}:
            return []
        allowed = [(b"access-control-allow-methods", b"GET, POST"), (b"access-control-max-age", _PREFLIGHT_SECONDS)]
        return [*allowed, (b"access-control-allow-headers", headers)] if headers else allowed
