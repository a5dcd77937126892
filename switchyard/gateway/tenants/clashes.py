"""What two places of ``tenants.yaml`` may not both say, found also in a file that has other faults."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from switchyard.gateway.tenants.shown import place

_DEEPEST = 4  # parts of a path below which there are keys: a tenant's team's
_PLACES = 2  # that are named of something that is there too often


def clashes(file: Any) -> Iterator[str]:
    """Yield a sentence for each clash in the parsed file; parts of a wrong type are left to ``document``."""
    tenants, issuers = _objects(file, "tenants"), _objects(file, "jwt")
    teams = [(tenant, team) for tenant in tenants for team in _objects(tenant, "teams")]
    owners = [*tenants, *(team for _, team in teams)]
    keys = [key for owner in owners for key in _objects(owner, "keys")]
    yield from _twice(file, "tenant", [tenant.get("name") for tenant in tenants], tenants)
    yield from _twice(file, "team", [_path(tenant, team) for tenant, team in teams], [team for _, team in teams])
    yield from _twice(file, "key id", [key.get("id") for key in keys], keys)
    yield from _twice(file, "sha256", [key.get("sha256") for key in keys], keys)
    yield from _twice(file, "name of an issuer", [issuer.get("name") for issuer in issuers], issuers)
    yield from _twice(file, "issuer", [issuer.get("issuer") for issuer in issuers], issuers)
    names = {name for tenant in tenants if isinstance(name := tenant.get("name"), str)}
    for issuer in issuers:
        translated = issuer.get("tenants")
        named = translated.values() if isinstance(translated, Mapping) else ()
        for name in sorted({name for name in named if isinstance(name, str)} - names):
            yield f"jwt: {issuer.get('name')} names the tenant {name}, which is not in tenants"


def _objects(owner: Any, field: str) -> list[Mapping[str, Any]]:
    items = owner.get(field) if isinstance(owner, Mapping) else None
    return [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []


def _path(tenant: Mapping[str, Any], team: Mapping[str, Any]) -> str | None:
    names = (tenant.get("name"), team.get("name"))
    return f"{names[0]}/{names[1]}" if all(isinstance(name, str) for name in names) else None


def _twice(file: Any, kind: str, names: list[Any], items: list[Mapping[str, Any]]) -> Iterator[str]:
    for name, count in Counter(name for name in names if isinstance(name, str)).items():
        if count > 1:
            same = {id(item) for item, of in zip(items, names, strict=True) if of == name}
            found = (place(path, file) for path, item in _every(file, ()) if id(item) in same)
            places = list(itertools.islice(found, _PLACES))
            more = f" and {count - len(places)} more" if count > len(places) else ""
            yield f"{kind} {name} is there {count} times; each may be there once: {', '.join(places)}{more}"


def _every(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Mapping[str, Any]]]:
    """Yield each object in the lists of the file, and its path."""
    for field in ("tenants", "teams", "keys", "jwt"):
        items = value.get(field) if isinstance(value, Mapping) else None
        for index, item in enumerate(items if isinstance(items, list) else []):
            if isinstance(item, Mapping):
                here = (*path, field, index)
                yield here, item
                if len(here) <= _DEEPEST:
                    yield from _every(item, here)
