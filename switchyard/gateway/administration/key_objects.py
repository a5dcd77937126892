"""Keys as OpenAI's API shows them, with what they have here besides; never with their secrets or hashes."""

from collections.abc import Sequence
from typing import Any

from switchyard.gateway.keys.stored_key import StoredKey
from switchyard.gateway.tenants.directory import FileKey
from switchyard.gateway.tenants.keys import PREFIX


def shown(key: StoredKey | FileKey, last_used: int | None, now: float) -> dict[str, Any]:
    """Return a key of either place."""
    return of_store(key, last_used, now) if isinstance(key, StoredKey) else of_file(key, last_used, now)


def of_store(key: StoredKey, last_used: int | None, now: float) -> dict[str, Any]:
    """Return a key of the store; ``previous_expires_at`` is when the last of the secrets that it replaced ends."""
    previous = [secret.ends for secret in key.valid_secrets(now) if secret is not key.secrets[0] and secret.ends]
    return {
        "object": "organization.admin_api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": f"{PREFIX}...{key.tail}",
        "created_at": key.created,
        "expires_at": key.ends,
        "last_used_at": last_used,
        "owner": _owner(key.tenant, key.team, key.roles, key.created),
        "tenant": key.tenant,
        "team": key.team or None,
        "roles": list(key.roles),
        "source": "store",
        "status": key.status(now),
        "previous_expires_at": max(previous, default=None),
    }


def of_file(key: FileKey, last_used: int | None, now: float) -> dict[str, Any]:
    """Return a key of the file, which does not say when it was made."""
    expired = key.ends is not None and key.ends <= now
    return {
        "object": "organization.admin_api_key",
        "id": key.id,
        "name": key.id,
        "redacted_value": f"{PREFIX}...",
        "created_at": 0,
        "expires_at": int(key.ends) if key.ends else None,
        "last_used_at": last_used,
        "owner": _owner(key.tenant, key.team, sorted(key.roles), 0),
        "tenant": key.tenant,
        "team": key.team or None,
        "roles": sorted(key.roles),
        "source": "file",
        "status": "active" if not expired else "expired" if key.ends else "revoked",
        "previous_expires_at": None,
    }


def _owner(tenant: str, team: str, roles: Sequence[str], created: int) -> dict[str, Any]:
    name = f"{tenant}/{team}" if team else tenant
    role = "owner" if "admin" in roles else "member"
    return {
        "type": "service_account",
        "object": "organization.service_account",
        "id": name,
        "name": name,
        "created_at": created,
        "role": role,
    }
