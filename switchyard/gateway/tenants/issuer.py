"""Whose tokens (JWT) a gateway takes beside keys, as ``tenants.yaml`` says."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

Claim = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Issuer:
    """One issuer: how its tokens are verified, and which of their claims name tenant, team and roles.

    A claim is the path of names that leads to it, empty for one that is not read. ``tenants`` and ``roles`` translate
    the claims' values; where they are empty, the values are names of tenants and roles themselves.
    """

    name: str
    issuer: str
    audience: tuple[str, ...]
    jwks_url: str
    jwks_file: str
    refresh_seconds: float
    algorithms: tuple[str, ...]
    leeway_seconds: float
    tenant_claim: Claim
    tenants: Mapping[str, str]
    team_claim: Claim
    roles_claim: Claim
    roles: Mapping[str, tuple[str, ...]]

    @staticmethod
    def of(row: Mapping[str, Any]) -> "Issuer":
        """Read a row as ``reader.issuer_rows`` makes it."""
        values = {field.name: row[field.name] for field in fields(Issuer)}
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        values["roles"] = {given: tuple(roles) for given, roles in row["roles"].items()}
        return Issuer(**values)
