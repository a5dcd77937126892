"""Two tenants with a key in each state, for tests of who may do what."""

from pathlib import Path

import yaml

from switchyard.gateway.tenants.file import TenantsFile
from switchyard.gateway.tenants.keys import create_key, digest

KEYS = {name: create_key() for name in ("acme", "admin", "scraper", "team", "expired", "revoked", "globex", "unknown")}
MALFORMED = KEYS["acme"][:-1] + ("0" if KEYS["acme"][-1] != "0" else "1")


def key(name: str, **fields: object) -> dict[str, object]:
    """An entry of the file for one of ``KEYS``."""
    return {"id": f"{name}-key", "sha256": digest(KEYS[name].encode()).hex(), **fields}


def document() -> dict[str, object]:
    """acme may use some models, and its team fewer; globex may use all."""
    acme = [
        key("acme", expires="2099-01-01T00:00:00Z"),
        key("admin", roles=["use", "admin"]),
        key("scraper", roles=["admin"]),
        key("expired", expires="2020-01-01T00:00:00Z"),
        key("revoked", revoked=True),
    ]
    team = {"name": "readers", "models": ["o*"], "keys": [key("team")]}
    return {
        "tenants": [
            {"name": "acme", "weight": 2, "models": ["chat", "oc?", "sleepy"], "keys": acme, "teams": [team]},
            {"name": "globex", "keys": [key("globex")]},
        ]
    }


async def tenants(folder: Path) -> TenantsFile:
    """The tenants of ``document``, read."""
    path = folder / "tenants.yaml"
    path.write_text(yaml.safe_dump(document()))
    file = TenantsFile(path)
    await file.load()
    return file
