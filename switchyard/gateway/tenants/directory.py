"""Finds who has a key."""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import orjson

from switchyard.gateway.tenants.caching import Caching, read_caching
from switchyard.gateway.tenants.issuer import Issuer
from switchyard.gateway.tenants.keys import digest, is_key
from switchyard.gateway.tenants.limits import Limit, Limits, read_limits
from switchyard.gateway.tenants.prices import Price

Rejection = Literal["malformed", "unknown", "expired", "revoked", "tenant"]
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sent a call; ``models`` are the patterns of names that it may use, of each list one, and empty for all.

    ``key_id`` is the key's, or of a token its issuer's name, a colon and the subject.
    ``weight`` is the tenant's share of a full model, relative to others'; ``service_tiers`` are those that it may ask
    for beside the default.
    ``limits`` is None where nothing is limited, ``caching`` where no responses are cached.
    """

    tenant: str
    team: str
    key_id: str
    roles: frozenset[str]
    models: tuple[tuple[str, ...], ...]
    weight: int = 1
    limits: Limits | None = None
    service_tiers: frozenset[str] = frozenset()
    caching: Caching | None = None


@dataclass(frozen=True, slots=True)
class FileKey:
    """What the file says of a key; ``ends`` is in seconds since 1970, 0 for one that was revoked, None for never."""

    id: str
    tenant: str
    team: str
    roles: frozenset[str]
    ends: float | None


class RejectedKeyError(Exception):
    """A key that gives no access: why, and the id of one that is known."""

    def __init__(self, why: Rejection, key_id: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.key_id = key_id


@dataclass(frozen=True, slots=True)
class _Group:
    tenant: str
    team: str
    models: tuple[tuple[str, ...], ...]
    weight: int
    limits: Limits
    service_tiers: frozenset[str]
    caching: Caching | None

    @property
    def some_limits(self) -> Limits | None:
        """The limits, None where there are none."""
        return self.limits if self.limits.tenant or self.limits.team else None


class Directory:
    """All keys by their hashes, all tenants and teams by their names, and the issuers of tokens.

    Columns and not an object for each key: 100,000 objects take twice the memory, and each full garbage collection
    would visit them, which stalls all calls for as long.
    """

    def __init__(self) -> None:
        self._row_of: dict[bytes, int] = {}
        self._ids: list[str] = []
        self._ends = array("d")
        self._groups: list[_Group] = []
        self._roles: list[frozenset[str]] = []
        self._same_roles: dict[tuple[str, ...], frozenset[str]] = {}
        self._group_of: dict[tuple[str, str], _Group] = {}
        self._key_limits: dict[int, tuple[Limit, ...]] = {}
        self._same_limits: dict[bytes, tuple[Limit, ...]] = {}
        self.tenants: set[str] = set()
        self.prices: tuple[Price, ...] = ()
        self.issuers: tuple[Issuer, ...] = ()

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row of the reader: the price list, an issuer, or a tenant or team with some of its keys."""
        if "prices" in row:
            self.prices = tuple(Price(**{**price, "models": tuple(price["models"])}) for price in row["prices"])
            return
        if "issuer" in row:
            self.issuers += (Issuer.of(row["issuer"]),)
            return
        models, limits = tuple(tuple(some) for some in row["models"]), row["limits"]
        tiers, caching = frozenset(row["service_tiers"]), read_caching(row.get("cache"))
        group = _Group(row["tenant"], row["team"], models, row["weight"], self._group_limits(limits), tiers, caching)
        group = self._group_of.setdefault((group.tenant, group.team), group)
        self.tenants.add(group.tenant)
        for hashed, key_id, roles, end, key_limits in row["keys"]:
            if key_limits:
                self._key_limits[len(self._ids)] = self._shared_limits(key_limits)
            self._row_of[bytes.fromhex(hashed)] = len(self._ids)
            self._ids.append(key_id)
            self._ends.append(_NEVER if end is None else end)
            self._groups.append(group)
            self._roles.append(self._same_roles.setdefault(tuple(roles), frozenset(roles)))

    def _group_limits(self, row: Mapping[str, Any]) -> Limits:
        return Limits(row["zone"], self._shared_limits(row["tenant"]), self._shared_limits(row["team"]), ())

    def _shared_limits(self, rows: Sequence[Sequence[Any]]) -> tuple[Limit, ...]:
        """Return limits as one object for all owners that have the same."""
        if not rows:
            return ()
        same = sha256(orjson.dumps(rows)).digest()
        if same not in self._same_limits:
            self._same_limits[same] = read_limits(rows)
        return self._same_limits[same]

    @property
    def has_limits(self) -> bool:
        """Whether anybody has a limit."""
        return bool(self._same_limits)

    def find(self, key: bytes, now: Callable[[], float]) -> Identity:
        """Return whose key this is; ``now`` is in seconds since 1970.

        Raises:
            RejectedKeyError: it gives no access.
        """
        # How long the look-up takes tells nothing of the keys that are known: it depends on bits of the SHA-256, which
        # a caller cannot choose, and a hash whose beginning is right is as wrong as any other. No cache stands before
        # it: hash and look-up together take a microsecond.
        row = self._row_of.get(digest(key))
        if row is None:
            raise RejectedKeyError("unknown" if is_key(key) else "malformed")
        return self._of_row(row, now)

    def _of_row(self, row: int, now: Callable[[], float]) -> Identity:
        end = self._ends[row]
        if end != _NEVER and end <= now():
            raise RejectedKeyError("expired" if end else "revoked", self._ids[row])
        group = self._groups[row]
        limits = group.some_limits
        if self._key_limits and (own := self._key_limits.get(row)) is not None:
            limits = Limits(group.limits.zone, group.limits.tenant, group.limits.team, own)
        return _identity(group, self._ids[row], self._roles[row], limits)

    @property
    def key_ids(self) -> Sequence[str]:
        """The ids of all keys, in the file's order."""
        return self._ids

    def key(self, key_id: str) -> FileKey | None:
        """Return the key of an id, None if there is none; it looks at each, as operators seldom ask."""
        if key_id not in self._ids:
            return None
        row = self._ids.index(key_id)
        group, end = self._groups[row], self._ends[row]
        return FileKey(key_id, group.tenant, group.team, self._roles[row], None if end == _NEVER else end)

    def identity(self, key_id: str, now: Callable[[], float]) -> Identity:
        """Return who has the key of an id, of which no call has brought the secret; it looks at each, as ``key`` does.

        Raises:
            RejectedKeyError: it gives no access any more.
        """
        if key_id not in self._ids:
            raise RejectedKeyError("unknown", key_id)
        return self._of_row(self._ids.index(key_id), now)

    def caching(self) -> Mapping[str, Caching]:
        """Return the cache of each tenant that has one, by its name."""
        found = {tenant: group.caching for (tenant, team), group in self._group_of.items() if not team}
        return {tenant: caching for tenant, caching in found.items() if caching is not None}

    def tenant_contents(self) -> Mapping[str, object]:
        """Return what each tenant has beside its keys, by its name, to be compared."""
        return {tenant: group for (tenant, team), group in self._group_of.items() if not team}

    def team_contents(self) -> Mapping[str, object]:
        """Return what each team has beside its keys, by the names ``tenant/team``, to be compared."""
        return {f"{tenant}/{team}": group for (tenant, team), group in self._group_of.items() if team}

    def key_contents(self) -> Callable[[int], object]:
        """Return what tells the content of the key in each row of ``key_ids``, to be compared."""
        hashes = list(self._row_of)

        def content(row: int) -> object:
            group = self._groups[row]
            limits = self._key_limits.get(row)
            return hashes[row], self._ends[row], self._roles[row], group.tenant, group.team, limits

        return content

    def of_token(self, tenant: str, team: str, key_id: str, roles: frozenset[str]) -> Identity | None:
        """Return who a verified token names, None if there is no such tenant or team."""
        group = self._group_of.get((tenant, team))
        if group is None:
            return None
        return _identity(group, key_id, roles, group.some_limits)


def _identity(group: _Group, key_id: str, roles: frozenset[str], limits: Limits | None) -> Identity:
    of_group = group.models, group.weight, limits, group.service_tiers, group.caching
    return Identity(group.tenant, group.team, key_id, roles, *of_group)
