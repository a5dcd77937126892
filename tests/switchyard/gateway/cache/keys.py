"""Keys of requests, as the stage would make them."""

import json
from collections.abc import Mapping
from typing import Any

from switchyard.gateway.cache.canonical import Key, Served, key_of
from switchyard.gateway.routes.table import ROUTES, Route

SERVED = Served(model="chat", revision="r1")


def route(path: str) -> Route:
    """The route of a path as the table has it."""
    return next(one for one in ROUTES if one.path == path and one.method == "POST")


def key(
    path: str,
    payload: Mapping[str, Any] | None,
    body: bytes | None = None,
    *,
    scope: str = "acme",
    served: Served = SERVED,
    **request: Any,
) -> Key:
    """The key of a request with this JSON, or of one with this body."""
    text = json.dumps(payload).encode() if body is None else body
    beside = {"params": {}, "query": b"", "fields": {}, **request}
    return key_of(scope, route(path), served, payload, text, **beside)
