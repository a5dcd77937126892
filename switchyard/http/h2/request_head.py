"""The head of a request that comes by HTTP/2."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from switchyard.http.asgi import Scope
from switchyard.http.h2.fields import Field

# RFC 9113 §8.2.2: they belong to a connection of HTTP/1.1.
OF_A_CONNECTION = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))

_NAME = re.compile(rb"[a-z0-9!#$%&'*+.^_`|~-]+")
_UNFIT = re.compile(rb"[\x00\r\n]")
_NEEDED = {b":method", b":scheme", b":path"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a request says before its body; ``length`` is what its body is said to have, in bytes."""

    method: str
    target: bytes
    headers: tuple[Field, ...]
    length: int | None
    expects: bool


def read_head(fields: list[Field]) -> Head | None:
    """None for a malformed one (RFC 9113 §8.2 and §8.3): what is behind might read such fields as two."""
    pseudo = {name: value for name, value in fields if name[:1] == b":"}
    plain = fields[len(pseudo) :]  # all of the others, if these come first and once each
    path = pseudo.get(b":path", b"")
    if not pseudo.keys() >= _NEEDED or not path.startswith((b"/", b"*")) or pseudo.keys() - _NEEDED - {b":authority"}:
        return None
    found: dict[bytes, bytes] = {}
    for name, value in plain:
        if _NAME.fullmatch(name) is None or _UNFIT.search(value) or name in OF_A_CONNECTION:
            return None
        if (name == b"te" and value != b"trailers") or (name == b"content-length" and name in found):
            return None
        found[name] = value
    length = found.get(b"content-length")
    if any(map(_UNFIT.search, pseudo.values())) or (length is not None and not (length.isdigit() and len(length) < 20)):
        return None
    headers = _with_one_cookie(plain)
    if b":authority" in pseudo:
        headers = [(b"host", pseudo[b":authority"]), *(field for field in headers if field[0] != b"host")]
    return Head(
        method=pseudo[b":method"].decode("latin-1"),
        target=path,
        headers=tuple(headers),
        length=None if length is None else int(length),
        expects=found.get(b"expect", b"").lower() == b"100-continue",
    )


def _with_one_cookie(fields: list[Field]) -> list[Field]:
    """RFC 9113 §8.2.3: applications know of one such field."""
    cookies = [value for name, value in fields if name == b"cookie"]
    if len(cookies) < 2:
        return fields
    return [*(field for field in fields if field[0] != b"cookie"), (b"cookie", b"; ".join(cookies))]


def scope_of(head: Head, server: Any, client: Any) -> Scope:
    """The ASGI scope of a request; the two addresses are the connection's."""
    path, _, query = head.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "server": server,
        "client": client,
        "scheme": "http",
        "method": head.method,
        "root_path": "",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "headers": list(head.headers),
        "state": {},
    }
