"""What two places of ``tenants.yaml`` may not both say, found also in a file that has other faults."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any


def clashes(file: Any) -> Iterator[str]:
    """Yield a sentence for each clash in the parsed file; parts of a wrong type are left to ``document``."""
    tenants, issuers = _objects(file, "tenants"), _objects(file, "jwt")
    teams = [(tenant, team) for tenant in tenants for team in _objects(tenant, "teams")]
    owners = [*tenants, *(team for _, team in teams)]
    keys = [key for owner in owners for key in _objects(owner, "keys")]
    yield from _twice("tenant", [tenant.get("name") for tenant in tenants])
    yield from _twice("team", [_path(tenant, team) for tenant, team in teams])
    yield from _twice("key id", [key.get("id") for key in keys])
    yield from _twice("sha256", [key.get("sha256") for key in keys])
    yield from _twice("name of an issuer", [issuer.get("name") for issuer in issuers])
    yield from _twice("issuer", [issuer.get("issuer") for issuer in issuers])
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


def _twice(kind: str, names: list[Any]) -> Iterator[str]:
    for name, count in Counter(name for name in names if isinstance(name, str)).items():
        if count > 1:
            yield f"{kind} {name} is there {count} times; each may be there once"
