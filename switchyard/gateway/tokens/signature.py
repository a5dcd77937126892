"""Verifies tokens by the keys of a JWKS (RFC 7515, 7517, 7519; RFC 8725 for what to distrust).

Imported late, by ``verifier``: the library costs 30 ms and 9 MB, which a gateway without issuers need not pay.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from switchyard.gateway.tenants.issuer import Issuer
from switchyard.gateway.tokens.grant import RejectedTokenError, Rejection, shown

_MOST_KEYS = 100  # of one issuer; the largest publish about ten
_LEAST_RSA_BITS = 2048  # NIST SP 800-131A
# RFC 7518 §3.4: each of these algorithms has its one curve.
_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_REQUIRED = ["exp", "iss", "aud"]
_TIMES = ("exp", "nbf", "iat")

_PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
_WHY: Sequence[tuple[type[Exception], Rejection, str]] = (
    (jwt.ExpiredSignatureError, "token_expired", "the token has expired; get a new one"),
    (jwt.ImmatureSignatureError, "token_early", "the token is not valid yet; check the clock of its issuer"),
    (jwt.InvalidAudienceError, "token_audience", "the token is for another audience; ask for one for {audience}"),
    (jwt.InvalidIssuerError, "token_issuer", "the token is of another issuer"),
    (jwt.MissingRequiredClaimError, "token_claims", "the token lacks one of the claims exp, iss and aud"),
    (jwt.InvalidSignatureError, "token_signature", "the token's signature is wrong; send it as it was issued"),
)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the algorithm that its issuer uses it for; empty for any that it fits."""

    kid: str
    algorithm: str
    public: _PublicKey

    def fits(self, algorithm: str) -> bool:
        """Return whether it can verify a signature of ``algorithm``, whatever else a token says."""
        if self.algorithm and self.algorithm != algorithm:
            return False
        if isinstance(self.public, RSAPublicKey):
            return algorithm[:2] in ("RS", "PS")
        if isinstance(self.public, EllipticCurvePublicKey):
            return _CURVES.get(algorithm) == self.public.curve.name
        return algorithm == "EdDSA"


@dataclass(frozen=True, slots=True)
class Unverified:
    """What a token says of itself before anything of it is known to be true."""

    issuer: str
    algorithm: str
    kid: str


def read_keys(document: bytes) -> tuple[SigningKey, ...]:
    """Read a JWKS; keys that verify no signatures here, secret and private ones above all, are left out.

    Raises:
        ValueError: it is none, or has no key that can be used.
    """
    entries = orjson.loads(document)
    entries = entries.get("keys") if isinstance(entries, dict) else None
    if not isinstance(entries, list) or len(entries) > _MOST_KEYS:
        raise ValueError(f'it is no JWKS, which is {{"keys": [...]}} with at most {_MOST_KEYS} keys')
    keys = tuple(key for entry in entries if isinstance(entry, dict) and (key := _signing_key(entry)) is not None)
    if not keys:
        raise ValueError(f"none of its {len(entries)} keys can be used: RSA of 2048 bits, P-256/384/521 or Ed25519")
    return keys


def _signing_key(entry: Mapping[str, Any]) -> SigningKey | None:
    kid, algorithm = entry.get("kid", ""), entry.get("alg", "")
    if entry.get("use", "sig") != "sig" or not isinstance(kid, str) or not isinstance(algorithm, str):
        return None
    try:
        public = jwt.PyJWK(dict(entry)).key
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return None
    if isinstance(public, RSAPublicKey) and public.key_size < _LEAST_RSA_BITS:
        return None
    if not isinstance(public, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        return None
    return SigningKey(kid, algorithm, public)


def peek(token: str) -> Unverified:
    """Read which issuer, algorithm and key a token names.

    Raises:
        RejectedTokenError: it is no token that can be read.
    """
    try:
        parts = jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise RejectedTokenError(
            "token_malformed", "this is no JWT that can be read; send the token as it was issued"
        ) from None
    issuer, header = parts["payload"].get("iss", ""), parts["header"]
    return Unverified(str(issuer), str(header.get("alg", "")), str(header.get("kid", "")))


def verify(token: str, key: SigningKey, algorithm: str, issuer: Issuer) -> Mapping[str, Any]:
    """Return the claims of a token that ``key`` has signed for this audience, and that is valid now.

    ``algorithm`` is one of the issuer's, and fits the key.

    Raises:
        RejectedTokenError: any of that is not so.
    """
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key.public,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=issuer.leeway_seconds,
            options={"require": _REQUIRED},
        )
    except (jwt.PyJWTError, ValueError, RecursionError) as err:
        for kind, why, sentence in _WHY:
            if isinstance(err, kind):
                raise RejectedTokenError(why, sentence.replace("{audience}", shown(issuer.audience[0]))) from None
        raise _unreadable() from None
    if not all(_is_time(claims[name]) for name in _TIMES if name in claims):
        raise _unreadable()
    return claims


def _is_time(value: object) -> bool:
    """Return whether it is a number (NumericDate, RFC 7519 §2), which the library takes text for, and fits a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _unreadable() -> RejectedTokenError:
    return RejectedTokenError("token_claims", "the token has a claim that cannot be read")
