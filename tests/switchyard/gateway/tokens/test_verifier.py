"""Which tokens are taken, and the reason and sentence for those that are not."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from time import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from switchyard.gateway.tenants.issuer import Issuer
from switchyard.gateway.tokens import verifier
from switchyard.gateway.tokens.grant import Grant, RejectedTokenError
from switchyard.gateway.tokens.verifier import Tokens
from switchyard.http.api_errors import ApiError
from tests.switchyard.gateway.tokens.issuing import (
    AUDIENCE,
    Published,
    claims,
    issuer,
    jwk,
    private_key,
    published,
    token,
)

ALL = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


@pytest.fixture
async def login() -> AsyncIterator[Published]:
    keys = [jwk("one"), jwk("ec", "ES256"), jwk("ec3", "ES384"), jwk("ec5", "ES512"), jwk("ed", "EdDSA")]
    async with published(*keys) as one:
        yield one


def tokens(*issuers: Issuer) -> Tokens:
    made = Tokens(lambda name, valid: None)
    made.use(issuers)
    return made


async def grant(login: Published, text: str, **fields: Any) -> Grant:
    return await tokens(issuer(login.url, **fields)).verify(text.encode())


async def rejection(login: Published, text: str | bytes, **fields: Any) -> tuple[str, str]:
    sent = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(RejectedTokenError) as raised:
        await tokens(issuer(login.url, **fields)).verify(sent)
    return raised.value.why, str(raised.value)


KID = {"ES256": "ec", "ES384": "ec3", "ES512": "ec5", "EdDSA": "ed"}


@pytest.mark.parametrize("algorithm", ALL)
async def test_a_token_of_each_algorithm_that_the_issuer_may_use_is_taken(algorithm: str, login: Published) -> None:
    kid = KID.get(algorithm, "one")
    key = algorithm if algorithm in KID else "RS256"
    text = jwt.encode(claims(), private_key(key), algorithm, headers={"kid": kid})
    found = await grant(login, text, algorithms=ALL)
    assert (found.tenant, found.team, found.key_id, found.roles) == ("acme", "", "login:ann", frozenset(["use"]))
    assert found.expires == pytest.approx(time() + 630, abs=60)
    others = tuple(other for other in ALL if other != algorithm)
    why, sentence = await rejection(login, text, algorithms=others)
    assert (why, algorithm in sentence) == ("token_algorithm", True)


def unsigned(header: dict[str, Any], **changes: Any) -> tuple[bytes, bytes]:
    """The part of a token that is signed, and its beginning alone."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims(**changes))]
    return b".".join(parts), parts[0]


async def test_a_token_without_a_signature_is_rejected(login: Published) -> None:
    for algorithm in ("none", "None", "nOnE", ""):
        signed, _ = unsigned({"alg": algorithm, "kid": "one"})
        assert (await rejection(login, signed + b"."))[0] == "token_algorithm"


async def test_a_public_key_is_no_shared_secret(login: Published) -> None:
    # The best known confusion: HS256 with the RSA key's public half, which everybody has.
    pem = private_key("RS256").public_key()
    encoded = pem.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    for algorithm in ("HS256", "RS256"):
        signed, _ = unsigned({"alg": algorithm, "kid": "one"})
        forged = base64.urlsafe_b64encode(hmac.new(encoded, signed, hashlib.sha256).digest()).rstrip(b"=")
        why, _ = await rejection(login, signed + b"." + forged)
        assert why == {"HS256": "token_algorithm", "RS256": "token_signature"}[algorithm]


async def test_a_key_is_used_for_the_algorithms_that_it_is_for_alone(login: Published) -> None:
    mixed = jwt.encode(claims(), private_key("RS256"), "RS256", headers={"kid": "ec"})
    assert (await rejection(login, mixed))[0] == "token_algorithm"
    login.keys = [jwk("one", alg="RS512")]
    assert (await rejection(login, token()))[0] == "token_algorithm"


async def test_secret_private_weak_and_encryption_keys_of_a_jwks_verify_nothing(login: Published) -> None:
    secret = {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(b"s" * 32).decode()}
    login.keys = [jwk("one"), secret, jwk("enc", use="enc"), {"kty": "future"}, {}]
    signed = jwt.encode(claims(), b"s" * 32, "HS256", headers={"kid": "oct"})
    assert (await rejection(login, signed))[0] == "token_algorithm"
    assert (await rejection(login, token("oct")))[0] == "token_key"
    assert (await rejection(login, token("enc")))[0] == "token_key"


NOW = int(time())
WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "expired": ({"exp": NOW - 3600}, "token_expired", "has expired"),
    "not yet valid": ({"nbf": NOW + 3600}, "token_early", "not valid yet"),
    "issued later": ({"iat": NOW + 3600}, "token_early", "not valid yet"),
    "another audience": ({"aud": "other"}, "token_audience", f"ask for one for '{AUDIENCE}'"),
    "no audience": ({"aud": None}, "token_claims", "exp, iss and aud"),
    "another issuer": ({"iss": "https://evil.example"}, "token_issuer", "'https://evil.example' is not known"),
    "no end": ({"exp": None}, "token_claims", "exp, iss and aud"),
    "an end that is no time": ({"exp": "soon"}, "token_claims", "cannot be read"),
    "an endless end": ({"exp": float("inf")}, "token_claims", "cannot be read"),
    "an end that fits no float": ({"exp": 10**309}, "token_claims", "cannot be read"),
    "an end as text": ({"exp": str(NOW + 3600)}, "token_claims", "cannot be read"),
    "a start that fits no float": ({"nbf": -(10**309)}, "token_claims", "cannot be read"),
    "a start as text": ({"nbf": str(NOW - 3600)}, "token_claims", "cannot be read"),
    "an issue that fits no float": ({"iat": -(10**309)}, "token_claims", "cannot be read"),
    "an issue that is a truth": ({"iat": True}, "token_claims", "cannot be read"),
    "no tenant": ({"tenant": None}, "token_claims", "'tenant' names no tenant"),
    "a list of tenants": ({"tenant": ["acme"]}, "token_claims", "'tenant' names no tenant"),
}


@pytest.mark.parametrize(("changes", "why", "sentence"), WRONG.values(), ids=WRONG)
async def test_a_token_that_is_not_valid_has_a_reason(
    changes: dict[str, Any], why: str, sentence: str, login: Published
) -> None:
    reason, said = await rejection(login, token(**changes))
    assert (reason, sentence in said) == (why, True), said


async def test_clocks_may_be_apart_by_the_leeway(login: Published) -> None:
    now = int(time())
    assert (await grant(login, token(exp=now - 5), leeway_seconds=120.0)).tenant == "acme"
    assert (await rejection(login, token(exp=now - 5), leeway_seconds=0.0))[0] == "token_expired"
    assert (await rejection(login, token(nbf=now + 60), leeway_seconds=0.0))[0] == "token_early"
    assert (await grant(login, token(nbf=now + 60), leeway_seconds=120.0)).tenant == "acme"


DEEP = base64.urlsafe_b64encode(b"[" * 9000).rstrip(b"=")
MALFORMED = {
    "two dots": b"..",
    "no base64": b"a!b.c!d.e!f",
    "no JSON": b"eyJ.eyJ.eyJ",
    "a header that is a list": b"W10.W10.W10",
    "a deep header": DEEP + b".e30.e30",
    "a deep payload": base64.urlsafe_b64encode(b'{"alg": "RS256"}').rstrip(b"=") + b"." + DEEP + b".e30",
    "a key id that is a number": unsigned({"alg": "RS256", "kid": 7})[0] + b".e30",
    "an unknown extension that must be understood": unsigned({"alg": "RS256", "kid": "one", "crit": ["x"]})[0] + b".AA",
    "bytes": b"\xff\xfe.\xff.\xff",
    "a huge one": b"e." + b"a" * 20_000 + b".c",
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_token_is_malformed(text: bytes, login: Published) -> None:
    assert (await rejection(login, text))[0] == "token_malformed"


async def test_a_changed_token_is_rejected(login: Published) -> None:
    header, _, signature = token().split(".")
    _, payload, _ = token(tenant="globex").split(".")
    assert (await rejection(login, f"{header}.{payload}.{signature}"))[0] == "token_signature"


async def test_a_token_without_a_key_id_is_for_the_one_key_that_fits(login: Published) -> None:
    assert (await grant(login, token(""))).tenant == "acme"
    login.keys = [jwk("one"), jwk("two", name="two")]
    why, sentence = await rejection(login, token(""))
    assert (why, "does not say by which" in sentence) == ("token_key", True)


async def test_claims_in_any_letters_are_read_and_shown_as_plain_ones(login: Published) -> None:
    found = await grant(login, token(tenant="Ünïcode AG", sub="Ånn\n"), tenants={"Ünïcode AG": "acme"})
    assert found.tenant == "acme"
    assert found.key_id == "login:" + hashlib.sha256("Ånn\n".encode()).hexdigest()[:32]
    why, sentence = await rejection(login, token(tenant="Ünïcode\r\nAG"), tenants={"other": "acme"})
    assert why == "token_tenant"
    assert r"'\xdcn\xefcode\r\nAG'" in sentence


async def test_claims_may_be_inside_others_and_are_translated(login: Published) -> None:
    text = token(tenant=None, org={"id": "42"}, unit="research", groups=["ops", "dev", 7])
    fields: dict[str, Any] = {
        **{"tenant_claim": ("org", "id"), "tenants": {"42": "acme"}, "team_claim": ("unit",)},
        **{"roles_claim": ("groups",), "roles": {"ops": ("admin",), "dev": ("use",)}},
    }
    found = await grant(login, text, **fields)
    assert (found.tenant, found.team, found.roles) == ("acme", "research", frozenset(["use", "admin"]))
    assert (await grant(login, text, **{**fields, "roles": {"x": ("admin",)}})).roles == set()
    scopes = await grant(login, token(scope="openid use admin root"), roles_claim=("scope",))
    assert scopes.roles == {"use", "admin"}
    assert (await rejection(login, token(unit=7), team_claim=("unit",)))[0] == "token_claims"


async def test_a_verified_token_is_remembered_until_it_expires(
    login: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier, "_REMEMBERED", 2)
    made, texts = tokens(issuer(login.url)), [token(jti=str(number)).encode() for number in range(3)]
    for text in texts:
        assert made.remembered(text, time) is None
        found = await made.verify(text)
        assert made.remembered(text, time) is found
        assert made.remembered(text, partial(float, found.expires)) is None
    assert made.remembered(texts[0], time) is None  # as no more than two are
    with pytest.raises(RejectedTokenError):
        await made.verify(token(exp=1).encode())
    assert made.remembered(texts[2], time) is not None  # a bad one drives none out

    made.use([issuer(login.url, audience=("another",))])
    assert made.remembered(texts[2], time) is None
    with pytest.raises(RejectedTokenError):
        await made.verify(texts[2])


async def test_while_no_keys_were_read_a_token_is_neither_good_nor_bad(login: Published) -> None:
    login.keys = None
    with pytest.raises(ApiError, match="the keys of login cannot be read") as raised:
        await grant(login, token())
    assert (raised.value.code, raised.value.status, raised.value.retry_after) == ("issuer_unavailable", 503, 5)


def test_a_gateway_without_issuers_does_not_load_the_library() -> None:
    code = "import sys, switchyard.gateway.server; print(sorted({'jwt', 'cryptography'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
