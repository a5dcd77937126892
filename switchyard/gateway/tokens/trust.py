"""The issuers whose tokens are taken, with their keys; imported late, as ``signature`` says."""

from collections.abc import Callable, Sequence

from switchyard.gateway.tenants.issuer import Issuer
from switchyard.gateway.tokens.grant import Grant, RejectedTokenError, grant_of, shown
from switchyard.gateway.tokens.keyset import KeySet
from switchyard.gateway.tokens.signature import peek, verify


class Trust:
    """Verifies tokens of the issuers in use; ``on_read`` is told of an issuer's name and whether its keys were read."""

    def __init__(self, on_read: Callable[[str, bool], None], on_change: Callable[[], None]) -> None:
        self._on_read = on_read
        self._on_change = on_change
        self._sets: dict[str, KeySet] = {}

    def use(self, issuers: Sequence[Issuer]) -> None:
        """Take tokens of these issuers alone; those that are the same as before keep their keys."""
        before, self._sets = self._sets, {}
        for issuer in issuers:
            kept = before.get(issuer.issuer)
            if kept is not None and kept.issuer == issuer:
                self._sets[issuer.issuer] = before.pop(issuer.issuer)
            else:
                self._sets[issuer.issuer] = self._key_set(issuer)
        for key_set in before.values():
            key_set.close()
            self._on_read(key_set.issuer.name, True)  # nothing is wrong any more with what is not used

    def _key_set(self, issuer: Issuer) -> KeySet:
        return KeySet(issuer, lambda valid: self._on_read(issuer.name, valid), self._on_change)

    async def verify(self, token: bytes) -> Grant:
        """Return what a token grants.

        Raises:
            RejectedTokenError: it grants nothing.
            ApiError: the keys of its issuer could not be read so far.
        """
        text = token.decode("latin-1")
        said = peek(text)
        key_set = self._sets.get(said.issuer)
        if key_set is None:
            raise RejectedTokenError("token_issuer", f"the token's issuer {shown(said.issuer)} is not known here")
        issuer = key_set.issuer
        if said.algorithm not in issuer.algorithms:
            taken = ", ".join(issuer.algorithms)
            message = f"the token is signed with {shown(said.algorithm)}; {issuer.name} may use {taken}"
            raise RejectedTokenError("token_algorithm", message)
        key = await key_set.find(said.kid, said.algorithm)
        return grant_of(issuer, verify(text, key, said.algorithm, issuer))
