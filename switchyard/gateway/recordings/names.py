"""What requests say of recordings: under which names they are found, whether two ask for the same, and from where."""

import re
from collections.abc import Mapping
from hashlib import sha256

import orjson

from switchyard.gateway.call import Call
from switchyard.gateway.tenants.directory import Identity
from switchyard.http.api_errors import ApiError

CANONICAL_BYTES = 64 * 1024  # of a body: to sort the fields of a larger one would hold up all other calls
_DIGITS = 15  # of a number of events
_VISIBLE = re.compile(rb"[!-~]{1,255}")


def scope_of(identity: Identity | None) -> str:
    """Return the scope of a caller: its tenant's own, in a gateway without keys the one of all."""
    return "open" if identity is None else f"tenant:{identity.tenant}"


def of_request(request_id: str) -> str:
    """Return the name of a stream by the id of its request."""
    return f"request:{request_id}"


def of_key(scope: str, key: bytes) -> str:
    """Return the name of what a client asked under its idempotency key, which may be a secret of the client's."""
    return f"idempotency:{sha256(scope.encode() + b'/' + key).hexdigest()}"


def of_lost(name: str) -> str:
    """Return the name under which an attempt that was lost leaves its id for the next one."""
    return f"lost:{name}"


def idempotency_key(value: bytes) -> bytes | None:
    """Return the key in a header, None if it is none: 1 to 255 visible characters of ASCII, quoted or not.

    https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/ §2.1 has it as a quoted string.
    """
    key = value.strip()
    if len(key) > 2 and key.startswith(b'"') and key.endswith(b'"'):
        key = key[1:-1]
    return key if _VISIBLE.fullmatch(key) else None


def last_event_id(fields: Mapping[bytes, bytes]) -> int:
    """Return the number of the last event that a client has had, 0 for none.

    Raises:
        ApiError: the header is no number of an event.
    """
    value = fields.get(b"last-event-id")
    if not value:  # browsers send an empty one for an event without an id
        return 0
    if not (value.isdigit() and len(value) <= _DIGITS):
        message = "last-event-id is not the id of an event of this stream, which are whole numbers"
        raise ApiError("invalid_value", message, param="Last-Event-ID")
    return int(value)


def fingerprint(call: Call) -> bytes:
    """Return what a request asks for as a hash; the order of a JSON object's fields does not matter."""
    return fingerprint_of(call.method, call.path, call.query, call.body)


def fingerprint_of(method: bytes, path: bytes, query: bytes, body: bytes) -> bytes:
    """Do as ``fingerprint``, of a request's parts."""
    asked = sha256()
    for part in (method, path, query, _canonical(body)):
        asked.update(b"%d " % len(part))
        asked.update(part)
    return asked.digest()


def _canonical(body: bytes) -> bytes:
    if len(body) > CANONICAL_BYTES or not body.lstrip().startswith((b"{", b"[")):
        return body
    try:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    except ValueError:  # of V2's binary tensors the JSON is only the beginning
        return body
