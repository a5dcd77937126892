"""Header fields that belong to one connection or one hop and are dropped there."""

from collections.abc import Iterable

Header = tuple[bytes, bytes]


# RFC 9110 §7.6.1, and those that clients still send
HOP_BY_HOP = frozenset(
    (
        *(b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade"),
        *(b"proxy-authenticate", b"proxy-authorization", b"proxy-connection"),
    )
)


NOT_FORWARDED = HOP_BY_HOP | {b"host", b"content-length", b"expect"}


NOT_RETURNED = HOP_BY_HOP | {b"server", b"date"}


_PLAIN_CONNECTION = frozenset((b"keep-alive", b"close", b"Keep-Alive", b"Close"))


def filtered(headers: Iterable[Header], drop: frozenset[bytes]) -> list[Header]:
    """``headers`` (names in lower case) without ``drop`` and without those that ``connection`` names."""
    kept = [header for header in headers if header[0] not in drop]
    for name, value in headers:
        if name == b"connection" and value not in _PLAIN_CONNECTION:
            named = {token.strip().lower() for token in value.split(b",")}
            kept = [header for header in kept if header[0] not in named]
    return kept
