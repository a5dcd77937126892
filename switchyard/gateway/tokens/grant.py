"""What a verified token says of who sent a call."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from switchyard.gateway.tenants.issuer import Claim, Issuer

# In metrics: a bounded list.
Rejection = Literal[
    "token_malformed",
    "token_issuer",
    "token_algorithm",
    "token_key",
    "token_signature",
    "token_expired",
    "token_early",
    "token_audience",
    "token_claims",
    "token_tenant",
    "token_unverifiable",
]
_ROLES = frozenset(("use", "admin"))
# A subject that is safe to log as it is; key ids have no colon, so the two never meet.
_SANE_SUBJECT = re.compile(r"[A-Za-z0-9._@|:/+=-]{1,128}")
_SHOWN = 80  # characters of a claim in a sentence


class RejectedTokenError(Exception):
    """A token that gives no access: why, and a sentence for whoever sent it."""

    def __init__(self, why: Rejection, message: str) -> None:
        super().__init__(message)
        self.why: Rejection = why


@dataclass(frozen=True, slots=True)
class Grant:
    """Whom a token names; ``expires`` is in seconds since 1970, the leeway for clocks included."""

    tenant: str
    team: str
    key_id: str
    roles: frozenset[str]
    expires: float


def grant_of(issuer: Issuer, claims: Mapping[str, Any]) -> Grant:
    """Read the claims of a token that ``issuer`` has signed.

    Raises:
        RejectedTokenError: they name no tenant, or not in a form that is read.
    """
    tenant = _tenant(issuer, claims)
    team = _value(claims, issuer.team_claim) if issuer.team_claim else None
    if not isinstance(team, str | None):
        raise RejectedTokenError("token_claims", f"the token's claim {shown(issuer.team_claim)} is no text")
    expires = float(claims["exp"]) + issuer.leeway_seconds
    return Grant(tenant, team or "", _key_id(issuer, claims), _roles(issuer, claims), expires)


def shown(value: object) -> str:
    """Return a token's own words for a sentence: short, and without what a terminal or a header would act on."""
    text = ".".join(value) if isinstance(value, tuple) else value
    return ascii(text)[:_SHOWN]


def _tenant(issuer: Issuer, claims: Mapping[str, Any]) -> str:
    value = _value(claims, issuer.tenant_claim)
    if not isinstance(value, str) or not value:
        claim = shown(issuer.tenant_claim)
        raise RejectedTokenError("token_claims", f"the token's claim {claim} names no tenant; ask whoever issues it")
    if not issuer.tenants:
        return value
    if (tenant := issuer.tenants.get(value)) is None:
        raise unknown_tenant(value)
    return tenant


def unknown_tenant(name: str, team: str = "") -> RejectedTokenError:
    """Return the error of a token whose tenant, or whose team of it, ``tenants.yaml`` does not have."""
    of_team = f"the team {shown(team)} of " if team else ""
    return RejectedTokenError("token_tenant", f"the token names {of_team}the tenant {shown(name)}, not known here")


def _roles(issuer: Issuer, claims: Mapping[str, Any]) -> frozenset[str]:
    if not issuer.roles_claim:
        return frozenset(("use",))
    value = _value(claims, issuer.roles_claim)
    given = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    names = [name for name in given if isinstance(name, str)]
    if issuer.roles:
        return frozenset(role for name in names for role in issuer.roles.get(name, ()))
    return _ROLES.intersection(names)


def _key_id(issuer: Issuer, claims: Mapping[str, Any]) -> str:
    """Return whom logs name: the issuer and the subject, or the subject's hash where it is long or not plain."""
    subject = str(claims.get("sub", ""))
    if not _SANE_SUBJECT.fullmatch(subject):
        subject = hashlib.sha256(subject.encode(errors="surrogatepass")).hexdigest()[:32]
    return f"{issuer.name}:{subject}"


def _value(claims: Mapping[str, Any], path: Claim) -> Any:
    value: Any = claims
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
