"""What clients say on a WebSocket, and the objects that they get."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson

from switchyard.http.api_errors import ApiError, Shape, as_object
from switchyard.http.headers import CREDENTIALS, HOP_BY_HOP, Header
from switchyard.http.json_body import JSON, parse_object
from switchyard.http.json_cost import check_json

PATHS = {"chat": "/v1/chat/completions", "completion": "/v1/completions", "responses": "/v1/responses"}
_ID_CHARACTERS = 64
_HEADERS = 16  # of a request; each of at most as many characters as the next says
_HEADER_CHARACTERS = 1024
_NAME = re.compile(r"[a-z0-9-]{1,64}")
_VALUE = re.compile(rf"[\x20-\x7e]{{0,{_HEADER_CHARACTERS}}}")
# The socket says whose its requests are, and this module what their bodies are.
_NOT_A_CLIENTS = (
    CREDENTIALS | HOP_BY_HOP | {b"host", b"origin", b"content-type", b"content-length", b"content-encoding"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request by which a client names ``id`` what it gets for it; the rest is as in HTTP."""

    id: str
    method: str
    path: str
    query: bytes
    headers: list[Header]
    body: bytes


@dataclass(frozen=True, slots=True)
class Cancel:
    """The client wants no more of a request."""

    id: str


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a client that could not send it with its handshake."""

    key: bytes


class MessageError(Exception):
    """A message that is none of these; ``id`` is the request's, None where it has none that is valid."""

    def __init__(self, of: str | None, error: ApiError) -> None:
        super().__init__(error.message)
        self.id = of
        self.error = error


async def read(message: bytes) -> Request | Cancel | Key:
    """Read a client's message.

    Raises:
        MessageError: it is not one that is taken.
    """
    try:
        await check_json(message)
        payload = parse_object(message)
    except ApiError as err:
        raise MessageError(None, err) from None
    key = payload.get("key")
    if isinstance(key, str) and "id" not in payload:
        return Key(key.encode())
    identifier = payload.get("id")
    if not isinstance(identifier, str) or not 0 < len(identifier) <= _ID_CHARACTERS:
        raise MessageError(None, _invalid(f"id must be a string of 1 to {_ID_CHARACTERS} characters", "id"))
    if payload.get("cancel") is True:
        return Cancel(identifier)
    try:
        return _resumed(identifier, payload) if "resume" in payload else _request(identifier, payload)
    except ApiError as err:
        raise MessageError(identifier, err) from None


def _request(identifier: str, payload: Mapping[str, Any]) -> Request:
    kind, path, body = payload.get("type"), payload.get("path"), payload.get("body")
    if kind is not None and kind not in PATHS:
        raise _invalid(f"type is one of {', '.join(PATHS)}; path names any other route", "type")
    path = PATHS[kind] if kind is not None else path
    if not isinstance(path, str):
        raise _invalid("send type or path, and body; or cancel: true", "type")
    if not isinstance(body, dict):
        raise _invalid("body must be an object, as that of the route over HTTP", "body")
    headers = [(b"content-type", JSON), *_headers(payload.get("headers") or {})]
    return Request(id=identifier, method="POST", path=path, query=b"", headers=headers, body=orjson.dumps(body))


def _resumed(identifier: str, payload: Mapping[str, Any]) -> Request:
    """Return the request for the rest of a stream, which is that of the route by which HTTP's clients go on."""
    of, after = payload["resume"], payload.get("after", 0)
    if not isinstance(of, str) or not isinstance(after, int) or after < 0:
        raise _invalid("resume must be the request_id of a stream, and after the number of its last event", "resume")
    path, headers = f"/v1/streams/{quote(of, safe='')}", _headers(payload.get("headers") or {})
    return Request(id=identifier, method="GET", path=path, query=b"after=%d" % after, headers=headers, body=b"")


def _headers(given: object) -> list[Header]:
    if not isinstance(given, dict) or len(given) > _HEADERS:
        raise _invalid(f"headers must be an object of at most {_HEADERS} strings", "headers")
    found: list[Header] = []
    for name, value in given.items():
        lower = name.lower()
        if not (isinstance(value, str) and _NAME.fullmatch(lower) and _VALUE.fullmatch(value)):
            message = (
                f"a header has a name of letters, digits and -, and at most {_HEADER_CHARACTERS} visible characters"
            )
            raise _invalid(message, "headers")
        if lower.encode() in _NOT_A_CLIENTS:
            raise _invalid(f"the header {lower} cannot be set here", "headers")
        found.append((lower.encode(), value.encode()))
    if len({name for name, _ in found}) != len(found):
        raise _invalid("headers has a name twice", "headers")
    return found


def error_message(of: str | None, error: ApiError, shape: Shape = "openai", **fields: object) -> bytes:
    """Return the last message of a request that failed, or the one about a message that is none."""
    return failure_message(of, as_object(error, shape)["error"], **{"status": error.status, **fields})


def failure_message(of: str | None, error: object, **fields: object) -> bytes:
    """Return the same for an error that a model described."""
    return orjson.dumps({"id": of, "error": error, **fields})


def _invalid(message: str, param: str) -> ApiError:
    return ApiError("invalid_value", message, param=param)
