"""An issuer of tokens for tests: real keys, and its JWKS over HTTP on loopback."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from time import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from switchyard.gateway.tenants.issuer import Issuer
from switchyard.http.asgi import Receive, Scope, Send
from tests.switchyard.gateway.conftest import running

ISSUER, AUDIENCE = "https://login.example", "switchyard"
_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def private_key(algorithm: str, name: str = "") -> Any:
    """One key of each name and kind for all tests: RSA ones take a while."""
    return _made(algorithm, name)


@cache
def _made(algorithm: str, name: str) -> Any:
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def jwk(kid: str, algorithm: str = "RS256", name: str = "", **fields: str) -> dict[str, Any]:
    """The public key as a JWKS has it."""
    public = private_key(algorithm, name).public_key()
    kind: Any = {"ES": ECAlgorithm, "Ed": OKPAlgorithm}.get(algorithm[:2], RSAAlgorithm)
    return {**json.loads(kind.to_jwk(public)), "kid": kid, "use": "sig", **fields}


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that are valid, with changes; a None leaves one out."""
    now = int(time())
    given = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ann", "iat": now, "exp": now + 600, "tenant": "acme", **changes}
    return {name: value for name, value in given.items() if value is not None}


def token(kid: str = "one", algorithm: str = "RS256", name: str = "", **changes: Any) -> str:
    headers = {"kid": kid} if kid else {}
    return jwt.encode(claims(**changes), private_key(algorithm, name), algorithm, headers=headers)


def entry(**fields: Any) -> dict[str, Any]:
    """The issuer as ``tenants.yaml`` says it."""
    return {"name": "login", "issuer": ISSUER, "audience": AUDIENCE, **fields}


def issuer(jwks_url: str = "", **fields: Any) -> Issuer:
    """The issuer as the gateway has it."""
    defaults: Mapping[str, Any] = {
        **{"name": "login", "issuer": ISSUER, "audience": (AUDIENCE,), "jwks_url": jwks_url, "jwks_file": ""},
        **{"refresh_seconds": 300.0, "algorithms": ("RS256", "ES256", "EdDSA"), "leeway_seconds": 30.0},
        **{"tenant_claim": ("tenant",), "tenants": {}, "team_claim": (), "roles_claim": (), "roles": {}},
    }
    return Issuer(**{**defaults, **fields})


@dataclass
class Published:
    """What an issuer publishes, and how often that was asked for; without ``keys`` it responds 500."""

    keys: list[dict[str, Any]] | None = field(default_factory=lambda: [jwk("one")])
    url: str = ""
    asked: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        body = b"" if self.keys is None else json.dumps({"keys": self.keys}).encode()
        await send({"type": "http.response.start", "status": 200 if body else 500, "headers": []})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def published(*keys: dict[str, Any]) -> AsyncIterator[Published]:
    """An issuer that serves its JWKS, by default with one RSA key."""
    one = Published(list(keys)) if keys else Published()
    async with running(one) as url:
        one.url = url + "/jwks.json"
        yield one
