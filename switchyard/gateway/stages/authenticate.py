"""Stages: whose key a call has, and whether that key may do what the route does."""

import time
from collections.abc import Awaitable, Callable, Mapping

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.tenants.directory import Directory, RejectedKeyError
from switchyard.http.api_errors import ApiError
from switchyard.telemetry import logs

_HOW = "send one as authorization: Bearer, x-api-key or api-key"
_SENTENCES = {
    "missing": f"the request has no API key; {_HOW}",
    "malformed": "the API key has another form, or a letter of it is wrong; keys are sy- and 49 letters and digits",
    "unknown": "the API key is not known here; ask whoever gave it to you",
    "expired": "the API key {id} has expired; ask for another",
    "revoked": "the API key {id} was revoked; ask for another",
}


def authenticate(*, directory: Callable[[], Directory], on_rejected: Callable[[str], None]) -> Stage:
    """Find out who sent the call; ``on_rejected`` gets the reason why a key, or a call without one, is rejected."""

    def rejected(why: str, key_id: str = "") -> ApiError:
        on_rejected(why)
        return ApiError("invalid_api_key", _SENTENCES[why].replace("{id}", key_id))

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        if call.route.access == "open":
            return proceed(call)
        key = _key(call.fields)
        if not key:
            raise rejected("missing")
        try:
            identity = call.identity = directory().find(key, time.time)
        except RejectedKeyError as err:
            raise rejected(err.why, err.key_id) from None
        logs.tenant.set(identity.tenant)
        logs.key_id.set(identity.key_id)
        if call.span is not None:
            call.span.set("switchyard.tenant", identity.tenant)
        return proceed(call)

    return stage


def authorize(call: Call, proceed: Proceed) -> Awaitable[None]:
    """Reject what the key's roles do not allow; which models it may use, ``lookup`` knows."""
    identity, role = call.identity, call.route.access
    if identity is not None and role in ("use", "admin") and role not in identity.roles:
        message = (
            f"the API key {identity.key_id} has no role {role}, which {call.route.label} needs; ask for one that has"
        )
        raise ApiError("permission_denied", message)
    return proceed(call)


def _key(fields: Mapping[bytes, bytes]) -> bytes:
    """Return the key of the first header that has one, of OpenAI's, Anthropic's and Azure's clients; empty for none."""
    scheme, _, key = fields.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and key:
        return key.strip()
    return fields.get(b"x-api-key") or fields.get(b"api-key") or b""
