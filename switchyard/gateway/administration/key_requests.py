"""Reads what is asked of keys: OpenAI's fields, and those that name the owner here.

https://platform.openai.com/docs/api-reference/admin-api-keys
"""

import json
import re
import secrets
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from switchyard.gateway.tenants.keys import NAME
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import parse_object

_ROLES = ("use", "admin")
_FIELDS = ("name", "id", "tenant", "team", "roles", "expires_in_seconds", "expires_at")
_NAME_CHARACTERS = 200
_MOST_SECONDS = 2**40  # since 1970: later than any end
_ID_CHARACTERS = 12  # of one that nobody chose: 36**12 > 2**62
_BODY_BYTES = 64 * 1024
OVERLAP_SECONDS = 86400  # of a rotation that names none


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be made; ``tenant`` is None where the request names none, ``ends`` where it is to be valid for ever."""

    id: str
    name: str
    tenant: str | None
    team: str
    roles: tuple[str, ...]
    ends: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: ``limit`` keys after the one of the id ``after``, from the start if empty."""

    after: str
    limit: int
    descending: bool


def read_new_key(body: bytes, now: int) -> NewKey:
    """Read the body of a request for a new key.

    Raises:
        ApiError: it is not JSON, or a field has a value that is not possible.
    """
    fields = _fields(body, _FIELDS)
    name = _text(fields, "name", "")
    key_id = _text(fields, "id", "") or "key-" + "".join(
        secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_ID_CHARACTERS)
    )
    if not name.isprintable() or len(name) > _NAME_CHARACTERS:
        message = f"name has at most {_NAME_CHARACTERS} characters, all of them printable"
        raise ApiError("invalid_value", message, param="name")
    if not re.fullmatch(NAME, key_id):
        message = "id is of lower case letters, digits and hyphens, at most 63 of them"
        raise ApiError("invalid_value", message, param="id")
    return NewKey(
        key_id,
        name or key_id,
        _text(fields, "tenant", None),
        _text(fields, "team", ""),
        _roles(fields.get("roles")),
        _end(fields, now),
    )


def asked_id(body: bytes) -> str:
    """Return the id that a request for a new key asks for; empty for none, or for what is no id and may be a secret."""
    try:
        key_id = _fields(body, _FIELDS).get("id")
    except ApiError:
        return ""
    return key_id if isinstance(key_id, str) and re.fullmatch(NAME, key_id) else ""


def read_overlap(body: bytes) -> int:
    """Read for how many seconds the old secret of a rotated key stays valid; the body may be empty.

    Raises:
        ApiError: it is not JSON, or a field has a value that is not possible.
    """
    fields = _fields(body or b"{}", ("overlap_seconds",))
    return _number(fields, "overlap_seconds", OVERLAP_SECONDS, 0, 366 * 86400)


def read_page(query: bytes) -> Page:
    """Read the query string of a list.

    Raises:
        ApiError: a parameter is unknown or has a value that is not possible.
    """
    try:
        given = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=100))
    except ValueError:
        raise ApiError("invalid_value", "the query string has more than 100 parameters") from None
    after, limit, order = given.pop("after", ""), given.pop("limit", "20"), given.pop("order", "asc")
    if given:
        name = next(iter(given))[:80]
        raise ApiError("invalid_value", f"there is no parameter {name!r} here; use after, limit, order", param=name)
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 3 and 1 <= int(limit) <= 100):
        message = f"limit is {limit[:80]!r}; use a whole number from 1 to 100"
        raise ApiError("invalid_value", message, param="limit")
    if order not in ("asc", "desc"):
        raise ApiError("invalid_value", f"order is {order[:80]!r}; use asc or desc", param="order")
    return Page(after, int(limit), order == "desc")


def _fields(body: bytes, known: tuple[str, ...]) -> Mapping[str, Any]:
    if len(body) > _BODY_BYTES:
        raise ApiError("body_too_large", f"a request about a key has at most {_BODY_BYTES} bytes")
    fields = parse_object(body)
    try:
        json.loads(body, object_pairs_hook=_distinct, parse_int=str)
    except RecursionError:
        raise ApiError("invalid_value", "the fields of a request about a key are not nested") from None
    for name in fields:
        if name not in known:
            message = f"there is no field {name[:80]!r} here; use {', '.join(known)}"
            raise ApiError("invalid_value", message, param=name[:80])
    return fields


def _distinct(pairs: Sequence[tuple[str, Any]]) -> None:
    """Check that no field is there twice: of the two, what logs a request on the way may show the other one."""
    for name, count in Counter(name for name, _ in pairs).items():
        if count > 1:
            raise ApiError("invalid_value", f"the field {name[:80]!r} is there twice; send it once", param=name[:80])


def _text(fields: Mapping[str, Any], name: str, default: Any) -> Any:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, str):
        raise ApiError("invalid_value", f"{name} is a text", param=name)
    return value


def _roles(given: object) -> tuple[str, ...]:
    if given is None:
        return ("use",)
    if not isinstance(given, list) or not given or not all(role in _ROLES for role in given):
        raise ApiError("invalid_value", f"roles is a list of {', '.join(_ROLES)}", param="roles")
    return tuple(dict.fromkeys(given))


def _end(fields: Mapping[str, Any], now: int) -> int | None:
    """Return when the key ends, in seconds since 1970."""
    if fields.get("expires_at") is None and fields.get("expires_in_seconds") is None:
        return None
    if fields.get("expires_at") is None:
        return now + _number(fields, "expires_in_seconds", 0, 1, _MOST_SECONDS)
    if fields.get("expires_in_seconds") is not None:
        raise ApiError("invalid_value", "give one of expires_at and expires_in_seconds", param="expires_at")
    ends = _number(fields, "expires_at", 0, 0, _MOST_SECONDS)
    if ends <= now:
        raise ApiError("invalid_value", f"expires_at is in the past: it is {now} now", param="expires_at")
    return ends


def _number(fields: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ApiError("invalid_value", f"{name} is a whole number from {least} to {most}", param=name)
    return value
