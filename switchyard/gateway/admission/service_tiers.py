"""OpenAI's ``service_tier``: whose turn it is in a queue of the gateway, and in the engine's own."""

from collections.abc import Mapping
from typing import Any, Literal

from switchyard.gateway.tenants.directory import Identity
from switchyard.http.api_errors import ApiError

ServiceTier = Literal["flex", "default", "priority"]
# vLLM's ``priority``: lower comes earlier (vllm/config/scheduler.py, ``policy``).
PRIORITIES: Mapping[ServiceTier, int] = {"priority": -1, "default": 0, "flex": 1}
# https://platform.openai.com/docs/api-reference/chat/create#service_tier; what is bought as capacity (``scale``) and
# Anthropic's tiers are the default here.
_TIERS: Mapping[object, ServiceTier] = {"flex": "flex", "priority": "priority"}


def service_tier(payload: Mapping[str, Any], identity: Identity | None) -> ServiceTier:
    """Return the tier that a request asks for.

    Raises:
        ApiError: its tenant has no such tier, or it names a priority of its own.
    """
    if payload.get("priority"):
        message = "priority is the platform's to set; send service_tier: flex, default or priority"
        raise ApiError("invalid_value", message, param="priority")
    asked = payload.get("service_tier")
    tier = _TIERS.get(asked, "default") if isinstance(asked, str) else "default"
    if tier != "default" and "priority" in payload:
        # The last of two fields of one name counts, and it would be the client's.
        message = f"send service_tier {tier} without priority, which the platform sets"
        raise ApiError("invalid_value", message, param="priority")
    if identity is not None and tier != "default" and tier not in identity.service_tiers:
        message = f"tenant {identity.tenant} has no service tier {tier}; send default, or ask its operator"
        raise ApiError("permission_denied", message, param="service_tier")
    return tier


def with_priority(body: bytes, tier: ServiceTier) -> bytes:
    """Return the JSON object ``body`` with the engine's priority of this tier; unchanged for the default's."""
    priority = PRIORITIES[tier]
    if not priority:
        return body
    begin = body.index(b"{") + 1
    # A body that names a tier has a field after this one.
    return b"".join((body[:begin], b'"priority":%d,' % priority, body[begin:]))
