"""What an edit of ``tenants.yaml`` has changed, by the names of tenants, teams and keys."""

import asyncio
from collections.abc import Mapping
from typing import Any

from switchyard.gateway.tenants.directory import Directory

NAMES = 100  # of each kind that are written down, with the number of all
_AT_ONCE = 1000  # rows between two chances for others: some 2 ms


async def differences(before: Directory, after: Directory) -> dict[str, Any]:
    """Return the names of what was added, changed and removed; of long lists the first, and how many there are.

    A team is ``tenant/team``. A key is changed if it has another hash, end, owner, role or limit.
    """
    found: dict[str, Any] = {}
    for kind, old, new in (
        ("tenants", before.tenant_contents(), after.tenant_contents()),
        ("teams", before.team_contents(), after.team_contents()),
    ):
        _note(found, kind, "added", [name for name in new if name not in old])
        _note(found, kind, "changed", [name for name in new if name in old and new[name] != old[name]])
        _note(found, kind, "removed", [name for name in old if name not in new])
    await _compare_keys(found, before, after)
    for name in ("prices", "issuers"):
        if getattr(before, name) != getattr(after, name):
            found[f"{name}_changed"] = True
    return found


def counts(directory: Directory) -> Mapping[str, int]:
    """Return how many tenants and keys there are."""
    return {"tenants": len(directory.tenants), "keys": len(directory)}


async def _compare_keys(found: dict[str, Any], before: Directory, after: Directory) -> None:
    gone = {key_id: row for row, key_id in enumerate(before.key_ids)}
    added, changed = list[str](), list[str]()
    old, new = before.key_contents(), after.key_contents()
    for row, key_id in enumerate(after.key_ids):
        earlier = gone.pop(key_id, None)
        if earlier is None:
            added.append(key_id)
        elif old(earlier) != new(row):
            changed.append(key_id)
        if row % _AT_ONCE == 0:
            await asyncio.sleep(0)
    for how, names in (("added", added), ("changed", changed), ("removed", list(gone))):
        _note(found, "keys", how, names)


def _note(found: dict[str, Any], kind: str, how: str, names: list[str]) -> None:
    if names:
        found[f"{kind}_{how}"] = names[:NAMES]
    if len(names) > NAMES:
        found[f"{kind}_{how}_count"] = len(names)
