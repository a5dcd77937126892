"""Finds who has a key, of the file or of the store."""

from collections.abc import Callable

from switchyard.gateway.keys.stored_keys import StoredKeys
from switchyard.gateway.tenants.directory import Directory, Identity, RejectedKeyError
from switchyard.gateway.tenants.keys import digest


class KeyFinder:
    """Keys of both places; those of the store belong to tenants of the file."""

    def __init__(self, directory: Callable[[], Directory], stored: StoredKeys | None) -> None:
        self._directory = directory
        self._stored = stored

    def find(self, key: bytes, now: Callable[[], float]) -> Identity:
        """Return whose key this is; ``now`` is in seconds since 1970.

        Raises:
            RejectedKeyError: it gives no access.
        """
        directory, stored = self._directory(), self._stored
        if stored is None:
            return directory.find(key, now)
        identity = _of_store(stored, directory, key, now) if len(stored) else None
        if identity is None:
            identity = directory.find(key, now)
        stored.uses.note(identity.key_id)
        return identity

    def identify(
        self, tenant: str, team: str, key_id: str, roles: frozenset[str], now: Callable[[], float]
    ) -> Identity:
        """Return who somebody is whose key or token was checked before: what it may do now.

        A token is not asked for again: what it began goes on after its end.

        Raises:
            RejectedKeyError: the key gives no access any more, or there is no such tenant or team.
        """
        directory = self._directory()
        if ":" not in key_id:
            known = None if self._stored is None else self._stored.get(key_id)
            if known is None:
                return directory.identity(key_id, now)
            if known.status(now()) != "active":
                raise RejectedKeyError("revoked" if known.revoked is not None else "expired", key_id)
        identity = directory.of_token(tenant, team, key_id, roles)
        if identity is None:
            raise RejectedKeyError("tenant", key_id)
        return identity


def _of_store(stored: StoredKeys, directory: Directory, key: bytes, now: Callable[[], float]) -> Identity | None:
    # By its hash, as ``Directory.find`` does and for the same reasons; an unknown key is no operation on the store.
    found = stored.find(digest(key))
    if found is None:
        return None
    known, ends = found
    if known.revoked is not None:
        raise RejectedKeyError("revoked", known.id)
    if ends is not None and ends <= now():
        raise RejectedKeyError("expired", known.id)
    identity = directory.of_token(known.tenant, known.team, known.id, frozenset(known.roles))
    if identity is None:
        raise RejectedKeyError("tenant", known.id)
    return identity
