"""OpenAI's service tiers: what a request may ask for, and what the engine is told."""

import json

import pytest

from switchyard.gateway.admission.service_tiers import PRIORITIES, ServiceTier, service_tier, with_priority
from switchyard.gateway.tenants.directory import Identity
from switchyard.http.api_errors import ApiError

ACME = Identity("acme", "", "k", frozenset(("use",)), (), service_tiers=frozenset(("flex", "default")))


@pytest.mark.parametrize(
    ("asked", "tier"),
    [
        ("flex", "flex"),
        ("priority", "priority"),
        ("default", "default"),
        ("auto", "default"),
        ("scale", "default"),
        ("standard_only", "default"),
        ("FLEX", "default"),
        (None, "default"),
        (7, "default"),
        (["flex"], "default"),
    ],
)
def test_a_gateway_without_keys_gives_every_tier_and_leaves_the_rest_to_the_engine(
    asked: object, tier: ServiceTier
) -> None:
    assert service_tier({"service_tier": asked}, None) == tier


def test_a_tenant_has_the_tiers_that_its_operator_gave_it() -> None:
    assert service_tier({"service_tier": "flex"}, ACME) == "flex"
    assert service_tier({}, ACME) == "default"
    with pytest.raises(ApiError) as caught:
        service_tier({"service_tier": "priority"}, ACME)
    assert (caught.value.status, caught.value.param) == (403, "service_tier")
    assert "tenant acme has no service tier priority" in caught.value.message


@pytest.mark.parametrize("identity", [None, ACME])
@pytest.mark.parametrize(
    "payload", [{"priority": -5}, {"priority": "x"}, {"priority": 0, "service_tier": "flex"}, {"priority": 1}]
)
def test_nobody_names_a_priority_of_its_own(payload: dict[str, object], identity: Identity | None) -> None:
    with pytest.raises(ApiError) as caught:
        service_tier(payload, identity)
    assert (caught.value.status, caught.value.param) == (400, "priority")


@pytest.mark.parametrize("payload", [{"priority": 0}, {"priority": None}, {"priority": False}])
def test_what_the_engine_takes_for_none_passes(payload: dict[str, object]) -> None:
    assert service_tier(payload, ACME) == "default"


@pytest.mark.parametrize("body", [b'{"service_tier":"x","a":1}', b' \n{ "service_tier": "x" }', b'{"service_tier":{}}'])
@pytest.mark.parametrize("tier", PRIORITIES)
def test_the_engines_priority_is_added_to_the_body_as_it_is(body: bytes, tier: ServiceTier) -> None:
    expected = json.loads(body) | ({} if tier == "default" else {"priority": PRIORITIES[tier]})
    assert json.loads(with_priority(body, tier)) == expected
    assert tier != "default" or with_priority(body, tier) is body
