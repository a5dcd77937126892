"""Verified tokens, remembered until they expire: an RSA signature costs fifty times what a look-up does."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from switchyard.gateway.tenants.issuer import Issuer
from switchyard.gateway.tokens.grant import Grant, RejectedTokenError

if TYPE_CHECKING:
    from switchyard.gateway.tokens.trust import Trust

_TOKEN_BYTES = 16 * 1024  # those of a large directory, with all of a person's groups, have some 8 KiB
_REMEMBERED = 8192  # tokens, by their hashes: 3 MB


class Tokens:
    """Finds whom a token names; ``on_read`` is told of an issuer's name and whether its keys were read.

    What is remembered is forgotten when an issuer, or one of its keys, changes: no token outlives what it rests on.
    """

    def __init__(self, on_read: Callable[[str, bool], None]) -> None:
        self._on_read = on_read
        self._trust: Trust | None = None
        self._issuers: tuple[Issuer, ...] = ()
        self._verified: dict[bytes, Grant] = {}

    def use(self, issuers: Sequence[Issuer]) -> None:
        """Take tokens of these issuers alone; call it within the event loop."""
        if tuple(issuers) == self._issuers:
            return
        if self._trust is None:
            from switchyard.gateway.tokens.trust import Trust  # 30 ms and 9 MB, for those alone who need it

            self._trust = Trust(self._on_read, self._verified.clear)
        self._issuers = tuple(issuers)
        self._verified.clear()
        self._trust.use(self._issuers)

    def is_token(self, credential: bytes) -> bool:
        """Return whether this is meant as a token, where tokens are taken; keys have no dots."""
        return bool(self._issuers) and credential.count(b".") == 2

    def remembered(self, token: bytes, now: Callable[[], float]) -> Grant | None:
        """Return what a token grants that was verified before and has not expired; ``now`` in seconds since 1970."""
        grant = self._verified.get(sha256(token).digest())
        return grant if grant is not None and now() < grant.expires else None

    async def verify(self, token: bytes) -> Grant:
        """Return what a token grants.

        Raises:
            RejectedTokenError: it grants nothing.
            ApiError: the keys of its issuer could not be read so far.
        """
        if len(token) > _TOKEN_BYTES:
            message = f"the token has {len(token)} bytes; at most {_TOKEN_BYTES} are read"
            raise RejectedTokenError("token_malformed", message)
        assert self._trust is not None
        grant = await self._trust.verify(token)
        # The oldest go first: only valid tokens are here, so whoever sends others drives none of them out.
        if len(self._verified) >= _REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[sha256(token).digest()] = grant
        return grant
