"""Stages: whose key or token a call has, and whether that may do what the route does."""

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Literal

from switchyard.gateway.call import Call
from switchyard.gateway.keys.finder import KeyFinder
from switchyard.gateway.pipeline import Proceed
from switchyard.gateway.routes.table import METRICS
from switchyard.gateway.tenants.directory import Directory, Identity, RejectedKeyError, Rejection
from switchyard.gateway.tokens.grant import Grant, RejectedTokenError, unknown_tenant
from switchyard.gateway.tokens.grant import Rejection as TokenRejection
from switchyard.gateway.tokens.verifier import Tokens
from switchyard.http.api_errors import ApiError
from switchyard.http.headers import Header
from switchyard.rpc.v2 import STREAMS
from switchyard.telemetry import logs

Reason = Literal["missing", "repeated"] | Rejection | TokenRejection

_HEADERS = (b"authorization", b"x-api-key", b"api-key")
_HOW = "send one as authorization: Bearer, x-api-key or api-key"
_SENTENCES = {
    "missing": f"the request has no API key; {_HOW}",
    "repeated": "the request has one of the headers authorization, x-api-key and api-key more than once; send it once",
    "malformed": "the API key has another form, or a letter of it is wrong; keys are sy- and 49 letters and digits",
    "unknown": "the API key is not known here; ask whoever gave it to you",
    "expired": "the API key {id} has expired; ask for another",
    "revoked": "the API key {id} was revoked; ask for another",
    "tenant": "the API key {id} is of a tenant or team that tenants.yaml does not have any more; ask for another",
}


class Authenticate:
    """Finds out who sent a call; ``on_rejected`` gets the reason for each that has no valid key or token.

    Keys of which ``metrics_keys`` are the SHA-256 are nobody's: they read the metrics, and are known to no other route.
    """

    def __init__(
        self,
        keys: KeyFinder,
        directory: Callable[[], Directory],
        tokens: Tokens,
        on_rejected: Callable[[Reason], None],
        metrics_keys: Sequence[bytes] = (),
    ) -> None:
        self._keys = keys
        self._directory = directory
        self._tokens = tokens
        self._on_rejected = on_rejected
        self._metrics_keys = metrics_keys

    def __call__(self, call: Call, proceed: Proceed) -> Awaitable[None]:
        if call.route.access == "open":
            return proceed(call)
        if len(call.fields) != len(call.headers) and _is_repeated(call.headers):
            raise self._rejected("repeated", _SENTENCES["repeated"])
        key = _key(call.fields)
        if not key:
            raise self._rejected("missing", _SENTENCES["missing"])
        if call.route.path == METRICS and self._reads_metrics(key):
            return proceed(call)
        if call.route.rpc in STREAMS:
            call.message_checks = (partial(self._check_again, call, key),)
        if self._tokens.is_token(key):
            grant = self._tokens.remembered(key, time.time)
            if grant is None:
                return self._verify(call, key, proceed)
            _admit(call, self._of(grant))
            return proceed(call)
        _admit(call, self._find(key))
        return proceed(call)

    async def _verify(self, call: Call, token: bytes, proceed: Proceed) -> None:
        _admit(call, self._of(await self._verified(token)))
        await proceed(call)

    async def _check_again(self, call: Call, key: bytes) -> None:
        """Reject a call, of which a part is to come, whose key or token is not valid any more."""
        if self._tokens.is_token(key):
            identity = self._of(self._tokens.remembered(key, time.time) or await self._verified(key))
        else:
            identity = self._find(key)
        before = call.identity
        assert before is not None
        if (identity.tenant, identity.team) != (before.tenant, before.team):
            raise self._rejected("tenant", _SENTENCES["tenant"].replace("{id}", identity.key_id))
        call.identity = identity  # its limits, too, may be others now
        check_role(call)

    def _reads_metrics(self, key: bytes) -> bool:
        digest = hashlib.sha256(key).digest()
        return any(hmac.compare_digest(digest, one) for one in self._metrics_keys)

    def _find(self, key: bytes) -> Identity:
        try:
            return self._keys.find(key, time.time)
        except RejectedKeyError as err:
            raise self._rejected(err.why, _SENTENCES[err.why].replace("{id}", err.key_id)) from None

    async def _verified(self, token: bytes) -> Grant:
        try:
            return await self._tokens.verify(token)
        except RejectedTokenError as err:
            raise self._rejected(err.why, str(err)) from None
        except ApiError:
            self._on_rejected("token_unverifiable")
            raise

    def _of(self, grant: Grant) -> Identity:
        # For each call, as tenants come and go while a token is valid.
        identity = self._directory().of_token(grant.tenant, grant.team, grant.key_id, grant.roles)
        if identity is None:
            unknown = unknown_tenant(grant.tenant, grant.team)
            raise self._rejected(unknown.why, str(unknown))
        return identity

    def _rejected(self, why: Reason, message: str) -> ApiError:
        self._on_rejected(why)
        return ApiError("invalid_api_key", message)


def _admit(call: Call, identity: Identity) -> None:
    call.identity = identity
    call.edge.held_for(identity.tenant)
    logs.tenant.set(identity.tenant)
    logs.key_id.set(identity.key_id)


def authorize(call: Call, proceed: Proceed) -> Awaitable[None]:
    """Reject what the key's roles do not allow; which models it may use, ``lookup`` knows."""
    check_role(call)
    return proceed(call)


def check_role(call: Call) -> None:
    """Check that the roles of a call's identity allow what its route does.

    Raises:
        ApiError: they do not.
    """
    identity, role = call.identity, call.route.access
    if identity is not None and role in ("use", "admin") and role not in identity.roles:
        message = f"{_named(identity)} has no role {role}, which {call.route.label} needs; ask for one that has"
        raise ApiError("permission_denied", message)


def _named(identity: Identity) -> str:
    return f"the {'token' if ':' in identity.key_id else 'API key'} {identity.key_id}"


def _is_repeated(headers: Sequence[Header]) -> bool:
    """Return whether there are two of a header with a key: whoever looks at one of them may not see what counts."""
    names = [name for name, _ in headers if name in _HEADERS]
    return len(names) != len(set(names))


def _key(fields: Mapping[bytes, bytes]) -> bytes:
    """Return the key of the first header that has one, of OpenAI's, Anthropic's and Azure's clients; empty for none."""
    scheme, _, key = fields.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"bearer" and key:
        return key.strip()
    return fields.get(b"x-api-key") or fields.get(b"api-key") or b""
