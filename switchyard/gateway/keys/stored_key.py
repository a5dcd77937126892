"""One key of the store: how it is written, and how it is rotated and revoked."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import orjson

from switchyard.gateway.tenants.keys import create_key, digest

Status = Literal["active", "expired", "revoked"]
PREVIOUS = 4  # secrets of one key that may be valid beside the newest one
DAY = 86400
KEPT = 90 * DAY  # after its end, so that lists show what became of it; then its id is free
_SHOWN = 4  # characters at the end of a key: they are of its checksum, and name it to whoever has it


@dataclass(frozen=True, slots=True)
class Secret:
    """A key's SHA-256, in hexadecimal digits, and when it ends; times are in seconds since 1970."""

    sha256: str
    ends: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredKey:
    """A key of a tenant or team; ``secrets`` are the newest and those that it has replaced and that still are valid.

    ``issued`` is when the newest was made, ``tail`` its last characters, ``ends`` when the key as a whole ends.
    """

    id: str
    name: str
    tenant: str
    team: str
    roles: tuple[str, ...]
    secrets: tuple[Secret, ...]
    tail: str
    created: int
    issued: int
    ends: int | None = None
    revoked: int | None = None

    def status(self, now: float) -> Status:
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.ends is not None and self.ends <= now else "active"

    def is_forgotten(self, now: float) -> bool:
        """Return whether its end is so long ago that nothing need be known of it."""
        ended = self.ends if self.revoked is None else self.revoked
        return ended is not None and ended + KEPT <= now

    def valid_secrets(self, now: float) -> Iterator[Secret]:
        """Yield the newest secret, and those before it that have not ended."""
        yield self.secrets[0]
        yield from (one for one in self.secrets[1:] if one.ends is not None and one.ends > now)


class TooManySecretsError(ValueError):
    """A key was rotated more often than secrets of it can be valid at once."""


def new_key(
    key_id: str, name: str, tenant: str, team: str, roles: Sequence[str], *, now: int, ends: int | None
) -> tuple[StoredKey, str]:
    """Return a new key and its secret, which nothing else has."""
    secret, hashed = _new_secret()
    key = StoredKey(
        id=key_id,
        name=name,
        tenant=tenant,
        team=team,
        roles=tuple(roles),
        secrets=(hashed,),
        tail=secret[-_SHOWN:],
        created=now,
        issued=now,
        ends=ends,
    )
    return key, secret


def rotated(key: StoredKey, *, now: int, overlap: int) -> tuple[StoredKey, str]:
    """Return the key with a new secret, valid for as long as the last one was, which ends ``overlap`` seconds from now.

    Raises:
        TooManySecretsError: as many as there may be are valid.
    """
    until = now + overlap
    before = [
        replace(one, ends=until if one.ends is None else min(one.ends, until))
        for one in key.valid_secrets(now)
        if overlap > 0
    ]
    if len(before) > PREVIOUS:
        raise TooManySecretsError(f"{len(before)} secrets of {key.id} are valid")
    secret, hashed = _new_secret()
    ends = None if key.ends is None else now + key.ends - key.issued
    return replace(key, secrets=(hashed, *before), tail=secret[-_SHOWN:], issued=now, ends=ends), secret


def revoked(key: StoredKey, *, now: int) -> StoredKey:
    """Return the key without access, from now on or from when it was revoked before."""
    return key if key.revoked is not None else replace(key, revoked=now)


def encode(key: StoredKey) -> bytes:
    return orjson.dumps(key)


def decode(value: bytes) -> StoredKey:
    """Read a key as ``encode`` writes it; fields of later versions are ignored.

    Raises:
        ValueError: it is none.
    """
    try:
        given: dict[str, Any] = orjson.loads(value)
        known = {field.name: given[field.name] for field in fields(StoredKey) if field.name in given}
        secrets = tuple(Secret(one["sha256"], one["ends"]) for one in given["secrets"])
        return StoredKey(**{**known, "roles": tuple(given["roles"]), "secrets": secrets})
    except (TypeError, KeyError) as err:
        raise ValueError(f"this is no key: {err!r}") from err


def _new_secret() -> tuple[str, Secret]:
    secret = create_key()
    return secret, Secret(digest(secret.encode()).hex())
